//! The workers' side of the queue: claim, read, record.
//!
//! Whoever changes a user's row locks it first and its `tracked_row` second. Recording keeps to that order; the other
//! statements here take locks of `tracked_row` alone and wait for nothing while they hold them. So nobody waits for a
//! worker that waits for them.

use std::sync::Arc;
use std::time::Duration;

use super::target::{Source, Target};
use crate::errors::{Failure, Kind};
use crate::postgres::session_settings::{self, Until};
use crate::postgres::vector::Vector;
use crate::store::{affected, execute, is_true, read, read_optional, write, write_optional};
use crate::trial::{self, Left, OnTrial};

/// How long a claimed row is its claimer's. A download may take 60 s, an inference 20 s, a busy embedder 30 s.
const LEASE: &str = "2 minutes";
/// Processes that the code of one row may end.
const DEATHS: i32 = 3;
/// Before a column with a problem is tried again: doubles from the first to the second, in seconds.
const PAUSE: (f64, f64) = (15.0, 300.0);
/// The first pause of a column whose code ended a process: three deaths do not take a minute.
const PAUSE_OF_DEATH: f64 = 5.0;
/// A pause that ended longer ago than this is forgotten: the next one is short again.
const FORGIVEN: &str = "10 minutes";

/// A tracked column with rows that are ready.
#[derive(Clone, Debug)]
pub struct ReadyColumn {
    /// Key.
    pub tracked_column_id: i64,
    /// The role that owns the table.
    pub owner: String,
    /// It could not be worked on when last tried.
    pub problem: bool,
    /// Columns of this role whose code has ended a process, or used up its time, in the last minutes.
    pub strikes: i64,
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
    /// Its column has a problem, which is over when a row goes through.
    pub on_probation: bool,
    /// The table.
    pub target: Arc<Target>,
}

