use std::io::Cursor;

use image::codecs::webp::WebPDecoder;
use image::{DynamicImage, ImageDecoder};

use super::decode::{Decoded, check_size, image_error};
use super::samples;
use crate::Limits;
use crate::error::{Error, Inner};

pub(super) const FORMAT: &str = "WebP";

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Decoded, Error> {
    let failed = |error| image_error(FORMAT, bytes, &error);
    let container = checked_container(bytes, limits)?;
    let mut decoder = WebPDecoder::new(Cursor::new(container)).map_err(failed)?;
    let (width, height) = decoder.dimensions();
    check_size(width, height, limits)?;
    if decoder.has_animation() {
        return Err(Inner::Animated { format: FORMAT }.into());
    }
    let exif = decoder.exif_metadata().map_err(failed)?;
    let picture = DynamicImage::from_decoder(decoder).map_err(failed)?;
    Ok(Decoded { pixels: samples::to_rgb(picture), exif })
}

/// The RIFF container without what follows it, once its chunks are known to lie inside it and its frames inside the limits.
///
/// The decoder takes both on trust: it makes room for a metadata chunk by the length the chunk claims, up to 4 GiB, and it
/// decodes a lossy frame whole before it compares the frame's size with the canvas. Layout: RFC 9649, 2.3 to 2.7; the size
/// of a lossy frame: RFC 6386, 9.1.
fn checked_container<'a>(bytes: &'a [u8], limits: &Limits) -> Result<&'a [u8], Error> {
    let cut_off = || Inner::Truncated { format: FORMAT, bytes: bytes.len() };
    let length_at = |at: usize| {
        let field = bytes.get(at..at + 4).and_then(|field| field.try_into().ok());
        field.map(|field| u32::from_le_bytes(field) as usize)
    };
    let end = 8 + length_at(4).ok_or_else(cut_off)?;
    let container = bytes.get(..end).ok_or_else(cut_off)?;

    let mut at = 12;
    while at + 8 <= end {
        let length = length_at(at + 4).ok_or_else(cut_off)?;
        let content = container.get(at + 8..at + 8 + length).ok_or_else(cut_off)?;
        if container[at..].starts_with(b"VP8 ")
            && let &[_, _, _, 0x9D, 0x01, 0x2A, width_low, width_high, height_low, height_high, ..] = content
        {
            // The two bits above the fourteen are a scale, which decoders leave to the viewer.
            let pixels = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3FFF);
            check_size(pixels(width_low, width_high), pixels(height_low, height_high), limits)?;
        }
        at += 8 + length.next_multiple_of(2);
    }
    Ok(container)
}
