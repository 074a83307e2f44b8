//! The queue: `pinterest.tracked_row`, as the triggers on users' tables and the calls on them fill it. Workers lock a
//! user's row first and its tracked row after it, as whoever changes the user's row does: none waits for the other in a
//! circle.

use pgrx::{PgBuiltInOids, pg_sys};

use super::trigger;
use crate::errors::{Failure, Kind};
use crate::store::saved::Saved;
use crate::store::{affected, execute, is_true, read, read_optional, write_optional};
use crate::trial;

thread_local! {
    // The claim of a worker that has the row in hand stays; the version makes what it found out worthless.
    static ENQUEUE: Saved = const { Saved::new(
        "INSERT INTO pinterest.tracked_row AS r (tracked_column_id, key) VALUES ($1, $2) \
         ON CONFLICT (tracked_column_id, key) DO UPDATE SET state = 'pending', \
             version = nextval('pinterest.tracked_version'), attempts = 0, deaths = 0, refusals = 0, next_attempt_at = clock_timestamp(), \
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

/// Puts a row whose source is new into the queue.
pub fn enqueue(tracked_column_id: i64, key: Vec<String>) -> Result<(), Failure> {
    ENQUEUE.with(|saved| saved.execute_of_now(&[tracked_column_id.into(), key.clone().into()]))?;
    match trial::attempts() {
        None => Ok(()),
        Some((by, attempts)) => go_on(tracked_column_id, key, by, attempts),
    }
}

/// A row that the table's own code queues while a worker writes an embedding goes on with the attempts of the row that is
/// written, be it the same or another of the same owner: so that triggers which queue rows for ever come to an end. Another
/// owner's rows have attempts of their own.
fn go_on(tracked_column_id: i64, key: Vec<String>, by: i64, attempts: i32) -> Result<(), Failure> {
    let reason = Failure::new(
        Kind::TableRefused,
        "triggers queue the row again whenever an embedding is written: they change its source or its key",
    );
    execute(
        "UPDATE pinterest.tracked_row SET attempts = $3, reason = $4, reason_code = $5 \
         WHERE tracked_column_id = $1 AND key = $2 AND EXISTS (SELECT FROM pinterest.tracked_column c, pinterest.tracked_column w \
             WHERE c.tracked_column_id = $1 AND w.tracked_column_id = $6 \
             AND pinterest.owner_oid(c.owner) = pinterest.owner_oid(w.owner))",
        &[
            tracked_column_id.into(),
            key.into(),
            attempts.into(),
            reason.message.as_str().into(),
            reason.sqlstate().into(),
            by.into(),
        ],
    )
}

/// Forgets a row that is gone, or has no source any more.
///
/// To find the row is to read pages of the index, which two serializable transactions with rows side by side would take for a
/// conflict between them: those leave it to the worker, which finds nothing and forgets the row. An INSERT reads none.
pub fn remove(tracked_column_id: i64, key: Vec<String>) -> Result<(), Failure> {
    // SAFETY: a plain read of a process-wide variable.
    if unsafe { pg_sys::XactIsoLevel } == pg_sys::XACT_SERIALIZABLE as i32 {
        return enqueue(tracked_column_id, key);
    }
    REMOVE.with(|saved| saved.execute_of_now(&[tracked_column_id.into(), key.into()]))
}

/// Forgets all rows of a tracked column.
pub fn remove_all(tracked_column_id: i64) -> Result<(), Failure> {
    REMOVE_ALL.with(|saved| saved.execute_of_now(&[tracked_column_id.into()]))
}

/// A version that is younger than every row's so far.
pub fn next_version() -> Result<i64, Failure> {
    Ok(write_optional("SELECT nextval('pinterest.tracked_version')", &[], |row| row.get(1))?.unwrap_or_default())
}

/// Puts many rows into the queue, `width` values of `values` for each. What is known of the embedding that is there
/// stays: a worker that finds source and model unchanged has nothing to do.
pub fn enqueue_many(tracked_column_id: i64, values: Vec<String>, width: usize) -> Result<(), Failure> {
    if trial::attempts().is_some() {
        return Err(Failure::new(Kind::NotReady, "a tracked table's own code cannot queue all its rows")
            .with_hint("Call pinterest_track() outside of triggers and policies."));
    }
    execute(
        "INSERT INTO pinterest.tracked_row AS r (tracked_column_id, key) \
         SELECT $1, array_agg(v.value ORDER BY v.place) FROM unnest($2::text[]) WITH ORDINALITY AS v(value, place) \
         GROUP BY (v.place - 1) / $3 \
         ON CONFLICT (tracked_column_id, key) DO UPDATE SET state = 'pending', \
             version = nextval('pinterest.tracked_version'), attempts = 0, deaths = 0, refusals = 0, next_attempt_at = clock_timestamp(), \
             reason = NULL, reason_code = NULL",
        &[tracked_column_id.into(), values.into(), i64::try_from(width).unwrap_or(i64::MAX).into()],
    )
}

/// Forgets the rows that no call or trigger has put into the queue since `version` was given out.
pub fn remove_older(tracked_column_id: i64, version: i64) -> Result<(), Failure> {
    execute(
        "DELETE FROM pinterest.tracked_row WHERE tracked_column_id = $1 AND version < $2",
        &[tracked_column_id.into(), version.into()],
    )
}

/// Puts failed rows back to work, and has the workers look at once whether what kept them is gone; how many rows.
pub fn retry_failed(tracked_column_ids: &[i64]) -> Result<i64, Failure> {
    let again = affected(
        "UPDATE pinterest.tracked_row SET state = 'pending', attempts = 0, deaths = 0, refusals = 0, next_attempt_at = clock_timestamp() \
         WHERE tracked_column_id = ANY ($1) AND state = 'failed'",
        &[tracked_column_ids.to_vec().into()],
    )?;
    look_again(tracked_column_ids)?;
    Ok(i64::try_from(again).unwrap_or(i64::MAX))
}

/// Has the workers look at once whether what keeps these columns is gone.
pub fn look_again(tracked_column_ids: &[i64]) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.tracked_column SET next_attempt_at = clock_timestamp() \
         WHERE tracked_column_id = ANY ($1) AND next_attempt_at > clock_timestamp()",
        &[tracked_column_ids.to_vec().into()],
    )
}

/// How far the workers are with some columns.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Rows wait or are in hand.
    pub pending: bool,
    /// Some of them are of columns without a problem.
    pub workable: bool,
    /// The problems of columns with such rows.
    pub problems: Vec<Problem>,
}

