//! The pins nearest to an embedding. Runs with the caller's rights.

use super::extension::pgvector_schema;
use super::{params, read, read_one, row_as};
use crate::errors::Failure;
use crate::postgres::vector::Vector;

/// A pin, by its nearest image.
#[derive(Clone, Debug)]
pub struct NearPin {
    /// The account it was imported through.
    pub account_id: i64,
    /// Its board.
    pub board_id: String,
    /// The board's title.
    pub board: String,
    /// Pinterest's id.
    pub pin_id: String,
    /// The position of the nearest image.
    pub position: i32,
    /// Its title.
    pub title: Option<String>,
    /// The image's URL at Pinterest.
    pub image_url: Option<String>,
    /// Cosine distance.
    pub distance: f64,
}

/// The pins to search; all that the caller may see if nothing is set.
#[derive(Clone, Debug, Default)]
pub struct Among {
    /// Only those of this account.
    pub account_id: Option<i64>,
    /// Only those of this board of the account.
    pub board_id: Option<String>,
    /// Only those of this section of the board.
    pub section_id: Option<String>,
    /// Without those that are disclosed as made or changed with AI.
    pub skip_ai: bool,
}

/// The `k` nearest pins, nearest first.
pub fn to(embedding: &Vector, k: i32, among: &Among) -> Result<Vec<NearPin>, Failure> {
    let distance = format!("i.embedding OPERATOR({}.<=>) $1", pgvector_schema()?);
    // The names and URLs are read of the rows that are returned, not of all that are compared.
    let statement = format!(
        "SELECT n.account_id, p.board_id, b.name, n.pin_id, n.position, p.title, i.candidates -> 0 ->> 'url', n.distance \
         FROM (SELECT each_pin.account_id, each_pin.pin_id, each_pin.position, each_pin.distance \
             FROM (SELECT DISTINCT ON (i.account_id, i.pin_id) i.account_id, i.pin_id, i.position, {distance} AS distance \
                 FROM pinterest.pin p \
                 JOIN pinterest.pin_image i ON i.account_id = p.account_id AND i.pin_id = p.pin_id \
                 WHERE ($3::int8 IS NULL OR p.account_id = $3) AND ($4::text IS NULL OR p.board_id = $4) \
                 AND ($5::text IS NULL OR p.board_section_id = $5) AND p.removed_at IS NULL AND i.state = 'embedded' \
                 AND NOT (p.is_ai AND $6) ORDER BY i.account_id, i.pin_id, {distance}, i.position) AS each_pin \
             ORDER BY each_pin.distance, each_pin.account_id, each_pin.pin_id LIMIT $2) AS n \
         JOIN pinterest.pin p ON p.account_id = n.account_id AND p.pin_id = n.pin_id \
         JOIN pinterest.pin_image i ON i.account_id = n.account_id AND i.pin_id = n.pin_id AND i.position = n.position \
         JOIN pinterest.board b ON b.account_id = p.account_id AND b.board_id = p.board_id \
         ORDER BY n.distance, n.account_id, n.pin_id COLLATE \"C\"",
    );
    read(
        &statement,
        &params![
            embedding.clone().parameter(),
            k,
            among.account_id,
            among.board_id.clone(),
            among.section_id.clone(),
            among.skip_ai
        ],
        row_as!(NearPin { account_id, board_id, board, pin_id, position, title: maybe, image_url: maybe, distance }),
    )
}

/// The number of models that made the embeddings among which [`to`] searches.
pub fn models(among: &Among) -> Result<i64, Failure> {
    read_one(
        "SELECT count(DISTINCT i.model_id) FROM pinterest.pin p \
         JOIN pinterest.pin_image i ON i.account_id = p.account_id AND i.pin_id = p.pin_id \
         WHERE ($1::int8 IS NULL OR p.account_id = $1) AND ($2::text IS NULL OR p.board_id = $2) \
         AND ($3::text IS NULL OR p.board_section_id = $3) AND p.removed_at IS NULL AND i.state = 'embedded' \
         AND NOT (p.is_ai AND $4)",
        &params![among.account_id, among.board_id.clone(), among.section_id.clone(), among.skip_ai],
        |row| row.get(1),
    )
}
