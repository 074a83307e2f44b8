//! An access token that a session can use at once.

use std::sync::Arc;
use std::time::Instant;

use super::wait::attempts;
use crate::errors::{Failure, Kind};
use crate::postgres::helper_thread::block_on;
use crate::postgres::identity::as_worker;
use crate::postgres::threads::WaitEvent;
use crate::secrets::sealer::Sealer;
use crate::secrets::tokens::{Access, REFRESH_PATIENCE};
use crate::store::{token, with_latest_snapshot};
use crate::workers::refresh_socket::{self, Request, Unanswered};
use crate::workers::{pause, registry};

/// The account's present tokens, expired or not.
///
/// # Errors
///
/// NeedsReauth if Pinterest has refused them; those of the keys.
pub fn current(account_id: i64) -> Result<Access, Failure> {
    with_latest_snapshot(|| as_worker(|| Sealer::open()?.access(account_id)))
}

/// The account's present tokens, also if Pinterest has refused them.
///
/// # Errors
///
/// Those of the keys.
pub fn stored(account_id: i64) -> Result<Access, Failure> {
    let found = with_latest_snapshot(|| {
        as_worker(|| {
            let sealed = token::get(account_id)?;
            Sealer::open()?.access_of(account_id, &sealed)
        })
    });
    match found {
        // `current` reports what it means for the account, if anything.
        Err(failure) if failure.kind == Kind::SealBroken => current(account_id).and(Err(failure)),
        found => found,
    }
}

/// The account's access token, renewed first if it has expired.
///
/// # Errors
///
/// Those of [`current`] and [`renew`].
pub fn access(account_id: i64) -> Result<Access, Failure> {
    let access = current(account_id)?;
    if !access.expired {
        return Ok(access);
    }
    renew(account_id, access.generation)?;
    current(account_id)
}

/// Returns when the account has other tokens than those of `generation`. A worker renews them, not this process, because the
/// answer must be kept even if the caller's transaction is rolled back.
///
/// # Errors
///
/// NeedsReauth if the tokens cannot be renewed; NotReady if the worker failed, or none listens in time.
pub fn renew(account_id: i64, generation: i64) -> Result<(), Failure> {
    let until = Instant::now() + REFRESH_PATIENCE;
    loop {
        let now = stored(account_id)?;
        if now.generation != generation {
            return Ok(());
        }
        if !now.refreshable {
            return Err(Failure::new(
                Kind::NeedsReauth,
                format!("the tokens of account {account_id} cannot be renewed without a refresh token and an app"),
            )
            .with_hint("Store new ones with pinterest_store_token(), or connect through pinterest_authorize_url()."));
        }
        if let Err(refusal) = ask(Request::Refresh { account_id, generation }, until, || Ok(()))? {
            // Reports what it means for the account, if anything.
            current(account_id)?;
            return Err(Failure::new(Kind::NotReady, refusal.message).with_hint(
                "The worker will keep retrying: SELECT status, cause, next_refresh_at FROM pinterest.accounts.",
            ));
        }
        if Instant::now() >= until {
            return Err(no_worker());
        }
    }
}

/// Sends a request to this database's worker, and starts the worker if none runs. If the worker ends with the request,
/// `still` is called before the request is sent to another one.
///
/// # Errors
///
/// NotReady if workers are paused, or none listens in time; those of `still`. The inner error is that of the worker.
pub fn ask(
    request: Request,
    until: Instant,
    still: impl Fn() -> Result<(), Failure>,
) -> Result<Result<i64, Failure>, Failure> {
    let request = Arc::new(request);
    let answer = attempts(until, || {
        pause::refuse()?;
        let Some(worker) = registry::ensure_worker()? else { return Ok(None) };
        let request = request.clone();
        match block_on(WaitEvent::Worker, move || async move {
            Ok::<_, Failure>(refresh_socket::ask(worker, &request).await)
        })? {
            Ok(answer) => Ok(Some(answer)),
            // It has just started, or is ending.
            Err(Unanswered::NotListening) => Ok(None),
            Err(Unanswered::BrokenOff) => still().map(|()| None),
        }
    })?;
    answer.ok_or_else(no_worker)
}

fn no_worker() -> Failure {
    Failure::new(Kind::NotReady, "no worker of this database accepts requests")
        .with_hint("SELECT * FROM pinterest_doctor() shows why the worker is not running.")
}
