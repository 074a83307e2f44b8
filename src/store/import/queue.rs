//! Users' calls: queue, watch, cancel, retry and park imports.

use pgrx::datum::{Interval, TimestampWithTimeZone};

use crate::errors::{Failure, Kind};
use crate::settings;
use crate::statistics::{self, Counter, Import};
use crate::store::clock::now;
use crate::store::pin_image::Keep;
use crate::store::{
    affected, by_account, column, execute, import_outcome, params, pin_image, read, read_optional, row_as, write,
    write_optional,
};

/// What a waiting caller needs to know.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The state.
    pub state: String,
    /// Why it stopped or waits.
    pub reason: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Queued by the current transaction, so no worker can see it yet.
    pub uncommitted: bool,
}

impl Progress {
    /// Whether no worker will continue it, or none before its user has reconnected.
    pub fn is_over(&self) -> bool {
        matches!(self.state.as_str(), "completed" | "failed" | "cancelled" | "needs_reauth")
    }
}

/// The options of an import.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// What is stored of the images.
    pub keep: Keep,
    /// Names or ids of sections; `None` for the whole board.
    pub sections: Option<Vec<String>>,
    /// End the listing with the pin that reaches this number of images.
    pub max_images: Option<i32>,
    /// Import the board again at this interval.
    pub sync_every: Option<Interval>,
    /// Leave out the images of pins that are disclosed as made or changed with AI.
    pub skip_ai: bool,
}

/// Refuses to queue for an account that is disconnected or has the maximum of queued imports. A concurrent disconnect
/// is waited for, and waits for what is queued here, so no import is left behind that would never end. Concurrent
/// sessions count only committed imports, so the limit is not exact.
fn refuse_unless_room(account_id: i64) -> Result<(), Failure> {
    let most = settings::max_queued_imports();
    let found = write_optional(
        "SELECT a.status = 'disconnected', (SELECT count(*) FROM (SELECT \
             FROM pinterest.import i WHERE i.account_id = $1 \
             AND i.state IN ('queued', 'running', 'waiting_quota', 'waiting_access', 'needs_reauth') \
             LIMIT $2) AS waiting) \
         FROM pinterest.account a WHERE a.account_id = $1 FOR KEY SHARE OF a",
        &params![account_id, most],
        |row| Ok((row.get::<bool>(1)?, row.get::<i64>(2)?)),
    )?;
    match found {
        None => Err(Failure::new(Kind::NotFound, format!("account {account_id} does not exist"))),
        Some((true, _)) => Err(Failure::new(Kind::NeedsReauth, format!("account {account_id} is disconnected"))),
        Some((false, waiting)) if waiting >= most => Err(Failure::new(
            Kind::QueueFull,
            format!("account {account_id} has {waiting} imports that have not ended, but the limit is {most}"),
        )
        .with_hint(
            "Wait for some of them, end them with pinterest_cancel_import(), or raise pinterest.max_queued_imports.",
        )),
        Some(_) => Ok(()),
    }
}

/// Queues an import.
pub fn enqueue(
    account_id: i64,
    board_reference: &str,
    board_id: Option<&str>,
    options: ImportOptions,
) -> Result<i64, Failure> {
    refuse_unless_room(account_id)?;
    write_optional(
        "INSERT INTO pinterest.import (account_id, board_reference, board_id, keep_images, keep_thumbnails, \
         sections, max_images, sync_every, skip_ai, state, due) SELECT a.account_id, $2, $3, $4, $9, $5, $6, $7, $8, \
         CASE a.status WHEN 'needs_reauth' THEN 'needs_reauth' ELSE 'queued' END, \
         CASE WHEN a.status <> 'needs_reauth' THEN false END \
         FROM pinterest.account a WHERE a.account_id = $1 RETURNING import_id",
        &params![
            account_id,
            board_reference,
            board_id,
            options.keep.originals(),
            options.sections,
            options.max_images,
            options.sync_every,
            options.skip_ai,
            options.keep.thumbnails()
        ],
        |row| row.get(1),
    )?
    .inspect(|_: &i64| statistics::note(Counter::Import(Import::Queued), 1))
    .ok_or_else(|| Failure::new(Kind::NotFound, format!("account {account_id} does not exist")))
}

