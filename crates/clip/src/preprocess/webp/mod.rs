//! WebP by the `image` crate, one frame at a time, without the container around it.

mod chunks;

use std::io::Cursor;

use image::codecs::webp::WebPDecoder;
use image::{DynamicImage, GenericImage, ImageDecoder, RgbImage};

pub(super) use self::chunks::{Chunks, damaged};
use super::decode::{Decoded, image_error};
use crate::error::Error;

pub(super) const FORMAT: &str = "WebP";

pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, Error> {
    let chunks = Chunks::read(bytes)?;
    let frame = &chunks.frame;
    let failed = |error| image_error(FORMAT, bytes, &error);
    let decoder = WebPDecoder::new(Cursor::new(frame.file())).map_err(failed)?;
    let size = decoder.dimensions();
    let canvas = chunks.canvas.unwrap_or(size);
    let (left, top) = frame.place.unwrap_or_default();
    // A picture that is no animation fills its canvas.
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
    Ok(Decoded { pixels: on_canvas(pixels, canvas, left, top), exif: chunks.exif.map(<[u8]>::to_vec) })
}

/// What the first frame leaves free is transparent black, whatever background colour the file names: that is a hint which
/// Pillow and browsers do not take.
fn on_canvas(frame: RgbImage, canvas: (u32, u32), left: u32, top: u32) -> RgbImage {
    if frame.dimensions() == canvas {
        return frame;
    }
    let mut picture = RgbImage::new(canvas.0, canvas.1);
    picture.copy_from(&frame, left, top).unwrap_or_else(|_| unreachable!("it lies on the canvas: this is a bug"));
    picture
}
