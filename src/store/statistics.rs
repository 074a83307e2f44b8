//! What the views `pinterest.stat_…` read from tables: the rows of all owners. The counters are in shared memory, see
//! [`crate::statistics`].

use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::pg_sys;

use super::{params, read, read_one, row_as};
use crate::errors::Failure;

/// Imports now.
#[derive(Debug)]
pub struct Imports {
    /// Queued.
    pub queued: i64,
    /// Running.
    pub running: i64,
    /// Waiting for the quota, for access, or for a user.
    pub waiting: i64,
    /// How long the first one waits that could run.
    pub oldest_queued_age: Option<Interval>,
    /// For how long the first sync is due.
    pub oldest_sync_age: Option<Interval>,
}

/// Imports now. An import that waits for a worker could run since its `wake_at`, unless its account is paused, not usable, or
/// waits for access.
pub fn imports() -> Result<Imports, Failure> {
    read_one(
        "SELECT count(*) FILTER (WHERE i.state = 'queued'), count(*) FILTER (WHERE i.state = 'running'), \
         count(*) FILTER (WHERE i.state NOT IN ('queued', 'running')), \
         (SELECT clock_timestamp() - min(w.wake_at) FROM pinterest.import w \
             JOIN pinterest.account a ON a.account_id = w.account_id \
             LEFT JOIN pinterest.app p ON p.app_id = a.app_id \
             WHERE w.due IS NOT NULL AND w.wake_at <= clock_timestamp() \
             AND a.status IN ('connected', 'refresh_uncertain') AND a.paused_at IS NULL AND a.identity_due IS NULL \
             AND p.access_refused_since IS NULL), \
         (SELECT clock_timestamp() - min(b.next_sync_at) FROM pinterest.board b \
             JOIN pinterest.account a ON a.account_id = b.account_id \
             WHERE b.next_sync_at <= clock_timestamp() AND a.status IN ('connected', 'refresh_uncertain') \
             AND a.paused_at IS NULL) \
         FROM pinterest.import i \
         WHERE i.state IN ('queued', 'running', 'waiting_quota', 'waiting_access', 'needs_reauth')",
        &[],
        row_as!(Imports { queued, running, waiting, oldest_queued_age: maybe, oldest_sync_age: maybe }),
    )
}

/// Images that wait: of imports, and of tracked columns.
pub fn pending_images() -> Result<(i64, i64), Failure> {
    read_one(
        "SELECT (SELECT count(*) FROM pinterest.pin_image i WHERE i.state = 'pending'), \
         (SELECT count(*) FROM pinterest.tracked_row r JOIN pinterest.tracked_column c USING (tracked_column_id) \
             WHERE r.state = 'pending' AND c.source_kind IN ('image', 'image_url'))",
        &[],
        |row| Ok((row.get(1)?, row.get(2)?)),
    )
}

/// Accounts now.
#[derive(Debug)]
pub struct Accounts {
    /// With the status connected.
    pub connected: i64,
    /// With the status needs_reauth.
    pub needs_reauth: i64,
    /// With the status refresh_uncertain.
    pub uncertain: i64,
    /// When the tokens of one can next not be renewed any more.
    pub next_expiry: Option<TimestampWithTimeZone>,
}

/// Accounts now.
pub fn accounts() -> Result<Accounts, Failure> {
    read_one(
        "SELECT count(*) FILTER (WHERE a.status = 'connected'), count(*) FILTER (WHERE a.status = 'needs_reauth'), \
         count(*) FILTER (WHERE a.status = 'refresh_uncertain'), \
         min(CASE WHEN t.refresh_token IS NULL OR a.app_id IS NULL THEN t.access_expires_at \
             ELSE t.refresh_expires_at END) FILTER (WHERE a.status IN ('connected', 'refresh_uncertain')) \
         FROM pinterest.account a LEFT JOIN pinterest.token t USING (account_id)",
        &[],
        row_as!(Accounts { connected, needs_reauth, uncertain, next_expiry: maybe }),
    )
}

/// The tracked columns' keys.
pub fn tracked_column_ids() -> Result<Vec<i64>, Failure> {
    read("SELECT c.tracked_column_id FROM pinterest.tracked_column c", &[], |row| row.get(1))
}

/// A tracked column now.
#[derive(Debug)]
pub struct Column {
    /// Key.
    pub tracked_column_id: i64,
    /// The table on which its triggers were last found.
    pub table_oid: Option<pg_sys::Oid>,
    /// The column of the embeddings.
    pub embedding_column: String,
    /// Rows that wait.
    pub pending: i64,
    /// Rows that have failed.
    pub failed: i64,
    /// How long the first one waits that could be processed. Not in a column that has a problem, since none could.
    pub oldest_pending_age: Option<Interval>,
}

/// The tracked columns now. Reads only rows that are pending or failed, by their indexes: most rows are neither.
pub fn tracked_columns() -> Result<Vec<Column>, Failure> {
    read(
        "SELECT c.tracked_column_id, c.table_oid, c.embedding_column, \
         (SELECT count(*) FROM pinterest.tracked_row r \
             WHERE r.tracked_column_id = c.tracked_column_id AND r.state = 'pending'), \
         (SELECT count(*) FROM pinterest.tracked_row r \
             WHERE r.tracked_column_id = c.tracked_column_id AND r.state = 'failed'), \
         (SELECT clock_timestamp() - GREATEST(r.next_attempt_at, c.next_attempt_at) FROM pinterest.tracked_row r \
             WHERE c.problem IS NULL AND c.next_attempt_at <= clock_timestamp() \
             AND r.tracked_column_id = c.tracked_column_id AND r.state = 'pending' \
             AND r.next_attempt_at <= clock_timestamp() ORDER BY r.next_attempt_at LIMIT 1) \
         FROM pinterest.tracked_column c ORDER BY c.tracked_column_id",
        &params![],
        row_as!(Column {
            tracked_column_id,
            table_oid: maybe,
            embedding_column,
            pending,
            failed,
            oldest_pending_age: maybe
        }),
    )
}