/// What keeps a whole column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which column.
    pub tracked_column_id: i64,
    /// When it was or will be looked at again, as text: to be compared only.
    pub next_attempt_at: String,
    /// What is the matter.
    pub problem: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// How far the workers are. With the caller's rights. Reads one row a column, however many are pending.
pub fn standing(tracked_column_ids: &[i64]) -> Result<Standing, Failure> {
    let columns = read(
        "SELECT c.tracked_column_id, c.next_attempt_at::text, c.problem, c.problem_hint \
         FROM pinterest.tracked_column c CROSS JOIN LATERAL (SELECT FROM pinterest.tracked_row r \
             WHERE r.tracked_column_id = c.tracked_column_id AND r.state = 'pending' \
             ORDER BY r.next_attempt_at LIMIT 1) AS q \
         WHERE c.tracked_column_id = ANY ($1)",
        &[tracked_column_ids.to_vec().into()],
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

/// Why changes of the tables do not reach the queue, and what to do about it, as the view says. With the caller's rights.
pub fn unfollowed(tracked_column_ids: &[i64]) -> Result<Vec<(String, String)>, Failure> {
    read(
        "SELECT t.problem, t.hint FROM pinterest.tracked t \
         WHERE t.tracked_column_id = ANY ($1) AND t.problem IS NOT NULL AND t.hint IS NOT NULL",
        &[tracked_column_ids.to_vec().into()],
        |row| Ok((row.get(1)?, row.get(2)?)),
    )
}

/// How many rows wait or are in hand. With the caller's rights.
pub fn count_pending(tracked_column_ids: &[i64]) -> Result<i64, Failure> {
    Ok(read_optional(
        "SELECT count(*) FROM pinterest.tracked_row r WHERE r.tracked_column_id = ANY ($1) AND r.state = 'pending'",
        &[tracked_column_ids.to_vec().into()],
        |row| row.get(1),
    )?
    .unwrap_or_default())
}

/// Has the current transaction put rows into the queue, where no worker can see them yet? With the caller's rights.
pub fn has_uncommitted(tracked_column_ids: &[i64]) -> Result<bool, Failure> {
    is_true(
        "SELECT pg_current_xact_id_if_assigned() IS NOT NULL AND EXISTS (SELECT FROM pinterest.tracked_row r \
             WHERE r.tracked_column_id = ANY ($1) AND r.state = 'pending' AND r.fence = 0 \
             AND r.xmin = pg_current_xact_id_if_assigned()::xid)",
        &[tracked_column_ids.to_vec().into()],
    )
}

/// The models that made the embeddings which are in a tracked column; none where it is not tracked. With the caller's
/// rights; a few look-ups in an index, whatever the number of rows.
pub fn models_of(table: pg_sys::Oid, embedding_column: &str) -> Result<Vec<i64>, Failure> {
    let tracked = trigger::of_table(table)?;
    let Some(column) = tracked.iter().find(|column| column.declaration.embedding_column == embedding_column) else {
        return Ok(Vec::new());
    };
    read(
        "WITH RECURSIVE step (model_id) AS ( \
             (SELECT min(r.model_id) FROM pinterest.tracked_row r WHERE r.tracked_column_id = $1 AND r.model_id IS NOT NULL) \
             UNION ALL SELECT (SELECT min(r.model_id) FROM pinterest.tracked_row r \
                 WHERE r.tracked_column_id = $1 AND r.model_id > s.model_id AND r.model_id IS NOT NULL) \
             FROM step s WHERE s.model_id IS NOT NULL) \
         SELECT s.model_id FROM step s WHERE s.model_id IS NOT NULL",
        &[column.id().into()],
        |row| row.get(1),
    )
}
