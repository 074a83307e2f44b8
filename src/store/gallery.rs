//! What a gallery shows of a board. Runs with the caller's rights.

use std::collections::HashMap;

use super::board_images::Place;
use super::read;
use crate::errors::{Failure, Kind};
use crate::postgres::memory::room_for;

/// What stands above a board's pictures.
#[derive(Clone, Debug)]
pub struct Heading {
    /// What its owner says of it.
    pub description: Option<String>,
    /// Pins that are on it.
    pub pins: i64,
}

/// An image with what its pin says of it.
#[derive(Clone, Debug)]
pub struct ShownImage {
    /// The pin's title.
    pub title: Option<String>,
    /// The pin's text for those who don't see the picture.
    pub alt_text: Option<String>,
    /// JSON: the URLs, best first.
    pub candidates: String,
}

/// The board's description, and how many pins it, or one section of it, has.
pub fn heading(account_id: i64, board_id: &str, section_id: Option<&str>) -> Result<Heading, Failure> {
    let found = read(
        "SELECT b.description, (SELECT count(*) FROM pinterest.pin p \
             WHERE p.account_id = $1 AND p.board_id = $2 AND p.removed_at IS NULL \
             AND ($3 IS NULL OR p.board_section_id = $3)) \
         FROM pinterest.board b WHERE b.account_id = $1 AND b.board_id = $2",
        &[account_id.into(), board_id.into(), section_id.into()],
        |row| Ok(Heading { description: row.maybe(1)?, pins: row.get(2)? }),
    )?;
    found.into_iter().next().ok_or_else(|| Failure::new(Kind::NotFound, "the board has just been deleted"))
}

/// What is shown of these images.
pub fn shown(places: &[Place]) -> Result<HashMap<Place, ShownImage>, Failure> {
    let rows = read(
        "SELECT i.account_id, i.pin_id, i.position, p.title, p.alt_text, i.candidates::text \
         FROM unnest($1::int8[], $2::text[], $3::int4[]) AS w(account_id, pin_id, position) \
         JOIN pinterest.pin_image i ON i.account_id = w.account_id AND i.pin_id = w.pin_id AND i.position = w.position \
         JOIN pinterest.pin p ON p.account_id = w.account_id AND p.pin_id = w.pin_id",
        &[accounts(places).into(), pins(places).into(), positions(places).into()],
        |row| {
            let image = ShownImage { title: row.maybe(4)?, alt_text: row.maybe(5)?, candidates: row.get(6)? };
            Ok(((row.get(1)?, row.get(2)?, row.get(3)?), image))
        },
    )?;
    Ok(rows.into_iter().collect())
}

/// The kept bytes of these images, as far as they come to `budget` bytes when taken in their order.
pub fn kept(places: &[Place], budget: i64) -> Result<HashMap<Place, Vec<u8>>, Failure> {
    // The lengths of values that are stored out of line are read without the values: only what is returned is fetched.
    let rows = read(
        "SELECT s.account_id, s.pin_id, s.position, s.image, octet_length(s.image) FROM ( \
             SELECT i.account_id, i.pin_id, i.position, i.image, w.place, \
                 sum(octet_length(i.image)) OVER (ORDER BY w.place) AS total \
             FROM (SELECT u.account_id, u.pin_id, u.position, min(u.place) AS place \
                 FROM unnest($1::int8[], $2::text[], $3::int4[]) WITH ORDINALITY AS u(account_id, pin_id, position, place) \
                 GROUP BY u.account_id, u.pin_id, u.position) AS w \
             JOIN pinterest.pin_image i USING (account_id, pin_id, position) WHERE i.image IS NOT NULL) AS s \
         WHERE s.total <= $4 ORDER BY s.place",
        &[accounts(places).into(), pins(places).into(), positions(places).into(), budget.into()],
        |row| {
            room_for(usize::try_from(row.get::<i32>(5)?).unwrap_or_default())?;
            Ok(((row.get(1)?, row.get(2)?, row.get(3)?), row.get(4)?))
        },
    )?;
    Ok(rows.into_iter().collect())
}

fn accounts(places: &[Place]) -> Vec<i64> {
    places.iter().map(|(account, _, _)| *account).collect()
}

fn pins(places: &[Place]) -> Vec<String> {
    places.iter().map(|(_, pin, _)| pin.clone()).collect()
}

fn positions(places: &[Place]) -> Vec<i32> {
    places.iter().map(|(_, _, position)| *position).collect()
}
