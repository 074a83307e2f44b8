//! `pinterest.pin`: pins, upserted page by page.

use std::collections::HashSet;

use pgrx::datum::DatumWithOid;

use super::account::owner_of_rows;
use super::clock::now;
use super::{affected, column, execute, params, read, write};
use crate::errors::Failure;
use crate::owner::Owner;

/// A pin in a page of a listing. Times are microseconds since 1970-01-01 UTC.
#[derive(Clone, Debug, Default)]
pub struct PinRow {
    /// Pinterest's id.
    pub pin_id: String,
    /// Its section.
    pub board_section_id: Option<String>,
    /// Title.
    pub title: Option<String>,
    /// Description.
    pub description: Option<String>,
    /// The page that the pin links to.
    pub link: Option<String>,
    /// The host of the link, without `www.`.
    pub link_domain: Option<String>,
    /// Alternative text for the image.
    pub alt_text: Option<String>,
    /// `#rrggbb`.
    pub dominant_color: Option<String>,
    /// An ad format; Pinterest may add values.
    pub creative_type: Option<String>,
    /// image, video, multiple_images, …
    pub media_type: Option<String>,
    /// The pin it was saved from.
    pub parent_pin_id: Option<String>,
    /// It shows a product of a catalog.
    pub is_product: Option<bool>,
    /// JSON: the list of AI uses that its creator disclosed; `None` if Pinterest does not state it.
    pub ai_disclosures: Option<String>,
    /// The disclosures could not be read: the stored ones stay.
    pub ai_unreadable: bool,
    /// At least one AI use is disclosed.
    pub is_ai: bool,
    /// JSON: the list of the products tagged in it.
    pub product_tags: Option<String>,
    /// Creation time.
    pub created_at: Option<i64>,
    /// As Pinterest sent it.
    pub raw: String,
    /// Why it has no image, as one word.
    pub no_image: Option<&'static str>,
    /// Members of it could not be read: the stored row stays.
    pub odd: bool,
}

