//! Pictures for the page: small JPEGs.

use std::io::Cursor;

use anyhow::Context;
use e2e::{Browser, Result};
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, RgbImage};
use postgres::Client;

/// Width of a picture on the page, in pixels: twice what it is shown at.
const WIDTH: u32 = 320;
const QUALITY: u8 = 85;
/// Pins shown of a board.
const PINS: i64 = 24;

/// Encodes a picture.
pub fn jpeg(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(Cursor::new(&mut bytes), QUALITY).encode_image(picture)?;
    Ok(bytes)
}

/// Makes an encoded picture small enough for a page that carries many.
pub fn thumbnail(bytes: &[u8]) -> Result<Vec<u8>> {
    let picture = image::load_from_memory(bytes).context("a picture does not decode")?;
    let small: DynamicImage = picture.resize(WIDTH, u32::MAX, FilterType::Triangle);
    jpeg(&small.to_rgb8())
}

/// Some of a board's pictures, from where the import took them.
pub fn of_board(client: &mut Client, browser: &Browser, board: &str) -> Result<Vec<Vec<u8>>> {
    let rows = client.query(
        "SELECT image.candidates -> 0 ->> 'url'
           FROM pinterest.board
           JOIN pinterest.pin USING (account_id, board_id)
           JOIN pinterest.pin_image AS image USING (account_id, pin_id)
          WHERE board.name = $1 AND image.state = 'embedded' AND image.position = 0
          ORDER BY pin.created_at DESC, pin_id LIMIT $2",
        &[&board, &PINS],
    )?;
    rows.iter().map(|row| thumbnail(&browser.download(row.get(0))?)).collect()
}
