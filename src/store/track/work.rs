//! The workers' use of the queue: claim, read, record.
//!
//! Sessions that change a user's row lock it first and its `tracked_row` second. Recording keeps this order; the other
//! statements here lock only `tracked_row` and wait for nothing meanwhile. So there is no deadlock with a worker.

use std::sync::Arc;
use std::time::Duration;

use super::target::{Source, Target};
use crate::errors::{Failure, Kind};
use crate::owner_code::{self, Note, NotedRow};
use crate::postgres::session_settings::set_local;
use crate::postgres::vector::Vector;
use crate::statistics::{self, Counter, Image, Source as Of, Tracked};
use crate::store::{affected, execute, is_true, params, read, read_optional, row_as, write, write_optional};

/// The lease of a claimed row. A download may take 60 s, an inference 20 s, a busy embedder 30 s.
const LEASE: &str = "2 minutes";
/// A row fails after its table's code has ended so many processes.
const DEATHS: i32 = 3;
/// Pause of a column with a problem, in seconds: doubles from the first to the second.
const PAUSE: (f64, f64) = (15.0, 300.0);
/// The first pause of a column whose code ended a process, in seconds: three such ends take less than a minute.
const PAUSE_OF_DEATH: f64 = 5.0;
/// After this time without a pause, the next one is short again.
const FORGIVEN: &str = "10 minutes";

/// A tracked column with ready rows.
#[derive(Clone, Debug)]
pub struct ReadyColumn {
    /// Key.
    pub tracked_column_id: i64,
    /// The role that owns the table.
    pub owner: String,
    /// It could not be worked on at the last attempt.
    pub problem: bool,
    /// Columns of this role whose code ended a process, or exceeded its time, in the last minutes.
    pub strikes: i64,
}

/// A row that the caller has to work on until its lease ends.
#[derive(Clone, Debug)]
pub struct ClaimedRow {
    /// The tracked column.
    pub tracked_column_id: i64,
    /// The row's key, as text.
    pub key: Vec<String>,
    /// Version of the row; a change of the source gives it a new one.
    pub version: i64,
    /// Attempts, including this one.
    pub attempts: i32,
    /// Must be unchanged when the result is recorded.
    pub fence: i64,
    /// SHA-256 of the source and model of the embedding that was recorded last.
    pub recorded: Option<(Vec<u8>, i64)>,
    /// Its column has a problem, which ends when a row succeeds.
    pub on_probation: bool,
    /// The table.
    pub target: Arc<Target>,
}

impl ClaimedRow {
    fn noted(&self) -> NotedRow {
        NotedRow {
            tracked_column_id: self.tracked_column_id,
            key: self.key.clone(),
            fence: self.fence,
            attempts: self.attempts,
        }
    }
}

/// A result for a row: a new embedding, or the confirmation of the one in the table.
#[derive(Clone, Debug)]
pub struct Embedding {
    /// `None`: the one in the table stays.
    pub vector: Option<Vector>,
    /// The model that made it.
    pub model_id: i64,
    /// Of the bytes that were embedded.
    pub sha256: [u8; 32],
}

/// The columns with ready rows, without those that pause because of a problem. The order and the time limit restrict
/// the search to the head of `tracked_row_ready`: without them the planner may read the table, or every waiting row.
pub fn ready_columns(live: &[String]) -> Result<Vec<ReadyColumn>, Failure> {
    read(
        "SELECT c.tracked_column_id, c.owner::text, c.problem IS NOT NULL, \
         (SELECT count(*) FROM pinterest.tracked_column o \
             WHERE pinterest.owner_oid(o.owner) = pinterest.owner_oid(c.owner) AND o.pauses > 0 \
             AND o.next_attempt_at > clock_timestamp() - interval '3 minutes') \
         FROM pinterest.tracked_column c \
         WHERE c.next_attempt_at <= clock_timestamp() AND EXISTS (SELECT FROM (SELECT FROM pinterest.tracked_row r \
             WHERE r.tracked_column_id = c.tracked_column_id AND r.state = 'pending' \
             AND r.next_attempt_at <= (SELECT clock_timestamp()) \
             AND (r.claimed_by IS NULL OR r.lease_until < clock_timestamp() OR r.claimed_by <> ALL ($1)) \
             ORDER BY r.next_attempt_at LIMIT 1) AS head) \
         ORDER BY c.tracked_column_id",
        &params![live.to_vec()],
        row_as!(ReadyColumn { tracked_column_id, owner, problem, strikes }),
    )
}

