//! The content of a board's gallery. Statements run with the caller's rights.

use std::collections::HashMap;

use super::board_images::ImageKey;
use super::{params, read, read_optional};
use crate::errors::{Failure, Kind};
use crate::postgres::memory::room_for;

/// The heading above a board's images.
#[derive(Clone, Debug)]
pub struct Heading {
    /// The board's description.
    pub description: Option<String>,
    /// The number of its pins.
    pub pins: i64,
}

/// The heading of a board, or of one section of it.
pub fn heading(account_id: i64, board_id: &str, section_id: Option<&str>) -> Result<Heading, Failure> {
    read_optional(
        "SELECT b.description, (SELECT count(*) FROM pinterest.pin p \
             WHERE p.account_id = $1 AND p.board_id = $2 AND p.removed_at IS NULL \
             AND ($3 IS NULL OR p.board_section_id = $3)) \
         FROM pinterest.board b WHERE b.account_id = $1 AND b.board_id = $2",
        &params![account_id, board_id, section_id],
        |row| Ok(Heading { description: row.maybe(1)?, pins: row.get(2)? }),
    )?
    .ok_or_else(|| Failure::new(Kind::NotFound, "the board has been deleted"))
}

/// The kept bytes of these images, taken in their order until they reach `budget` bytes.
pub fn kept(images: &[ImageKey], budget: i64) -> Result<HashMap<ImageKey, Vec<u8>>, Failure> {
    let (accounts, pins, positions): (Vec<_>, Vec<_>, Vec<_>) = images.iter().cloned().collect();
    // The length of a value that is stored out of line is read without the value: only returned values are fetched.
    let rows = read(
        "SELECT s.account_id, s.pin_id, s.position, s.image, octet_length(s.image) FROM ( \
             SELECT i.account_id, i.pin_id, i.position, i.image, w.place, \
                 sum(octet_length(i.image)) OVER (ORDER BY w.place) AS total \
             FROM (SELECT u.account_id, u.pin_id, u.position, min(u.place) AS place \
                 FROM unnest($1::int8[], $2::text[], $3::int4[]) WITH ORDINALITY AS u(account_id, pin_id, position, \
                 place) GROUP BY u.account_id, u.pin_id, u.position) AS w \
             JOIN pinterest.pin_image i USING (account_id, pin_id, position) WHERE i.image IS NOT NULL) AS s \
         WHERE s.total <= $4 ORDER BY s.place",
        &params![accounts, pins, positions, budget],
        |row| {
            room_for(usize::try_from(row.get::<i32>(5)?).unwrap_or_default())?;
            Ok(((row.get(1)?, row.get(2)?, row.get(3)?), row.get(4)?))
        },
    )?;
    Ok(rows.into_iter().collect())
}
