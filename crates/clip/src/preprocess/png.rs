//! PNG, a few rows at a time; an interlaced one, whose rows come last, as a whole.

use std::io::{self, Cursor};

use image::RgbImage;
use png::{BitDepth, ColorType, Decoder, DecodingError, InterlaceInfo, Reader, Transformations};

use super::decode::{check_size, orientation};
use super::rows::{Rows, STRIP, hand_over};
use crate::Limits;
use crate::error::{Error, Inner};

pub(super) const FORMAT: &str = "PNG";

/// Bytes that the decoder's own buffers may take, which hold a row or two.
const BUFFERS: usize = 64 << 20;

pub(super) fn decode(bytes: &[u8], limits: &Limits, rows: &mut dyn Rows) -> Result<(), Error> {
    let failed = |error| png_error(bytes, error);
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: BUFFERS });
    // Both may unfold to any size, and neither is of use.
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::EXPAND);
    let (width, height) = decoder.read_header_info().map_err(failed)?.size();
    check_size(width, height, limits)?;
    let mut reader = decoder.read_info().map_err(failed)?;
    if reader.info().animation_control.is_some() {
        return Err(Inner::Animated { format: FORMAT }.into());
    }
    let orientation = orientation(reader.info().exif_metadata.as_deref());
    let samples = reader.output_color_type();
    if reader.info().interlaced {
        let picture = interlaced(&mut reader, samples, width, height).map_err(failed)?;
        hand_over(&picture, orientation, rows);
        return Ok(());
    }
    rows.begin([width as usize, height as usize], orientation);
    let full = 3 * width as usize * STRIP;
    let mut strip = Vec::with_capacity(full);
    while let Some(row) = reader.next_row().map_err(failed)? {
        to_rgb(row.data(), samples, &mut strip);
        if strip.len() == full {
            rows.take(&strip);
            strip.clear();
        }
    }
    rows.take(&strip);
    Ok(())
}

/// Appends a row as RGB.
fn to_rgb(row: &[u8], (colours, depth): (ColorType, BitDepth), rgb: &mut Vec<u8>) {
    /// The decoder has big-endian samples, whose first byte is the high one.
    fn each<const BYTES: usize>(row: &[u8], rgb: &mut Vec<u8>, rule: impl Fn([u8; BYTES]) -> [u8; 3]) {
        rgb.extend(row.as_chunks::<BYTES>().0.iter().flat_map(|&pixel| rule(pixel)));
    }
    match (colours, depth) {
        (ColorType::Grayscale, BitDepth::Sixteen) => each(row, rgb, |[grey, _]| [grey; 3]),
        (ColorType::Grayscale, _) => each(row, rgb, |[grey]| [grey; 3]),
        (ColorType::GrayscaleAlpha, BitDepth::Sixteen) => each(row, rgb, |[grey, _, _, _]| [grey; 3]),
        (ColorType::GrayscaleAlpha, _) => each(row, rgb, |[grey, _]| [grey; 3]),
        (ColorType::Rgb, BitDepth::Sixteen) => each(row, rgb, |[red, _, green, _, blue, _]| [red, green, blue]),
        (ColorType::Rgba, BitDepth::Sixteen) => each(row, rgb, |[red, _, green, _, blue, _, _, _]| [red, green, blue]),
        (ColorType::Rgba, _) => each(row, rgb, |[red, green, blue, _]| [red, green, blue]),
        // The decoder unfolds palettes.
        (ColorType::Rgb | ColorType::Indexed, _) => rgb.extend_from_slice(row),
    }
}

/// The rows of all seven passes, each pixel at its place.
fn interlaced(
    reader: &mut Reader<Cursor<&[u8]>>,
    samples: (ColorType, BitDepth),
    width: u32,
    height: u32,
) -> Result<RgbImage, DecodingError> {
    const BITS_A_PIXEL: u8 = 24;
    let mut picture = RgbImage::new(width, height);
    let mut rgb = vec![];
    while let Some(row) = reader.next_interlaced_row()? {
        rgb.clear();
        to_rgb(row.data(), samples, &mut rgb);
        if let InterlaceInfo::Adam7(place) = row.interlace() {
            png::expand_interlaced_row(&mut picture, 3 * width as usize, &rgb, place, BITS_A_PIXEL);
        }
    }
    Ok(picture)
}

/// Sorts the decoder's errors into ours.
fn png_error(bytes: &[u8], error: DecodingError) -> Error {
    match error {
        DecodingError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Inner::Truncated { format: FORMAT, bytes: bytes.len() }.into()
        }
        error => Inner::Undecodable { format: FORMAT, reason: error.to_string() }.into(),
    }
}
