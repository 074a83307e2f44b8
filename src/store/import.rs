//! `pinterest.import`: imports, claimed by workers and recorded under the claim's fence.

use std::time::Duration;

use pgrx::datum::Interval;

use super::{execute, import_outcome, read, write};
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
    /// Names or ids of the sections to import; `None` for the whole board.
    pub sections: Option<Vec<String>>,
    /// Ends the listing.
    pub max_images: Option<i32>,
    /// Images found so far.
    pub images_total: i32,
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

/// What a caller may ask of an import.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Keep the image bytes.
    pub keep_images: bool,
    /// Names or ids of sections; `None` for the whole board.
    pub sections: Option<Vec<String>>,
    /// End the listing with the pin that brings so many.
    pub max_images: Option<i32>,
    /// Import the board again after this time, for ever.
    pub sync_every: Option<Interval>,
}

/// Queues an import.
pub fn enqueue(account_id: i64, board_reference: &str, board_id: Option<&str>, wishes: Wishes) -> Result<i64, Failure> {
    let ids = write(
        "INSERT INTO pinterest.import (account_id, board_reference, board_id, keep_images, sections, max_images, \
         sync_every, state) SELECT a.account_id, $2, $3, $4, $5, $6, $7, \
         CASE a.status WHEN 'needs_reauth' THEN 'needs_reauth' ELSE 'queued' END \
         FROM pinterest.account a WHERE a.account_id = $1 RETURNING import_id",
        &[
            account_id.into(),
            board_reference.into(),
            board_id.into(),
            wishes.keep_images.into(),
            wishes.sections.into(),
            wishes.max_images.into(),
            wishes.sync_every.into(),
        ],
        |row| row.get(1),
    )?;
    ids.into_iter().next().ok_or_else(|| Failure::new(Kind::NotFound, format!("account {account_id} does not exist")))
}

/// Queues imports of boards whose time for it has come; how many.
pub fn enqueue_syncs() -> Result<usize, Failure> {
    execute(
        "WITH due AS (UPDATE pinterest.board b SET next_sync_at = clock_timestamp() + b.sync_every \
             FROM pinterest.account a WHERE a.account_id = b.account_id AND b.next_sync_at <= clock_timestamp() \
             AND a.status IN ('connected', 'refresh_uncertain') AND a.paused_at IS NULL \
             AND NOT EXISTS (SELECT FROM pinterest.import i WHERE i.account_id = b.account_id \
                 AND i.board_id = b.board_id AND i.state NOT IN ('completed', 'failed', 'cancelled')) \
             RETURNING b.account_id, b.board_id, b.sync_keeps_images) \
         INSERT INTO pinterest.import (account_id, board_reference, board_id, keep_images) \
         SELECT d.account_id, d.board_id, d.board_id, d.sync_keeps_images FROM due d",
        &[],
    )
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
    rows.into_iter().next().ok_or_else(|| unknown(import_id))
}

/// The account of an import that the caller may see. Runs with the caller's rights.
pub fn account_of(import_id: i64) -> Result<i64, Failure> {
    let rows =
        read("SELECT i.account_id FROM pinterest.import i WHERE i.import_id = $1", &[import_id.into()], |row| {
            row.get(1)
        })?;
    rows.into_iter().next().ok_or_else(|| unknown(import_id))
}

fn unknown(import_id: i64) -> Failure {
    Failure::new(Kind::NotFound, format!("import {import_id} does not exist or belongs to another role"))
        .with_hint("SELECT * FROM pinterest.imports lists yours.")
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
         WHERE a.status IN ('connected', 'refresh_uncertain') AND a.paused_at IS NULL AND \
         ((i.state IN ('queued', 'waiting_quota') AND i.wake_at <= clock_timestamp()) \
          OR (i.state = 'running' AND (i.lease_until < clock_timestamp() OR i.claimed_by <> ALL ($2)))) \
         AND NOT EXISTS (SELECT FROM pinterest.import o WHERE o.account_id = i.account_id AND o.board_id = i.board_id \
             AND o.import_id <> i.import_id AND o.state = 'running' AND o.lease_until >= clock_timestamp() \
             AND o.claimed_by = ANY ($2)) \
         ORDER BY (SELECT count(*) FROM pinterest.import r WHERE r.account_id = i.account_id AND r.state = 'running' \
             AND r.lease_until >= clock_timestamp() AND r.claimed_by = ANY ($2)), i.wake_at, i.import_id \
         LIMIT 1 FOR UPDATE OF i SKIP LOCKED) \
         UPDATE pinterest.import t SET state = 'running', claimed_by = $1, lease_until = clock_timestamp() + $3::interval, \
         fence = t.fence + 1, attempts = t.attempts + 1, started_at = COALESCE(t.started_at, clock_timestamp()) \
         FROM next n WHERE t.account_id = n.account_id AND t.import_id = n.import_id \
         RETURNING t.account_id, t.import_id, t.board_reference, t.board_id, t.keep_images, t.bookmark, t.listing_complete, \
         t.pins_listed > 0 OR t.bookmark IS NOT NULL, t.attempts, t.fence, t.sections, t.max_images, t.images_total",
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
                sections: row.maybe(11)?,
                max_images: row.maybe(12)?,
                images_total: row.get(13)?,
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

