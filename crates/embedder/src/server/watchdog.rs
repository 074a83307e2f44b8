//! Ends the process if an image or text takes too long. A thread that never returns cannot be stopped by another thread, but
//! the process can end, and its supervisor starts the next one.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use embedder::WATCHDOG_EXIT_STATUS;

use crate::log;

/// Description of the work, without any of its content.
#[derive(Clone)]
pub enum Subject {
    /// The SHA-256 of each image.
    Images(Vec<[u8; 32]>),
    /// The length of each text, in bytes.
    Texts(Vec<usize>),
}

/// The work in progress.
#[derive(Default)]
pub struct Watchdog {
    state: Mutex<State>,
    began: Condvar,
}

#[derive(Default)]
struct State {
    last_ticket: u64,
    /// Start, number of time limits, and description of each piece of work.
    watched: HashMap<u64, (Instant, u32, Subject)>,
}

/// One piece of work, until dropped.
pub struct Watched<'a> {
    watchdog: &'a Watchdog,
    ticket: u64,
}

impl Watched<'_> {
    /// Does other work in between, whose time does not count. That work has an entry of its own.
    pub fn without<R>(&self, work: impl FnOnce() -> R) -> R {
        let suspended = self.watchdog.lock().watched.remove(&self.ticket);
        let since = Instant::now();
        let result = work();
        if let Some((began, times, subject)) = suspended {
            self.watchdog.lock().watched.insert(self.ticket, (began + since.elapsed(), times, subject));
            self.watchdog.began.notify_one();
        }
        result
    }
}

impl Watchdog {
    /// Registers work that may take the limit once per image or text.
    pub fn watch(&self, subject: Subject) -> Watched<'_> {
        let times = subject.count();
        self.watch_for(times, subject)
    }

    /// Registers work that may take `times` the limit.
    pub fn watch_for(&self, times: u32, subject: Subject) -> Watched<'_> {
        let mut state = self.lock();
        state.last_ticket += 1;
        let ticket = state.last_ticket;
        state.watched.insert(ticket, (Instant::now(), times, subject));
        drop(state);
        self.began.notify_one();
        Watched { watchdog: self, ticket }
    }

    /// Waits until work exceeds its multiple of `limit`, and then ends the process with [`WATCHDOG_EXIT_STATUS`].
    pub fn run(&self, limit: Duration) {
        let subject = self.overdue(limit);
        log::line(format_args!("timeout of {} seconds exceeded by {subject}", limit.as_secs_f64()));
        std::process::exit(WATCHDOG_EXIT_STATUS);
    }

    /// Waits until work has taken too long. Sleeps while there is none.
    fn overdue(&self, limit: Duration) -> Subject {
        let mut state = self.lock();
        loop {
            let next = state
                .watched
                .values()
                .map(|(began, times, subject)| ((limit * *times).saturating_sub(began.elapsed()), subject))
                .min_by_key(|(left, _)| *left);
            state = match next {
                None => self.began.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some((Duration::ZERO, subject)) => return subject.clone(),
                Some((left, _)) => self.began.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.watchdog.lock().watched.remove(&self.ticket);
    }
}

impl Subject {
    fn count(&self) -> u32 {
        let count = match self {
            Self::Images(digests) => digests.len(),
            Self::Texts(lengths) => lengths.len(),
        };
        count as u32
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Images(digests) => {
                formatter.write_str("images with SHA-256")?;
                for digest in digests {
                    formatter.write_str(" ")?;
                    for byte in digest {
                        write!(formatter, "{byte:02x}")?;
                    }
                }
                Ok(())
            }
            Self::Texts(lengths) => write!(formatter, "texts of {lengths:?} bytes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_overdue_work_and_not_finished_work() {
        let watchdog = Watchdog::default();
        std::thread::scope(|scope| {
            let overdue = scope.spawn(|| watchdog.overdue(Duration::from_millis(50)));
            for _ in 0..100 {
                drop(watchdog.watch(Subject::Texts(vec![7])));
            }
            let slower = watchdog.watch(Subject::Texts(vec![8; 1000]));
            let _stuck = watchdog.watch(Subject::Images(vec![[0xab; 32]]));
            let subject = overdue.join().unwrap().to_string();
            drop(slower);
            assert_eq!(subject, format!("images with SHA-256 {}", "ab".repeat(32)));
        });
    }

    #[test]
    fn other_work_in_between_does_not_count() {
        const LIMIT: Duration = Duration::from_millis(50);
        let watchdog = Watchdog::default();
        // Overdue from the beginning.
        let images = watchdog.watch_for(0, Subject::Images(vec![[0xab; 32]]));
        let subject = images.without(|| {
            let _stuck = watchdog.watch(Subject::Texts(vec![7]));
            watchdog.overdue(LIMIT).to_string()
        });
        assert_eq!(subject, "texts of [7] bytes");
        assert!(watchdog.overdue(LIMIT).to_string().starts_with("images"), "they are watched again");
    }
}