fn ids(sql: &str, parameters: &[DatumWithOid<'_>]) -> Result<HashSet<String>, Failure> {
    Ok(read(sql, parameters, |row| row.get(1))?.into_iter().collect())
}

/// Of these pins, those in earlier pages of the import.
pub fn seen_by(account_id: i64, import_id: i64, pin_ids: Vec<String>) -> Result<HashSet<String>, Failure> {
    ids(
        "SELECT p.pin_id FROM pinterest.pin p WHERE p.account_id = $1 AND p.import_id = $2 AND p.pin_id = ANY ($3)",
        &params![account_id, import_id, pin_ids],
    )
}

/// Of these pins, those that are on the board already.
pub fn known_on_board(account_id: i64, board_id: &str, pin_ids: Vec<String>) -> Result<HashSet<String>, Failure> {
    ids(
        "SELECT p.pin_id FROM pinterest.pin p WHERE p.account_id = $1 AND p.board_id = $2 AND p.pin_id = ANY ($3) \
         AND p.removed_at IS NULL",
        &params![account_id, board_id, pin_ids],
    )
}

/// Of these pins, those that are known, on any board.
pub fn known(account_id: i64, pin_ids: Vec<String>) -> Result<HashSet<String>, Failure> {
    ids(
        "SELECT p.pin_id FROM pinterest.pin p WHERE p.account_id = $1 AND p.pin_id = ANY ($2)",
        &params![account_id, pin_ids],
    )
}

/// Of these pins, those that had no image when last listed.
pub fn known_without_image(account_id: i64, pin_ids: Vec<String>) -> Result<HashSet<String>, Failure> {
    ids(
        "SELECT p.pin_id FROM pinterest.pin p WHERE p.account_id = $1 AND p.pin_id = ANY ($2) \
         AND p.no_image IS NOT NULL",
        &params![account_id, pin_ids],
    )
}

/// A pin that an import has listed for the first time.
pub struct Fresh {
    /// Pinterest's id.
    pub pin_id: String,
    /// As far as is known now, it is disclosed as made or changed with AI.
    pub is_ai: bool,
}

/// Upserts the pins of a page; returns those that this import had not seen before. `pins` contains no id twice.
///
/// Pins may move between pages during a listing, so a later page may contain an id again.
pub fn upsert_page(account_id: i64, board_id: &str, import_id: i64, pins: &[PinRow]) -> Result<Vec<Fresh>, Failure> {
    let owner = owner_of_rows(account_id)?;
    let mut fresh = Vec::new();
    for (odd, ai_unreadable) in [(false, false), (false, true), (true, false), (true, true)] {
        let alike: Vec<&PinRow> =
            pins.iter().filter(|pin| (pin.odd, pin.ai_unreadable) == (odd, ai_unreadable)).collect();
        if !alike.is_empty() {
            fresh.extend(upsert(account_id, board_id, import_id, &owner, &alike, odd, ai_unreadable)?);
        }
    }
    Ok(fresh)
}

/// What is replaced of a known pin whose members could be read.
const MEMBERS: &str = "board_section_id = EXCLUDED.board_section_id, title = EXCLUDED.title, \
    description = EXCLUDED.description, link = EXCLUDED.link, alt_text = EXCLUDED.alt_text, \
    dominant_color = EXCLUDED.dominant_color, creative_type = EXCLUDED.creative_type, \
    media_type = EXCLUDED.media_type, parent_pin_id = EXCLUDED.parent_pin_id, created_at = EXCLUDED.created_at, \
    raw = EXCLUDED.raw, no_image = EXCLUDED.no_image, link_domain = EXCLUDED.link_domain, \
    is_product = EXCLUDED.is_product, product_tags = EXCLUDED.product_tags,";

/// Upserts pins of which the same can be read. Without parameters after ON CONFLICT: a shard could not determine the
/// types of the others.
fn upsert(
    account_id: i64,
    board_id: &str,
    import_id: i64,
    owner: &Owner,
    pins: &[&PinRow],
    odd: bool,
    ai_unreadable: bool,
) -> Result<Vec<Fresh>, Failure> {
    let members = if odd { "" } else { MEMBERS };
    let disclosures = if ai_unreadable { "" } else { "ai_disclosures = EXCLUDED.ai_disclosures," };
    let statement = format!(
        "INSERT INTO pinterest.pin AS t (account_id, board_id, import_id, pin_id, board_section_id, title, \
         description, link, alt_text, dominant_color, creative_type, media_type, parent_pin_id, created_at, raw, \
         no_image, link_domain, is_product, ai_disclosures, product_tags, owner, first_seen_at, imported_at) \
         SELECT $1, $2, $3, p.pin_id, p.board_section_id, p.title, p.description, p.link, p.alt_text, \
         p.dominant_color, p.creative_type, p.media_type, p.parent_pin_id, 'epoch'::timestamptz + p.created_at * '1 \
         microsecond'::interval, p.raw::json, p.no_image, p.link_domain, p.is_product, CASE \
         WHEN p.ai_disclosures IS NOT NULL THEN ARRAY(SELECT e.value \
             FROM json_array_elements_text(p.ai_disclosures::json) WITH ORDINALITY AS e(value, place) \
             ORDER BY e.place) END, \
         p.product_tags::json, $21, $22, $22 \
         FROM unnest($4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], \
         $12::text[], $13::text[], $14::int8[], $15::text[], $16::text[], $17::text[], $18::bool[], $19::text[], \
         $20::text[]) AS p(pin_id, board_section_id, title, description, link, \
         alt_text, dominant_color, creative_type, media_type, parent_pin_id, created_at, raw, no_image, link_domain, \
         is_product, ai_disclosures, product_tags) \
         ON CONFLICT (account_id, pin_id) DO UPDATE SET board_id = EXCLUDED.board_id, import_id = EXCLUDED.import_id, \
         {members} {disclosures} owner = EXCLUDED.owner, imported_at = EXCLUDED.imported_at, missing_since = NULL, \
         removed_at = NULL \
         WHERE t.import_id <> EXCLUDED.import_id RETURNING t.pin_id, t.is_ai"
    );
    write(
        &statement,
        &params![
            account_id,
            board_id,
            import_id,
            column(pins, |p| p.pin_id.clone()),
            column(pins, |p| p.board_section_id.clone()),
            column(pins, |p| p.title.clone()),
            column(pins, |p| p.description.clone()),
            column(pins, |p| p.link.clone()),
            column(pins, |p| p.alt_text.clone()),
            column(pins, |p| p.dominant_color.clone()),
            column(pins, |p| p.creative_type.clone()),
            column(pins, |p| p.media_type.clone()),
            column(pins, |p| p.parent_pin_id.clone()),
            column(pins, |p| p.created_at),
            column(pins, |p| p.raw.clone()),
            column(pins, |p| p.no_image.map(str::to_owned)),
            column(pins, |p| p.link_domain.clone()),
            column(pins, |p| p.is_product),
            column(pins, |p| p.ai_disclosures.clone()),
            column(pins, |p| p.product_tags.clone()),
            owner.parameter(),
            now()
        ],
        |row| Ok(Fresh { pin_id: row.get(1)?, is_ai: row.get(2)? }),
    )
}

/// Up to `limit` pins of the board that the import, which has listed the board to its end, has not seen.
pub fn missing(account_id: i64, board_id: &str, import_id: i64, limit: usize) -> Result<Vec<String>, Failure> {
    read(
        "SELECT p.pin_id FROM pinterest.pin p WHERE p.account_id = $1 AND p.board_id = $2 AND p.import_id <> $3 \
         AND p.removed_at IS NULL ORDER BY random() LIMIT $4",
        &params![account_id, board_id, import_id, i64::try_from(limit).unwrap_or(i64::MAX)],
        |row| row.get(1),
    )
}

/// Marks pins that a complete listing did not contain; another one has to confirm it.
pub fn mark_missing(account_id: i64, board_id: &str, import_id: i64) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.pin p SET missing_since = $4 WHERE p.account_id = $1 AND p.board_id = $2 \
         AND p.import_id <> $3 AND p.removed_at IS NULL AND p.missing_since IS NULL",
        &params![account_id, board_id, import_id, now()],
    )
}

/// Moves a pin that the listing of its board did not contain to the board that it is on now, if that board is known.
pub fn follow(account_id: i64, board_id: &str, import_id: i64, pin_id: &str, to: &str) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.pin p SET board_id = $5, board_section_id = NULL, missing_since = NULL \
         WHERE p.account_id = $1 AND p.board_id = $2 AND p.import_id <> $3 AND p.pin_id = $4 AND p.removed_at IS NULL \
         AND EXISTS (SELECT FROM pinterest.board b WHERE b.account_id = $1 AND b.board_id = $5)",
        &params![account_id, board_id, import_id, pin_id, to],
    )
}

/// Marks the pins of the board as removed that a complete listing did not contain; their number.
pub fn mark_removed(account_id: i64, board_id: &str, import_id: i64) -> Result<usize, Failure> {
    affected(
        "UPDATE pinterest.pin p SET removed_at = $4, missing_since = NULL \
         WHERE p.account_id = $1 AND p.board_id = $2 AND p.import_id <> $3 AND p.removed_at IS NULL",
        &params![account_id, board_id, import_id, now()],
    )
}
