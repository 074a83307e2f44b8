//! How a run of an import ends.

use std::time::Duration;

use pgrx::datum::{Interval, TimestampWithTimeZone};

use super::claim::ClaimedImport;
use crate::errors::Failure;
use crate::statistics::{self, Counter, Import};
use crate::store::clock::now;
use crate::store::{affected, execute, import_outcome, params, read_one, read_optional, row_as, words};

words! {
    /// The state that an import is left in when work on it stops.
    pub enum Stop {
        /// Tried again at its wake time.
        Queued = "queued",
        /// Waits for Pinterest's quota.
        WaitingQuota = "waiting_quota",
        /// Waits for Pinterest to grant the app access.
        WaitingAccess = "waiting_access",
        /// Waits for its user to reconnect the account.
        NeedsReauth = "needs_reauth",
        /// Ended by a failure.
        Failed = "failed",
        /// Ended by the user.
        Cancelled = "cancelled",
    }
}

/// Completes an import whose board has not changed since its last complete import: every image counts as reused.
pub fn complete_unchanged(claimed: &ClaimedImport, board_id: &str) -> Result<(), Failure> {
    import_outcome::count_unchanged(claimed.account_id, claimed.import_id, board_id)?;
    let completed = affected(
        "UPDATE pinterest.import SET state = 'completed', phase = 'finished', listing_complete = true, \
         coverage = 'unchanged', finished_at = clock_timestamp(), claimed_by = NULL, lease_until = NULL, \
         reason = 'unchanged since the last import' WHERE account_id = $1 AND import_id = $2 AND fence = $3",
        &params![claimed.account_id, claimed.import_id, claimed.fence],
    )?;
    statistics::note(Counter::Import(Import::Completed), completed);
    statistics::note(Counter::Import(Import::Unchanged), completed);
    execute(
        "UPDATE pinterest.board SET confirmed_at = $3 WHERE account_id = $1 AND board_id = $2",
        &params![claimed.account_id, board_id, now()],
    )?;
    finish_sync(claimed, board_id)?;
    notify_finished(claimed.import_id)
}

/// Completes an import.
///
/// The change marker is stored only if nothing is missing or in doubt; otherwise the next import must list again. The
/// other counts are those of the listing: if the board was imported since the listing, as by this import before its
/// failed images were tried again, the stored ones stay.
pub fn complete(claimed: &ClaimedImport, board_id: &str) -> Result<(), Failure> {
    let elsewhere = read_optional(
        "SELECT i.images_total - i.images_embedded - i.images_reused - i.images_skipped - i.images_failed \
         FROM pinterest.import i WHERE i.account_id = $1 AND i.import_id = $2",
        &params![claimed.account_id, claimed.import_id],
        |row| row.get::<i32>(1),
    )?;
    // A pin that has moved meanwhile belongs to the other board's import.
    let taken_over = [(import_outcome::ImageOutcome::Skipped, "other_import", elsewhere.unwrap_or_default())];
    import_outcome::count_images(claimed.account_id, claimed.import_id, &taken_over)?;
    let completed = affected(
        "UPDATE pinterest.import SET state = 'completed', phase = 'finished', finished_at = clock_timestamp(), \
         claimed_by = NULL, lease_until = NULL WHERE account_id = $1 AND import_id = $2 AND fence = $3",
        &params![claimed.account_id, claimed.import_id, claimed.fence],
    )?;
    statistics::note(Counter::Import(Import::Completed), completed);
    record_end(claimed, board_id)?;
    finish_sync(claimed, board_id)?;
    notify_finished(claimed.import_id)
}

/// What a completed import says of its board.
struct Found {
    /// The listing covered all pins that Pinterest has: whole, until_known.
    is_confirmed: bool,
    /// It covered as many as it could.
    is_of_board: bool,
    skip_ai: bool,
    pins_reported: Option<i32>,
    listed_at: Option<TimestampWithTimeZone>,
    /// The change marker, if nothing is missing or in doubt.
    marker: Option<TimestampWithTimeZone>,
}

