//! The progress of an import's listing; each page's bookmark commits together with its pins.

use std::time::Duration;

use pgrx::datum::TimestampWithTimeZone;
use pinterest::completeness::Listed;

use super::claim::ClaimedImport;
use crate::errors::{Failure, Kind};
use crate::statistics::{self, Counter, Import};
use crate::store::clock::now;
use crate::store::pin_image::{AI_DISCLOSED, PageCounts};
use crate::store::{affected, execute, is_true, params, pin, pin_image, read_optional, words};

/// Records the board; the listing begins with the board's current change marker.
pub fn record_board(claimed: &ClaimedImport, board_id: &str) -> Result<(), Failure> {
    let board = read_optional(
        "SELECT b.pin_count, b.pins_modified_at FROM pinterest.board b WHERE b.account_id = $1 AND b.board_id = $2",
        &params![claimed.account_id, board_id],
        |row| Ok((row.maybe::<i32>(1)?, row.maybe::<TimestampWithTimeZone>(2)?)),
    )?;
    let Some((pin_count, modified_at)) = board else { return Ok(()) };
    execute(
        "UPDATE pinterest.import i SET board_id = $4, \
         phase = CASE WHEN i.listing_complete THEN 'images' ELSE 'listing' END, attempts = 0, reason = NULL, \
         error_code = NULL, hint = NULL, pins_reported = CASE WHEN i.listing_complete THEN i.pins_reported \
         ELSE $5 END, modified_at_start = CASE WHEN i.pins_listed = 0 THEN $6 ELSE i.modified_at_start END \
         WHERE i.account_id = $1 AND i.import_id = $2 AND i.fence = $3",
        &params![claimed.account_id, claimed.import_id, claimed.fence, board_id, pin_count, modified_at],
    )
}

/// Records the model that embeds the import's images from now on.
pub fn record_model(claimed: &ClaimedImport, model_id: i64) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.import SET model_id = $4 WHERE account_id = $1 AND import_id = $2 AND fence = $3",
        &params![claimed.account_id, claimed.import_id, claimed.fence, model_id],
    )
}

/// Records that all images of other models are found: there is nothing to list.
pub fn record_stored(claimed: &ClaimedImport) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.import SET listing_complete = true, coverage = $4, phase = 'images' \
         WHERE account_id = $1 AND import_id = $2 AND fence = $3",
        &params![claimed.account_id, claimed.import_id, claimed.fence, Coverage::Stored.as_str()],
    )
}

/// The number of images that the import has found so far, without skipped ones.
pub fn images_found(claimed: &ClaimedImport) -> Result<i32, Failure> {
    Ok(read_optional(
        "SELECT i.images_total - COALESCE((SELECT o.count FROM pinterest.import_outcome o WHERE o.account_id = $1 \
             AND o.import_id = $2 AND o.item = 'image' AND o.outcome = 'skipped' AND o.reason = $3), 0)::int4 \
         FROM pinterest.import i WHERE i.account_id = $1 AND i.import_id = $2",
        &params![claimed.account_id, claimed.import_id, AI_DISCLOSED],
        |row| row.get(1),
    )?
    .unwrap_or_default())
}

/// For a page that ends with a known pin: whether the pins that are on the board now, and those that Pinterest counted
/// but did not list at the last complete import, add up to Pinterest's count. Then no pin was removed and no other pin
/// is new.
pub fn only_additions(claimed: &ClaimedImport, board_id: &str) -> Result<bool, Failure> {
    is_true(
        "SELECT i.pins_unreadable = 0 AND \
             COALESCE(i.pins_reported = b.unlisted_pins + (SELECT count(*) FROM pinterest.pin p \
             WHERE p.account_id = $1 AND p.board_id = $3 AND p.removed_at IS NULL), false) \
         FROM pinterest.import i JOIN pinterest.board b ON b.account_id = i.account_id AND b.board_id = $3 \
         WHERE i.account_id = $1 AND i.import_id = $2",
        &params![claimed.account_id, claimed.import_id, board_id],
    )
}

words! {
    /// The part of a board that a listing covered.
    pub enum Coverage {
        /// The whole board.
        Whole = "whole",
        /// All new pins; the others are known, and none was removed.
        UntilKnown = "until_known",
        /// As far as Pinterest lists.
        UntilLimit = "until_limit",
        /// Pinterest counts other numbers, or more is missing than one listing proves: the next import lists again.
        Incomplete = "incomplete",
        /// As many images as requested.
        Sample = "sample",
        /// The requested sections.
        Sections = "sections",
        /// Nothing was listed: the images are the stored ones.
        Stored = "stored",
    }
}

