//! `pinterest.import`: imports, claimed by workers and recorded under the claim's fence.

use std::time::Duration;

use super::{execute, read, write};
use crate::errors::{Failure, Kind};
use crate::store::pin_image::PageCounts;

/// How long a claimed import is its claimer's without a sign of life.
const LEASE: &str = "90 seconds";

/// An import that the caller works on.
#[derive(Clone, Debug)]
pub struct ClaimedImport {
    /// Key.
    pub account_id: i64,
    /// Key.
    pub import_id: i64,
    /// What the user wrote.
    pub board_reference: String,
    /// Once resolved.
    pub board_id: Option<String>,
    /// Whether to keep the image bytes.
    pub keep_images: bool,
    /// Where the listing goes on.
    pub bookmark: Option<String>,
    /// The listing is done; images are left.
    pub listing_complete: bool,
    /// Pages were recorded before: this is a continuation.
    pub listing_begun: bool,
    /// Attempts since the last progress, with this one.
    pub attempts: i32,
    /// Must be unchanged when something is recorded.
    pub fence: i64,
}

/// How an import stops being worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Tried again at its wake time.
    Queued,
    /// Waits for Pinterest's quota.
    WaitingQuota,
    /// Waits for the user.
    NeedsReauth,
    /// For good.
    Failed,
    /// For good, as asked.
    Cancelled,
}

impl Stop {
    fn as_str(self) -> &'static str {
        match self {
            Stop::Queued => "queued",
            Stop::WaitingQuota => "waiting_quota",
            Stop::NeedsReauth => "needs_reauth",
            Stop::Failed => "failed",
            Stop::Cancelled => "cancelled",
        }
    }
}

/// What a caller who waits has to know.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The state.
    pub state: String,
    /// Why it stopped or waits.
    pub reason: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Queued by the transaction that asks, so that no worker can see it yet.
    pub uncommitted: bool,
}

impl Progress {
    /// No worker will touch it again.
    pub fn is_final(&self) -> bool {
        matches!(self.state.as_str(), "completed" | "failed" | "cancelled")
    }
}

/// Queues an import.
pub fn enqueue(
    account_id: i64,
    board_reference: &str,
    board_id: Option<&str>,
    keep_images: bool,
) -> Result<i64, Failure> {
    let ids = write(
        "INSERT INTO pinterest.import (account_id, board_reference, board_id, keep_images, state) \
         SELECT a.account_id, $2, $3, $4, CASE a.status WHEN 'needs_reauth' THEN 'needs_reauth' ELSE 'queued' END \
         FROM pinterest.account a WHERE a.account_id = $1 RETURNING import_id",
        &[account_id.into(), board_reference.into(), board_id.into(), keep_images.into()],
        |row| row.get(1),
    )?;
    ids.into_iter().next().ok_or_else(|| Failure::new(Kind::NotFound, format!("account {account_id} does not exist")))
}

/// How an import stands. Runs with the caller's rights.
pub fn progress(import_id: i64) -> Result<Progress, Failure> {
    let rows = read(
        "SELECT i.state, i.reason, i.hint, pg_current_xact_id_if_assigned() IS NOT NULL \
         AND i.xmin = pg_current_xact_id_if_assigned()::xid AND i.fence = 0 \
         FROM pinterest.import i WHERE i.import_id = $1",
        &[import_id.into()],
        |row| Ok(Progress { state: row.get(1)?, reason: row.maybe(2)?, hint: row.maybe(3)?, uncommitted: row.get(4)? }),
    )?;
    rows.into_iter().next().ok_or_else(|| {
        Failure::new(Kind::NotFound, format!("import {import_id} does not exist or belongs to another role"))
            .with_hint("SELECT * FROM pinterest.imports lists yours.")
    })
}

/// The account of an import that the caller may see. Runs with the caller's rights.
pub fn account_of(import_id: i64) -> Result<i64, Failure> {
    progress(import_id)?;
    let rows =
        read("SELECT i.account_id FROM pinterest.import i WHERE i.import_id = $1", &[import_id.into()], |row| {
            row.get(1)
        })?;
    rows.into_iter().next().ok_or_else(|| Failure::new(Kind::NotFound, format!("import {import_id} does not exist")))
}

