//! The workers' side of the queue: claim, read, record.
//!
//! Whoever changes a user's row locks it first and its `tracked_row` second. Recording keeps to that order; the other
//! statements here take locks of `tracked_row` alone and wait for nothing while they hold them. So nobody waits for a
//! worker that waits for them.

use std::sync::Arc;
use std::time::Duration;

use super::target::{Source, Target};
use crate::errors::Failure;
use crate::store::{execute, read, write};
use crate::vector::Vector;

/// How long a claimed row is its claimer's. A download may take 60 s, an inference 20 s, a busy embedder 30 s.
const LEASE: &str = "2 minutes";

/// A tracked column with rows that are ready.
#[derive(Clone, Debug)]
pub struct ReadyColumn {
    /// Key.
    pub tracked_column_id: i64,
    /// The role that owns the table.
    pub owner: String,
    /// Why it could not be worked on when last tried.
    pub problem: bool,
}

/// A row that the caller has to work on until its lease ends.
#[derive(Clone, Debug)]
pub struct ClaimedRow {
    /// The tracked column.
    pub tracked_column_id: i64,
    /// The row's key, as text.
    pub key: Vec<String>,
    /// The version of the source that was there.
    pub version: i64,
    /// With this one.
    pub attempts: i32,
    /// Must be unchanged when the result is recorded.
    pub fence: i64,
    /// SHA-256 and model of the embedding that was recorded last.
    pub recorded: Option<(Vec<u8>, i64)>,
    /// The table.
    pub target: Arc<Target>,
}

/// A fresh embedding, or the knowledge that the one in the table is as good.
#[derive(Clone, Debug)]
pub struct Embedding {
    /// `None`: the one in the table stays.
    pub vector: Option<Vector>,
    /// The model that made it.
    pub model_id: i64,
    /// Of the bytes that were embedded.
    pub sha256: [u8; 32],
}

/// The columns that have rows to work on and no problem that is to be waited out.
pub fn ready_columns(live: &[String]) -> Result<Vec<ReadyColumn>, Failure> {
    read(
        "SELECT c.tracked_column_id, c.owner::text, c.problem IS NOT NULL FROM pinterest.tracked_column c \
         WHERE c.next_attempt_at <= clock_timestamp() AND EXISTS (SELECT FROM pinterest.tracked_row r \
             WHERE r.tracked_column_id = c.tracked_column_id AND r.state = 'pending' \
             AND r.next_attempt_at <= clock_timestamp() \
             AND (r.claimed_by IS NULL OR r.lease_until < clock_timestamp() OR r.claimed_by <> ALL ($1))) \
         ORDER BY c.tracked_column_id",
        &[live.to_vec().into()],
        |row| Ok(ReadyColumn { tracked_column_id: row.get(1)?, owner: row.get(2)?, problem: row.get(3)? }),
    )
}

/// Claims up to `limit` rows of a column that are ready, those that have waited longest first.
///
/// # Errors
/// As [`Target::find`]: the column has a problem.
pub fn claim(tracked_column_id: i64, by: &str, live: &[String], limit: i64) -> Result<Vec<ClaimedRow>, Failure> {
    let target = Arc::new(Target::find(tracked_column_id)?);
    write(
        "WITH ready AS (SELECT r.key FROM pinterest.tracked_row r WHERE r.tracked_column_id = $1 AND r.state = 'pending' \
             AND r.next_attempt_at <= clock_timestamp() \
             AND (r.claimed_by IS NULL OR r.lease_until < clock_timestamp() OR r.claimed_by <> ALL ($3)) \
             ORDER BY r.next_attempt_at LIMIT $4 FOR UPDATE SKIP LOCKED) \
         UPDATE pinterest.tracked_row t SET claimed_by = $2, lease_until = clock_timestamp() + $5::interval, \
         fence = t.fence + 1, attempts = t.attempts + 1 FROM ready d WHERE t.tracked_column_id = $1 AND t.key = d.key \
         RETURNING t.key, t.version, t.attempts, t.fence, t.source_sha256, t.model_id",
        &[tracked_column_id.into(), by.into(), live.to_vec().into(), limit.into(), LEASE.into()],
        |row| {
            Ok(ClaimedRow {
                tracked_column_id,
                key: row.get(1)?,
                version: row.get(2)?,
                attempts: row.get(3)?,
                fence: row.get(4)?,
                recorded: row.maybe(5)?.zip(row.maybe(6)?),
                target: target.clone(),
            })
        },
    )
}