/// A recorded page of the listing.
#[derive(Clone, Copy, Debug, Default)]
pub struct PageListed {
    /// Pins that this import had not seen before.
    pub pins: i32,
    /// Of these, not on this board until now.
    pub new: i32,
    /// Of these, without an image.
    pub without_image: i32,
    /// Items that could not be read.
    pub unreadable: i32,
    /// Pins and images that the next import has to check again.
    pub doubts: i32,
}

/// What follows a page.
#[derive(Clone, Debug)]
pub enum After {
    /// The page under this bookmark.
    Page(String),
    /// No page: the listing is to be concluded.
    Conclusion,
    /// No page that is needed.
    Nothing(Coverage),
}

/// Counts a page of the listing; its bookmark commits together with its pins.
pub fn record_page(
    claimed: &ClaimedImport,
    pins: PageListed,
    images: PageCounts,
    after: &After,
) -> Result<(), Failure> {
    let (bookmark, coverage) = match after {
        After::Page(bookmark) => (Some(bookmark.as_str()), None),
        After::Conclusion => (None, None),
        After::Nothing(coverage) => (None, Some(coverage.as_str())),
    };
    let recorded = affected(
        "UPDATE pinterest.import SET bookmark = $4, listing_complete = $10 IS NOT NULL, coverage = $10, \
         listed_at = CASE WHEN $4 IS NULL THEN clock_timestamp() END, \
         phase = CASE WHEN $10 IS NULL THEN 'listing' ELSE 'images' END, attempts = 0, deaths = 0, \
         pins_listed = pins_listed + $5, pins_without_image = pins_without_image + $6, \
         images_total = images_total + $7, images_reused = images_reused + $8, pins_new = pins_new + $9, \
         pins_unreadable = pins_unreadable + $11, doubts = doubts + $12 \
         WHERE account_id = $1 AND import_id = $2 AND fence = $3",
        &params![
            claimed.account_id,
            claimed.import_id,
            claimed.fence,
            bookmark,
            pins.pins,
            pins.without_image,
            images.total,
            images.reused,
            pins.new,
            coverage,
            pins.unreadable,
            pins.doubts
        ],
    )?;
    if recorded > 0 {
        statistics::note(Counter::Import(Import::PinsListed), usize::try_from(pins.pins).unwrap_or_default());
    }
    Ok(())
}

/// The counts of a listing whose pages are all recorded.
pub fn listed(claimed: &ClaimedImport, board_id: &str) -> Result<Listed, Failure> {
    let count = |number: Option<i64>| number.and_then(|number| u32::try_from(number).ok());
    // Imports of one board may run in another order than that of their ids: a pin that was seen by an import with a
    // greater id can be removed by now.
    read_optional(
        "SELECT i.pins_reported::int8, i.pins_unreadable::int8, COALESCE(b.unlisted_pins, 0)::int8, i.pins_new::int8, \
             p.listed, p.missing, p.missing_again, b.gap_pins::int8, \
             EXTRACT(EPOCH FROM $4 - b.gap_since)::float8 \
         FROM pinterest.import i JOIN pinterest.board b ON b.account_id = i.account_id AND b.board_id = $3, \
         LATERAL (SELECT count(*) FILTER (WHERE p.import_id = $2) AS listed, \
             count(*) FILTER (WHERE p.import_id <> $2) AS missing, \
             count(*) FILTER (WHERE p.import_id <> $2 AND p.missing_since IS NOT NULL) AS missing_again \
             FROM pinterest.pin p WHERE p.account_id = $1 AND p.board_id = $3 AND p.removed_at IS NULL) AS p \
         WHERE i.account_id = $1 AND i.import_id = $2",
        &params![claimed.account_id, claimed.import_id, board_id, now()],
        |row| {
            let number = |column| Ok::<_, Failure>(count(row.maybe(column)?).unwrap_or_default());
            let (listed, missing) = (number(5)?, number(6)?);
            let since = row.maybe::<f64>(9)?.map(|seconds| Duration::from_secs_f64(seconds.clamp(0.0, 1e9)));
            Ok(Listed {
                reported: count(row.maybe(1)?),
                listed,
                unreadable: number(2)?,
                unlisted: number(3)?,
                known: missing.saturating_add(listed).saturating_sub(number(4)?),
                missing,
                missing_again: number(7)?,
                gap: count(row.maybe(8)?).zip(since),
            })
        },
    )?
    .ok_or_else(|| Failure::new(Kind::NotFound, "the import or its board was deleted"))
}

