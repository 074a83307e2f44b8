//! The content of a board's gallery. Statements run with the caller's rights.

use std::collections::HashMap;

use super::board_images::ImageKey;
use super::{params, read, read_optional, read_sized};
use crate::errors::{Failure, Kind};
use crate::postgres::memory::room_for;

/// The heading above a board's images.
#[derive(Clone, Debug)]
pub struct Heading {
    /// The first 2000 characters of the board's description.
    pub description: Option<String>,
    /// The number of its pins.
    pub pins: i64,
}

/// The heading of a board, or of one section of it.
pub fn heading(account_id: i64, board_id: &str, section_id: Option<&str>) -> Result<Heading, Failure> {
    read_optional(
        "SELECT left(b.description, 2000), (SELECT count(*) FROM pinterest.pin p \
             WHERE p.account_id = $1 AND p.board_id = $2 AND p.removed_at IS NULL \
             AND ($3::text IS NULL OR p.board_section_id = $3)) \
         FROM pinterest.board b WHERE b.account_id = $1 AND b.board_id = $2",
        &params![account_id, board_id, section_id],
        |row| Ok(Heading { description: row.maybe(1)?, pins: row.get(2)? }),
    )?
    .ok_or_else(|| Failure::new(Kind::NotFound, "the board has been deleted"))
}

/// Bytes of the thumbnails of these images, or of the images themselves where there is no thumbnail. Images of which nothing
/// is stored are left out.
pub fn kept_sizes(images: &[ImageKey]) -> Result<HashMap<ImageKey, usize>, Failure> {
    let (accounts, pins, positions): (Vec<_>, Vec<_>, Vec<_>) = images.iter().cloned().collect();
    // The length of a value that is stored out of line is read without the value.
    let rows = read(
        "SELECT DISTINCT i.account_id, i.pin_id, i.position, COALESCE(NULLIF(octet_length(i.thumbnail), 0), \
             octet_length(i.image)) FROM unnest($1::int8[], $2::text[], $3::int4[]) AS w(account_id, pin_id, position) \
         JOIN pinterest.pin_image i USING (account_id, pin_id, position) \
         WHERE octet_length(i.thumbnail) > 0 OR i.image IS NOT NULL",
        &params![accounts, pins, positions],
        |row| Ok(((row.get(1)?, row.get(2)?, row.get(3)?), usize::try_from(row.get::<i32>(4)?).unwrap_or_default())),
    )?;
    Ok(rows.into_iter().collect())
}

/// The thumbnails of these images, or the images themselves where there is no thumbnail.
pub fn kept(images: &[ImageKey]) -> Result<HashMap<ImageKey, Vec<u8>>, Failure> {
    let (accounts, pins, positions): (Vec<_>, Vec<_>, Vec<_>) = images.iter().cloned().collect();
    let rows = read(
        "SELECT i.account_id, i.pin_id, i.position, CASE WHEN octet_length(i.thumbnail) > 0 THEN i.thumbnail \
             ELSE i.image END, COALESCE(NULLIF(octet_length(i.thumbnail), 0), octet_length(i.image)) \
         FROM (SELECT DISTINCT u.account_id, u.pin_id, u.position \
             FROM unnest($1::int8[], $2::text[], $3::int4[]) AS u(account_id, pin_id, position)) AS w \
         JOIN pinterest.pin_image i USING (account_id, pin_id, position) \
         WHERE octet_length(i.thumbnail) > 0 OR i.image IS NOT NULL",
        &params![accounts, pins, positions],
        |row| {
            room_for(usize::try_from(row.get::<i32>(5)?).unwrap_or_default())?;
            Ok(((row.get(1)?, row.get(2)?, row.get(3)?), row.get(4)?))
        },
    )?;
    Ok(rows.into_iter().collect())
}

/// The texts of an image's pin.
#[derive(Clone, Debug)]
pub struct Texts {
    /// The name of its section.
    pub section: Option<String>,
    /// Title, description and alternative text, as far as it has them.
    pub texts: Vec<String>,
}

/// Upper limit of the bytes for the texts of an image: four of 500 characters, and the map's entry.
const TEXTS_BYTES: usize = 8192 + 512;

/// The first 500 characters of each text of these images' pins.
pub fn texts(images: &[ImageKey]) -> Result<HashMap<ImageKey, Texts>, Failure> {
    let (accounts, pins, positions): (Vec<_>, Vec<_>, Vec<_>) = images.iter().cloned().collect();
    let rows = read_sized(
        "SELECT w.account_id, w.pin_id, w.position, left(s.name, 500), left(p.title, 500), \
             left(p.description, 500), left(p.alt_text, 500) \
         FROM unnest($1::int8[], $2::text[], $3::int4[]) AS w(account_id, pin_id, position) \
         JOIN pinterest.pin p USING (account_id, pin_id) LEFT JOIN pinterest.board_section s \
             ON s.account_id = p.account_id AND s.board_id = p.board_id AND s.section_id = p.board_section_id",
        &params![accounts, pins, positions],
        TEXTS_BYTES,
        |row| {
            pgrx::check_for_interrupts!();
            let texts = [row.maybe(5)?, row.maybe(6)?, row.maybe(7)?].into_iter().flatten().collect();
            Ok(((row.get(1)?, row.get(2)?, row.get(3)?), Texts { section: row.maybe(4)?, texts }))
        },
    )?;
    Ok(rows.into_iter().collect())
}
