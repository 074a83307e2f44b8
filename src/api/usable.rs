//! An access token that a client backend can use right now.

use std::time::{Duration, Instant};

use crate::errors::{Failure, Kind};
use crate::identity::as_worker;
use crate::store::with_latest_snapshot;
use crate::threads;
use crate::tokens::{Access, REFRESH_PATIENCE, Sealer};
use crate::workers::registry;

/// Between looks at a token that the worker refreshes.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The account's access token. One that has run out is refreshed by the worker, not here: a refresh must be recorded
/// whatever becomes of the caller's transaction.
pub fn access(account_id: i64) -> Result<Access, Failure> {
    let until = Instant::now() + REFRESH_PATIENCE;
    loop {
        let access = with_latest_snapshot(|| as_worker(|| Sealer::open()?.access(account_id)))?;
        if !access.expired {
            return Ok(access);
        }
        if !access.refreshable {
            return Err(Failure::new(
                Kind::NeedsReauth,
                format!("the access token of account {account_id} has expired"),
            )
            .with_hint("Store a new one with pinterest_store_token(), or connect through pinterest_authorize_url()."));
        }
        if Instant::now() >= until {
            return Err(Failure::new(
                Kind::NotReady,
                format!("the access token of account {account_id} has expired and no worker has refreshed it"),
            )
            .with_hint("SELECT * FROM pinterest_doctor() shows what keeps the worker."));
        }
        if let Some(worker) = registry::ensure_worker()? {
            registry::wake(worker);
        }
        threads::wait(None, Some(LOOK_AGAIN));
    }
}