impl ClaimedRow {
    fn on_trial(&self) -> OnTrial {
        OnTrial {
            tracked_column_id: self.tracked_column_id,
            key: self.key.clone(),
            fence: self.fence,
            attempts: self.attempts,
        }
    }
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

/// The columns that have rows to work on and no problem that is to be waited out. The order and the bound of the time hold
/// the look to the head of `tracked_row_ready`: without them the planner may read the table, and every row that waits.
pub fn ready_columns(live: &[String]) -> Result<Vec<ReadyColumn>, Failure> {
    read(
        "SELECT c.tracked_column_id, c.owner::text, c.problem IS NOT NULL, \
         (SELECT count(*) FROM pinterest.tracked_column o WHERE pinterest.owner_oid(o.owner) = pinterest.owner_oid(c.owner) AND o.pauses > 0 \
             AND o.next_attempt_at > clock_timestamp() - interval '3 minutes') \
         FROM pinterest.tracked_column c \
         WHERE c.next_attempt_at <= clock_timestamp() AND EXISTS (SELECT FROM (SELECT FROM pinterest.tracked_row r \
             WHERE r.tracked_column_id = c.tracked_column_id AND r.state = 'pending' \
             AND r.next_attempt_at <= (SELECT clock_timestamp()) \
             AND (r.claimed_by IS NULL OR r.lease_until < clock_timestamp() OR r.claimed_by <> ALL ($1)) \
             ORDER BY r.next_attempt_at LIMIT 1) AS head) \
         ORDER BY c.tracked_column_id",
        &[live.to_vec().into()],
        |row| {
            Ok(ReadyColumn {
                tracked_column_id: row.get(1)?,
                owner: row.get(2)?,
                problem: row.get(3)?,
                strikes: row.get(4)?,
            })
        },
    )
}

/// Claims up to `limit` rows of a column that are ready, those that have waited longest first. A row that has had
/// `attempts` already, or whose table's code has ended [`DEATHS`] processes, fails here and is never tried again: whoever
/// worked on it may have had no chance to say so.
///
/// A row that is still claimed by a process that is gone is not to blame for its end, which
/// [`settle`] makes sure of before, and what was broken off does not count as an attempt.
///
/// # Errors
/// As [`Target::find`]: the column has a problem.
pub fn claim(
    column: &ReadyColumn,
    by: &str,
    live: &[String],
    limit: i64,
    attempts: i32,
) -> Result<Vec<ClaimedRow>, Failure> {
    let tracked_column_id = column.tracked_column_id;
    let target = Arc::new(Target::find(tracked_column_id)?);
    let (deadly, tried) = (ended(DEATHS), format!("tried {attempts} times, and broken off each time"));
    write(
        "WITH ready AS (SELECT r.key, r.deaths >= $6 OR r.attempts - b.broken_off::int >= $7 AS exhausted, b.broken_off \
             FROM pinterest.tracked_row r CROSS JOIN LATERAL \
             (SELECT r.claimed_by IS NOT NULL AND r.claimed_by <> ALL ($3) AS broken_off) AS b \
             WHERE r.tracked_column_id = $1 AND r.state = 'pending' AND r.next_attempt_at <= (SELECT clock_timestamp()) \
             AND (r.claimed_by IS NULL OR r.lease_until < clock_timestamp() OR r.claimed_by <> ALL ($3)) \
             ORDER BY r.next_attempt_at LIMIT $4 FOR UPDATE OF r SKIP LOCKED), \
         failed AS (UPDATE pinterest.tracked_row t SET state = 'failed', claimed_by = NULL, lease_until = NULL, \
             reason = CASE WHEN t.deaths >= $6 THEN $8 ELSE COALESCE(t.reason, $10) END, \
             reason_code = CASE WHEN t.deaths >= $6 THEN $9 ELSE COALESCE(t.reason_code, $11) END \
             FROM ready d WHERE t.tracked_column_id = $1 AND t.key = d.key AND d.exhausted) \
         UPDATE pinterest.tracked_row t SET claimed_by = $2, lease_until = clock_timestamp() + $5::interval, \
         fence = t.fence + 1, attempts = GREATEST(t.attempts + CASE WHEN d.broken_off THEN 0 ELSE 1 END, 1) \
         FROM ready d WHERE t.tracked_column_id = $1 AND t.key = d.key AND NOT d.exhausted \
         RETURNING t.key, t.version, t.attempts, t.fence, t.source_sha256, t.model_id",
        &[
            tracked_column_id.into(),
            by.into(),
            live.to_vec().into(),
            limit.into(),
            LEASE.into(),
            DEATHS.into(),
            attempts.into(),
            deadly.message.as_str().into(),
            deadly.sqlstate().into(),
            tried.into(),
            Failure::new(Kind::BrokenOff, "").sqlstate().into(),
        ],
        |row| {
            Ok(ClaimedRow {
                tracked_column_id,
                key: row.get(1)?,
                version: row.get(2)?,
                attempts: row.get(3)?,
                fence: row.get(4)?,
                recorded: row.maybe(5)?.zip(row.maybe(6)?),
                on_probation: column.problem,
                target: target.clone(),
            })
        },
    )
}

fn ended(times: i32) -> Failure {
    Failure::new(
        Kind::TableEndsWorker,
        format!("the table's triggers or policies ended the process that worked on the row {times} times"),
    )
}

/// Settles what a process left that has ended: the row whose table's code it ran then is blamed, and its column paused.
/// The others that it had claimed wait for the next claim. Where it ran no such code and was killed all the same, the
/// attempt counts for each row that it had in hand: one of them may have taken its memory. Once only, though several
/// processes may find the same note.
pub fn settle(left: &Left) -> Result<(), Failure> {
    let Some(row) = &left.on_trial else { return if left.killed { count_attempts(&left.identity) } else { Ok(()) } };
    let problem = problem_of(left);
    let blamed = write_optional(
        "UPDATE pinterest.tracked_row SET deaths = deaths + 1, reason = $5, reason_code = $6, \
         claimed_by = NULL, lease_until = NULL, state = CASE WHEN deaths + 1 >= $7 THEN 'failed' ELSE state END \
         WHERE tracked_column_id = $1 AND key = $2 AND fence = $3 AND claimed_by = $4 AND state = 'pending' \
         RETURNING state = 'failed'",
        &[
            row.tracked_column_id.into(),
            row.key.clone().into(),
            row.fence.into(),
            left.identity.as_str().into(),
            problem.message.as_str().into(),
            problem.sqlstate().into(),
            DEATHS.into(),
        ],
        |row| row.get::<bool>(1),
    )?;
    let Some(failed) = blamed else { return Ok(()) };
    if failed && !left.overtime {
        execute(
            "UPDATE pinterest.tracked_row SET reason = $3 WHERE tracked_column_id = $1 AND key = $2",
            &[row.tracked_column_id.into(), row.key.clone().into(), ended(DEATHS).message.into()],
        )?;
    }
    record_problem(row.tracked_column_id, &problem)
}

fn problem_of(left: &Left) -> Failure {
    if left.overtime {
        let limit = seconds(crate::settings::tracked_row_timeout());
        Failure::new(Kind::TableTooSlow, format!("the table took longer than {limit} for a row, with its triggers"))
    } else {
        Failure::new(Kind::TableEndsWorker, "the table's triggers or policies ended the process that worked on a row")
    }
}

/// Pauses the column whose code ended a process, where that cannot be settled yet: whoever holds the row must not have the
/// column's other rows end one process after another meanwhile.
pub fn pause_unsettled(left: &Left) -> Result<(), Failure> {
    let Some(row) = &left.on_trial else { return Ok(()) };
    let due = is_true(
        "SELECT c.next_attempt_at <= clock_timestamp() FROM pinterest.tracked_column c WHERE c.tracked_column_id = $1",
        &[row.tracked_column_id.into()],
    )?;
    if due { record_problem(row.tracked_column_id, &problem_of(left)) } else { Ok(()) }
}

/// Ends the claims of a process that was killed. A row that a session holds is left to the next claim.
fn count_attempts(identity: &str) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.tracked_row t SET claimed_by = NULL, lease_until = NULL \
         FROM (SELECT r.tracked_column_id, r.key FROM pinterest.tracked_row r \
             WHERE r.state = 'pending' AND r.claimed_by = $1 FOR NO KEY UPDATE SKIP LOCKED) AS held \
         WHERE t.tracked_column_id = held.tracked_column_id AND t.key = held.key",
        &[identity.into()],
    )
}