/// Asks for the end of an import: at once where no worker has it, else as soon as its worker sees it. False where it
/// had ended before.
pub fn cancel(account_id: i64, import_id: i64) -> Result<bool, Failure> {
    let touched = execute(
        "UPDATE pinterest.import SET cancel_requested = true, \
         state = CASE state WHEN 'running' THEN state ELSE 'cancelled' END, \
         phase = CASE state WHEN 'running' THEN phase ELSE 'finished' END, \
         finished_at = CASE state WHEN 'running' THEN NULL ELSE clock_timestamp() END \
         WHERE account_id = $1 AND import_id = $2 AND state IN ('queued', 'running', 'waiting_quota', 'needs_reauth')",
        &[account_id.into(), import_id.into()],
    )?;
    Ok(touched > 0)
}

/// Claims the next import that is ready: of the account with the fewest running ones, the oldest first.
pub fn claim(by: &str, live: &[String]) -> Result<Option<ClaimedImport>, Failure> {
    let claimed = write(
        "WITH next AS ( \
         SELECT i.account_id, i.import_id FROM pinterest.import i JOIN pinterest.account a USING (account_id) \
         WHERE a.status IN ('connected', 'refresh_uncertain') AND \
         ((i.state IN ('queued', 'waiting_quota') AND i.wake_at <= clock_timestamp()) \
          OR (i.state = 'running' AND (i.lease_until < clock_timestamp() OR i.claimed_by <> ALL ($2)))) \
         ORDER BY (SELECT count(*) FROM pinterest.import r WHERE r.account_id = i.account_id AND r.state = 'running' \
             AND r.lease_until >= clock_timestamp() AND r.claimed_by = ANY ($2)), i.wake_at, i.import_id \
         LIMIT 1 FOR UPDATE OF i SKIP LOCKED) \
         UPDATE pinterest.import t SET state = 'running', claimed_by = $1, lease_until = clock_timestamp() + $3::interval, \
         fence = t.fence + 1, attempts = t.attempts + 1, started_at = COALESCE(t.started_at, clock_timestamp()) \
         FROM next n WHERE t.account_id = n.account_id AND t.import_id = n.import_id \
         RETURNING t.account_id, t.import_id, t.board_reference, t.board_id, t.keep_images, t.bookmark, t.listing_complete, \
         t.pins_listed > 0 OR t.bookmark IS NOT NULL, t.attempts, t.fence",
        &[by.into(), live.to_vec().into(), LEASE.into()],
        |row| {
            Ok(ClaimedImport {
                account_id: row.get(1)?,
                import_id: row.get(2)?,
                board_reference: row.get(3)?,
                board_id: row.maybe(4)?,
                keep_images: row.get(5)?,
                bookmark: row.maybe(6)?,
                listing_complete: row.get(7)?,
                listing_begun: row.get(8)?,
                attempts: row.get(9)?,
                fence: row.get(10)?,
            })
        },
    )?;
    Ok(claimed.into_iter().next())
}

/// Whether the claim still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Go on.
    Held,
    /// The user asked for the end.
    CancelRequested,
    /// Another worker has it, or it was deleted.
    Lost,
}

/// Locks the import's row for the rest of the transaction and says whether the claim still holds.
pub fn lock(claimed: &ClaimedImport) -> Result<Claim, Failure> {
    let rows = write(
        "SELECT i.cancel_requested FROM pinterest.import i \
         WHERE i.account_id = $1 AND i.import_id = $2 AND i.fence = $3 AND i.state = 'running' FOR UPDATE",
        &[claimed.account_id.into(), claimed.import_id.into(), claimed.fence.into()],
        |row| row.get::<bool>(1),
    )?;
    Ok(match rows.first() {
        None => Claim::Lost,
        Some(true) => Claim::CancelRequested,
        Some(false) => Claim::Held,
    })
}

/// A sign of life: the lease starts anew.
pub fn extend_lease(claimed: &ClaimedImport) -> Result<Claim, Failure> {
    let claim = lock(claimed)?;
    execute(
        "UPDATE pinterest.import SET lease_until = clock_timestamp() + $4::interval \
         WHERE account_id = $1 AND import_id = $2 AND fence = $3",
        &[claimed.account_id.into(), claimed.import_id.into(), claimed.fence.into(), LEASE.into()],
    )?;
    Ok(claim)
}

