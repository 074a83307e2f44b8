//! `pinterest.tracked_row`: the queue, as triggers and calls fill it. Workers lock a user's row first and its tracked
//! row after it, in the same order as sessions that change the user's row, so there is no deadlock.

use pgrx::{PgBuiltInOids, pg_sys};

use super::trigger;
use crate::errors::{Failure, Kind};
use crate::owner_code;
use crate::store::saved::Saved;
use crate::store::{affected, execute, is_true, params, read, read_optional, write_optional};

thread_local! {
    // The claim of a worker that has the row in hand stays; because of the new version its result is not recorded.
    static ENQUEUE: Saved = const { Saved::new(
        "INSERT INTO pinterest.tracked_row AS r (tracked_column_id, key) VALUES ($1, $2) \
         ON CONFLICT (tracked_column_id, key) DO UPDATE SET state = 'pending', \
             version = nextval('pinterest.tracked_version'), attempts = 0, deaths = 0, refusals = 0, \
             next_attempt_at = clock_timestamp(), \
             reason = NULL, reason_code = NULL, source_sha256 = NULL, model_id = NULL, embedded_at = NULL",
        &[PgBuiltInOids::INT8OID, PgBuiltInOids::TEXTARRAYOID],
    ) };
    static REMOVE: Saved = const { Saved::new(
        "DELETE FROM pinterest.tracked_row WHERE tracked_column_id = $1 AND key = $2",
        &[PgBuiltInOids::INT8OID, PgBuiltInOids::TEXTARRAYOID],
    ) };
    static REMOVE_ALL: Saved = const { Saved::new(
        "DELETE FROM pinterest.tracked_row WHERE tracked_column_id = $1",
        &[PgBuiltInOids::INT8OID],
    ) };
}

/// Queues a row whose source is new.
pub fn enqueue(tracked_column_id: i64, key: Vec<String>) -> Result<(), Failure> {
    ENQUEUE.with(|saved| saved.execute_of_now(&params![tracked_column_id, key.clone()]))?;
    match owner_code::attempts() {
        None => Ok(()),
        Some((by, attempts)) => inherit_attempts(tracked_column_id, key, by, attempts),
    }
}

/// If the table's own code queues a row while a worker writes an embedding, the row takes over the attempts of the
/// written row, be it the same or another of the same owner, so that triggers which always queue rows come to an end.
/// Rows of other owners have their own attempts.
fn inherit_attempts(tracked_column_id: i64, key: Vec<String>, by: i64, attempts: i32) -> Result<(), Failure> {
    let reason = Failure::new(
        Kind::TableRefused,
        "triggers queue the row again whenever an embedding is written: they change its source or its key",
    );
    execute(
        "UPDATE pinterest.tracked_row SET attempts = $3, reason = $4, reason_code = $5 \
         WHERE tracked_column_id = $1 AND key = $2 AND EXISTS (SELECT \
             FROM pinterest.tracked_column c, pinterest.tracked_column w \
             WHERE c.tracked_column_id = $1 AND w.tracked_column_id = $6 \
             AND pinterest.owner_oid(c.owner) = pinterest.owner_oid(w.owner))",
        &params![tracked_column_id, key, attempts, reason.message.as_str(), reason.sqlstate(), by],
    )
}

/// Deletes a row that is deleted in the user's table, or has no source any more.
///
/// A search for the row reads index pages, which two serializable transactions with neighbouring rows would take for a
/// conflict between them. Serializable transactions leave it to the worker, which finds no row in the table and deletes
/// this one. An INSERT reads none.
pub fn remove(tracked_column_id: i64, key: Vec<String>) -> Result<(), Failure> {
    // SAFETY: a plain read of a process-wide variable.
    if unsafe { pg_sys::XactIsoLevel } == pg_sys::XACT_SERIALIZABLE as i32 {
        return enqueue(tracked_column_id, key);
    }
    REMOVE.with(|saved| saved.execute_of_now(&params![tracked_column_id, key]))
}

/// Deletes all rows of a tracked column.
pub fn remove_all(tracked_column_id: i64) -> Result<(), Failure> {
    REMOVE_ALL.with(|saved| saved.execute_of_now(&params![tracked_column_id]))
}

/// A version that is newer than those of all rows.
pub fn next_version() -> Result<i64, Failure> {
    Ok(write_optional("SELECT nextval('pinterest.tracked_version')", &[], |row| row.get(1))?.unwrap_or_default())
}

/// Queues many rows, each with `width` of the `values`. What is stored of an existing embedding stays: a worker that
/// finds source and model unchanged has nothing to do.
pub fn enqueue_many(tracked_column_id: i64, values: Vec<String>, width: usize) -> Result<(), Failure> {
    if owner_code::attempts().is_some() {
        return Err(Failure::new(Kind::NotReady, "cannot call pinterest_track() in code that a tracked table runs")
            .with_hint("Call pinterest_track() outside of triggers and policies."));
    }
    execute(
        "INSERT INTO pinterest.tracked_row AS r (tracked_column_id, key) \
         SELECT $1, array_agg(v.value ORDER BY v.place) FROM unnest($2::text[]) WITH ORDINALITY AS v(value, place) \
         GROUP BY (v.place - 1) / $3 \
         ON CONFLICT (tracked_column_id, key) DO UPDATE SET state = 'pending', \
             version = nextval('pinterest.tracked_version'), attempts = 0, deaths = 0, refusals = 0, \
             next_attempt_at = clock_timestamp(), reason = NULL, reason_code = NULL",
        &params![tracked_column_id, values, i64::try_from(width).unwrap_or(i64::MAX)],
    )
}