/// Does another import of the same board run?
pub fn is_doubled(claimed: &ClaimedImport, board_id: &str, live: &[String]) -> Result<bool, Failure> {
    let found = read(
        "SELECT EXISTS (SELECT FROM pinterest.import o WHERE o.account_id = $1 AND o.board_id = $3 \
         AND o.import_id <> $2 AND o.state = 'running' AND o.lease_until >= clock_timestamp() AND o.claimed_by = ANY ($4))",
        &[claimed.account_id.into(), claimed.import_id.into(), board_id.into(), live.to_vec().into()],
        |row| row.get::<bool>(1),
    )?;
    Ok(found == [true])
}

/// What a worker has in hand.
#[derive(Clone, Copy, Debug, Default)]
pub struct InHand {
    /// Imports.
    pub imports: i64,
    /// Images of these.
    pub images: i64,
    /// Its last sign of life: seconds ago; `None` while it has nothing in hand.
    pub heartbeat: Option<f64>,
}

/// What the worker of that identity has in hand.
pub fn in_hand(identity: &str) -> Result<InHand, Failure> {
    let found = read(
        "SELECT count(*), (SELECT count(*) FROM pinterest.pin_image p WHERE p.state = 'pending' AND p.claimed_by = $1), \
         EXTRACT(EPOCH FROM clock_timestamp() - max(i.lease_until) + $2::interval)::float8 \
         FROM pinterest.import i WHERE i.state = 'running' AND i.claimed_by = $1",
        &[identity.into(), LEASE.into()],
        |row| Ok(InHand { imports: row.get(1)?, images: row.get(2)?, heartbeat: row.maybe(3)? }),
    )?;
    Ok(found.into_iter().next().unwrap_or_default())
}

/// Do imports of other accounts wait for a worker?
pub fn others_wait(account_id: i64) -> Result<bool, Failure> {
    let found = read(
        "SELECT EXISTS (SELECT FROM pinterest.import i JOIN pinterest.account a USING (account_id) \
         WHERE i.account_id <> $1 AND i.state = 'queued' AND i.wake_at <= clock_timestamp() \
         AND a.status IN ('connected', 'refresh_uncertain') AND a.paused_at IS NULL)",
        &[account_id.into()],
        |row| row.get::<bool>(1),
    )?;
    Ok(found == [true])
}

/// With a page on which everything is known: does what is new so far account for the whole difference since the last
/// complete import? Then nothing is gone, and whatever follows is known as well.
pub fn nothing_else_changed(claimed: &ClaimedImport, pins_before: Option<i32>, new: i32) -> Result<bool, Failure> {
    let Some(before) = pins_before else { return Ok(false) };
    let found = read(
        "SELECT COALESCE(i.pins_reported = $3 + i.pins_new + $4, false) FROM pinterest.import i \
         WHERE i.account_id = $1 AND i.import_id = $2",
        &[claimed.account_id.into(), claimed.import_id.into(), before.into(), new.into()],
        |row| row.get::<bool>(1),
    )?;
    Ok(found == [true])
}

/// How much of a board a listing covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// All of it.
    Whole,
    /// All that is new; the rest is known and nothing is gone.
    UntilKnown,
    /// As much as Pinterest lists.
    UntilLimit,
    /// As many images as were asked for.
    Sample,
    /// The sections asked for.
    Sections,
}

