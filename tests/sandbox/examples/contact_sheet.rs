//! Draws a sheet of pictures of every family, a row each: `cargo run --example contact_sheet -- sheet.png`.

use std::time::Instant;

use image::RgbImage;
use image::imageops::{replace, thumbnail};
use sandbox::scene::{Family, draw};

const COLUMNS: u32 = 6;
const THUMBNAIL: (u32, u32) = (200, 300);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: contact_sheet FILE.png")?;
    let rows = Family::ALL.len() as u32;
    let mut sheet = RgbImage::new(COLUMNS * THUMBNAIL.0, rows * THUMBNAIL.1);
    for (row, family) in Family::ALL.into_iter().enumerate() {
        let begun = Instant::now();
        for column in 0..COLUMNS {
            let picture = draw(family, u64::from(column), 1200, 1800);
            let small = thumbnail(&picture, THUMBNAIL.0, THUMBNAIL.1);
            replace(&mut sheet, &small, i64::from(column * THUMBNAIL.0), row as i64 * i64::from(THUMBNAIL.1));
        }
        println!("{family}: {:.0?} a picture of 1200x1800", begun.elapsed() / COLUMNS);
    }
    sheet.save(path)?;
    Ok(())
}
