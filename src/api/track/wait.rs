//! Waiting for the workers.

use std::time::Instant;

use pgrx::datum::Interval;
use pgrx::prelude::*;
use pgrx::{PgLogLevel, PgRelation, PgSqlErrorCode, pg_sys};

use super::calls::{closed, refuse_old_snapshot, required_ids};
use crate::api::Answer;
use crate::api::import::{LOOK_AGAIN, deadline};
use crate::errors::{Failure, Kind};
use crate::store::track::queue::{self, Problem};
use crate::store::user_table::describe;
use crate::store::with_latest_snapshot;
use crate::threads;
use crate::workers::registry;

/// Waits until no row of the table's tracked columns is pending, until only rows are that no worker can work on, or for
/// the timeout; returns how many are pending then.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_wait_for_tracked(table: PgRelation, timeout: default!(Option<Interval>, "NULL")) -> Answer<i64> {
    refuse_old_snapshot("never sees a row become embedded")?;
    let table = describe(closed(table))?;
    let ids = required_ids(&table, None)?;
    let until = timeout.as_ref().map(deadline).transpose()?;
    // A problem may be solved by now: it counts once a worker has found it again.
    let mut known: Option<Vec<Problem>> = None;
    loop {
        let pending = with_latest_snapshot(|| queue::pending(&ids))?;
        if pending.uncommitted {
            return Err(Failure::new(
                Kind::NotReady,
                format!("this transaction, which has not committed, put rows of {} into the queue", table.quoted),
            )
            .with_hint("Commit first, then wait.")
            .into());
        }
        if pending.rows == 0 {
            return Ok(0);
        }
        let known = known.get_or_insert_with(|| pending.problems.clone());
        if pending.workable == 0 && pending.problems.iter().all(|problem| !known.contains(problem)) {
            pending.problems.iter().for_each(warn);
            return Ok(pending.rows);
        }
        let left = match until {
            None => LOOK_AGAIN,
            Some(until) => match until.checked_duration_since(Instant::now()) {
                Some(left) if !left.is_zero() => left.min(LOOK_AGAIN),
                _ => return Ok(pending.rows),
            },
        };
        // Where nothing is preloaded, nobody else starts the worker after a restart of the server.
        registry::ensure_worker()?;
        threads::wait(None, Some(left));
    }
}

fn warn(problem: &Problem) {
    let report = pg_sys::panic::ErrorReport::new(
        PgSqlErrorCode::ERRCODE_WARNING,
        format!("the workers cannot go on: {}", problem.problem),
        "pg_pinterest",
    );
    match problem.hint.as_deref() {
        Some(hint) => report.set_hint(hint.to_owned()).report(PgLogLevel::WARNING),
        None => report.report(PgLogLevel::WARNING),
    }
}
