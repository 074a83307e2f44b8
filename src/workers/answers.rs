//! Answers of Pinterest's that are not stored yet. One is kept here from the moment it arrived until it is stored or its
//! tokens were replaced by others, however long a lock, a full disk or a missing key keeps it from the table; what is
//! left when the process ends is tried once more.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pgrx::pg_sys;
use pinterest::TokenGrant;
use tokio::time::Instant;

use super::database::Context;
use super::transaction;
use crate::errors::{Failure, Kind};
use crate::owner::Owner;
use crate::secrets::sealer::Sealer;
use crate::secrets::tokens::Refreshable;
use crate::store;
use crate::store::{account, token, token_answer};

/// Between tries, growing from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// An answer that waits longer than this is worth a line in the log, each time again.
const WORTH_A_LINE: Duration = Duration::from_secs(30);

/// What Pinterest gave.
pub enum Answer {
    /// New tokens in the place of those that were used.
    Refresh {
        /// Whose.
        account_id: i64,
        /// What was asked with.
        used: Refreshable,
        /// The answer.
        grant: TokenGrant,
        /// The generation that it is stored under, drawn once: a second try does not draw another. 0: not yet.
        generation: AtomicI64,
    },
    /// The tokens of somebody who has just consented.
    Connection {
        /// The role that connects.
        owner: Owner,
        /// The app.
        app_id: i64,
        /// What the user was asked for.
        requested: Vec<String>,
        /// The answer.
        grant: TokenGrant,
    },
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// Its tokens are this account's now.
    For(i64),
    /// Newer tokens were stored meanwhile, or the account is gone.
    Superseded,
}

impl Answer {
    /// Stores it, in the transaction that is open. Locks the row of the tokens alone, or makes new rows. What was kept aside
    /// before is not needed any more.
    fn store(&self, is_aside: bool) -> Result<Stored, Failure> {
        match self {
            Answer::Refresh { account_id, used, grant, generation } => {
                let number = drawn(generation)?;
                let stored = Sealer::open()?.store_refresh(*account_id, used, number, grant)?;
                if is_aside {
                    token_answer::forget(*account_id)?;
                }
                Ok(if stored { Stored::For(*account_id) } else { Stored::Superseded })
            }
            Answer::Connection { owner, app_id, requested, grant } => {
                let sealer = Sealer::open()?;
                let account_id = account::insert_nameless(owner, *app_id, &grant.scopes, requested)?;
                sealer.store_grant(account_id, grant)?;
                Ok(Stored::For(account_id))
            }
        }
    }

    /// Keeps it in a table of its own, where no client has anything locked. A connection needs none: its rows are new ones.
    fn keep_aside(&self) -> Result<(), Failure> {
        match self {
            Answer::Refresh { account_id, used, grant, generation } => {
                let number = drawn(generation)?;
                Sealer::open()?.keep_refresh(*account_id, used, number, grant)
            }
            Answer::Connection { .. } => Err(Failure::new(Kind::Internal, "a connection is not kept aside")),
        }
    }

    /// [`Answer::store`], else [`Answer::keep_aside`], where neither waits for anybody's lock.
    fn store_if_free(&self) -> Result<bool, Failure> {
        match self {
            Answer::Refresh { account_id, .. } => {
                if store::lock_if_free(&["installation", "token"])? && token::lock_if_free(*account_id)? {
                    self.store(false)?;
                } else if store::lock_if_free(&["installation", "token_answer"])? {
                    self.keep_aside()?;
                } else {
                    return Ok(false);
                }
            }
            Answer::Connection { app_id, .. } => {
                if !store::lock_if_free(&["installation", "token", "account", "app"])?
                    || !store::app::lock_if_free(*app_id)?
                {
                    return Ok(false);
                }
                self.store(false)?;
            }
        }
        Ok(true)
    }

    /// What to say while it waits.
    fn wait(&self) -> String {
        match self {
            Answer::Refresh { account_id, .. } => format!("the new tokens of account {account_id} wait to be stored"),
            Answer::Connection { app_id, .. } => {
                format!("the tokens of a new account of app {app_id} wait to be stored")
            }
        }
    }
}

