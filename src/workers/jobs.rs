//! The way from asynchronous code on the network thread to the database, which only the main thread may touch: a job
//! goes there, runs in a transaction of its own, and its result comes back.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::transaction;
use crate::errors::{Failure, Kind};
use crate::postgres::threads::Bell;

type Job = Box<dyn FnOnce() + Send>;

/// The database, as the network thread sees it.
#[derive(Clone)]
pub struct Database {
    jobs: Sender<Job>,
    bell: Arc<Bell>,
}

/// The main thread's end.
pub struct Jobs(Receiver<Job>);

/// Both ends; `bell` wakes the main thread.
pub fn bridge(bell: Bell) -> (Database, Jobs) {
    let (jobs, queue) = channel();
    (Database { jobs, bell: Arc::new(bell) }, Jobs(queue))
}

impl Database {
    /// Runs `work` in a short transaction on the main thread.
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

    /// Does what needs the main thread and cannot fail.
    pub async fn have_done(&self, work: impl FnOnce() + Send + 'static) {
        // A worker that is ending does nothing any more.
        let _ = self
            .run(|| {
                work();
                Ok(())
            })
            .await;
    }

    /// Writes a line to the server's log.
    pub async fn log(&self, line: String) {
        self.have_done(move || pgrx::log!("pg_pinterest: {line}")).await;
    }
}

impl Jobs {
    /// Runs what waits, and what comes meanwhile, for a while; true where more may wait.
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
