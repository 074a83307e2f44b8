//! The database's worker sees to it that there is a tracking worker where rows wait: after a restart of the server, and
//! after one has ended at its work. It reads the queue and no table of a user's.

use std::time::Duration;

use tokio::time::Instant;

use super::dead_workers;
use crate::postgres::platform::current_database;
use crate::store::track::work;
use crate::workers::database::Context;
use crate::workers::registry::{self, Sent, Worker};

/// After a start that brought nothing: doubles from the first to the second.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// One that lives longer is of use.
const SHORT_LIFE: Duration = Duration::from_secs(5);

/// Starts tracking workers.
pub struct Starter {
    context: Context,
    last_start: Option<Instant>,
    pause: Duration,
    next_look: Option<Duration>,
}

impl Starter {
    /// Has started none.
    pub fn new(context: Context) -> Self {
        Starter { context, last_start: None, pause: BACKOFF.0, next_look: None }
    }

    /// Looks whether rows wait, and wakes the tracking worker or starts one.
    pub async fn look_for_rows(&mut self) {
        self.next_look = None;
        // Where the queue cannot be read it is looked at again with the next round.
        let Ok((live, blamed)) = dead_workers::settle(&self.context.database).await else { return };
        let look = move || {
            let running = registry::is_running(Worker::Tracking(current_database()));
            Ok((work::next_wake(&live)?, running))
        };
        let Ok((Some(seconds), running)) = self.context.database.run(look).await else { return };
        let mut wait = Duration::from_secs_f64(seconds.clamp(0.0, 86_400.0));
        // One that ended because of a row has done what it could, and the row's column is paused.
        let age = self.last_start.map_or(Duration::MAX, |start| start.elapsed());
        if blamed || (running && age >= SHORT_LIFE) || age >= BACKOFF.1 * 2 {
            (self.pause, self.last_start) = (BACKOFF.0, None);
        }
        if running {
            if wait.is_zero() {
                self.context.database.have_done(|| registry::wake_all(Worker::Tracking(current_database()))).await;
            }
            return;
        }
        if let Some(start) = self.last_start {
            wait = wait.max(self.pause.saturating_sub(start.elapsed()));
        }
        if !wait.is_zero() {
            self.next_look = Some(wait);
            return;
        }
        if self.last_start.replace(Instant::now()).is_some() {
            self.pause = (self.pause * 2).min(BACKOFF.1);
        }
        self.context
            .database
            .have_done(|| {
                // Without a free slot there is another round.
                let _ = registry::start_unless_coming(Worker::Tracking(current_database()), Sent::ToLook);
            })
            .await;
        self.next_look = Some(self.pause);
    }

    /// When to look again, where rows wait and none works on them.
    pub fn next_look(&self) -> Option<Duration> {
        self.next_look
    }
}
