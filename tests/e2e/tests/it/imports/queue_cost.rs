//! Long queues of other accounts do not delay the claim of an import. `make bench-queue` prints the figures.

use e2e::measure::behind_queue;

use crate::support::prelude::*;

/// Long enough to show whether the time of a claim grows with the queue.
const QUEUED: i64 = 3_000;

fn is_claimed_behind(accounts: i64, imports_each: i64) -> Result<()> {
    let measured = behind_queue(accounts, imports_each)?;
    assert!(measured.left > 0, "the other imports ended before the measurement");
    assert!(measured.claimed < Duration::from_secs(30), "{measured:?}");
    Ok(())
}

#[test]
fn an_import_is_claimed_behind_one_account_with_many() -> Result<()> {
    is_claimed_behind(1, QUEUED)
}

#[test]
fn an_import_is_claimed_behind_many_accounts_with_one_each() -> Result<()> {
    is_claimed_behind(QUEUED, 1)
}
