//! Answers from Pinterest that are not stored yet. An answer is kept in this process until it is stored or its tokens were
//! replaced, even if a lock, a full disk or a missing key prevents that for long. When the process ends, storing is tried
//! once more.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pgrx::pg_sys;
use pinterest::TokenGrant;
use tokio::time::Instant;

use super::context::Context;
use super::log::{self, About};
use super::transaction;
use crate::errors::{Failure, Kind};
use crate::owner::Owner;
use crate::secrets::sealer::Sealer;
use crate::secrets::tokens::Refreshable;
use crate::store;
use crate::store::{account, token, token_answer};

/// Between tries, growing from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// After each of these times that an answer has waited, a line is logged.
const LOG_INTERVAL: Duration = Duration::from_secs(30);

/// An answer.
pub enum Answer {
    /// New tokens, which replace those that were used.
    Refresh {
        /// The account.
        account_id: i64,
        /// The tokens that the request was made with.
        used: Refreshable,
        /// The answer.
        grant: TokenGrant,
        /// The generation under which it is stored, drawn once for all tries. 0: not yet.
        generation: AtomicI64,
    },
    /// The tokens of a user who has just consented.
    Connection {
        /// The role that connects.
        owner: Owner,
        /// The app.
        app_id: i64,
        /// The scopes that were requested.
        requested: Vec<String>,
        /// The answer.
        grant: TokenGrant,
    },
}

/// The end of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// This account has its tokens now.
    For(i64),
    /// Newer tokens were stored meanwhile, or the account is gone.
    Superseded,
}

impl Answer {
    /// Stores it, in the open transaction. Locks only the row of the tokens, or inserts new rows. If it was kept aside before,
    /// that copy is deleted.
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

    /// Keeps it in a separate table, in which no session locks rows. A connection does not need that: its rows are new.
    fn keep_aside(&self) -> Result<(), Failure> {
        match self {
            Answer::Refresh { account_id, used, grant, generation } => {
                let number = drawn(generation)?;
                Sealer::open()?.keep_refresh(*account_id, used, number, grant)
            }
            Answer::Connection { .. } => Err(Failure::new(Kind::Internal, "a connection is not kept aside")),
        }
    }

    /// [`Answer::store`], or else [`Answer::keep_aside`], without waiting for locks; false if both are locked.
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

    /// A log line while it waits.
    fn line(&self) -> &'static str {
        match self {
            Answer::Refresh { .. } => "could not store the new tokens",
            Answer::Connection { .. } => "could not store the tokens of a new account",
        }
    }

    /// What that line is about.
    fn about(&self) -> About {
        match self {
            Answer::Refresh { account_id, .. } => About::Account(*account_id),
            Answer::Connection { app_id, .. } => About::App(*app_id),
        }
    }
}

/// The generation under which an answer is stored, drawn when it is first needed.
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

/// Stores an answer, retrying while this process runs; `None` if the extension was dropped meanwhile. An answer that cannot be
/// stored at once is kept aside, so that it survives the end of this process.
pub async fn store(context: &Context, answer: Answer) -> Option<Stored> {
    let answer = Arc::new(answer);
    kept().push(answer.clone());
    let aside = Arc::new(AtomicBool::new(false));
    let line = format!("{}, retrying", answer.line());
    let (shared, is_aside) = (answer.clone(), aside.clone());
    let work = move || shared.store(is_aside.load(Ordering::Relaxed));
    let stored = persistently_but(context, answer.about(), &line, work, async || {
        let shared = answer.clone();
        if !aside.load(Ordering::Relaxed) && short(context, move || shared.keep_aside()).await.is_ok() {
            aside.store(true, Ordering::Relaxed);
        }
    });
    let stored = stored.await;
    kept().retain(|other| !Arc::ptr_eq(other, &answer));
    stored
}

/// Runs a short transaction until it succeeds, while this process runs: its data cannot be requested again. `None` if the
/// extension was dropped meanwhile. Between the tries the main thread runs other jobs. `line` is logged now and then.
pub async fn persistently<T: Send + 'static>(
    context: &Context,
    about: About,
    line: &str,
    work: impl Fn() -> Result<T, Failure> + Clone + Send + 'static,
) -> Option<T> {
    persistently_but(context, about, line, work, async || ()).await
}

/// The same, running `otherwise` after each failed try.
async fn persistently_but<T: Send + 'static>(
    context: &Context,
    about: About,
    line: &str,
    work: impl Fn() -> Result<T, Failure> + Clone + Send + 'static,
    mut otherwise: impl AsyncFnMut(),
) -> Option<T> {
    let mut pause = PAUSES.0;
    let mut log_at = Instant::now() + LOG_INTERVAL;
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
            log_at = Instant::now() + LOG_INTERVAL;
            context.database.log(about, format!("{line}: {failure}")).await;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// A transaction that waits for locks only briefly, because it occupies the main thread.
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

/// Stores the remaining answers when the process ends. To be called before the network thread starts, so that it runs after
/// that has ended.
pub fn store_at_exit() {
    // SAFETY: a callback of this library, registered once.
    unsafe { pg_sys::before_shmem_exit(Some(at_exit), pg_sys::Datum::from(0usize)) };
}

/// One try for each answer, without waiting for locks: interrupts are held off here, so a wait would have no end. An ERROR
/// ends the callback, as in the server's callback that removes temporary tables.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn at_exit(_code: i32, _argument: pg_sys::Datum) {
    let left = std::mem::take(&mut *kept());
    if left.is_empty() {
        return;
    }
    // SAFETY: the process may end in the middle of a transaction.
    unsafe { pg_sys::AbortOutOfAnyTransaction() };
    for answer in left {
        let reason = match transaction::run(|| answer.store_if_free()) {
            Ok(true) => continue,
            Ok(false) => "their table or row is locked".to_owned(),
            Err(failure) => failure.message,
        };
        log::line(answer.about(), format_args!("{}, and the worker ends: {reason}", answer.line()));
    }
}
