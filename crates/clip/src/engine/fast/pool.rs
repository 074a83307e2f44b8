//! The threads of an engine.

use std::num::NonZeroUsize;

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, Inner};

/// One thread, the caller's, or a pool of several. Idle threads of a pool sleep.
pub(super) struct Pool(Option<ThreadPool>);

impl Pool {
    /// Starts the threads.
    ///
    /// # Errors
    ///
    /// If the system gives no threads.
    pub(super) fn new(threads: NonZeroUsize) -> Result<Self, Error> {
        if threads.get() == 1 {
            return Ok(Self(None));
        }
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads.get())
            .thread_name(|index| format!("clip-{index}"))
            .build()
            .map_err(|error| Inner::Forward(error.into()))?;
        Ok(Self(Some(pool)))
    }

    /// Does `work` where [`for_each`](Self::for_each) finds the others nearby.
    pub(super) fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.0 {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }

    /// Calls `task` with every number below `count`, in any order, on any thread, and returns when all calls have.
    pub(super) fn for_each(&self, count: usize, task: impl Fn(usize) + Sync + Send) {
        match &self.0 {
            Some(_) if count > 1 => (0..count).into_par_iter().with_max_len(1).for_each(task),
            _ => (0..count).for_each(task),
        }
    }
}