/// Queues an import that embeds a board's images again with the current model.
pub fn enqueue_reembedding(account_id: i64, board_id: &str) -> Result<i64, Failure> {
    refuse_unless_room(account_id)?;
    write_optional(
        "INSERT INTO pinterest.import (account_id, board_reference, board_id, reembed, state, due) \
         SELECT a.account_id, $2, $2, true, \
         CASE a.status WHEN 'needs_reauth' THEN 'needs_reauth' ELSE 'queued' END, \
         CASE WHEN a.status <> 'needs_reauth' THEN false END \
         FROM pinterest.account a WHERE a.account_id = $1 RETURNING import_id",
        &params![account_id, board_id],
        |row| row.get(1),
    )?
    .inspect(|_: &i64| statistics::note(Counter::Import(Import::Queued), 1))
    .ok_or_else(|| Failure::new(Kind::NotFound, format!("account {account_id} does not exist")))
}

/// A board that is due, where the next page of them begins.
#[derive(Clone, Debug)]
pub struct DueBoard {
    at: TimestampWithTimeZone,
    account_id: i64,
    board_id: String,
}

/// Queues imports of boards whose sync is due, of a page of `page` boards; their number, and the last board of the page if
/// others may follow. Boards and accounts that another session has locked are left to the next round.
///
/// Page after page, so that neither locked boards nor those of accounts that cannot be used keep others waiting. Boards may
/// be distributed, and accounts and imports are not, so they are not joined.
pub fn enqueue_syncs(after: Option<&DueBoard>, page: i64) -> Result<(usize, Option<DueBoard>), Failure> {
    let mut due = read(
        "SELECT b.next_sync_at, b.account_id, b.board_id FROM pinterest.board b WHERE b.next_sync_at <= $1 \
         AND b.sync_every IS NOT NULL \
         AND ($3::timestamptz IS NULL OR (b.next_sync_at, b.account_id, b.board_id) > ($3, $4, $5)) \
         ORDER BY b.next_sync_at, b.account_id, b.board_id LIMIT $2",
        &params![
            now(),
            page,
            after.map(|board| board.at),
            after.map(|board| board.account_id),
            after.map(|board| board.board_id.as_str())
        ],
        row_as!(DueBoard { at, account_id, board_id }),
    )?;
    let mut taken = Vec::new();
    for (account_id, boards) in by_account(ready_to_sync(&due)?) {
        taken.extend(put_off_syncs(account_id, boards)?);
    }
    enqueue_taken(&taken)?;
    statistics::note(Counter::Import(Import::Queued), taken.len());
    let more = i64::try_from(due.len()).is_ok_and(|found| found >= page);
    Ok((taken.len(), due.pop().filter(|_| more)))
}

/// Of these boards, those whose account can be used and that have no open import. Their accounts are locked against a
/// disconnect.
fn ready_to_sync(due: &[DueBoard]) -> Result<Vec<(i64, String)>, Failure> {
    if due.is_empty() {
        return Ok(Vec::new());
    }
    write(
        "SELECT b.account_id, b.board_id FROM unnest($1::int8[], $2::text[]) AS b(account_id, board_id) \
         JOIN pinterest.account a ON a.account_id = b.account_id \
         WHERE a.status IN ('connected', 'refresh_uncertain') AND a.paused_at IS NULL \
         AND NOT EXISTS (SELECT FROM pinterest.import i WHERE i.account_id = b.account_id AND i.board_id = b.board_id \
             AND i.state IN ('queued', 'running', 'waiting_quota', 'waiting_access', 'needs_reauth')) \
         FOR KEY SHARE OF a SKIP LOCKED",
        &params![column(due, |board| board.account_id), column(due, |board| board.board_id.clone())],
        |row| Ok((row.get(1)?, row.get(2)?)),
    )
}

/// A board that is to be imported now.
struct Sync {
    board_id: String,
    account_id: i64,
    next: TimestampWithTimeZone,
    keeps_images: bool,
    keeps_thumbnails: bool,
    skips_ai: bool,
}

/// Puts off the next syncs of boards of one account that are still due; these boards.
fn put_off_syncs(account_id: i64, boards: Vec<String>) -> Result<Vec<Sync>, Failure> {
    let due = write(
        "SELECT b.board_id, b.account_id, $3::timestamptz + b.sync_every, b.sync_keeps_images, b.sync_keeps_thumbnails, \
         b.sync_skips_ai FROM pinterest.board b WHERE b.account_id = $1 AND b.board_id = ANY ($2) \
         AND b.next_sync_at <= $3 AND b.sync_every IS NOT NULL FOR UPDATE SKIP LOCKED",
        &params![account_id, boards, now()],
        row_as!(Sync { board_id, account_id, next, keeps_images, keeps_thumbnails, skips_ai }),
    )?;
    execute(
        "UPDATE pinterest.board b SET next_sync_at = s.next FROM unnest($2::text[], $3::timestamptz[]) AS s(board_id, \
         next) WHERE b.account_id = $1 AND b.board_id = s.board_id",
        &params![account_id, column(&due, |sync| sync.board_id.clone()), column(&due, |sync| sync.next)],
    )?;
    Ok(due)
}