impl Coverage {
    fn as_str(self) -> &'static str {
        match self {
            Coverage::Whole => "whole",
            Coverage::UntilKnown => "until_known",
            Coverage::UntilLimit => "until_limit",
            Coverage::Sample => "sample",
            Coverage::Sections => "sections",
        }
    }
}

/// A recorded page of the listing.
#[derive(Clone, Copy, Debug, Default)]
pub struct PageListed {
    /// Pins that this import had not seen before.
    pub pins: i32,
    /// Of these, not on this board until now.
    pub new: i32,
    /// Of these, without any image.
    pub without_image: i32,
}

/// Counts a page of the listing; its bookmark commits together with its pins. `coverage` ends the listing.
pub fn record_page(
    claimed: &ClaimedImport,
    bookmark: Option<&str>,
    pins: PageListed,
    images: PageCounts,
    coverage: Option<Coverage>,
) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.import SET bookmark = CASE WHEN $10 IS NULL THEN $4 END, listing_complete = $10 IS NOT NULL, \
         coverage = $10, phase = CASE WHEN $10 IS NULL THEN 'listing' ELSE 'images' END, attempts = 0, \
         pins_listed = pins_listed + $5, pins_without_image = pins_without_image + $6, \
         images_total = images_total + $7, images_reused = images_reused + $8, pins_new = pins_new + $9 \
         WHERE account_id = $1 AND import_id = $2 AND fence = $3",
        &[
            claimed.account_id.into(),
            claimed.import_id.into(),
            claimed.fence.into(),
            bookmark.into(),
            pins.pins.into(),
            pins.without_image.into(),
            images.total.into(),
            images.reused.into(),
            pins.new.into(),
            coverage.map(Coverage::as_str).into(),
        ],
    )?;
    Ok(())
}

/// The listing ends before the board does: Pinterest shows no more.
pub fn record_listing_limit(claimed: &ClaimedImport, reason: &str) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.import SET listing_complete = true, coverage = $5, bookmark = NULL, phase = 'images', reason = $4 \
         WHERE account_id = $1 AND import_id = $2 AND fence = $3",
        &[
            claimed.account_id.into(),
            claimed.import_id.into(),
            claimed.fence.into(),
            reason.into(),
            Coverage::UntilLimit.as_str().into(),
        ],
    )?;
    Ok(())
}

/// The listing starts over, once, because its bookmark has gone stale. What was left out is not remembered pin by pin, so
/// it is counted anew.
pub fn forget_bookmark(claimed: &ClaimedImport) -> Result<(), Failure> {
    execute(
        "WITH again AS (DELETE FROM pinterest.import_outcome o WHERE o.account_id = $1 AND o.import_id = $2 \
             AND o.item = 'pin' AND o.outcome = 'left_out' RETURNING o.count) \
         UPDATE pinterest.import SET bookmark = NULL, \
             pins_listed = pins_listed - (SELECT COALESCE(sum(a.count), 0) FROM again a) \
         WHERE account_id = $1 AND import_id = $2 AND fence = $3",
        &[claimed.account_id.into(), claimed.import_id.into(), claimed.fence.into()],
    )?;
    Ok(())
}

/// The board has not changed since its last complete import: every image counts as reused.
pub fn complete_unchanged(claimed: &ClaimedImport, board_id: &str) -> Result<(), Failure> {
    import_outcome::count_unchanged(claimed.account_id, claimed.import_id, board_id)?;
    execute(
        "UPDATE pinterest.import SET state = 'completed', phase = 'finished', listing_complete = true, \
         coverage = 'unchanged', finished_at = clock_timestamp(), claimed_by = NULL, lease_until = NULL, \
         reason = 'unchanged since the last import' WHERE account_id = $1 AND import_id = $2 AND fence = $3",
        &[claimed.account_id.into(), claimed.import_id.into(), claimed.fence.into()],
    )?;
    finish_sync(claimed, board_id)?;
    notify_finished(claimed.import_id)
}