/// As SQL's settings name it, without decimals where there are none.
fn seconds(time: Duration) -> String {
    match time.as_secs_f64() {
        1.0 => "1 second".to_owned(),
        seconds => format!("{seconds} seconds"),
    }
}

/// The source of a claimed row, of at most `limit` bytes, of a text the first `limit` characters; `None` where the table is not what it was when claimed.
///
/// # Errors
/// [`Kind::TableRefused`](crate::errors::Kind::TableRefused): the table keeps its owner from reading.
pub fn source(claimed: &ClaimedRow, limit: i32) -> Result<Option<Source>, Failure> {
    trial::of(claimed.on_trial(), || claimed.target.read(&claimed.key, limit))
}

/// Records an embedding: in the user's row, in its owner's name, and in the queue. Not where the source has changed since
/// it was read, or the claim has passed to another: then the row is pending, or in the other's hands. One that is gone is
/// forgotten.
///
/// # Errors
/// [`Kind::TableRefused`](crate::errors::Kind::TableRefused): a trigger, constraint or lock of the table is in the way.
pub fn record(claimed: &ClaimedRow, embedding: Embedding) -> Result<(), Failure> {
    trial::of(claimed.on_trial(), || record_on_trial(claimed, embedding))
}

fn record_on_trial(claimed: &ClaimedRow, embedding: Embedding) -> Result<(), Failure> {
    give_way();
    // A trigger cannot be deferred in its owner's name.
    execute("SET CONSTRAINTS ALL IMMEDIATE", &[])?;
    let Some(locked) = claimed.target.lock(&claimed.key)? else { return release(claimed) };
    let Some(locked) = locked else { return forget(claimed) };
    if embedding.vector.is_none() && !locked.embedded {
        return release(claimed);
    }
    let recorded = affected(
        "UPDATE pinterest.tracked_row SET state = 'embedded', reason = NULL, reason_code = NULL, attempts = 0, deaths = 0, refusals = 0, \
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
        _ if recorded == 0 => return release(claimed),
        Some(vector) => claimed.target.write(&claimed.key, vector)?,
        None => {}
    }
    went_through(claimed)
}

/// The column's problem, where it had one, is over.
fn went_through(claimed: &ClaimedRow) -> Result<(), Failure> {
    if claimed.on_probation { clear_problem(claimed.tracked_column_id) } else { Ok(()) }
}

/// Has the rest of the transaction give way soon to a session that holds a row of the queue: it has changed the source and
/// not committed yet.
pub fn give_way() {
    session_settings::set(c"lock_timeout", c"200ms", Until::TransactionEnds);
}

/// Ends the claim of a row that is not in the table any more, or has no source. Where the source has changed meanwhile,
/// it is another row's turn.
pub fn forget(claimed: &ClaimedRow) -> Result<(), Failure> {
    execute(
        "DELETE FROM pinterest.tracked_row WHERE tracked_column_id = $1 AND key = $2 AND version = $3 AND fence = $4",
        &[claimed.tracked_column_id.into(), claimed.key.clone().into(), claimed.version.into(), claimed.fence.into()],
    )?;
    went_through(claimed)?;
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
    went_through(claimed)?;
    release(claimed)
}

/// Refusals of a table with an error that passes that do not count as attempts. With pauses that double that takes an hour;
/// and code of the table's may raise any error for ever.
const REFUSALS: i32 = 20;

