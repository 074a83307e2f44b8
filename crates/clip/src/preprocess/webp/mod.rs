//! Decodes WebP by the `image` crate: the first frame, without its container.

mod chunks;

use std::io::Cursor;

use image::codecs::webp::WebPDecoder;
use image::{DynamicImage, GenericImage, ImageDecoder, RgbImage};

pub(super) use self::chunks::FORMAT;
use self::chunks::{Chunks, damaged};
use super::measure::{Headers, Measure};
use super::rows::{Rows, hand_over, orientation};
use crate::Limits;
use crate::error::{Error, Inner};

/// The size is the larger of the canvas and the first frame.
pub(super) fn headers(bytes: &[u8]) -> Result<Headers, Error> {
    /// Bytes per pixel: levels and colours of a lossy frame; a lossless frame and its colours; the canvas.
    const LOSSY: u64 = 5;
    const LOSSLESS: u64 = 8;
    const CANVAS: u64 = 3;
    let chunks = Chunks::read(bytes)?;
    let frame = chunks.frame.size().ok_or_else(|| damaged("a frame has no size"))?;
    let canvas = chunks.canvas.unwrap_or(frame);
    let padded = |side: u32| u64::from(side).next_multiple_of(16);
    let pixels = |(width, height)| padded(width) * padded(height);
    let cost = if chunks.frame.is_lossy() { LOSSY } else { LOSSLESS };
    let whole = cost * pixels(frame) + CANVAS * pixels(canvas) + bytes.len() as u64;
    let measure = Measure::new(frame.0.max(canvas.0), frame.1.max(canvas.1), whole);
    Ok(Headers { measure, animated: chunks.frames > 1 })
}

pub(super) fn decode(bytes: &[u8], _: &Limits, rows: &mut dyn Rows) -> Result<(), Error> {
    let chunks = Chunks::read(bytes)?;
    let frame = &chunks.frame;
    let failed = |error| image_error(bytes, &error);
    let decoder = WebPDecoder::new(Cursor::new(frame.file())).map_err(failed)?;
    let size = decoder.dimensions();
    let canvas = chunks.canvas.unwrap_or(size);
    let (left, top) = frame.place.unwrap_or_default();
    // Without an animation, the frame fills the canvas.
    let fits = match frame.place {
        Some(_) => left + size.0 <= canvas.0 && top + size.1 <= canvas.1,
        None => size == canvas,
    };
    if !fits || frame.size() != Some(size) {
        let reason = format!(
            "a frame of {} x {} pixels at {left}, {top} does not fit a canvas of {} x {}",
            size.0, size.1, canvas.0, canvas.1
        );
        return Err(damaged(reason));
    }
    // Alpha is dropped, not composited.
    let pixels = DynamicImage::from_decoder(decoder).map_err(failed)?.into_rgb8();
    hand_over(&on_canvas(pixels, canvas, left, top), orientation(chunks.exif), rows);
    Ok(())
}

/// Places the first frame on the canvas. The rest is transparent black, since Pillow and browsers ignore the background colour
/// of the file.
fn on_canvas(frame: RgbImage, canvas: (u32, u32), left: u32, top: u32) -> RgbImage {
    if frame.dimensions() == canvas {
        return frame;
    }
    let mut picture = RgbImage::new(canvas.0, canvas.1);
    picture
        .copy_from(&frame, left, top)
        .unwrap_or_else(|_| unreachable!("the frame exceeds the canvas: this is a bug"));
    picture
}

/// Sorts the errors of the `image` crate into ours.
fn image_error(bytes: &[u8], error: &image::ImageError) -> Error {
    if let image::ImageError::Unsupported(unsupported) = error {
        return Inner::UnsupportedVariant { format: FORMAT, what: unsupported.to_string() }.into();
    }
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = source {
        let end_of_file = current
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::UnexpectedEof);
        if end_of_file {
            return Error::truncated(FORMAT, bytes);
        }
        source = current.source();
    }
    damaged(error)
}
