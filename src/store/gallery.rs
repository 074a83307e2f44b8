//! What a gallery shows of a board. Runs with the caller's rights.

use super::read;
use crate::errors::{Failure, Kind};

/// What stands above a board's pictures.
#[derive(Clone, Debug)]
pub struct Heading {
    /// What its owner says of it.
    pub description: Option<String>,
    /// Pins that are on it.
    pub pins: i64,
    /// Images of them that have an embedding.
    pub images: i64,
}

/// Which image it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImageKey {
    /// The account it came through.
    pub account_id: i64,
    /// The pin it belongs to.
    pub pin_id: String,
    /// 0-based place within the pin.
    pub position: i32,
}

/// An image with what its pin says of it.
#[derive(Clone, Debug)]
pub struct ShownImage {
    /// Which it is.
    pub key: ImageKey,
    /// The pin's title.
    pub title: Option<String>,
    /// The pin's text for those who don't see the picture.
    pub alt_text: Option<String>,
    /// JSON: the URLs, best first.
    pub candidates: String,
}

/// The board's description and counts.
pub fn heading(account_id: i64, board_id: &str) -> Result<Heading, Failure> {
    let found = read(
        "SELECT b.description, (SELECT count(*) FROM pinterest.pin p \
             WHERE p.account_id = $1 AND p.board_id = $2 AND p.removed_at IS NULL), \
         (SELECT count(*) FROM pinterest.pin p JOIN pinterest.pin_image i USING (account_id, pin_id) \
             WHERE p.account_id = $1 AND p.board_id = $2 AND p.removed_at IS NULL AND i.state = 'embedded') \
         FROM pinterest.board b WHERE b.account_id = $1 AND b.board_id = $2",
        &[account_id.into(), board_id.into()],
        |row| Ok(Heading { description: row.maybe(1)?, pins: row.get(2)?, images: row.get(3)? }),
    )?;
    found.into_iter().next().ok_or_else(|| Failure::new(Kind::NotFound, "the board has just been deleted"))
}

/// The board's newest images that have an embedding.
pub fn newest(account_id: i64, board_id: &str, most: i64) -> Result<Vec<ShownImage>, Failure> {
    read(
        "SELECT i.account_id, i.pin_id, i.position, p.title, p.alt_text, i.candidates::text \
         FROM pinterest.pin p JOIN pinterest.pin_image i USING (account_id, pin_id) \
         WHERE p.account_id = $1 AND p.board_id = $2 AND p.removed_at IS NULL AND i.state = 'embedded' \
         ORDER BY p.created_at DESC NULLS LAST, i.pin_id, i.position LIMIT $3",
        &[account_id.into(), board_id.into(), most.into()],
        shown,
    )
}

fn shown(row: super::Row<'_, '_>) -> Result<ShownImage, Failure> {
    Ok(ShownImage {
        key: ImageKey { account_id: row.get(1)?, pin_id: row.get(2)?, position: row.get(3)? },
        title: row.maybe(4)?,
        alt_text: row.maybe(5)?,
        candidates: row.get(6)?,
    })
}

/// The kept bytes of these images, as far as they come to `budget` bytes when taken in their order.
pub fn kept(keys: &[ImageKey], budget: i64) -> Result<Vec<(ImageKey, Vec<u8>)>, Failure> {
    // The lengths of values that are stored out of line are read without the values: only what is returned is fetched.
    read(
        "SELECT s.account_id, s.pin_id, s.position, s.image FROM ( \
             SELECT i.account_id, i.pin_id, i.position, i.image, w.place, \
                 sum(octet_length(i.image)) OVER (ORDER BY w.place) AS total \
             FROM (SELECT u.account_id, u.pin_id, u.position, min(u.place) AS place \
                 FROM unnest($1::int8[], $2::text[], $3::int4[]) WITH ORDINALITY AS u(account_id, pin_id, position, place) \
                 GROUP BY u.account_id, u.pin_id, u.position) AS w \
             JOIN pinterest.pin_image i USING (account_id, pin_id, position) WHERE i.image IS NOT NULL) AS s \
         WHERE s.total <= $4 ORDER BY s.place",
        &[
            keys.iter().map(|key| key.account_id).collect::<Vec<_>>().into(),
            keys.iter().map(|key| key.pin_id.clone()).collect::<Vec<_>>().into(),
            keys.iter().map(|key| key.position).collect::<Vec<_>>().into(),
            budget.into(),
        ],
        |row| Ok((ImageKey { account_id: row.get(1)?, pin_id: row.get(2)?, position: row.get(3)? }, row.get(4)?)),
    )
}