/// The board is known; the listing begins with its change marker of this moment.
pub fn record_board(claimed: &ClaimedImport, board_id: &str) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.import i SET board_id = $4, phase = 'listing', attempts = 0, reason = NULL, error_code = NULL, \
         hint = NULL, pins_reported = b.pin_count, \
         modified_at_start = CASE WHEN i.pins_listed = 0 THEN b.pins_modified_at ELSE i.modified_at_start END \
         FROM pinterest.board b WHERE i.account_id = $1 AND i.import_id = $2 AND i.fence = $3 \
         AND b.account_id = $1 AND b.board_id = $4",
        &[claimed.account_id.into(), claimed.import_id.into(), claimed.fence.into(), board_id.into()],
    )?;
    Ok(())
}

/// Counts a page of the listing; its bookmark commits together with its pins.
pub fn record_page(
    claimed: &ClaimedImport,
    bookmark: Option<&str>,
    pins: i32,
    pins_without_image: i32,
    images: PageCounts,
) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.import SET bookmark = $4, listing_complete = $4 IS NULL, \
         phase = CASE WHEN $4 IS NULL THEN 'images' ELSE 'listing' END, attempts = 0, pins_listed = pins_listed + $5, \
         pins_without_image = pins_without_image + $6, images_total = images_total + $7, images_reused = images_reused + $8 \
         WHERE account_id = $1 AND import_id = $2 AND fence = $3",
        &[
            claimed.account_id.into(),
            claimed.import_id.into(),
            claimed.fence.into(),
            bookmark.into(),
            pins.into(),
            pins_without_image.into(),
            images.total.into(),
            images.reused.into(),
        ],
    )?;
    Ok(())
}

/// The listing ends before the board does: Pinterest shows no more.
pub fn record_listing_limit(claimed: &ClaimedImport, reason: &str) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.import SET listing_complete = true, bookmark = NULL, phase = 'images', reason = $4 \
         WHERE account_id = $1 AND import_id = $2 AND fence = $3",
        &[claimed.account_id.into(), claimed.import_id.into(), claimed.fence.into(), reason.into()],
    )?;
    Ok(())
}

/// The listing starts over, once, because its bookmark has gone stale.
pub fn forget_bookmark(claimed: &ClaimedImport) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.import SET bookmark = NULL WHERE account_id = $1 AND import_id = $2 AND fence = $3",
        &[claimed.account_id.into(), claimed.import_id.into(), claimed.fence.into()],
    )?;
    Ok(())
}

/// Images done since the last count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Fresh embeddings.
    pub embedded: i32,
    /// Copied embeddings.
    pub reused: i32,
    /// Never will be.
    pub skipped: i32,
    /// Given up.
    pub failed: i32,
}

/// Adds to an import's counts. Any worker may: images are reused across an account's imports.
pub fn count_done(account_id: i64, import_id: i64, done: Done) -> Result<(), Failure> {
    if done == Done::default() {
        return Ok(());
    }
    execute(
        "UPDATE pinterest.import SET images_embedded = images_embedded + $3, images_reused = images_reused + $4, \
         images_skipped = images_skipped + $5, images_failed = images_failed + $6, attempts = 0 \
         WHERE account_id = $1 AND import_id = $2",
        &[
            account_id.into(),
            import_id.into(),
            done.embedded.into(),
            done.reused.into(),
            done.skipped.into(),
            done.failed.into(),
        ],
    )?;
    Ok(())
}

/// The board has not changed since its last complete import: every image counts as reused.
pub fn complete_unchanged(claimed: &ClaimedImport, board_id: &str) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.import SET state = 'completed', phase = 'finished', listing_complete = true, \
         finished_at = clock_timestamp(), claimed_by = NULL, lease_until = NULL, reason = 'unchanged since the last import', \
         images_total = c.images, images_reused = c.embedded, images_skipped = c.images - c.embedded, pins_listed = c.pins, \
         pins_without_image = c.bare \
         FROM (SELECT count(i.position)::int4 AS images, (count(*) FILTER (WHERE i.state = 'embedded'))::int4 AS embedded, \
             count(DISTINCT p.pin_id)::int4 AS pins, (count(*) FILTER (WHERE i.position IS NULL))::int4 AS bare \
             FROM pinterest.pin p LEFT JOIN pinterest.pin_image i USING (account_id, pin_id) \
             WHERE p.account_id = $1 AND p.board_id = $4 AND p.removed_at IS NULL) c \
         WHERE account_id = $1 AND import_id = $2 AND fence = $3",
        &[claimed.account_id.into(), claimed.import_id.into(), claimed.fence.into(), board_id.into()],
    )?;
    notify_finished(claimed.import_id)
}