/// Records a completed import in the board's row.
fn record_end(claimed: &ClaimedImport, board_id: &str) -> Result<(), Failure> {
    let found = read_optional(
        "SELECT COALESCE(i.coverage IN ('whole', 'until_known'), false), \
             COALESCE(i.coverage IN ('whole', 'until_known', 'until_limit', 'incomplete'), false), i.skip_ai, \
             i.pins_reported, i.listed_at, CASE WHEN i.coverage <> 'incomplete' AND i.images_failed = 0 \
                 AND i.doubts = 0 AND i.pins_unreadable = 0 THEN i.modified_at_start END \
         FROM pinterest.import i WHERE i.account_id = $1 AND i.import_id = $2",
        &params![claimed.account_id, claimed.import_id],
        row_as!(Found { is_confirmed, is_of_board, skip_ai, pins_reported: maybe, listed_at: maybe, marker: maybe }),
    )?;
    let Some(found) = found else { return Ok(()) };
    let pins = read_one(
        "SELECT count(*)::int4 FROM pinterest.pin p WHERE p.account_id = $1 AND p.board_id = $2 \
         AND p.removed_at IS NULL",
        &params![claimed.account_id, board_id],
        |row| row.get::<i32>(1),
    )?;
    // The counts are those of the listing, unless the board was imported since.
    let listed = "COALESCE($8::timestamptz > b.imported_at, $8 IS NOT NULL)";
    execute(
        &format!(
            "UPDATE pinterest.board b SET imported_at = $3, \
             imported_without_ai = CASE WHEN $4 THEN $6::bool ELSE b.imported_without_ai END, \
             confirmed_at = CASE WHEN $5 AND {listed} THEN $3 ELSE b.confirmed_at END, \
             unlisted_pins = CASE WHEN $5 AND {listed} THEN GREATEST($7::int4 - $10::int4, 0) \
                 ELSE b.unlisted_pins END, \
             imported_modified_at = CASE WHEN $4 THEN $9::timestamptz ELSE b.imported_modified_at END, \
             imported_pin_count = CASE WHEN $4 AND {listed} THEN $7 ELSE b.imported_pin_count END, \
             imported_pins = CASE WHEN $4 AND {listed} THEN $10 ELSE b.imported_pins END \
             WHERE b.account_id = $1 AND b.board_id = $2"
        ),
        &params![
            claimed.account_id,
            board_id,
            now(),
            found.is_of_board,
            found.is_confirmed,
            found.skip_ai,
            found.pins_reported,
            found.listed_at,
            found.marker,
            pins
        ],
    )
}

/// Turns syncing of the board on if the import was asked to.
fn finish_sync(claimed: &ClaimedImport, board_id: &str) -> Result<(), Failure> {
    let asked = read_optional(
        "SELECT i.sync_every, i.keep_images, i.keep_thumbnails, i.skip_ai FROM pinterest.import i \
         WHERE i.account_id = $1 AND i.import_id = $2 AND i.sync_every IS NOT NULL",
        &params![claimed.account_id, claimed.import_id],
        |row| Ok((row.get::<Interval>(1)?, row.get::<bool>(2)?, row.get::<bool>(3)?, row.get::<bool>(4)?)),
    )?;
    let Some((every, keeps_images, keeps_thumbnails, skips_ai)) = asked else { return Ok(()) };
    execute(
        "UPDATE pinterest.board b SET sync_every = $3, next_sync_at = $7::timestamptz + $3::interval, \
         sync_keeps_images = $4, sync_keeps_thumbnails = $5, sync_skips_ai = $6 \
         WHERE b.account_id = $1 AND b.board_id = $2",
        &params![claimed.account_id, board_id, every, keeps_images, keeps_thumbnails, skips_ai, now()],
    )
}

/// Upper limit for the attempts of an import that stopped because of the proxy: the pauses stay long, and attempts are
/// left for later failures.
const ATTEMPTS_BEHIND_PROXY: i32 = 4;

/// Stops working on an import, with the reason. It continues after `wake_in` if its state allows.
pub fn stop(claimed: &ClaimedImport, stop: Stop, failure: Option<&Failure>, wake_in: Duration) -> Result<(), Failure> {
    let ended = matches!(stop, Stop::Failed | Stop::Cancelled);
    let stopped = affected(
        "UPDATE pinterest.import SET state = $4, reason = $5, error_code = $6, hint = $7, \
         due = CASE WHEN $4 IN ('queued', 'waiting_quota', 'waiting_access') THEN false END, \
         wake_at = clock_timestamp() + make_interval(secs => $8), \
         attempts = CASE WHEN $4 IN ('waiting_quota', 'waiting_access', 'needs_reauth') THEN 0 \
             WHEN $10 THEN LEAST(attempts, $11) ELSE attempts END, claimed_by = NULL, lease_until = NULL, \
         phase = CASE WHEN $9 THEN 'finished' ELSE phase END, \
         finished_at = CASE WHEN $9 THEN clock_timestamp() END \
         WHERE account_id = $1 AND import_id = $2 AND fence = $3",
        &params![
            claimed.account_id,
            claimed.import_id,
            claimed.fence,
            stop.as_str(),
            failure.map(|failure| failure.message.clone()),
            failure.map(Failure::sqlstate),
            failure.and_then(|failure| failure.hint().map(str::to_owned)),
            wake_in.as_secs_f64(),
            ended,
            failure.is_some_and(|failure| failure.kind.is_proxy()),
            ATTEMPTS_BEHIND_PROXY
        ],
    )?;
    let counter = match stop {
        Stop::Queued => None,
        Stop::WaitingQuota => Some(Import::WaitsQuota),
        Stop::WaitingAccess => Some(Import::WaitsAccess),
        Stop::NeedsReauth => Some(Import::WaitsReauth),
        Stop::Failed => Some(Import::Failed),
        Stop::Cancelled => Some(Import::Cancelled),
    };
    counter.into_iter().for_each(|counter| statistics::note(Counter::Import(counter), stopped));
    if ended { notify_finished(claimed.import_id) } else { Ok(()) }
}

pub(super) fn notify_finished(import_id: i64) -> Result<(), Failure> {
    execute("SELECT pg_notify('pinterest_import', $1::text)", &params![import_id])
}
