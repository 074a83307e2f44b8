//! Work that would be lost with this process: refreshes under way, and answers that are not stored or settled yet.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::errors::Failure;

/// Why tokens were not refreshed.
#[derive(Clone, Debug)]
pub enum Unrefreshed {
    /// The same request may succeed later although nothing is done to the account.
    Again {
        /// What went wrong.
        failure: Failure,
        /// The pause before the next attempt.
        after: Duration,
        /// Pinterest may have processed the request.
        uncertain: bool,
    },
    /// The account, its app or this server has to change first.
    Failed(Failure),
}

impl From<Failure> for Unrefreshed {
    fn from(failure: Failure) -> Self {
        Unrefreshed::Failed(failure)
    }
}

impl From<Unrefreshed> for Failure {
    fn from(unrefreshed: Unrefreshed) -> Self {
        match unrefreshed {
            Unrefreshed::Again { failure, .. } | Unrefreshed::Failed(failure) => failure,
        }
    }
}

/// The work in hand. Clones share it.
#[derive(Clone)]
pub struct InHand {
    held: Arc<Counter>,
    /// Attempts to refresh: true if the account has other tokens than those that were to be replaced.
    pub attempts: Tasks<Result<bool, Unrefreshed>>,
    /// Stored answers whose consequences are being recorded.
    pub settling: Tasks<()>,
}

struct Counter {
    held: AtomicUsize,
    wake: Arc<Notify>,
}

impl InHand {
    /// Nothing yet. The end of each piece of work notifies `wake`.
    pub fn new(wake: Arc<Notify>) -> Self {
        let held = Arc::new(Counter { held: AtomicUsize::new(0), wake });
        InHand { attempts: Tasks::new(held.clone()), settling: Tasks::new(held.clone()), held }
    }

    /// Is there any?
    pub fn is_any(&self) -> bool {
        self.held.held.load(Ordering::SeqCst) > 0
    }

    /// Counts work as in hand until the returned value is dropped.
    pub fn hold(&self) -> Held {
        Held::new(self.held.clone())
    }
}

/// Work in hand, see [`InHand::hold`].
pub struct Held(Arc<Counter>);

impl Held {
    fn new(counter: Arc<Counter>) -> Self {
        counter.held.fetch_add(1, Ordering::SeqCst);
        Held(counter)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::SeqCst);
        self.0.wake.notify_one();
    }
}

type Results<T> = Mutex<HashMap<i64, watch::Receiver<Option<T>>>>;

/// Tasks of one kind, at most one per account.
pub struct Tasks<T> {
    held: Arc<Counter>,
    running: Arc<Results<T>>,
}

impl<T> Clone for Tasks<T> {
    fn clone(&self) -> Self {
        Tasks { held: self.held.clone(), running: self.running.clone() }
    }
}

impl<T: 'static> Tasks<T> {
    fn new(held: Arc<Counter>) -> Self {
        Tasks { held, running: Arc::default() }
    }

    /// The accounts for which a task runs.
    pub fn accounts(&self) -> Vec<i64> {
        lock(&self.running).keys().copied().collect()
    }

    /// Starts `work` for the account, unless a task runs for it already. True if it was started; and the task's result, once
    /// known. The task continues if the receiver is dropped.
    pub fn run(&self, account_id: i64, work: impl Future<Output = T> + 'static) -> (bool, watch::Receiver<Option<T>>) {
        let mut running = lock(&self.running);
        if let Some(result) = running.get(&account_id) {
            return (false, result.clone());
        }
        let (sender, result) = watch::channel(None);
        running.insert(account_id, result.clone());
        drop(running);
        let entry = Entry { running: self.running.clone(), account_id, _held: Held::new(self.held.clone()) };
        tokio::task::spawn_local(async move {
            let result = work.await;
            drop(entry);
            sender.send_replace(Some(result));
        });
        (true, result)
    }
}

/// Removes a task from the list, also if it panics.
struct Entry<T> {
    running: Arc<Results<T>>,
    account_id: i64,
    _held: Held,
}

impl<T> Drop for Entry<T> {
    fn drop(&mut self) {
        lock(&self.running).remove(&self.account_id);
    }
}

fn lock<T>(running: &Results<T>) -> MutexGuard<'_, HashMap<i64, watch::Receiver<Option<T>>>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}
