//! An access token that a client backend can use right now.

use std::time::{Duration, Instant};

use crate::errors::{Failure, Kind};
use crate::identity::as_worker;
use crate::interruptible::block_on;
use crate::store::with_latest_snapshot;
use crate::threads;
use crate::tokens::{Access, REFRESH_PATIENCE, Sealer};
use crate::workers::{pause, registry, requests};

/// Between looks for a worker that takes requests.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The account's tokens as they stand at this moment, expired or not.
pub fn standing(account_id: i64) -> Result<Access, Failure> {
    with_latest_snapshot(|| as_worker(|| Sealer::open()?.access(account_id)))
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

/// Returns once the account's tokens are newer than `generation`. The worker renews them, not this process: the answer
/// must be kept whatever becomes of the caller's transaction.
pub fn renew(account_id: i64, generation: i64) -> Result<(), Failure> {
    let until = Instant::now() + REFRESH_PATIENCE;
    loop {
        let now = standing(account_id)?;
        if now.generation > generation {
            return Ok(());
        }
        if !now.refreshable {
            return Err(Failure::new(
                Kind::NeedsReauth,
                format!("the tokens of account {account_id} cannot be renewed: there is no refresh token, or no app"),
            )
            .with_hint("Store new ones with pinterest_store_token(), or connect through pinterest_authorize_url()."));
        }
        if Instant::now() >= until {
            return Err(Failure::new(
                Kind::NotReady,
                format!("no worker has renewed the tokens of account {account_id}"),
            )
            .with_hint("SELECT * FROM pinterest_doctor() shows what keeps the worker."));
        }
        pause::refuse()?;
        let Some(worker) = registry::ensure_worker()? else {
            threads::wait(None, Some(LOOK_AGAIN));
            continue;
        };
        let answer = block_on(move || async move {
            Ok::<_, Failure>(requests::ask(worker, account_id, generation).await.map_err(|broken| broken.kind()))
        })?;
        match answer {
            Ok(None) => {}
            Ok(Some(refusal)) => {
                // Says what it means for the account where it does.
                standing(account_id)?;
                return Err(Failure::new(Kind::NotReady, refusal).with_hint(
                    "The worker goes on trying: SELECT status, cause, next_refresh_at FROM pinterest.accounts.",
                ));
            }
            // It has just started, or is leaving.
            Err(_) => {
                threads::wait(None, Some(LOOK_AGAIN));
            }
        }
    }
}
