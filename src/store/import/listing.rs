//! How far the listing of an import has come; each page's bookmark commits together with its pins.

use super::claim::ClaimedImport;
use super::{execute, read};
use crate::errors::Failure;
use crate::store::pin_image::PageCounts;

/// The board is known; the listing begins with its change marker of this moment.
pub fn record_board(claimed: &ClaimedImport, board_id: &str) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.import i SET board_id = $4, \
         phase = CASE WHEN i.listing_complete THEN 'images' ELSE 'listing' END, attempts = 0, reason = NULL, error_code = NULL, \
         hint = NULL, pins_reported = b.pin_count, \
         modified_at_start = CASE WHEN i.pins_listed = 0 THEN b.pins_modified_at ELSE i.modified_at_start END \
         FROM pinterest.board b WHERE i.account_id = $1 AND i.import_id = $2 AND i.fence = $3 \
         AND b.account_id = $1 AND b.board_id = $4",
        &[claimed.account_id.into(), claimed.import_id.into(), claimed.fence.into(), board_id.into()],
    )?;
    Ok(())
}

/// The model that embeds the import's images from now on.
pub fn record_model(claimed: &ClaimedImport, model_id: i64) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.import SET model_id = $4 WHERE account_id = $1 AND import_id = $2 AND fence = $3",
        &[claimed.account_id.into(), claimed.import_id.into(), claimed.fence.into(), model_id.into()],
    )?;
    Ok(())
}

/// All images that another model embedded are found: there is nothing to list.
pub fn record_stored(claimed: &ClaimedImport) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.import SET listing_complete = true, coverage = $4, phase = 'images' \
         WHERE account_id = $1 AND import_id = $2 AND fence = $3",
        &[claimed.account_id.into(), claimed.import_id.into(), claimed.fence.into(), Coverage::Stored.as_str().into()],
    )?;
    Ok(())
}

/// Images that the import has found so far.
pub fn images_found(claimed: &ClaimedImport) -> Result<i32, Failure> {
    let found = read(
        "SELECT i.images_total FROM pinterest.import i WHERE i.account_id = $1 AND i.import_id = $2",
        &[claimed.account_id.into(), claimed.import_id.into()],
        |row| row.get(1),
    )?;
    Ok(found.into_iter().next().unwrap_or_default())
}

/// With a page that ends with what is known: do the pins that stand on the board now, with those that Pinterest counted
/// and did not list at the last complete import, make up its count? Then nothing is gone and nothing else is new.
pub fn nothing_else_changed(claimed: &ClaimedImport, board_id: &str) -> Result<bool, Failure> {
    let found = read(
        "SELECT COALESCE(i.pins_reported = b.unlisted_pins + (SELECT count(*) FROM pinterest.pin p \
             WHERE p.account_id = $1 AND p.board_id = $3 AND p.removed_at IS NULL), false) \
         FROM pinterest.import i JOIN pinterest.board b ON b.account_id = i.account_id AND b.board_id = $3 \
         WHERE i.account_id = $1 AND i.import_id = $2",
        &[claimed.account_id.into(), claimed.import_id.into(), board_id.into()],
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
    /// Nothing was listed: the images are those that stood.
    Stored,
}

impl Coverage {
    fn as_str(self) -> &'static str {
        match self {
            Coverage::Whole => "whole",
            Coverage::UntilKnown => "until_known",
            Coverage::UntilLimit => "until_limit",
            Coverage::Sample => "sample",
            Coverage::Sections => "sections",
            Coverage::Stored => "stored",
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
