//! The idle timeout.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Counts the requests whose answers are not yet written.
#[derive(Default)]
pub struct Activity(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    outstanding: usize,
    /// When the last of them ended.
    quiet_since: Option<Instant>,
}

/// One request, until dropped.
pub struct Work(Arc<Inner>);

impl Activity {
    pub fn begin(&self) -> Work {
        self.0.lock().outstanding += 1;
        Work(Arc::clone(&self.0))
    }

    /// Returns after `limit` without a request; never if that is `None`.
    pub async fn idle_for(&self, limit: Option<Duration>) {
        let Some(limit) = limit else {
            return std::future::pending().await;
        };
        let started = Instant::now();
        loop {
            let changed = self.0.changed.notified();
            let quiet_until = {
                let state = self.0.lock();
                (state.outstanding == 0).then(|| state.quiet_since.unwrap_or(started) + limit)
            };
            match quiet_until {
                None => changed.await,
                Some(deadline) if deadline <= Instant::now() => return,
                Some(deadline) => tokio::time::sleep_until(deadline).await,
            }
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        {
            let mut state = self.0.lock();
            state.outstanding -= 1;
            state.quiet_since = Some(Instant::now());
        }
        self.0.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn idle_is_counted_from_the_last_answer() {
        let activity = Activity::default();
        let start = Instant::now();
        let work = activity.begin();
        let ended = async {
            tokio::time::sleep(Duration::from_secs(300)).await;
            drop(work);
        };
        tokio::join!(activity.idle_for(Some(LIMIT)), ended);
        assert_eq!(start.elapsed().as_secs(), 360);
    }

    #[tokio::test(start_paused = true)]
    async fn without_any_request_idle_is_counted_from_the_start() {
        let activity = Activity::default();
        let start = Instant::now();
        activity.idle_for(Some(LIMIT)).await;
        assert_eq!(start.elapsed().as_secs(), 60);
    }
}
