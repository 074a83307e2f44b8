use std::io::Cursor;

use image::codecs::png::PngDecoder;
use image::{DynamicImage, ImageDecoder};

use super::decode::{Decoded, check_size, image_error};
use super::samples;
use crate::Limits;
use crate::error::{Error, Inner};

pub(super) const FORMAT: &str = "PNG";

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Decoded, Error> {
    let failed = |error| image_error(FORMAT, bytes, &error);
    let (width, height) = header_size(bytes)
        .ok_or_else(|| Inner::Undecodable { format: FORMAT, reason: "it does not begin with a header".to_owned() })?;
    check_size(width, height, limits)?;

    let mut allocation = image::Limits::no_limits();
    // Bounds what a compressed profile or text unfolds to; the pixels are bounded above.
    allocation.max_alloc = Some(limits.max_bytes as u64);
    let mut decoder = PngDecoder::with_limits(Cursor::new(bytes), allocation).map_err(failed)?;
    if decoder.is_apng().map_err(failed)? {
        return Err(Inner::Animated { format: FORMAT }.into());
    }
    let exif = decoder.exif_metadata().map_err(failed)?;
    let picture = DynamicImage::from_decoder(decoder).map_err(failed)?;
    Ok(Decoded { pixels: samples::to_rgb(picture), exif })
}

/// Width and height out of the IHDR chunk, which the format puts first (PNG specification, 11.2.1). Read here because the
/// decoder parses every chunk up to the pixels before it tells them.
fn header_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let header = bytes.get(12..24)?.strip_prefix(b"IHDR")?;
    let (numbers, _) = header.as_chunks::<4>();
    Some((u32::from_be_bytes(numbers[0]), u32::from_be_bytes(numbers[1])))
}