/// Claims up to `limit` ready rows of a column, those that have waited longest first. A row that has had `attempts`
/// already, or whose table's code has ended [`DEATHS`] processes, fails here and is not tried again: its worker may
/// have been unable to record that.
///
/// A row that is still claimed by a process that has ended did not cause that, since [`settle`] runs before, and the
/// interrupted attempt does not count.
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
    let (deadly, tried) = (ended(DEATHS), format!("interrupted in each of {attempts} attempts"));
    let mut failed = 0;
    let claimed = write(
        "WITH ready AS (SELECT r.key, r.deaths >= $6 \
             OR r.attempts - b.broken_off::int >= $7 AS exhausted, b.broken_off \
             FROM pinterest.tracked_row r CROSS JOIN LATERAL \
             (SELECT r.claimed_by IS NOT NULL AND r.claimed_by <> ALL ($3) AS broken_off) AS b \
             WHERE r.tracked_column_id = $1 AND r.state = 'pending' AND r.next_attempt_at <= (SELECT \
             clock_timestamp()) AND (r.claimed_by IS NULL OR r.lease_until < clock_timestamp() \
             OR r.claimed_by <> ALL ($3)) ORDER BY r.next_attempt_at LIMIT $4 FOR UPDATE OF r SKIP LOCKED), \
         failed AS (UPDATE pinterest.tracked_row t SET state = 'failed', claimed_by = NULL, lease_until = NULL, \
             reason = CASE WHEN t.deaths >= $6 THEN $8 ELSE COALESCE(t.reason, $10) END, \
             reason_code = CASE WHEN t.deaths >= $6 THEN $9 ELSE COALESCE(t.reason_code, $11) END \
             FROM ready d WHERE t.tracked_column_id = $1 AND t.key = d.key AND d.exhausted RETURNING t.key), \
         claimed AS (UPDATE pinterest.tracked_row t SET claimed_by = $2, lease_until = clock_timestamp() + $5::interval, \
         fence = t.fence + 1, attempts = GREATEST(t.attempts + CASE WHEN d.broken_off THEN 0 ELSE 1 END, 1) \
         FROM ready d WHERE t.tracked_column_id = $1 AND t.key = d.key AND NOT d.exhausted \
         RETURNING t.key, t.version, t.attempts, t.fence, t.source_sha256, t.model_id) \
         SELECT c.key, c.version, c.attempts, c.fence, c.source_sha256, c.model_id, f.number \
         FROM (SELECT count(*) AS number FROM failed) AS f LEFT JOIN claimed c ON true",
        &params![
            tracked_column_id,
            by,
            live.to_vec(),
            limit,
            LEASE,
            DEATHS,
            attempts,
            deadly.message.as_str(),
            deadly.sqlstate(),
            tried,
            Failure::new(Kind::BrokenOff, "").sqlstate()
        ],
        |row| {
            failed = row.get::<i64>(7)?;
            let Some(key) = row.maybe(1)? else { return Ok(None) };
            Ok(Some(ClaimedRow {
                tracked_column_id,
                key,
                version: row.get(2)?,
                attempts: row.get(3)?,
                fence: row.get(4)?,
                recorded: row.maybe(5)?.zip(row.maybe(6)?),
                on_probation: column.problem,
                target: target.clone(),
            }))
        },
    )?;
    count_failed(tracked_column_id, target.kind.is_image(), usize::try_from(failed).unwrap_or_default());
    Ok(claimed.into_iter().flatten().collect())
}

fn count_failed(tracked_column_id: i64, are_images: bool, number: usize) {
    statistics::note_of_column(tracked_column_id, Tracked::Failed, number);
    if are_images {
        statistics::note(Counter::Image(Of::Tracked, Image::Failed), number);
    }
}