/// The source of a claimed row, of at most `limit` bytes; `None` where the table is not what it was when claimed.
///
/// # Errors
/// [`Kind::TableRefused`](crate::errors::Kind::TableRefused): the table keeps its owner from reading.
pub fn source(claimed: &ClaimedRow, limit: i32) -> Result<Option<Source>, Failure> {
    claimed.target.read(&claimed.key, limit)
}

/// Records an embedding: in the user's row, in its owner's name, and in the queue. Not where the source has changed since
/// it was read, or the claim has passed to another: then the row is pending, or in the other's hands. One that is gone is
/// forgotten.
///
/// # Errors
/// [`Kind::TableRefused`](crate::errors::Kind::TableRefused): a trigger, constraint or lock of the table is in the way.
pub fn record(claimed: &ClaimedRow, embedding: Embedding) -> Result<(), Failure> {
    // A trigger cannot be deferred in its owner's name.
    execute("SET CONSTRAINTS ALL IMMEDIATE", &[])?;
    let Some(locked) = claimed.target.lock(&claimed.key)? else { return release(claimed) };
    let Some(locked) = locked else { return forget(claimed) };
    if embedding.vector.is_none() && !locked.embedded {
        return release(claimed);
    }
    let recorded = execute(
        "UPDATE pinterest.tracked_row SET state = 'embedded', reason = NULL, reason_code = NULL, attempts = 0, \
         claimed_by = NULL, lease_until = NULL, source_sha256 = $5, model_id = $6, embedded_at = clock_timestamp() \
         WHERE tracked_column_id = $1 AND key = $2 AND version = $3 AND fence = $4 AND state = 'pending'",
        &[
            claimed.tracked_column_id.into(),
            claimed.key.clone().into(),
            claimed.version.into(),
            claimed.fence.into(),
            embedding.sha256.to_vec().into(),
            embedding.model_id.into(),
        ],
    )?;
    match embedding.vector {
        _ if recorded == 0 => release(claimed),
        Some(vector) => claimed.target.write(&claimed.key, vector),
        None => Ok(()),
    }
}

/// Has the rest of the transaction give way soon to a session that holds a row of the queue: it has changed the source and
/// not committed yet.
pub fn give_way() -> Result<(), Failure> {
    execute("SET LOCAL lock_timeout = '200ms'", &[])?;
    Ok(())
}

/// Ends the claim of a row that is not in the table any more, or has no source. Where the source has changed meanwhile,
/// it is another row's turn.
pub fn forget(claimed: &ClaimedRow) -> Result<(), Failure> {
    execute(
        "DELETE FROM pinterest.tracked_row WHERE tracked_column_id = $1 AND key = $2 AND version = $3 AND fence = $4",
        &[claimed.tracked_column_id.into(), claimed.key.clone().into(), claimed.version.into(), claimed.fence.into()],
    )?;
    release(claimed)
}

/// Records that a row cannot be embedded, in a sentence and with its SQLSTATE.
pub fn fail(claimed: &ClaimedRow, reason: &str, code: &str) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.tracked_row SET state = 'failed', reason = $5, reason_code = $6, claimed_by = NULL, \
         lease_until = NULL WHERE tracked_column_id = $1 AND key = $2 AND version = $3 AND fence = $4 AND state = 'pending'",
        &[
            claimed.tracked_column_id.into(),
            claimed.key.clone().into(),
            claimed.version.into(),
            claimed.fence.into(),
            reason.into(),
            code.into(),
        ],
    )?;
    release(claimed)
}

/// Puts a row back for another attempt after a pause. Without blame this one does not count.
pub fn retry(claimed: &ClaimedRow, reason: &str, code: &str, after: Duration, blame: bool) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.tracked_row SET reason = $5, reason_code = $6, claimed_by = NULL, lease_until = NULL, \
         next_attempt_at = clock_timestamp() + make_interval(secs => $7), attempts = attempts - $8 \
         WHERE tracked_column_id = $1 AND key = $2 AND version = $3 AND fence = $4 AND state = 'pending'",
        &[
            claimed.tracked_column_id.into(),
            claimed.key.clone().into(),
            claimed.version.into(),
            claimed.fence.into(),
            reason.into(),
            code.into(),
            after.as_secs_f64().into(),
            i32::from(!blame).into(),
        ],
    )?;
    release(claimed)
}

