//! Waiting for the workers to embed tracked rows.

use pgrx::datum::Interval;
use pgrx::pg_sys;
use pgrx::prelude::*;

use super::calls::required_ids;
use crate::api::wait::{Waiting, require_read_committed};
use crate::api::{Answer, given, warn};
use crate::errors::{Failure, Kind};
use crate::postgres::regclass::Regclass;
use crate::store::track::queue::{self, Problem};
use crate::store::user_table::describe;
use crate::store::with_latest_snapshot;
use crate::workers::{pause, registry};

/// Waits until no row of the table's tracked columns is pending, until workers cannot continue with the pending rows, or for
/// the timeout; returns the number of pending rows.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_wait_for_tracked(table: Option<Regclass>, timeout: default!(Option<Interval>, "NULL")) -> Answer<i64> {
    let table = given(table, "table")?;
    require_read_committed(c"pinterest_wait_for_tracked()")?;
    let table = describe(table.0)?;
    let ids = required_ids(&table, None)?;
    // Workers see rows of this transaction only after it has committed.
    if queue::has_uncommitted(&ids)? {
        return Err(Failure::new(
            Kind::NotReady,
            format!("rows of {} were queued by this transaction, which has not committed", table.quoted),
        )
        .with_hint("Commit the transaction, then wait.")
        .into());
    }
    Ok(wait(&ids, &Waiting::in_function(timeout.as_ref())?)?)
}

/// The same without a snapshot between checks; warns if rows are still pending.
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
        warn(format!("{pending} rows of {} are pending", table.quoted), None);
    }
    Ok(())
}

/// A check is cheap while rows are pending: they are counted once, at the end.
fn wait(ids: &[i64], waiting: &Waiting) -> Result<i64, Failure> {
    // A problem known at the beginning may be solved: it counts after a worker has found it again.
    let mut known: Option<Vec<Problem>> = None;
    loop {
        let standing = with_latest_snapshot(|| queue::standing(ids))?;
        if !standing.pending {
            // Problems that concern no row in the queue.
            for (problem, hint) in with_latest_snapshot(|| queue::unfollowed(ids))? {
                warn_of(&problem, Some(&hint));
            }
            return Ok(0);
        }
        let known = known.get_or_insert_with(|| standing.problems.clone());
        let is_kept = !standing.workable && standing.problems.iter().all(|problem| !known.contains(problem));
        if is_kept {
            standing.problems.iter().for_each(|problem| warn_of(&problem.problem, problem.hint.as_deref()));
        }
        let is_paused = pause::refuse().err();
        if let Some(paused) = &is_paused {
            warn_of(&paused.message, paused.hint());
        }
        if is_kept || is_paused.is_some() || waiting.is_over() {
            return with_latest_snapshot(|| queue::count_pending(ids));
        }
        waiting.pause(registry::ensure_tracking_worker)?;
    }
}

fn warn_of(problem: &str, hint: Option<&str>) {
    warn(format!("workers cannot continue: {problem}"), hint);
}
