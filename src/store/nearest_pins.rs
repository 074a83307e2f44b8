//! The pins nearest to an embedding. Runs with the caller's rights.

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
    // The operator is in pgvector's schema, whichever it is: the function was bound to it when it was created.
    read(
        "SELECT n.account_id, n.board_id, n.board, n.pin_id, n.position, n.title, n.image_url, n.distance \
         FROM pinterest.nearest_pins($1, $2, $3, $4, $5, $6) n ORDER BY n.distance, n.account_id, \
         n.pin_id COLLATE \"C\"",
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
         WHERE ($1 IS NULL OR p.account_id = $1) AND ($2 IS NULL OR p.board_id = $2) \
         AND ($3 IS NULL OR p.board_section_id = $3) AND p.removed_at IS NULL AND i.state = 'embedded' \
         AND NOT (p.is_ai AND $4)",
        &params![among.account_id, among.board_id.clone(), among.section_id.clone(), among.skip_ai],
        |row| row.get(1),
    )
}
