//! Decodes PNG by the `png` crate, from the chunks that contain the image.

mod chunks;

use std::io::Cursor;

use image::RgbImage;
use png::{DecodingError, InterlaceInfo, Reader, Transformations};

pub(super) use self::chunks::FORMAT;
use self::chunks::{Chunks, damaged};
use super::measure::{Headers, Measure};
use super::rows::{Rows, STRIP, hand_over_with_alpha, orientation};
use crate::Limits;
use crate::error::Error;

/// Largest size of the decoder's internal buffers, which are for a few rows, in bytes.
const BUFFERS: usize = 64 << 20;

type Source = Cursor<Vec<u8>>;

/// The decoder reads from a copy of the compressed pixels; an interlaced PNG is assembled whole, in RGB and alpha.
pub(super) fn headers(bytes: &[u8]) -> Result<Headers, Error> {
    let chunks = Chunks::read(bytes)?;
    let (width, height) = chunks.size();
    let whole =
        if chunks.is_interlaced() { 4u64.saturating_mul(width.into()).saturating_mul(height.into()) } else { 0 };
    let measure = Measure::new(width, height, whole.saturating_add(bytes.len() as u64));
    Ok(Headers { measure, animated: chunks.frames > 1 })
}

pub(super) fn decode(bytes: &[u8], _: &Limits, rows: &mut dyn Rows) -> Result<(), Error> {
    let chunks = Chunks::read(bytes)?;
    if !chunks.header_is_sound {
        return Err(damaged("its header has a wrong checksum"));
    }
    if chunks.is_indexed() && chunks.palette.is_none() {
        return Err(damaged("it has no palette"));
    }
    read(&chunks, rows).map_err(|error| match chunks.cut_off {
        true => Error::truncated(FORMAT, bytes),
        false => damaged(error),
    })
}

/// Reads a few rows at a time, or an interlaced image as a whole.
fn read(chunks: &Chunks<'_>, rows: &mut dyn Rows) -> Result<(), DecodingError> {
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(chunks.file()), png::Limits { bytes: BUFFERS });
    // As Pillow, which ignores those of pixels.
    decoder.ignore_checksums(true);
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let mut reader = decoder.read_info()?;
    let channels = reader.output_color_type().0.samples();
    let (width, height) = reader.info().size();
    let orientation = orientation(chunks.exif);
    if reader.info().interlaced {
        let (picture, alpha) = interlaced(&mut reader, channels, width, height)?;
        hand_over_with_alpha(&picture, alpha.as_deref(), orientation, rows);
        return Ok(());
    }
    rows.begin([width as usize, height as usize], orientation);
    let full = 3 * width as usize * STRIP;
    let mut strip = Vec::with_capacity(full);
    let mut alpha = vec![];
    // Data after the last row is ignored.
    for _ in 0..height {
        let Some(row) = reader.next_row()? else { break };
        to_rgb(row.data(), channels, &mut strip);
        alpha_of(row.data(), channels, &mut alpha);
        if strip.len() == full {
            rows.alpha(&alpha);
            rows.take(&strip);
            strip.clear();
            alpha.clear();
        }
    }
    rows.alpha(&alpha);
    rows.take(&strip);
    Ok(())
}

/// Assembles the rows of all seven passes: RGB, and alpha if there is any.
fn interlaced(
    reader: &mut Reader<Source>,
    channels: usize,
    width: u32,
    height: u32,
) -> Result<(RgbImage, Option<Vec<u8>>), DecodingError> {
    const BITS_PER_PIXEL: u8 = 24;
    const BITS_OF_ALPHA: u8 = 8;
    let mut picture = RgbImage::new(width, height);
    let has_alpha = channels.is_multiple_of(2);
    let mut opacity = has_alpha.then(|| vec![0; width as usize * height as usize]);
    let (mut rgb, mut alpha) = (vec![], vec![]);
    for _ in 0..interlaced_rows(width, height) {
        let Some(row) = reader.next_interlaced_row()? else { break };
        rgb.clear();
        to_rgb(row.data(), channels, &mut rgb);
        if let InterlaceInfo::Adam7(place) = row.interlace() {
            png::expand_interlaced_row(&mut picture, 3 * width as usize, &rgb, place, BITS_PER_PIXEL);
            if let Some(opacity) = &mut opacity {
                alpha.clear();
                alpha_of(row.data(), channels, &mut alpha);
                png::expand_interlaced_row(opacity, width as usize, &alpha, place, BITS_OF_ALPHA);
            }
        }
    }
    Ok((picture, opacity))
}

/// Appends the alpha of a row, if there is any.
fn alpha_of(row: &[u8], channels: usize, alpha: &mut Vec<u8>) {
    if channels.is_multiple_of(2) {
        alpha.extend(row.chunks_exact(channels).map(|pixel| pixel[channels - 1]));
    }
}

/// Appends a row as RGB: grey is replicated, alpha dropped (not composited). The decoder has reduced 16 bits to the high byte.
/// Pillow does too, except that it clips 16-bit *grey* at 255, which makes nearly every such image white.
fn to_rgb(row: &[u8], channels: usize, rgb: &mut Vec<u8>) {
    let pixels = row.chunks_exact(channels);
    match channels {
        1 | 2 => rgb.extend(pixels.flat_map(|pixel| [pixel[0]; 3])),
        3 => rgb.extend_from_slice(row),
        _ => rgb.extend(pixels.flat_map(|pixel| [pixel[0], pixel[1], pixel[2]])),
    }
}

/// Rows of all seven passes (PNG specification, 8.2). A pass without columns has none.
fn interlaced_rows(width: u32, height: u32) -> u32 {
    // First column and row, and the steps between them.
    const PASSES: [[u32; 4]; 7] =
        [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];
    let passes = PASSES.iter().filter(|[left, ..]| width > *left);
    passes.map(|[_, top, _, step]| height.saturating_sub(*top).div_ceil(*step)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_all_passes() {
        // Of the 8 x 8 pattern in the specification: 1 + 1 + 1 + 2 + 2 + 4 + 4.
        assert_eq!(interlaced_rows(8, 8), 15);
        assert_eq!(interlaced_rows(1, 1), 1);
        assert_eq!(interlaced_rows(1, 8), 1 + 1 + 2 + 4);
    }
}
