//! However long others' queues are, an import is claimed when its turn comes. Figures, of which `QUEUED` names the length:
//!
//! `tools/install-extension && QUEUED=100000 cargo test --workspace --test it queue_cost -- --nocapture`

use std::time::{Duration, Instant};

use e2e::{Result, wait_for};
use postgres::Client;

use crate::support::{Row, SOON, Sql, complete, quick_world, start};

/// Long enough for the time of a claim to show where it grows with the queue.
const QUEUED: i64 = 3_000;

fn queued() -> i64 {
    std::env::var("QUEUED").ok().and_then(|queued| queued.parse().ok()).unwrap_or(QUEUED)
}

/// Imports of another owner's accounts, which have no tokens: each fails as soon as it is claimed.
fn fill(client: &mut Client, accounts: i64, imports_each: i64) -> Result<()> {
    client.batch_execute("CREATE ROLE crowd")?;
    client.batch_execute(&format!(
        "WITH more AS (INSERT INTO pinterest.account (owner, pinterest_user_id)
             SELECT 'crowd', 'crowd ' || n FROM generate_series(1, {accounts}) AS n RETURNING account_id)
         INSERT INTO pinterest.import (account_id, board_reference) SELECT account_id, 'Nowhere ' || n
         FROM more, generate_series(1, {imports_each}) AS n"
    ))?;
    client.batch_execute("ANALYZE pinterest.import; ANALYZE pinterest.account")?;
    Ok(())
}

/// Seconds until an import that is queued behind so many is claimed, and until it is done.
fn behind(what: &str, accounts: i64, imports_each: i64) -> Result<()> {
    let (world, mut client) = quick_world("Beach", 3)?.with_session()?;
    let baseline = Instant::now();
    let first = start(&mut client, "Beach")?;
    complete(&mut client, first)?;
    let baseline = baseline.elapsed();
    fill(&mut client, accounts, imports_each)?;
    let begun = Instant::now();
    let account = world.account();
    let import: i64 = client.value_with("SELECT pinterest_import_board('Beach', $1)", &[&account])?;
    wait_for("the claim", SOON * 2, || {
        Ok((!["queued"].contains(&Row::of(&mut client, import)?.state.as_str())).then_some(()))
    })?;
    let claimed = begun.elapsed();
    complete(&mut client, import)?;
    let done = begun.elapsed();
    let left: i64 = client
        .value("SELECT count(*) FROM pinterest.import WHERE state IN ('queued', 'waiting_quota', 'waiting_access')")?;
    println!("{what}: claimed after {claimed:.2?}, done after {done:.2?}; alone {baseline:.2?}; {left} wait still");
    assert!(left > 0, "the others' queue was over before it was measured");
    assert!(claimed < Duration::from_secs(30), "{what}: claimed after {claimed:?}");
    Ok(())
}

#[test]
fn behind_one_account_with_many_imports() -> Result<()> {
    behind(&format!("{} imports of one account", queued()), 1, queued())
}

#[test]
fn behind_many_accounts_with_one_import_each() -> Result<()> {
    behind(&format!("one import of each of {} accounts", queued()), queued(), 1)
}
