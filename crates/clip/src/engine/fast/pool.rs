//! The threads of an engine.

use std::num::NonZeroUsize;
use std::sync::Arc;

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, Inner};

/// The caller's thread, or a pool of several. Idle threads of a pool sleep.
#[derive(Clone)]
pub(super) struct Pool(Option<Arc<ThreadPool>>);

impl Pool {
    /// Starts the threads.
    ///
    /// # Errors
    ///
    /// If the system cannot start the threads.
    pub(super) fn new(threads: NonZeroUsize) -> Result<Self, Error> {
        if threads.get() == 1 {
            return Ok(Self(None));
        }
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads.get())
            .thread_name(|index| format!("clip-{index}"))
            .build()
            .map_err(|error| Inner::Forward(error.into()))?;
        Ok(Self(Some(Arc::new(pool))))
    }

    /// Only the caller's thread.
    pub(super) fn of_caller() -> Self {
        Self(None)
    }

    /// Runs `work` on one of the threads. Must enclose every call of [`for_each`](Self::for_each), which distributes work over
    /// the threads of the current pool.
    pub(super) fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.0 {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }

    /// Number of threads.
    pub(super) fn threads(&self) -> usize {
        self.0.as_ref().map_or(1, |pool| pool.current_num_threads())
    }

    /// Calls `task` with every number below `count`, in any order, on any thread, and returns when all calls have.
    pub(super) fn for_each(&self, count: usize, task: impl Fn(usize) + Sync + Send) {
        self.for_each_at_least(1, count, task);
    }

    /// Like [`for_each`](Self::for_each), with at least `least` consecutive calls on one thread.
    pub(super) fn for_each_at_least(&self, least: usize, count: usize, task: impl Fn(usize) + Sync + Send) {
        let least = least.max(1);
        match &self.0 {
            Some(_) if count > least => {
                (0..count).into_par_iter().with_min_len(least).with_max_len(least).for_each(task);
            }
            _ => (0..count).for_each(task),
        }
    }

    /// Calls `task` with every item, on any thread, and returns the results in the items' order.
    pub(super) fn map<T: Send, R: Send>(&self, items: Vec<T>, task: impl Fn(T) -> R + Sync + Send) -> Vec<R> {
        match &self.0 {
            Some(_) => items.into_par_iter().with_max_len(1).map(task).collect(),
            None => items.into_iter().map(task).collect(),
        }
    }
}
