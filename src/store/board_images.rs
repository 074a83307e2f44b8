//! The embedded images of boards, for themes and recommendations. Every statement runs with the caller's rights.

use std::collections::HashMap;

use super::extension::pgvector_schema;
use super::pin_image::Candidate;
use super::{params, read, read_one, read_sized};
use crate::errors::Failure;
use crate::postgres::memory::room_for;
use crate::postgres::vector::Vector;

/// An embedded image of a pin that is on its board.
#[derive(Clone, Debug)]
pub struct BoardImage {
    /// The pin.
    pub pin_id: String,
    /// 0-based position within the pin.
    pub position: i32,
    /// The section of the pin.
    pub section_id: Option<String>,
    /// When it was pinned, otherwise when it was first listed: seconds since 1970.
    pub pinned_at: f64,
    /// The model that made the embedding.
    pub model_id: i64,
}

/// Upper limit of the bytes for an image with its embedding: the numbers and some short texts.
const IMAGE_BYTES: usize = 3072;

/// All embedded images of a board, or of one section of it, with their embeddings, ordered by pin and position, so that
/// the same board always gives the same themes. With `skip_ai` without pins that are disclosed as made or changed with
/// AI.
///
/// A pin's date is Pinterest's, unless it is before Pinterest's time or after the first listing that showed the pin:
/// one date in the future would make all other pins of the board old.
pub fn of(
    account_id: i64,
    board_id: &str,
    section_id: Option<&str>,
    skip_ai: bool,
) -> Result<Vec<(BoardImage, Vector)>, Failure> {
    read_sized(
        "SELECT i.pin_id, i.position, p.board_section_id, \
         EXTRACT(EPOCH FROM CASE WHEN p.created_at >= '2009-01-01 00:00:00+00'::timestamptz \
             THEN LEAST(p.created_at, p.first_seen_at) ELSE p.first_seen_at END)::float8, i.model_id, i.embedding \
         FROM pinterest.pin p JOIN pinterest.pin_image i ON i.account_id = p.account_id AND i.pin_id = p.pin_id \
         WHERE p.account_id = $1 AND p.board_id = $2 AND p.removed_at IS NULL AND i.state = 'embedded' \
         AND ($3::text IS NULL OR p.board_section_id = $3) AND NOT (p.is_ai AND $4) \
         ORDER BY i.pin_id COLLATE \"C\", i.position",
        &params![account_id, board_id, section_id, skip_ai],
        IMAGE_BYTES,
        |row| {
            pgrx::check_for_interrupts!();
            let image = BoardImage {
                pin_id: row.get(1)?,
                position: row.get(2)?,
                section_id: row.maybe(3)?,
                pinned_at: row.get(4)?,
                model_id: row.get(5)?,
            };
            Ok((image, row.get(6)?))
        },
    )
}

/// The hashes by which equal bytes are recognised.
#[derive(Clone, Debug)]
pub struct Bytes {
    /// Of the downloaded bytes, if the image was downloaded.
    pub sha256: Option<Vec<u8>>,
    /// The CDN's content hash.
    pub content_hash: Option<String>,
}

/// Upper limit of the bytes for an image's hashes, in a list and in a map.
const BYTES_BYTES: usize = 512;

/// The hashes of a board's embedded images, by pin and position.
pub fn bytes_of(account_id: i64, board_id: &str) -> Result<HashMap<(String, i32), Bytes>, Failure> {
    let rows = read_sized(
        "SELECT i.pin_id, i.position, i.sha256, i.content_hash \
         FROM pinterest.pin p JOIN pinterest.pin_image i ON i.account_id = p.account_id AND i.pin_id = p.pin_id \
         WHERE p.account_id = $1 AND p.board_id = $2 AND p.removed_at IS NULL AND i.state = 'embedded'",
        &params![account_id, board_id],
        2 * BYTES_BYTES,
        |row| Ok(((row.get(1)?, row.get(2)?), Bytes { sha256: row.maybe(3)?, content_hash: row.maybe(4)? })),
    )?;
    Ok(rows.into_iter().collect())
}