/// Queues imports.
fn enqueue_taken(taken: &[Sync]) -> Result<(), Failure> {
    if taken.is_empty() {
        return Ok(());
    }
    execute(
        "INSERT INTO pinterest.import (account_id, board_reference, board_id, keep_images, keep_thumbnails, skip_ai) \
         SELECT s.account_id, s.board_id, s.board_id, s.keep_images, s.keep_thumbnails, s.skip_ai \
         FROM unnest($1::int8[], $2::text[], $3::bool[], $4::bool[], $5::bool[]) \
         AS s(account_id, board_id, keep_images, keep_thumbnails, skip_ai)",
        &params![
            column(taken, |sync| sync.account_id),
            column(taken, |sync| sync.board_id.clone()),
            column(taken, |sync| sync.keeps_images),
            column(taken, |sync| sync.keeps_thumbnails),
            column(taken, |sync| sync.skips_ai)
        ],
    )
}

/// The state of an import. Runs with the caller's rights.
pub fn progress(import_id: i64) -> Result<Progress, Failure> {
    read_optional(
        "SELECT i.state, i.reason, i.hint, pg_current_xact_id_if_assigned() IS NOT NULL \
         AND i.xmin = pg_current_xact_id_if_assigned()::xid AND i.fence = 0 \
         FROM pinterest.import i WHERE i.import_id = $1",
        &params![import_id],
        row_as!(Progress { state, reason: maybe, hint: maybe, uncommitted }),
    )?
    .ok_or_else(|| unknown(import_id))
}

/// The account of an import that the caller may see. Runs with the caller's rights.
pub fn account_of(import_id: i64) -> Result<i64, Failure> {
    read_optional("SELECT i.account_id FROM pinterest.import i WHERE i.import_id = $1", &params![import_id], |row| {
        row.get(1)
    })?
    .ok_or_else(|| unknown(import_id))
}

fn unknown(import_id: i64) -> Failure {
    Failure::new(Kind::NotFound, format!("import {import_id} does not exist or belongs to another role"))
        .with_hint("SELECT * FROM pinterest.imports lists yours.")
}

/// Cancels an import: at once if no worker has claimed it, otherwise as soon as its worker notices. False if it had
/// ended before.
pub fn cancel(account_id: i64, import_id: i64) -> Result<bool, Failure> {
    let touched = write(
        "UPDATE pinterest.import SET cancel_requested = true, due = NULL, \
         state = CASE state WHEN 'running' THEN state ELSE 'cancelled' END, \
         phase = CASE state WHEN 'running' THEN phase ELSE 'finished' END, \
         finished_at = CASE state WHEN 'running' THEN NULL ELSE clock_timestamp() END \
         WHERE account_id = $1 AND import_id = $2 AND state IN ('queued', 'running', 'waiting_quota', \
         'waiting_access', 'needs_reauth') RETURNING state = 'cancelled'",
        &params![account_id, import_id],
        |row| row.get::<bool>(1),
    )?;
    count_cancelled(touched.iter().copied());
    Ok(!touched.is_empty())
}

/// Counts imports, each with whether it was cancelled.
pub(super) fn count_cancelled(ended: impl Iterator<Item = bool>) {
    statistics::note(Counter::Import(Import::Cancelled), ended.filter(|cancelled| *cancelled).count());
}