/// Puts a row back after its table refused it with an error that passes. The pause doubles; the attempt does not count but
/// from the [`REFUSALS`]th on.
pub fn retry_refused(claimed: &ClaimedRow, reason: &str, code: &str, first: Duration) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.tracked_row SET reason = $5, reason_code = $6, claimed_by = NULL, lease_until = NULL, \
         next_attempt_at = clock_timestamp() + make_interval(secs => LEAST($7 * 2 ^ LEAST(refusals, 10), $8)), \
         attempts = attempts - CASE WHEN refusals < $9 THEN 1 ELSE 0 END, refusals = refusals + 1 \
         WHERE tracked_column_id = $1 AND key = $2 AND version = $3 AND fence = $4 AND state = 'pending'",
        &[
            claimed.tracked_column_id.into(),
            claimed.key.clone().into(),
            claimed.version.into(),
            claimed.fence.into(),
            reason.into(),
            code.into(),
            first.as_secs_f64().into(),
            PAUSE.1.into(),
            REFUSALS.into(),
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
    if blame {
        went_through(claimed)?;
    }
    release(claimed)
}

/// Gives a claim back, if it still holds; a broken-off attempt does not count.
pub fn release(claimed: &ClaimedRow) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.tracked_row SET claimed_by = NULL, lease_until = NULL, attempts = GREATEST(attempts - 1, 0) \
         WHERE tracked_column_id = $1 AND key = $2 AND fence = $3 AND state = 'pending' AND claimed_by IS NOT NULL",
        &[claimed.tracked_column_id.into(), claimed.key.clone().into(), claimed.fence.into()],
    )
}

/// Notes why a column cannot be worked on, and that it is not tried before a pause is over. One problem soon after another
/// doubles the pause; the end of processes is remembered for a while even where rows go through in between.
pub fn record_problem(tracked_column_id: i64, problem: &Failure) -> Result<(), Failure> {
    let first = if is_deadly(problem) { PAUSE_OF_DEATH } else { PAUSE.0 };
    execute(
        "UPDATE pinterest.tracked_column SET problem = $2, problem_code = $3, problem_hint = $4, \
         pauses = p.pauses + 1, next_attempt_at = clock_timestamp() \
             + make_interval(secs => LEAST($5 * 2 ^ LEAST(p.pauses, 10), $6)) \
         FROM (SELECT CASE WHEN c.next_attempt_at < clock_timestamp() - $7::interval THEN 0 ELSE c.pauses END AS pauses \
             FROM pinterest.tracked_column c WHERE c.tracked_column_id = $1 FOR NO KEY UPDATE) AS p \
         WHERE tracked_column_id = $1",
        &[
            tracked_column_id.into(),
            problem.message.as_str().into(),
            problem.sqlstate().into(),
            problem.hint().into(),
            first.into(),
            PAUSE.1.into(),
            FORGIVEN.into(),
        ],
    )
}

fn is_deadly(problem: &Failure) -> bool {
    matches!(problem.kind, Kind::TableTooSlow | Kind::TableEndsWorker)
}

/// Notes that a column can be worked on again: rows of it go through.
pub fn clear_problem(tracked_column_id: i64) -> Result<(), Failure> {
    let deadly = [Kind::TableTooSlow, Kind::TableEndsWorker].map(|kind| Failure::new(kind, "").sqlstate());
    execute(
        "UPDATE pinterest.tracked_column SET problem = NULL, problem_code = NULL, problem_hint = NULL, \
         pauses = CASE WHEN problem_code = ANY ($2) THEN pauses ELSE 0 END \
         WHERE tracked_column_id = $1 AND problem IS NOT NULL",
        &[tracked_column_id.into(), deadly.to_vec().into()],
    )
}

/// Seconds until the next row that nobody has in hand may be worked on; `None` where none waits.
pub fn next_wake(live: &[String]) -> Result<Option<f64>, Failure> {
    Ok(read_optional(
        "SELECT EXTRACT(EPOCH FROM min(GREATEST(c.next_attempt_at, w.next_attempt_at)) - clock_timestamp())::float8 \
         FROM pinterest.tracked_column c CROSS JOIN LATERAL (SELECT r.next_attempt_at FROM pinterest.tracked_row r \
             WHERE r.tracked_column_id = c.tracked_column_id AND r.state = 'pending' \
             AND (r.claimed_by IS NULL OR r.lease_until < clock_timestamp() OR r.claimed_by <> ALL ($1)) \
             ORDER BY r.next_attempt_at LIMIT 1) AS w",
        &[live.to_vec().into()],
        |row| row.maybe(1),
    )?
    .flatten())
}

/// Rows that the worker of that identity has in hand.
pub fn in_hand(identity: &str) -> Result<i64, Failure> {
    Ok(read_optional(
        "SELECT count(*) FROM pinterest.tracked_row r WHERE r.state = 'pending' AND r.claimed_by = $1",
        &[identity.into()],
        |row| row.get(1),
    )?
    .unwrap_or_default())
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
    Ok(read_optional(
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
    )?.unwrap_or_default())
}