/// The sections of a board: id and name.
pub fn sections_of(account_id: i64, board_id: &str) -> Result<Vec<(String, String)>, Failure> {
    read(
        "SELECT s.section_id, s.name FROM pinterest.board_section s WHERE s.account_id = $1 AND s.board_id = $2 \
         ORDER BY s.name, s.section_id",
        &params![account_id, board_id],
        |row| Ok((row.get(1)?, row.get(2)?)),
    )
}

/// Identifies an image: account, pin and 0-based position within the pin.
pub type ImageKey = (i64, String, i32);

/// The texts and URLs by which an image is shown to a person.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// The first 500 characters of the pin's title.
    pub title: Option<String>,
    /// As many of the pin's alternative text for the image.
    pub alt_text: Option<String>,
    /// The image's URLs at Pinterest, best first.
    pub candidates: Vec<Candidate>,
}

impl Shown {
    /// The image's best URL at Pinterest.
    pub fn image_url(&self) -> Option<&str> {
        self.candidates.first().map(|candidate| candidate.url.as_str())
    }
}

/// Upper limit of the bytes for what is shown of an image: two texts of 500 characters, 65536 of JSON, and its URLs.
const SHOWN_BYTES: usize = 2 * 2000 + 2 * 4 * 65536;

/// The texts and URLs of these images. Pinterest's titles and alternative texts have at most 500 characters, and its URLs
/// take few kilobytes; a list of URLs that is longer than 65536 characters counts as empty.
pub fn shown(images: &[ImageKey]) -> Result<HashMap<ImageKey, Shown>, Failure> {
    let (accounts, pins, positions): (Vec<_>, Vec<_>, Vec<_>) = images.iter().cloned().collect();
    let rows = read(
        "SELECT i.account_id, i.pin_id, i.position, left(p.title, 500), left(p.alt_text, 500), \
             left(i.candidates::text, 65536) \
         FROM unnest($1::int8[], $2::text[], $3::int4[]) AS w(account_id, pin_id, position) \
         JOIN pinterest.pin_image i ON i.account_id = w.account_id AND i.pin_id = w.pin_id AND i.position = w.position \
         JOIN pinterest.pin p ON p.account_id = w.account_id AND p.pin_id = w.pin_id",
        &params![accounts, pins, positions],
        |row| {
            pgrx::check_for_interrupts!();
            room_for(SHOWN_BYTES)?;
            // A list that was cut is no JSON.
            let candidates = Candidate::from_json(&row.get::<String>(6)?);
            let shown = Shown { title: row.maybe(4)?, alt_text: row.maybe(5)?, candidates };
            Ok(((row.get(1)?, row.get(2)?, row.get(3)?), shown))
        },
    )?;
    Ok(rows.into_iter().collect())
}

/// The mean of a board's embeddings.
pub struct BoardMean {
    /// Not of unit length; `None` if no image is embedded.
    pub mean: Option<Vector>,
    /// The number of models that made the embeddings.
    pub models: i64,
}

/// The mean over the images of pins that are still on the board.
pub fn mean(account_id: i64, board_id: &str) -> Result<BoardMean, Failure> {
    let statement = format!(
        "SELECT {}.avg(i.embedding), count(DISTINCT i.model_id) \
         FROM pinterest.pin p JOIN pinterest.pin_image i ON i.account_id = p.account_id AND i.pin_id = p.pin_id \
         WHERE p.account_id = $1 AND p.board_id = $2 AND p.removed_at IS NULL AND i.state = 'embedded'",
        pgvector_schema()?
    );
    read_one(&statement, &params![account_id, board_id], |row| {
        Ok(BoardMean { mean: row.maybe(1)?, models: row.get(2)? })
    })
}
