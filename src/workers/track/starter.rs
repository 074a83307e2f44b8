//! The database worker starts a tracking worker if rows wait: after a restart of the server, and after one has crashed. It reads
//! the queue and no table of users.

use std::time::Duration;

use tokio::time::Instant;

use super::dead_workers;
use crate::postgres::platform::current_database;
use crate::store::track::work;
use crate::workers::context::Context;
use crate::workers::registry::{self, Sent, Worker};

/// After a start that was in vain: doubles from the first to the second.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// A start is not in vain if the worker runs longer than this.
const SHORT_LIFE: Duration = Duration::from_secs(5);

/// Starts tracking workers.
pub struct Starter {
    context: Context,
    last_start: Option<Instant>,
    pause: Duration,
    next_check: Option<Duration>,
}

impl Starter {
    /// None started yet.
    pub fn new(context: Context) -> Self {
        Starter { context, last_start: None, pause: BACKOFF.0, next_check: None }
    }

    /// Checks whether rows wait, and wakes the tracking worker or starts one.
    pub async fn look_for_rows(&mut self) {
        self.next_check = None;
        // If the queue cannot be read, the next check tries again.
        let Ok((live, blamed)) = dead_workers::settle(&self.context.database).await else { return };
        let check = move || {
            let running = registry::is_running(Worker::Tracking(current_database()));
            Ok((work::next_wake(&live)?, running))
        };
        let Ok((Some(seconds), running)) = self.context.database.run(check).await else { return };
        let mut wait = Duration::from_secs_f64(seconds.clamp(0.0, 86_400.0));
        // A worker that a row's code ended was not in vain: the row's column is paused.
        let age = self.last_start.map_or(Duration::MAX, |start| start.elapsed());
        if blamed || (running && age >= SHORT_LIFE) || age >= BACKOFF.1 * 2 {
            (self.pause, self.last_start) = (BACKOFF.0, None);
        }
        if running {
            if wait.is_zero() {
                self.context.database.run_infallible(|| registry::wake_all(Worker::Tracking(current_database()))).await;
            }
            return;
        }
        if let Some(start) = self.last_start {
            wait = wait.max(self.pause.saturating_sub(start.elapsed()));
        }
        if !wait.is_zero() {
            self.next_check = Some(wait);
            return;
        }
        if self.last_start.replace(Instant::now()).is_some() {
            self.pause = (self.pause * 2).min(BACKOFF.1);
        }
        self.context
            .database
            .run_infallible(|| {
                // If no slot is free, the next check tries again.
                let _ = registry::start_unless_coming(Worker::Tracking(current_database()), Sent::ToCheck);
            })
            .await;
        self.next_check = Some(self.pause);
    }

    /// When to check again, if rows wait and no tracking worker runs.
    pub fn next_check(&self) -> Option<Duration> {
        self.next_check
    }
}