/// Deletes the rows that no call or trigger has queued since `version` was drawn.
pub fn remove_older(tracked_column_id: i64, version: i64) -> Result<(), Failure> {
    execute(
        "DELETE FROM pinterest.tracked_row WHERE tracked_column_id = $1 AND version < $2",
        &params![tracked_column_id, version],
    )
}

/// Makes failed rows pending again, and lets the workers check the columns' problems at once; the number of rows.
pub fn retry_failed(tracked_column_ids: &[i64]) -> Result<i64, Failure> {
    let again = affected(
        "UPDATE pinterest.tracked_row SET state = 'pending', attempts = 0, deaths = 0, refusals = 0, \
         next_attempt_at = clock_timestamp() WHERE tracked_column_id = ANY ($1) AND state = 'failed'",
        &params![tracked_column_ids.to_vec()],
    )?;
    execute(
        "UPDATE pinterest.tracked_column SET next_attempt_at = clock_timestamp() \
         WHERE tracked_column_id = ANY ($1) AND next_attempt_at > clock_timestamp()",
        &params![tracked_column_ids.to_vec()],
    )?;
    Ok(i64::try_from(again).unwrap_or(i64::MAX))
}

/// The progress of the workers with some columns.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Rows are pending.
    pub pending: bool,
    /// Some of them belong to columns without a problem.
    pub workable: bool,
    /// The problems of columns with pending rows.
    pub problems: Vec<Problem>,
}

/// What blocks a whole column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The column.
    pub tracked_column_id: i64,
    /// When it was or will be tried again, as text: for comparison only.
    pub next_attempt_at: String,
    /// The problem.
    pub problem: String,
    /// The hint.
    pub hint: Option<String>,
}

/// The progress of the workers. With the caller's rights. Reads one row per column, however many are pending.
pub fn standing(tracked_column_ids: &[i64]) -> Result<Standing, Failure> {
    let columns = read(
        "SELECT c.tracked_column_id, c.next_attempt_at::text, c.problem, c.problem_hint \
         FROM pinterest.tracked_column c CROSS JOIN LATERAL (SELECT FROM pinterest.tracked_row r \
             WHERE r.tracked_column_id = c.tracked_column_id AND r.state = 'pending' \
             ORDER BY r.next_attempt_at LIMIT 1) AS q \
         WHERE c.tracked_column_id = ANY ($1)",
        &params![tracked_column_ids.to_vec()],
        |row| {
            let Some(problem) = row.maybe::<String>(3)? else { return Ok(None) };
            Ok(Some(Problem {
                tracked_column_id: row.get(1)?,
                next_attempt_at: row.get(2)?,
                problem,
                hint: row.maybe(4)?,
            }))
        },
    )?;
    Ok(Standing {
        pending: !columns.is_empty(),
        workable: columns.iter().any(Option::is_none),
        problems: columns.into_iter().flatten().collect(),
    })
}

/// Problems and hints of tables whose changes do not reach the queue, as in the view `pinterest.tracked`. With the
/// caller's rights.
pub fn unfollowed(tracked_column_ids: &[i64]) -> Result<Vec<(String, String)>, Failure> {
    read(
        "SELECT t.problem, t.hint FROM pinterest.tracked t \
         WHERE t.tracked_column_id = ANY ($1) AND t.problem IS NOT NULL AND t.hint IS NOT NULL",
        &params![tracked_column_ids.to_vec()],
        |row| Ok((row.get(1)?, row.get(2)?)),
    )
}

/// The number of pending rows. With the caller's rights.
pub fn count_pending(tracked_column_ids: &[i64]) -> Result<i64, Failure> {
    Ok(read_optional(
        "SELECT count(*) FROM pinterest.tracked_row r WHERE r.tracked_column_id = ANY ($1) AND r.state = 'pending'",
        &params![tracked_column_ids.to_vec()],
        |row| row.get(1),
    )?
    .unwrap_or_default())
}

/// Whether the current transaction has queued rows, which no worker can see yet. With the caller's rights.
pub fn has_uncommitted(tracked_column_ids: &[i64]) -> Result<bool, Failure> {
    is_true(
        "SELECT pg_current_xact_id_if_assigned() IS NOT NULL AND EXISTS (SELECT FROM pinterest.tracked_row r \
             WHERE r.tracked_column_id = ANY ($1) AND r.state = 'pending' AND r.fence = 0 \
             AND r.xmin = pg_current_xact_id_if_assigned()::xid)",
        &params![tracked_column_ids.to_vec()],
    )
}

/// The models that made the embeddings of a tracked column; empty if it is not tracked. With the caller's rights. A few
/// index look-ups, whatever the number of rows.
pub fn models_of(table: pg_sys::Oid, embedding_column: &str) -> Result<Vec<i64>, Failure> {
    let tracked = trigger::of_table(table)?;
    let Some(column) = tracked.iter().find(|column| column.declaration.embedding_column == embedding_column) else {
        return Ok(Vec::new());
    };
    read(
        "WITH RECURSIVE step (model_id) AS ( \
             (SELECT min(r.model_id) FROM pinterest.tracked_row r WHERE r.tracked_column_id = $1 \
             AND r.model_id IS NOT NULL) UNION ALL SELECT (SELECT min(r.model_id) FROM pinterest.tracked_row r \
                 WHERE r.tracked_column_id = $1 AND r.model_id > s.model_id AND r.model_id IS NOT NULL) \
             FROM step s WHERE s.model_id IS NOT NULL) \
         SELECT s.model_id FROM step s WHERE s.model_id IS NOT NULL",
        &params![column.id()],
        |row| row.get(1),
    )
}