/// Counts the rows that a statement has changed for a claim, none or one: for its column, and for all images if it has one.
fn count(claimed: &ClaimedRow, counter: Tracked, image: Image, rows: usize) {
    statistics::note_of_column(claimed.tracked_column_id, counter, rows);
    if claimed.target.kind.is_image() {
        statistics::note(Counter::Image(Of::Tracked, image), rows);
    }
}

fn ended(times: i32) -> Failure {
    Failure::new(
        Kind::TableEndsWorker,
        format!("the table's triggers or policies ended the process that worked on the row {times} times"),
    )
}

/// Settles the note of a process that has ended: the row whose table's code was running is blamed, and its column
/// paused. Its other rows wait for the next claim. If no such code was running and the process was killed, the attempt
/// counts for each row that it had in hand: one of them may have used too much memory. Several processes may find the
/// same note; it is settled once.
pub fn settle(left: &Note) -> Result<(), Failure> {
    let Some(row) = &left.row else { return if left.killed { count_attempts(&left.identity) } else { Ok(()) } };
    let problem = problem_of(left);
    let blamed = write_optional(
        "UPDATE pinterest.tracked_row SET deaths = deaths + 1, reason = $5, reason_code = $6, \
         claimed_by = NULL, lease_until = NULL, state = CASE WHEN deaths + 1 >= $7 THEN 'failed' ELSE state END \
         WHERE tracked_column_id = $1 AND key = $2 AND fence = $3 AND claimed_by = $4 AND state = 'pending' \
         RETURNING state = 'failed', (SELECT c.source_kind FROM pinterest.tracked_column c \
             WHERE c.tracked_column_id = $1) IS DISTINCT FROM 'text'",
        &params![
            row.tracked_column_id,
            row.key.clone(),
            row.fence,
            left.identity.as_str(),
            problem.message.as_str(),
            problem.sqlstate(),
            DEATHS
        ],
        |row| Ok((row.get::<bool>(1)?, row.get::<bool>(2)?)),
    )?;
    let Some((failed, is_image)) = blamed else { return Ok(()) };
    count_failed(row.tracked_column_id, is_image, failed.into());
    if failed && !left.overtime {
        execute(
            "UPDATE pinterest.tracked_row SET reason = $3 WHERE tracked_column_id = $1 AND key = $2",
            &params![row.tracked_column_id, row.key.clone(), ended(DEATHS).message],
        )?;
    }
    record_problem(row.tracked_column_id, &problem)
}

fn problem_of(left: &Note) -> Failure {
    if left.overtime {
        let limit = seconds(crate::settings::tracked_row_timeout());
        Failure::new(Kind::TableTooSlow, format!("the table, with its triggers, took longer than {limit} for a row"))
    } else {
        Failure::new(Kind::TableEndsWorker, "the table's triggers or policies ended the process that worked on a row")
    }
}

/// Pauses the column whose code ended a process if that cannot be settled yet because a session has locked the row:
/// otherwise the column's other rows could end one process after another.
pub fn pause_unsettled(left: &Note) -> Result<(), Failure> {
    let Some(row) = &left.row else { return Ok(()) };
    let due = is_true(
        "SELECT c.next_attempt_at <= clock_timestamp() FROM pinterest.tracked_column c WHERE c.tracked_column_id = $1",
        &params![row.tracked_column_id],
    )?;
    if due { record_problem(row.tracked_column_id, &problem_of(left)) } else { Ok(()) }
}

/// Releases the claims of a process that was killed. Locked rows are left to the next claim.
fn count_attempts(identity: &str) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.tracked_row t SET claimed_by = NULL, lease_until = NULL \
         FROM (SELECT r.tracked_column_id, r.key FROM pinterest.tracked_row r \
             WHERE r.state = 'pending' AND r.claimed_by = $1 FOR NO KEY UPDATE SKIP LOCKED) AS held \
         WHERE t.tracked_column_id = held.tracked_column_id AND t.key = held.key",
        &params![identity],
    )
}