/// The generation that an answer is stored under, drawn by whoever is the first to need it.
fn drawn(generation: &AtomicI64) -> Result<i64, Failure> {
    if generation.load(Ordering::Relaxed) == 0 {
        generation.store(token::next_generation()?, Ordering::Relaxed);
    }
    Ok(generation.load(Ordering::Relaxed))
}

static KEPT: Mutex<Vec<Arc<Answer>>> = Mutex::new(Vec::new());

fn kept() -> std::sync::MutexGuard<'static, Vec<Arc<Answer>>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Stores an answer, for as long as this process lives; `None` where the extension was dropped meanwhile. One that cannot be
/// stored at once is kept where no client has anything locked, so that it outlives this process, too.
pub async fn store(context: &Context, answer: Answer) -> Option<Stored> {
    let answer = Arc::new(answer);
    kept().push(answer.clone());
    let aside = Arc::new(AtomicBool::new(false));
    let (line, material, is_aside) = (answer.wait(), answer.clone(), aside.clone());
    let work = move || material.store(is_aside.load(Ordering::Relaxed));
    let stored = persistently_but(context, &line, work, async || {
        let material = answer.clone();
        if !aside.load(Ordering::Relaxed) && short(context, move || material.keep_aside()).await.is_ok() {
            aside.store(true, Ordering::Relaxed);
        }
    });
    let stored = stored.await;
    kept().retain(|other| !Arc::ptr_eq(other, &answer));
    stored
}

/// Runs a short transaction until it succeeds, for as long as this process lives: what it records, nobody can ask for
/// again. `None` where the extension was dropped meanwhile. Between the tries the main thread serves others.
pub async fn persistently<T: Send + 'static>(
    context: &Context,
    line: &str,
    work: impl Fn() -> Result<T, Failure> + Clone + Send + 'static,
) -> Option<T> {
    persistently_but(context, line, work, async || ()).await
}

/// The same, doing something else after each try that failed.
async fn persistently_but<T: Send + 'static>(
    context: &Context,
    line: &str,
    work: impl Fn() -> Result<T, Failure> + Clone + Send + 'static,
    mut otherwise: impl AsyncFnMut(),
) -> Option<T> {
    let mut pause = PAUSES.0;
    let mut log_at = Instant::now() + WORTH_A_LINE;
    loop {
        let failure = match short(context, work.clone()).await {
            Ok(done) => return Some(done),
            Err(failure) => failure,
        };
        otherwise().await;
        if matches!(context.database.run(store::extension::version).await, Ok(None)) {
            return None;
        }
        if Instant::now() >= log_at {
            log_at = Instant::now() + WORTH_A_LINE;
            context.database.log(format!("{line}: {failure}")).await;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// A transaction that waits for locks only as long as the main thread can be spared.
async fn short<T: Send + 'static>(
    context: &Context,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let work = move || {
        store::wait_briefly_for_locks();
        work()
    };
    context.database.run(work).await
}

/// Has what is left stored when the process ends. Before the network thread starts, so that it runs after that has ended.
pub fn store_at_exit() {
    // SAFETY: a callback of this library, once in a worker's life.
    unsafe { pg_sys::before_shmem_exit(Some(at_exit), pg_sys::Datum::from(0usize)) };
}

/// One try for each, where it is free: interrupts are held off here, so that a lock would be waited for without end; and
/// an ERROR ends the callback, which costs those behind it. As the server's own callback that removes temporary tables.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn at_exit(_code: i32, _argument: pg_sys::Datum) {
    let left = std::mem::take(&mut *kept());
    if left.is_empty() {
        return;
    }
    // SAFETY: the process may end in the middle of a transaction.
    unsafe { pg_sys::AbortOutOfAnyTransaction() };
    for answer in left {
        let outcome = match transaction::run(|| answer.store_if_free()) {
            Ok(true) => continue,
            Ok(false) => "their table is locked".to_owned(),
            Err(failure) => failure.message,
        };
        pgrx::log!("pg_pinterest: {}, and the worker ends: {outcome}", answer.wait());
    }
}
