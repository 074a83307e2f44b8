//! Transactions for asynchronous code. Only the main thread may use Postgres, so the network thread sends it a job, which
//! runs in its own transaction, and waits for the result.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::log::{self, About};
use super::transaction;
use crate::errors::{Failure, Kind};
use crate::postgres::threads::Bell;

type Job = Box<dyn FnOnce() + Send>;

/// The database, for the network thread.
#[derive(Clone)]
pub struct Database {
    jobs: Sender<Job>,
    bell: Arc<Bell>,
}

/// The main thread's end.
pub struct Jobs(Receiver<Job>);

/// Both ends; `bell` wakes the main thread.
pub fn queue(bell: Bell) -> (Database, Jobs) {
    let (jobs, waiting) = channel();
    (Database { jobs, bell: Arc::new(bell) }, Jobs(waiting))
}

impl Database {
    /// Runs `work` in a short transaction on the main thread.
    ///
    /// # Errors
    /// Those of `work` and of the transaction; [`Kind::Database`] if the worker ends first.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (answer, result) = oneshot::channel();
        let job: Job = Box::new(move || {
            let _ = answer.send(transaction::run(work));
        });
        if self.jobs.send(job).is_ok() {
            self.bell.ring();
        }
        result.await.unwrap_or_else(|_| Err(Failure::new(Kind::Database, "the worker is ending")))
    }

    /// Runs `work`, which cannot fail, on the main thread.
    pub async fn run_infallible(&self, work: impl FnOnce() + Send + 'static) {
        // Fails only if the worker is ending.
        let _ = self
            .run(|| {
                work();
                Ok(())
            })
            .await;
    }

    /// Writes a line to the server's log.
    pub async fn log(&self, about: About, line: String) {
        self.run_infallible(move || log::line(about, line)).await;
    }
}

impl Jobs {
    /// Runs the waiting jobs, and those that are added meanwhile, for a limited time; true if more may wait.
    pub fn run_waiting(&self, at_most: Duration) -> bool {
        let until = Instant::now() + at_most;
        while let Ok(job) = self.0.try_recv() {
            job();
            if Instant::now() >= until {
                return true;
            }
        }
        false
    }
}