/// The time as in SQL's settings, without unneeded decimals.
fn seconds(time: Duration) -> String {
    match time.as_secs_f64() {
        1.0 => "1 second".to_owned(),
        seconds => format!("{seconds} seconds"),
    }
}

/// The source of a claimed row, of at most `limit` bytes, of a text the first `limit` characters; `None` if the table
/// has changed since the claim.
///
/// # Errors
/// [`Kind::TableRefused`]: the table prevents its owner from reading.
pub fn source(claimed: &ClaimedRow, limit: i32) -> Result<Option<Source>, Failure> {
    owner_code::for_row(claimed.noted(), || claimed.target.read(&claimed.key, limit))
}

/// Records an embedding in the user's row, in its owner's name, and in the queue. If the source has changed since it
/// was read, or another worker has claimed the row, nothing is recorded. A row that no longer exists is deleted from
/// the queue.
///
/// # Errors
/// [`Kind::TableRefused`]: a trigger, constraint or lock of the table prevents it.
pub fn record(claimed: &ClaimedRow, embedding: Embedding) -> Result<(), Failure> {
    owner_code::for_row(claimed.noted(), || record_as_noted(claimed, embedding))
}

fn record_as_noted(claimed: &ClaimedRow, embedding: Embedding) -> Result<(), Failure> {
    give_way();
    // A trigger cannot be deferred in the owner's name.
    execute("SET CONSTRAINTS ALL IMMEDIATE", &[])?;
    let Some(locked) = claimed.target.lock(&claimed.key)? else { return skip(claimed) };
    let Some(locked) = locked else { return forget(claimed) };
    if embedding.vector.is_none() && !locked.embedded {
        return skip(claimed);
    }
    let recorded = affected(
        "UPDATE pinterest.tracked_row SET state = 'embedded', reason = NULL, reason_code = NULL, attempts = 0, \
         deaths = 0, refusals = 0, claimed_by = NULL, lease_until = NULL, source_sha256 = $5, model_id = $6, \
         embedded_at = clock_timestamp() \
         WHERE tracked_column_id = $1 AND key = $2 AND version = $3 AND fence = $4 AND state = 'pending'",
        &params![
            claimed.tracked_column_id,
            claimed.key.clone(),
            claimed.version,
            claimed.fence,
            embedding.sha256.to_vec(),
            embedding.model_id
        ],
    )?;
    match embedding.vector {
        _ if recorded == 0 => return skip(claimed),
        Some(vector) => {
            count(claimed, Tracked::Embedded, Image::Embedded, recorded);
            claimed.target.write(&claimed.key, vector)?;
        }
        None => count(claimed, Tracked::Skipped, Image::Reused, recorded),
    }
    end_problem(claimed)
}

/// Ends the column's problem, if it had one.
fn end_problem(claimed: &ClaimedRow) -> Result<(), Failure> {
    if claimed.on_probation { clear_problem(claimed.tracked_column_id) } else { Ok(()) }
}

/// Limits the waits of the transaction for sessions that have locked a row of the queue: they have changed the source
/// and not committed yet.
pub fn give_way() {
    set_local(c"lock_timeout", c"200ms");
}

/// Deletes a row that is no longer in the table, or has no source; if the source has changed meanwhile, releases the
/// claim.
pub fn forget(claimed: &ClaimedRow) -> Result<(), Failure> {
    let deleted = affected(
        "DELETE FROM pinterest.tracked_row WHERE tracked_column_id = $1 AND key = $2 AND version = $3 AND fence = $4",
        &params![claimed.tracked_column_id, claimed.key.clone(), claimed.version, claimed.fence],
    )?;
    end_problem(claimed)?;
    let released = released(claimed)?;
    count(claimed, Tracked::Skipped, Image::Skipped, deleted + released);
    Ok(())
}

