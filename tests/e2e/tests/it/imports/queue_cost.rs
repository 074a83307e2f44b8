//! However long others' queues are, an import is claimed when its turn comes. `make bench-queue` prints the figures.

use e2e::measure::behind_queue;

use crate::support::prelude::*;

/// Long enough for the time of a claim to show if it grows with the queue.
const QUEUED: i64 = 3_000;

fn is_claimed_behind(accounts: i64, imports_each: i64) -> Result<()> {
    let measured = behind_queue(accounts, imports_each)?;
    assert!(measured.left > 0, "the others' queue was over before it was measured");
    assert!(measured.claimed < Duration::from_secs(30), "{measured:?}");
    Ok(())
}

#[test]
fn behind_one_account_with_many_imports() -> Result<()> {
    is_claimed_behind(1, QUEUED)
}

#[test]
fn behind_many_accounts_with_one_import_each() -> Result<()> {
    is_claimed_behind(QUEUED, 1)
}