/// All images are done. The change marker counts as imported only where none failed: the next import tries those again.
pub fn complete(claimed: &ClaimedImport, board_id: &str, removed: i32) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.import SET state = 'completed', phase = 'finished', finished_at = clock_timestamp(), \
         claimed_by = NULL, lease_until = NULL, pins_removed = $4 \
         WHERE account_id = $1 AND import_id = $2 AND fence = $3",
        &[claimed.account_id.into(), claimed.import_id.into(), claimed.fence.into(), removed.into()],
    )?;
    execute(
        "UPDATE pinterest.board b SET imported_at = clock_timestamp(), \
         imported_modified_at = CASE WHEN i.images_failed = 0 THEN i.modified_at_start END \
         FROM pinterest.import i WHERE i.account_id = $1 AND i.import_id = $2 AND b.account_id = $1 AND b.board_id = $3",
        &[claimed.account_id.into(), claimed.import_id.into(), board_id.into()],
    )?;
    notify_finished(claimed.import_id)
}

/// Stops working on an import, with the reason. It goes on after `wake_in`, where its state allows.
pub fn stop(claimed: &ClaimedImport, stop: Stop, failure: Option<&Failure>, wake_in: Duration) -> Result<(), Failure> {
    let ended = matches!(stop, Stop::Failed | Stop::Cancelled);
    execute(
        "UPDATE pinterest.import SET state = $4, reason = $5, error_code = $6, hint = $7, \
         wake_at = clock_timestamp() + make_interval(secs => $8), \
         attempts = CASE WHEN $4 IN ('waiting_quota', 'needs_reauth') THEN 0 ELSE attempts END, claimed_by = NULL, lease_until = NULL, \
         phase = CASE WHEN $9 THEN 'finished' ELSE phase END, \
         finished_at = CASE WHEN $9 THEN clock_timestamp() END \
         WHERE account_id = $1 AND import_id = $2 AND fence = $3",
        &[
            claimed.account_id.into(),
            claimed.import_id.into(),
            claimed.fence.into(),
            stop.as_str().into(),
            failure.map(|failure| failure.message.clone()).into(),
            failure.map(Failure::sqlstate).into(),
            failure.and_then(|failure| failure.hint().map(str::to_owned)).into(),
            wake_in.as_secs_f64().into(),
            ended.into(),
        ],
    )?;
    if ended { notify_finished(claimed.import_id) } else { Ok(()) }
}

/// Puts the account's parked imports back into the queue.
pub fn unpark(account_id: i64) -> Result<usize, Failure> {
    execute(
        "UPDATE pinterest.import SET state = 'queued', wake_at = clock_timestamp(), attempts = 0, reason = NULL, \
         error_code = NULL, hint = NULL WHERE account_id = $1 AND state = 'needs_reauth'",
        &[account_id.into()],
    )
}

/// Parks the account's imports that wait in the queue: only the user can help.
pub fn park(account_id: i64, reason: &str) -> Result<usize, Failure> {
    execute(
        "UPDATE pinterest.import SET state = 'needs_reauth', reason = $2, claimed_by = NULL, lease_until = NULL \
         WHERE account_id = $1 AND state IN ('queued', 'waiting_quota')",
        &[account_id.into(), reason.into()],
    )
}

/// Of these imports, the ones whose end was asked for.
pub fn cancel_requested(import_ids: &[i64]) -> Result<Vec<i64>, Failure> {
    read(
        "SELECT i.import_id FROM pinterest.import i WHERE i.import_id = ANY ($1) AND (i.cancel_requested OR i.state <> 'running')",
        &[import_ids.to_vec().into()],
        |row| row.get(1),
    )
}

/// Seconds until the next import that waits may go on; `None` where none waits.
pub fn next_wake() -> Result<Option<f64>, Failure> {
    let rows = read(
        "SELECT EXTRACT(EPOCH FROM min(i.wake_at) - clock_timestamp())::float8 FROM pinterest.import i \
         JOIN pinterest.account a USING (account_id) \
         WHERE i.state IN ('queued', 'waiting_quota') AND a.status IN ('connected', 'refresh_uncertain')",
        &[],
        |row| row.maybe(1),
    )?;
    Ok(rows.into_iter().next().flatten())
}

fn notify_finished(import_id: i64) -> Result<(), Failure> {
    write("SELECT pg_notify('pinterest_import', $1::text)", &[import_id.into()], |_| Ok(()))?;
    Ok(())
}