/// Records that a row cannot be embedded, with a reason and its SQLSTATE.
pub fn fail(claimed: &ClaimedRow, reason: &str, code: &str) -> Result<(), Failure> {
    let failed = affected(
        "UPDATE pinterest.tracked_row SET state = 'failed', reason = $5, reason_code = $6, claimed_by = NULL, \
         lease_until = NULL WHERE tracked_column_id = $1 AND key = $2 AND version = $3 AND fence = $4 \
         AND state = 'pending'",
        &params![claimed.tracked_column_id, claimed.key.clone(), claimed.version, claimed.fence, reason, code],
    )?;
    count_failed(claimed.tracked_column_id, claimed.target.kind.is_image(), failed);
    end_problem(claimed)?;
    release(claimed)
}

/// The number of transient errors of a table that do not count as attempts: with pauses that double, these take an
/// hour. There is a limit because the table's code may always raise such an error.
const REFUSALS: i32 = 20;

/// Releases a row after a transient error of its table. The pause doubles; the attempt counts only after
/// [`REFUSALS`] errors.
pub fn retry_refused(claimed: &ClaimedRow, reason: &str, code: &str, first: Duration) -> Result<(), Failure> {
    let retried = affected(
        "UPDATE pinterest.tracked_row SET reason = $5, reason_code = $6, claimed_by = NULL, lease_until = NULL, \
         next_attempt_at = clock_timestamp() + make_interval(secs => LEAST($7 * 2 ^ LEAST(refusals, 10), $8)), \
         attempts = attempts - CASE WHEN refusals < $9 THEN 1 ELSE 0 END, refusals = refusals + 1 \
         WHERE tracked_column_id = $1 AND key = $2 AND version = $3 AND fence = $4 AND state = 'pending'",
        &params![
            claimed.tracked_column_id,
            claimed.key.clone(),
            claimed.version,
            claimed.fence,
            reason,
            code,
            first.as_secs_f64(),
            PAUSE.1,
            REFUSALS
        ],
    )?;
    statistics::note_of_column(claimed.tracked_column_id, Tracked::Retries, retried);
    release(claimed)
}

/// Releases a row for another attempt after a pause. The attempt counts only with `blame`.
pub fn retry(claimed: &ClaimedRow, reason: &str, code: &str, after: Duration, blame: bool) -> Result<(), Failure> {
    let retried = affected(
        "UPDATE pinterest.tracked_row SET reason = $5, reason_code = $6, claimed_by = NULL, lease_until = NULL, \
         next_attempt_at = clock_timestamp() + make_interval(secs => $7), attempts = attempts - $8 \
         WHERE tracked_column_id = $1 AND key = $2 AND version = $3 AND fence = $4 AND state = 'pending'",
        &params![
            claimed.tracked_column_id,
            claimed.key.clone(),
            claimed.version,
            claimed.fence,
            reason,
            code,
            after.as_secs_f64(),
            i32::from(!blame)
        ],
    )?;
    statistics::note_of_column(claimed.tracked_column_id, Tracked::Retries, retried);
    if blame {
        end_problem(claimed)?;
    }
    release(claimed)
}

/// Releases a claim because the source has changed since it was read; the attempt does not count.
pub fn skip(claimed: &ClaimedRow) -> Result<(), Failure> {
    let released = released(claimed)?;
    count(claimed, Tracked::Skipped, Image::Skipped, released);
    Ok(())
}

/// Releases a claim, if it still holds; the interrupted attempt does not count.
pub fn release(claimed: &ClaimedRow) -> Result<(), Failure> {
    released(claimed).map(drop)
}

/// As [`release`]; the number of rows that it has released.
fn released(claimed: &ClaimedRow) -> Result<usize, Failure> {
    affected(
        "UPDATE pinterest.tracked_row SET claimed_by = NULL, lease_until = NULL, attempts = GREATEST(attempts - 1, 0) \
         WHERE tracked_column_id = $1 AND key = $2 AND fence = $3 AND state = 'pending' AND claimed_by IS NOT NULL",
        &params![claimed.tracked_column_id, claimed.key.clone(), claimed.fence],
    )
}