/// Records Pinterest's count of the board's pins, read again.
pub fn record_count(claimed: &ClaimedImport, count: Option<i32>) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.import SET pins_reported = $4 WHERE account_id = $1 AND import_id = $2 AND fence = $3",
        &params![claimed.account_id, claimed.import_id, claimed.fence, count],
    )
}

/// Counts pins or images that the next import has to check again.
pub fn add_doubts(claimed: &ClaimedImport, number: i32) -> Result<(), Failure> {
    if number > 0 {
        execute(
            "UPDATE pinterest.import SET doubts = doubts + $3 WHERE account_id = $1 AND import_id = $2",
            &params![claimed.account_id, claimed.import_id, number],
        )?;
    }
    Ok(())
}

/// What a complete listing proves.
#[derive(Clone, Debug, Default)]
pub struct Conclusion {
    /// The listing is complete.
    pub whole: bool,
    /// Why it is not, or what it leaves open.
    pub reason: Option<String>,
    /// The pins that it did not contain are removed.
    pub remove_missing: bool,
    /// Another listing has to confirm that they are.
    pub remember_missing: bool,
    /// Pins that it did not contain and that are on these boards now.
    pub moved: Vec<(String, String)>,
    /// The number of pins that are missing from Pinterest's count although no known pin is.
    pub gap: Option<u32>,
}

/// Concludes the listing in one transaction. Under the import's lock.
pub fn conclude(claimed: &ClaimedImport, board_id: &str, conclusion: &Conclusion) -> Result<(), Failure> {
    let (account_id, import_id) = (claimed.account_id, claimed.import_id);
    for (pin_id, to) in &conclusion.moved {
        pin::follow(account_id, board_id, import_id, pin_id, to)?;
    }
    let removed = match conclusion.remove_missing {
        true => pin::mark_removed(account_id, board_id, import_id)?,
        false => 0,
    };
    if conclusion.remember_missing {
        pin::mark_missing(account_id, board_id, import_id)?;
    }
    if conclusion.whole {
        pin_image::delete_missed_again(account_id, import_id)?;
    }
    let gap = conclusion.gap.and_then(|gap| i32::try_from(gap).ok());
    execute(
        "UPDATE pinterest.board SET gap_since = CASE WHEN $3 IS NULL THEN NULL WHEN gap_pins = $3 THEN gap_since \
         ELSE $4 END, gap_pins = $3 WHERE account_id = $1 AND board_id = $2 \
         AND (gap_pins IS DISTINCT FROM $3)",
        &params![account_id, board_id, gap, now()],
    )?;
    let coverage = if conclusion.whole { Coverage::Whole } else { Coverage::Incomplete };
    execute(
        "UPDATE pinterest.import SET listing_complete = true, coverage = $4, phase = 'images', reason = $5, \
         pins_removed = pins_removed + $6 WHERE account_id = $1 AND import_id = $2 AND fence = $3",
        &params![
            account_id,
            import_id,
            claimed.fence,
            coverage.as_str(),
            conclusion.reason.clone(),
            i32::try_from(removed).unwrap_or(i32::MAX)
        ],
    )
}

/// Ends the listing before the end of the board: Pinterest lists no more.
pub fn record_listing_limit(claimed: &ClaimedImport, reason: &str) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.import SET listing_complete = true, coverage = $5, bookmark = NULL, phase = 'images', \
         reason = $4, listed_at = clock_timestamp() \
         WHERE account_id = $1 AND import_id = $2 AND fence = $3",
        &params![claimed.account_id, claimed.import_id, claimed.fence, reason, Coverage::UntilLimit.as_str()],
    )
}

/// Starts the listing over, once, because its bookmark has become invalid. Pins that were left out or could not be read
/// are not stored one by one, so they are counted again.
pub fn forget_bookmark(claimed: &ClaimedImport) -> Result<(), Failure> {
    execute(
        "WITH again AS (DELETE FROM pinterest.import_outcome o WHERE o.account_id = $1 AND o.import_id = $2 \
             AND o.item = 'pin' AND o.outcome IN ('left_out', 'unreadable') RETURNING o.outcome, o.count) \
         UPDATE pinterest.import SET bookmark = NULL, pins_unreadable = 0, \
             pins_listed = pins_listed - (SELECT COALESCE(sum(a.count), 0) FROM again a WHERE a.outcome = 'left_out') \
         WHERE account_id = $1 AND import_id = $2 AND fence = $3",
        &params![claimed.account_id, claimed.import_id, claimed.fence],
    )
}
