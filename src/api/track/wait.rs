//! Waiting for the workers.

use pgrx::datum::Interval;
use pgrx::prelude::*;
use pgrx::{PgLogLevel, PgSqlErrorCode, pg_sys};

use super::calls::{refuse_old_snapshot, required_ids};
use crate::api::waiting::Waiting;
use crate::api::{Answer, given};
use crate::errors::{Failure, Kind};
use crate::postgres::regclass::Regclass;
use crate::store::track::queue::{self, Problem};
use crate::store::user_table::describe;
use crate::store::with_latest_snapshot;
use crate::workers::{pause, registry};

/// Waits until no row of the table's tracked columns is pending, until only rows are that no worker can work on, or for
/// the timeout; returns how many are pending then.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_wait_for_tracked(table: Option<Regclass>, timeout: default!(Option<Interval>, "NULL")) -> Answer<i64> {
    let table = given(table, "table")?;
    refuse_old_snapshot("never sees a row become embedded")?;
    let table = describe(table.0)?;
    let ids = required_ids(&table, None)?;
    // The rest of the transaction is this call: no more rows can come from it.
    if queue::has_uncommitted(&ids)? {
        return Err(Failure::new(
            Kind::NotReady,
            format!("this transaction, which has not committed, put rows of {} into the queue", table.quoted),
        )
        .with_hint("Commit first, then wait.")
        .into());
    }
    Ok(wait(&ids, &Waiting::in_function(timeout.as_ref())?)?)
}

/// The same without a snapshot between looks; warns where rows are pending at the end.
#[pg_extern(
    sql = "CREATE PROCEDURE pinterest_await_tracked(\"table\" regclass, timeout interval DEFAULT NULL) LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';"
)]
fn pinterest_await_tracked(
    table: Option<Regclass>,
    timeout: Option<Interval>,
    call: pg_sys::FunctionCallInfo,
) -> Answer<()> {
    let table = given(table, "table")?;
    let table = describe(table.0)?;
    let ids = required_ids(&table, None)?;
    let waiting = Waiting::in_procedure(timeout.as_ref(), call)?;
    let pending = wait(&ids, &waiting)?;
    waiting.end();
    if pending > 0 {
        ereport!(
            PgLogLevel::WARNING,
            PgSqlErrorCode::ERRCODE_WARNING,
            format!("{pending} rows of {} are pending", table.quoted)
        );
    }
    Ok(())
}

/// Looks are cheap while rows are pending: how many is counted once, at the end.
fn wait(ids: &[i64], waiting: &Waiting) -> Result<i64, Failure> {
    // A problem may be solved by now: it counts once a worker has found it again.
    let mut known: Option<Vec<Problem>> = None;
    loop {
        let standing = with_latest_snapshot(|| queue::standing(ids))?;
        if !standing.pending {
            // What no row in the queue shows.
            for (problem, hint) in with_latest_snapshot(|| queue::unfollowed(ids))? {
                warn(&problem, Some(&hint));
            }
            return Ok(0);
        }
        let known = known.get_or_insert_with(|| standing.problems.clone());
        let is_kept = !standing.workable && standing.problems.iter().all(|problem| !known.contains(problem));
        if is_kept {
            standing.problems.iter().for_each(|problem| warn(&problem.problem, problem.hint.as_deref()));
        }
        let is_paused = pause::refuse().err();
        if let Some(paused) = &is_paused {
            warn(&paused.message, paused.hint());
        }
        if is_kept || is_paused.is_some() || waiting.is_over() {
            return with_latest_snapshot(|| queue::count_pending(ids));
        }
        waiting.pause(registry::ensure_tracking_worker)?;
    }
}

fn warn(problem: &str, hint: Option<&str>) {
    let report = pg_sys::panic::ErrorReport::new(
        PgSqlErrorCode::ERRCODE_WARNING,
        format!("the workers cannot go on: {problem}"),
        "pg_pinterest",
    );
    match hint {
        Some(hint) => report.set_hint(hint.to_owned()).report(PgLogLevel::WARNING),
        None => report.report(PgLogLevel::WARNING),
    }
}