/// Records why a column cannot be worked on, and pauses it. A problem soon after another one doubles the pause; if
/// processes were ended, this is remembered for a while even if rows succeed in between.
pub fn record_problem(tracked_column_id: i64, problem: &Failure) -> Result<(), Failure> {
    let first = if is_deadly(problem) { PAUSE_OF_DEATH } else { PAUSE.0 };
    execute(
        "UPDATE pinterest.tracked_column SET problem = $2, problem_code = $3, problem_hint = $4, \
         pauses = p.pauses + 1, next_attempt_at = clock_timestamp() \
             + make_interval(secs => LEAST($5 * 2 ^ LEAST(p.pauses, 10), $6)) \
         FROM (SELECT CASE WHEN c.next_attempt_at < clock_timestamp() - $7::interval THEN 0 \
             ELSE c.pauses END AS pauses \
             FROM pinterest.tracked_column c WHERE c.tracked_column_id = $1 FOR NO KEY UPDATE) AS p \
         WHERE tracked_column_id = $1",
        &params![
            tracked_column_id,
            problem.message.as_str(),
            problem.sqlstate(),
            problem.hint(),
            first,
            PAUSE.1,
            FORGIVEN
        ],
    )
}

fn is_deadly(problem: &Failure) -> bool {
    matches!(problem.kind, Kind::TableTooSlow | Kind::TableEndsWorker)
}

/// Records that a column can be worked on again.
pub fn clear_problem(tracked_column_id: i64) -> Result<(), Failure> {
    let deadly = [Kind::TableTooSlow, Kind::TableEndsWorker].map(|kind| Failure::new(kind, "").sqlstate());
    execute(
        "UPDATE pinterest.tracked_column SET problem = NULL, problem_code = NULL, problem_hint = NULL, \
         pauses = CASE WHEN problem_code = ANY ($2) THEN pauses ELSE 0 END \
         WHERE tracked_column_id = $1 AND problem IS NOT NULL",
        &params![tracked_column_id, deadly.to_vec()],
    )
}

/// Seconds until the next unclaimed row may be worked on; `None` if none waits.
pub fn next_wake(live: &[String]) -> Result<Option<f64>, Failure> {
    Ok(read_optional(
        "SELECT EXTRACT(EPOCH FROM min(GREATEST(c.next_attempt_at, w.next_attempt_at)) - clock_timestamp())::float8 \
         FROM pinterest.tracked_column c CROSS JOIN LATERAL (SELECT r.next_attempt_at FROM pinterest.tracked_row r \
             WHERE r.tracked_column_id = c.tracked_column_id AND r.state = 'pending' \
             AND (r.claimed_by IS NULL OR r.lease_until < clock_timestamp() OR r.claimed_by <> ALL ($1)) \
             ORDER BY r.next_attempt_at LIMIT 1) AS w",
        &params![live.to_vec()],
        |row| row.maybe(1),
    )?
    .flatten())
}

/// The number of rows that the worker of this identity has in hand.
pub fn in_hand(identity: &str) -> Result<i64, Failure> {
    Ok(read_optional(
        "SELECT count(*) FROM pinterest.tracked_row r WHERE r.state = 'pending' AND r.claimed_by = $1",
        &params![identity],
        |row| row.get(1),
    )?
    .unwrap_or_default())
}

/// The state of tracking.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Tracked columns.
    pub columns: i64,
    /// Of these, those with a problem.
    pub problems: i64,
    /// One of the problems.
    pub problem: Option<String>,
    /// Pending rows.
    pub pending: i64,
    /// Failed rows.
    pub failed: i64,
}

/// Summary of the columns that the caller may see. Runs with the caller's rights.
pub fn summary() -> Result<Summary, Failure> {
    Ok(read_optional(
        "SELECT count(*), count(c.problem), min(c.problem), \
         COALESCE(sum(r.pending), 0)::int8, COALESCE(sum(r.failed), 0)::int8 \
         FROM pinterest.tracked_column c CROSS JOIN \
             LATERAL (SELECT count(*) FILTER (WHERE t.state = 'pending') AS pending, \
             count(*) FILTER (WHERE t.state = 'failed') AS failed FROM pinterest.tracked_row t \
             WHERE t.tracked_column_id = c.tracked_column_id) AS r",
        &[],
        row_as!(Summary { columns, problems, problem: maybe, pending, failed }),
    )?
    .unwrap_or_default())
}
