//! Decodes WebP by the `image` crate: the first frame, without its container.

mod chunks;

use std::io::Cursor;

use image::codecs::webp::WebPDecoder;
use image::{DynamicImage, ImageDecoder};

pub(super) use self::chunks::FORMAT;
use self::chunks::{Chunks, damaged};
use super::measure::{Headers, Measure};
use super::rows::{Rows, STRIP, orientation};
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
    let frame = DynamicImage::from_decoder(decoder).map_err(failed)?;
    // Lossy and lossless WebP have these two alone.
    let (pixels, channels) = match &frame {
        DynamicImage::ImageRgb8(pixels) => (pixels.as_raw(), 3),
        DynamicImage::ImageRgba8(pixels) => (pixels.as_raw(), 4),
        _ => return Err(damaged("its pixels have an unknown layout")),
    };
    rows.begin([canvas.0 as usize, canvas.1 as usize], orientation(chunks.exif));
    on_canvas(pixels, channels, size, canvas, (left, top), rows);
    Ok(())
}

/// Passes on the canvas with the first frame. The rest is transparent black, since Pillow and browsers ignore the background
/// colour of the file. Alpha is passed beside the colours, not composited.
fn on_canvas(
    pixels: &[u8],
    channels: usize,
    (width, height): (u32, u32),
    canvas: (u32, u32),
    (left, top): (u32, u32),
    rows: &mut dyn Rows,
) {
    let [wide, left, width] = [canvas.0, left, width].map(|length| length as usize);
    let has_alpha = channels == 4 || (width as u32, height) != canvas;
    let mut frame = pixels.chunks_exact(channels * width);
    let (mut rgb, mut alpha) = (Vec::with_capacity(3 * wide * STRIP), vec![]);
    for first in (0..canvas.1).step_by(STRIP) {
        let strip = first..canvas.1.min(first + STRIP as u32);
        rgb.clear();
        rgb.resize(3 * wide * strip.len(), 0);
        alpha.clear();
        alpha.resize(if has_alpha { wide * strip.len() } else { 0 }, 0);
        for (place, row) in strip.enumerate() {
            if !(top..top + height).contains(&row) {
                continue;
            }
            let Some(stored) = frame.next() else { break };
            let at = place * wide + left;
            let (targets, _) = rgb[3 * at..3 * (at + width)].as_chunks_mut::<3>();
            for (target, pixel) in targets.iter_mut().zip(stored.chunks_exact(channels)) {
                target.copy_from_slice(&pixel[..3]);
            }
            if has_alpha {
                let opacities = stored.chunks_exact(channels).map(|pixel| pixel.get(3).copied().unwrap_or(255));
                alpha[at..at + width].iter_mut().zip(opacities).for_each(|(target, opacity)| *target = opacity);
            }
        }
        rows.alpha(&alpha);
        rows.take(&rgb);
    }
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
