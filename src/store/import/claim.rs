//! Imports in the hands of workers: claimed for the time of a lease, which signs of life extend, and recorded under the
//! claim's fence.

use crate::errors::Failure;
use crate::statistics::{self, Counter, Import};
use crate::store::pin_image::Keep;
use crate::store::{column, execute, is_true, params, pin_image, read, read_one, row_as, write, write_optional};

/// The lease of a claimed import; each sign of life starts it again.
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
    /// Pinterest's id, once it is known.
    pub board_id: Option<String>,
    /// Whether the downloaded bytes are stored; see [`ClaimedImport::keep`].
    pub keep_images: bool,
    /// Whether thumbnails are stored.
    pub keep_thumbnails: bool,
    /// Names or ids of the sections to import; `None` for the whole board.
    pub sections: Option<Vec<String>>,
    /// Leave out the images of pins that are disclosed as made or changed with AI.
    pub skip_ai: bool,
    /// Ends the listing at this number of images.
    pub max_images: Option<i32>,
    /// Where the listing continues.
    pub bookmark: Option<String>,
    /// No listing: images that another model embedded are embedded again.
    pub reembed: bool,
    /// The model that it has used so far.
    pub model_id: Option<i64>,
    /// The listing is complete; images are left.
    pub listing_complete: bool,
    /// Pages were recorded in an earlier run.
    pub listing_begun: bool,
    /// All pages are recorded; the listing is still to be concluded.
    pub listed: bool,
    /// Attempts since the last progress, including this one.
    pub attempts: i32,
    /// Seconds since it was first claimed.
    pub age: f64,
    /// Must be unchanged when a result is recorded.
    pub fence: i64,
}

impl ClaimedImport {
    /// What is stored of the images.
    pub fn keep(&self) -> Keep {
        Keep::of(self.keep_images, self.keep_thumbnails)
    }
}

/// The number of an account's due imports to search for one whose board is free.
const LOOKED_AT: i64 = 50;

/// Claims the account's next import that is due, oldest first, unless another import of its board is running. If none
/// of the first ones can be claimed, they sleep for a moment, so that the next search comes to those behind them.
pub fn claim(account_id: i64, by: &str, live: &[String]) -> Result<Option<ClaimedImport>, Failure> {
    let claimed = write(
        "WITH first AS MATERIALIZED (SELECT i.import_id FROM pinterest.import i WHERE i.account_id = $4 AND i.due \
             ORDER BY i.wake_at, i.import_id LIMIT $5), \
         next AS ( \
         SELECT i.account_id, i.import_id FROM pinterest.import i \
         WHERE i.account_id = $4 AND i.import_id = ANY (ARRAY(SELECT f.import_id FROM first f)) AND i.due \
         AND NOT EXISTS (SELECT FROM pinterest.import o WHERE o.account_id = $4 AND o.board_id = i.board_id \
             AND o.import_id <> i.import_id AND o.state = 'running' AND o.lease_until >= clock_timestamp() \
             AND o.claimed_by = ANY ($2)) \
         ORDER BY i.wake_at, i.import_id LIMIT 1 FOR UPDATE OF i SKIP LOCKED) \
         UPDATE pinterest.import t SET state = 'running', due = NULL, claimed_by = $1, \
         lease_until = clock_timestamp() + $3::interval, fence = t.fence + 1, attempts = t.attempts + 1, \
         started_at = COALESCE(t.started_at, clock_timestamp()) \
         FROM next n WHERE t.account_id = n.account_id AND t.import_id = n.import_id \
         RETURNING t.account_id, t.import_id, t.board_reference, t.board_id, t.keep_images, t.bookmark, \
         t.listing_complete, t.pins_listed > 0 OR t.bookmark IS NOT NULL, t.attempts, t.fence, t.sections, \
         t.max_images, t.reembed, t.model_id, t.listed_at IS NOT NULL, EXTRACT(EPOCH FROM clock_timestamp() - \
         t.started_at)::float8, t.skip_ai, t.keep_thumbnails",
        &params![by, live.to_vec(), LEASE, account_id, LOOKED_AT],
        row_as!(ClaimedImport {
            account_id,
            import_id,
            board_reference,
            board_id: maybe,
            keep_images,
            bookmark: maybe,
            listing_complete,
            listing_begun,
            attempts,
            fence,
            sections: maybe,
            max_images: maybe,
            reembed,
            model_id: maybe,
            listed,
            age,
            skip_ai,
            keep_thumbnails
        }),
    )?;
    statistics::note(Counter::Import(Import::Started), claimed.len());
    if claimed.is_empty() {
        execute(
            "UPDATE pinterest.import t SET due = false, wake_at = clock_timestamp() + '2 seconds'::interval \
             FROM (SELECT i.import_id FROM pinterest.import i WHERE i.account_id = $1 AND i.due \
                 ORDER BY i.wake_at, i.import_id LIMIT $2 FOR UPDATE SKIP LOCKED) AS s \
             WHERE t.account_id = $1 AND t.import_id = s.import_id",
            &params![account_id, LOOKED_AT],
        )?;
    }
    Ok(claimed.into_iter().next())
}

/// Whether the claim still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimState {
    /// The claim holds.
    Held,
    /// The claim holds, and the user has cancelled the import.
    CancelRequested,
    /// Another worker has claimed the import, or it was deleted.
    Lost,
}

