//! An access token that a client backend can use right now.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::errors::{Failure, Kind};
use crate::postgres::helper_thread::block_on;
use crate::postgres::identity::as_worker;
use crate::postgres::threads;
use crate::secrets::sealer::Sealer;
use crate::secrets::tokens::{Access, REFRESH_PATIENCE};
use crate::store::{token, with_latest_snapshot};
use crate::workers::refresh_socket::{self, Request, Unanswered};
use crate::workers::{pause, registry};

/// Between looks for a worker that takes requests.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The account's tokens as they stand at this moment, expired or not.
pub fn standing(account_id: i64) -> Result<Access, Failure> {
    with_latest_snapshot(|| as_worker(|| Sealer::open()?.access(account_id)))
}

/// The same, also of an account that Pinterest's refusal has cost.
pub fn present(account_id: i64) -> Result<Access, Failure> {
    let found = with_latest_snapshot(|| {
        as_worker(|| {
            let sealed = token::get(account_id)?;
            Sealer::open()?.access_of(account_id, &sealed)
        })
    });
    match found {
        // Says what it means for the account where it does.
        Err(failure) if failure.kind == Kind::SealBroken => standing(account_id).and(Err(failure)),
        found => found,
    }
}

/// The account's access token, renewed first where it has run out.
pub fn access(account_id: i64) -> Result<Access, Failure> {
    let access = standing(account_id)?;
    if !access.expired {
        return Ok(access);
    }
    renew(account_id, access.generation)?;
    standing(account_id)
}

/// Returns once the account has other tokens than those of `generation`. The worker renews them, not this process: the answer
/// must be kept whatever becomes of the caller's transaction.
pub fn renew(account_id: i64, generation: i64) -> Result<(), Failure> {
    let until = Instant::now() + REFRESH_PATIENCE;
    loop {
        let now = present(account_id)?;
        if now.generation != generation {
            return Ok(());
        }
        if !now.refreshable {
            return Err(Failure::new(
                Kind::NeedsReauth,
                format!("the tokens of account {account_id} cannot be renewed: there is no refresh token, or no app"),
            )
            .with_hint("Store new ones with pinterest_store_token(), or connect through pinterest_authorize_url()."));
        }
        let request = Request::Refresh { account_id, generation };
        match ask(request, until, || Ok(()))? {
            Ok(_) => {}
            Err(refusal) => {
                // Says what it means for the account where it does.
                standing(account_id)?;
                return Err(Failure::new(Kind::NotReady, refusal.message).with_hint(
                    "The worker goes on trying: SELECT status, cause, next_refresh_at FROM pinterest.accounts.",
                ));
            }
        }
        if Instant::now() >= until {
            return Err(no_worker());
        }
    }
}

/// Asks this database's worker, once one listens; starts it where none runs. `still` is called before the request is sent
/// again to another worker, because the one before ended with it.
pub fn ask(
    request: Request,
    until: Instant,
    still: impl Fn() -> Result<(), Failure>,
) -> Result<Result<i64, Failure>, Failure> {
    let request = Arc::new(request);
    loop {
        pause::refuse()?;
        if let Some(worker) = registry::ensure_worker()? {
            let request = request.clone();
            let answer =
                block_on(move || async move { Ok::<_, Failure>(refresh_socket::ask(worker, &request).await) })?;
            match answer {
                Ok(answer) => return Ok(answer),
                // It has just started, or is leaving.
                Err(Unanswered::NotListening) => {}
                Err(Unanswered::BrokenOff) => still()?,
            }
        }
        if Instant::now() >= until {
            return Err(no_worker());
        }
        threads::wait(None, Some(LOOK_AGAIN));
    }
}

fn no_worker() -> Failure {
    Failure::new(Kind::NotReady, "no worker of this database takes requests")
        .with_hint("SELECT * FROM pinterest_doctor() shows what keeps the worker.")
}