/// All images are done. Where the listing covered the whole board, pins that it did not show are marked as removed.
///
/// The change marker counts as imported only where nothing is missing: else the next import has to look again.
pub fn complete(claimed: &ClaimedImport, board_id: &str) -> Result<(), Failure> {
    let whole = read(
        "SELECT COALESCE(i.coverage = 'whole', false) FROM pinterest.import i WHERE i.account_id = $1 AND i.import_id = $2",
        &[claimed.account_id.into(), claimed.import_id.into()],
        |row| row.get::<bool>(1),
    )?;
    let removed =
        if whole == [true] { super::pin::mark_removed(claimed.account_id, board_id, claimed.import_id)? } else { 0 };
    execute(
        "UPDATE pinterest.import SET state = 'completed', phase = 'finished', finished_at = clock_timestamp(), \
         claimed_by = NULL, lease_until = NULL, pins_removed = pins_removed + $4 \
         WHERE account_id = $1 AND import_id = $2 AND fence = $3",
        &[
            claimed.account_id.into(),
            claimed.import_id.into(),
            claimed.fence.into(),
            i32::try_from(removed).unwrap_or(i32::MAX).into(),
        ],
    )?;
    execute(
        "UPDATE pinterest.board b SET imported_at = clock_timestamp(), \
         imported_pin_count = CASE WHEN i.coverage IN ('whole', 'until_known') THEN i.pins_reported ELSE b.imported_pin_count END, \
         imported_modified_at = CASE WHEN i.coverage NOT IN ('whole', 'until_known', 'until_limit') THEN b.imported_modified_at \
             WHEN i.images_failed = 0 THEN i.modified_at_start END \
         FROM pinterest.import i WHERE i.account_id = $1 AND i.import_id = $2 AND b.account_id = $1 AND b.board_id = $3",
        &[claimed.account_id.into(), claimed.import_id.into(), board_id.into()],
    )?;
    finish_sync(claimed, board_id)?;
    notify_finished(claimed.import_id)
}

/// From now on the worker keeps the board fresh, where the import was asked to see to that.
fn finish_sync(claimed: &ClaimedImport, board_id: &str) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.board b SET sync_every = i.sync_every, next_sync_at = clock_timestamp() + i.sync_every, \
         sync_keeps_images = i.keep_images FROM pinterest.import i \
         WHERE i.account_id = $1 AND i.import_id = $2 AND i.sync_every IS NOT NULL AND b.account_id = $1 AND b.board_id = $3",
        &[claimed.account_id.into(), claimed.import_id.into(), board_id.into()],
    )?;
    Ok(())
}

/// Puts the failed images of an import that has ended back to work; how many there are.
pub fn retry_failed(account_id: i64, import_id: i64) -> Result<i64, Failure> {
    let ended = write(
        "SELECT i.state IN ('completed', 'failed', 'cancelled') FROM pinterest.import i \
         WHERE i.account_id = $1 AND i.import_id = $2 FOR UPDATE",
        &[account_id.into(), import_id.into()],
        |row| row.get::<bool>(1),
    )?;
    if ended != [true] {
        return Err(Failure::new(Kind::NotReady, format!("import {import_id} has not ended"))
            .with_hint("pinterest_wait_for_import() waits for its end."));
    }
    let failed = super::pin_image::retry_failed(account_id, import_id)?;
    if failed > 0 {
        import_outcome::forget_failed(account_id, import_id)?;
        execute(
            "UPDATE pinterest.import SET state = 'queued', \
             phase = CASE WHEN listing_complete THEN 'images' ELSE 'listing' END, \
             images_failed = images_failed - $3, attempts = 0, wake_at = clock_timestamp(), finished_at = NULL, \
             cancel_requested = false, reason = NULL, error_code = NULL, hint = NULL, fence = fence + 1 \
             WHERE account_id = $1 AND import_id = $2",
            &[account_id.into(), import_id.into(), i32::try_from(failed).unwrap_or(i32::MAX).into()],
        )?;
    }
    Ok(failed)
}

/// Takes the account's running imports from their workers; they wait in the queue.
pub fn requeue_running(account_id: i64) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.import SET state = 'queued', claimed_by = NULL, lease_until = NULL, fence = fence + 1, \
         wake_at = clock_timestamp() WHERE account_id = $1 AND state = 'running'",
        &[account_id.into()],
    )?;
    Ok(())
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
         WHERE i.state IN ('queued', 'waiting_quota') AND a.status IN ('connected', 'refresh_uncertain') \
         AND a.paused_at IS NULL",
        &[],
        |row| row.maybe(1),
    )?;
    Ok(rows.into_iter().next().flatten())
}

fn notify_finished(import_id: i64) -> Result<(), Failure> {
    write("SELECT pg_notify('pinterest_import', $1::text)", &[import_id.into()], |_| Ok(()))?;
    Ok(())
}
