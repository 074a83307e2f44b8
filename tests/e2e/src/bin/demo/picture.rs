//! Images as files.

use std::io::Cursor;

use e2e::Result;
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;

const QUALITY: u8 = 85;

/// Encodes an image.
pub fn jpeg(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(Cursor::new(&mut bytes), QUALITY).encode_image(picture)?;
    Ok(bytes)
}