/// Makes the failed images of an import that has ended pending again, and those that were skipped for one of these
/// reasons; their number.
pub fn retry_failed(account_id: i64, import_id: i64, skipped: &[&str]) -> Result<i64, Failure> {
    let ended = write_optional(
        "SELECT i.state IN ('completed', 'failed', 'cancelled') FROM pinterest.import i \
         WHERE i.account_id = $1 AND i.import_id = $2 FOR UPDATE",
        &params![account_id, import_id],
        |row| row.get::<bool>(1),
    )?;
    if ended != Some(true) {
        return Err(Failure::new(Kind::NotReady, format!("import {import_id} has not ended"))
            .with_hint("pinterest_wait_for_import() waits for its end."));
    }
    let again = pin_image::retry_failed(account_id, import_id, skipped)?;
    let count = |state: &str| -> i64 { again.iter().filter(|(of, ..)| of == state).map(|(.., count)| count).sum() };
    let (failed, skipped) = (count("failed"), count("skipped"));
    if failed + skipped > 0 {
        refuse_unless_room(account_id)?;
        import_outcome::subtract_failed(account_id, import_id, &again)?;
        execute(
            "UPDATE pinterest.import SET state = 'queued', due = false, deaths = 0, \
             phase = CASE WHEN listing_complete THEN 'images' ELSE 'listing' END, \
             images_failed = images_failed - $3, images_skipped = images_skipped - $4, attempts = 0, \
             wake_at = clock_timestamp(), finished_at = NULL, cancel_requested = false, reason = NULL, \
             error_code = NULL, hint = NULL, fence = fence + 1 WHERE account_id = $1 AND import_id = $2",
            &params![
                account_id,
                import_id,
                i32::try_from(failed).unwrap_or(i32::MAX),
                i32::try_from(skipped).unwrap_or(i32::MAX)
            ],
        )?;
        statistics::note(Counter::Import(Import::Queued), 1);
    }
    Ok(failed + skipped)
}

/// Queues the account's running imports again and releases their images; cancelled ones end.
pub fn requeue_running(account_id: i64) -> Result<(), Failure> {
    let requeued = write(
        "UPDATE pinterest.import SET state = CASE WHEN cancel_requested THEN 'cancelled' ELSE 'queued' END, \
         due = CASE WHEN NOT cancel_requested THEN false END, phase = CASE WHEN cancel_requested THEN 'finished' \
         ELSE phase END, finished_at = CASE WHEN cancel_requested THEN clock_timestamp() END, claimed_by = NULL, \
         lease_until = NULL, \
         fence = fence + 1, wake_at = clock_timestamp() WHERE account_id = $1 AND state = 'running' \
         RETURNING import_id, state = 'cancelled'",
        &params![account_id],
        |row| Ok((row.get(1)?, row.get(2)?)),
    )?;
    count_cancelled(requeued.iter().map(|(_, cancelled)| *cancelled));
    requeued.into_iter().try_for_each(|(import_id, _)| pin_image::release(account_id, import_id, None))
}

/// Ends all imports of an account that have not ended, with the reason. Their runs lose their claims, and stop within a
/// second after a worker is woken. What is imported stays.
pub fn end_all(account_id: i64, reason: &str) -> Result<usize, Failure> {
    let ended = write(
        "UPDATE pinterest.import SET state = 'cancelled', phase = 'finished', due = NULL, cancel_requested = true, \
         fence = fence + 1, claimed_by = NULL, lease_until = NULL, finished_at = clock_timestamp(), reason = $2, \
         error_code = $3, hint = $4 WHERE account_id = $1 \
         AND state IN ('queued', 'running', 'waiting_quota', 'waiting_access', 'needs_reauth') RETURNING import_id",
        &params![
            account_id,
            reason,
            Failure::new(Kind::NeedsReauth, reason).sqlstate(),
            "Connect the account again, then import the board again."
        ],
        |row| row.get::<i64>(1),
    )?;
    statistics::note(Counter::Import(Import::Cancelled), ended.len());
    for import_id in &ended {
        pin_image::release(account_id, *import_id, None)?;
        super::end::notify_finished(*import_id)?;
    }
    Ok(ended.len())
}

/// Queues the account's parked imports again, and those that wait for access, and releases those that are held.
pub fn unpark(account_id: i64) -> Result<(), Failure> {
    super::turn::release_held(account_id)?;
    execute(
        "UPDATE pinterest.import SET state = 'queued', due = false, wake_at = clock_timestamp(), attempts = 0, \
         reason = NULL, \
         error_code = NULL, hint = NULL WHERE account_id = $1 AND state IN ('needs_reauth', 'waiting_access')",
        &params![account_id],
    )
}

/// Parks the account's queued imports until its user reconnects.
pub fn park(account_id: i64, reason: &str) -> Result<(), Failure> {
    let parked = affected(
        "UPDATE pinterest.import SET state = 'needs_reauth', due = NULL, reason = $2, claimed_by = NULL, \
         lease_until = NULL WHERE account_id = $1 AND state IN ('queued', 'waiting_quota', 'waiting_access')",
        &params![account_id, reason],
    )?;
    statistics::note(Counter::Import(Import::WaitsReauth), parked);
    Ok(())
}