/// Locks the import's row for the rest of the transaction; whether the claim still holds.
pub fn lock(claimed: &ClaimedImport) -> Result<ClaimState, Failure> {
    crate::store::wait_briefly_for_locks();
    let cancel_requested = write_optional(
        "SELECT i.cancel_requested FROM pinterest.import i \
         WHERE i.account_id = $1 AND i.import_id = $2 AND i.fence = $3 AND i.state = 'running' FOR UPDATE",
        &params![claimed.account_id, claimed.import_id, claimed.fence],
        |row| row.get::<bool>(1),
    )?;
    Ok(match cancel_requested {
        None => ClaimState::Lost,
        Some(true) => ClaimState::CancelRequested,
        Some(false) => ClaimState::Held,
    })
}

/// A sign of life: starts the lease again.
pub fn extend_lease(claimed: &ClaimedImport) -> Result<ClaimState, Failure> {
    let claim = lock(claimed)?;
    execute(
        "UPDATE pinterest.import SET lease_until = clock_timestamp() + $4::interval \
         WHERE account_id = $1 AND import_id = $2 AND fence = $3",
        &params![claimed.account_id, claimed.import_id, claimed.fence, LEASE],
    )?;
    Ok(claim)
}

/// Whether another import of the same board is running.
pub fn is_doubled(claimed: &ClaimedImport, board_id: &str, live: &[String]) -> Result<bool, Failure> {
    is_true(
        "SELECT EXISTS (SELECT FROM pinterest.import o WHERE o.account_id = $1 AND o.board_id = $3 \
         AND o.import_id <> $2 AND o.state = 'running' AND o.lease_until >= clock_timestamp() \
         AND o.claimed_by = ANY ($4))",
        &params![claimed.account_id, claimed.import_id, board_id, live.to_vec()],
    )
}

/// What a worker has in hand.
#[derive(Clone, Copy, Debug, Default)]
pub struct InHand {
    /// Imports.
    pub imports: i64,
    /// Images of these.
    pub images: i64,
    /// Seconds since its last sign of life; `None` while it has nothing in hand.
    pub heartbeat: Option<f64>,
}

/// What the worker of this identity has in hand.
pub fn in_hand(identity: &str) -> Result<InHand, Failure> {
    let imports = read(
        "SELECT i.account_id, i.import_id, EXTRACT(EPOCH FROM clock_timestamp() - i.lease_until + $2::interval)::float8 \
         FROM pinterest.import i WHERE i.state = 'running' AND i.claimed_by = $1",
        &params![identity, LEASE],
        |row| Ok((row.get::<i64>(1)?, row.get::<i64>(2)?, row.maybe::<f64>(3)?)),
    )?;
    if imports.is_empty() {
        return Ok(InHand::default());
    }
    let images = read_one(
        "SELECT count(*) FROM unnest($2::int8[], $3::int8[]) AS r(account_id, import_id) \
         JOIN pinterest.pin_image p ON p.account_id = r.account_id AND p.import_id = r.import_id \
         WHERE p.state = 'pending' AND p.claimed_by = $1",
        &params![identity, column(&imports, |import| import.0), column(&imports, |import| import.1)],
        |row| row.get(1),
    )?;
    let heartbeat = imports.iter().filter_map(|import| import.2).reduce(f64::min);
    Ok(InHand { imports: i64::try_from(imports.len()).unwrap_or(i64::MAX), images, heartbeat })
}

/// Releases the imports and images that the worker of this identity has in hand: they are queued again, and the attempt
/// does not count. Cancelled imports end.
pub fn give_back(identity: &str) -> Result<(), Failure> {
    let imports = write(
        "UPDATE pinterest.import SET state = CASE WHEN cancel_requested THEN 'cancelled' ELSE 'queued' END, \
         due = CASE WHEN NOT cancel_requested THEN false END, phase = CASE WHEN cancel_requested THEN 'finished' \
         ELSE phase END, finished_at = CASE WHEN cancel_requested THEN clock_timestamp() END, \
         claimed_by = NULL, lease_until = NULL, fence = fence + 1, attempts = GREATEST(attempts - 1, 0), \
         wake_at = clock_timestamp() WHERE state = 'running' AND claimed_by = $1 RETURNING account_id, import_id, \
         state = 'cancelled'",
        &params![identity],
        |row| Ok((row.get(1)?, row.get(2)?, row.get(3)?)),
    )?;
    super::queue::count_cancelled(imports.iter().map(|(_, _, cancelled)| *cancelled));
    imports.into_iter().try_for_each(|(account, import, _)| pin_image::release(account, import, Some(identity)))
}

/// Of these imports with their fences, those that are cancelled or were claimed by another worker.
pub fn taken_away(running: &[(i64, i64)]) -> Result<Vec<(i64, i64)>, Failure> {
    let (ids, fences): (Vec<i64>, Vec<i64>) = running.iter().copied().unzip();
    read(
        "SELECT r.import_id, r.fence FROM unnest($1::int8[], $2::int8[]) AS r(import_id, fence) \
         WHERE NOT EXISTS (SELECT FROM pinterest.import i WHERE i.import_id = r.import_id AND i.fence = r.fence \
             AND i.state = 'running' AND NOT i.cancel_requested)",
        &params![ids, fences],
        |row| Ok((row.get(1)?, row.get(2)?)),
    )
}