/// Gives a claim back, if it still holds; a broken-off attempt does not count.
pub fn release(claimed: &ClaimedRow) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.tracked_row SET claimed_by = NULL, lease_until = NULL, attempts = GREATEST(attempts - 1, 0) \
         WHERE tracked_column_id = $1 AND key = $2 AND fence = $3 AND state = 'pending' AND claimed_by IS NOT NULL",
        &[claimed.tracked_column_id.into(), claimed.key.clone().into(), claimed.fence.into()],
    )?;
    Ok(())
}

/// Notes why a column cannot be worked on, and that it is not tried before the pause is over.
pub fn record_problem(tracked_column_id: i64, problem: &Failure, pause: Duration) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.tracked_column SET problem = $2, problem_code = $3, problem_hint = $4, \
         next_attempt_at = clock_timestamp() + make_interval(secs => $5) WHERE tracked_column_id = $1",
        &[
            tracked_column_id.into(),
            problem.message.as_str().into(),
            problem.sqlstate().into(),
            problem.hint().into(),
            pause.as_secs_f64().into(),
        ],
    )?;
    Ok(())
}

/// Notes that a column can be worked on again.
pub fn clear_problem(tracked_column_id: i64) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.tracked_column SET problem = NULL, problem_code = NULL, problem_hint = NULL \
         WHERE tracked_column_id = $1 AND problem IS NOT NULL",
        &[tracked_column_id.into()],
    )?;
    Ok(())
}

/// Seconds until the next row that nobody has in hand may be worked on; `None` where none waits.
pub fn next_wake(live: &[String]) -> Result<Option<f64>, Failure> {
    let rows = read(
        "SELECT EXTRACT(EPOCH FROM min(GREATEST(c.next_attempt_at, w.next_attempt_at)) - clock_timestamp())::float8 \
         FROM pinterest.tracked_column c CROSS JOIN LATERAL (SELECT r.next_attempt_at FROM pinterest.tracked_row r \
             WHERE r.tracked_column_id = c.tracked_column_id AND r.state = 'pending' \
             AND (r.claimed_by IS NULL OR r.lease_until < clock_timestamp() OR r.claimed_by <> ALL ($1)) \
             ORDER BY r.next_attempt_at LIMIT 1) AS w",
        &[live.to_vec().into()],
        |row| row.maybe(1),
    )?;
    Ok(rows.into_iter().next().flatten())
}

/// Rows that the worker of that identity has in hand.
pub fn in_hand(identity: &str) -> Result<i64, Failure> {
    let found = read(
        "SELECT count(*) FROM pinterest.tracked_row r WHERE r.state = 'pending' AND r.claimed_by = $1",
        &[identity.into()],
        |row| row.get(1),
    )?;
    Ok(found.into_iter().next().unwrap_or_default())
}

/// How tracking stands.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Tracked columns.
    pub columns: i64,
    /// Of these, those that cannot be worked on.
    pub problems: i64,
    /// One of their reasons.
    pub problem: Option<String>,
    /// Rows that wait.
    pub pending: i64,
    /// Rows that cannot be embedded.
    pub failed: i64,
}

/// How it stands with the columns that the caller may see. Runs with the caller's rights.
pub fn summary() -> Result<Summary, Failure> {
    let found = read(
        "SELECT count(*), count(c.problem), min(c.problem), \
         COALESCE(sum(r.pending), 0)::int8, COALESCE(sum(r.failed), 0)::int8 \
         FROM pinterest.tracked_column c CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE t.state = 'pending') AS pending, \
             count(*) FILTER (WHERE t.state = 'failed') AS failed FROM pinterest.tracked_row t \
             WHERE t.tracked_column_id = c.tracked_column_id) AS r",
        &[],
        |row| {
            Ok(Summary {
                columns: row.get(1)?,
                problems: row.get(2)?,
                problem: row.maybe(3)?,
                pending: row.get(4)?,
                failed: row.get(5)?,
            })
        },
    )?;
    Ok(found.into_iter().next().unwrap_or_default())
}
