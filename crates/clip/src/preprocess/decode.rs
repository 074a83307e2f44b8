//! Bytes of a stranger in, upright RGB picture out.

use std::panic::{AssertUnwindSafe, catch_unwind};

use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};

use super::{jpeg, png, webp};
use crate::Limits;
use crate::error::{Error, Inner};

/// What a decoder hands back.
pub(super) struct Decoded {
    pub pixels: RgbImage,
    /// The picture's EXIF block, with or without its `Exif\0\0` prefix.
    pub exif: Option<Vec<u8>>,
}

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<RgbImage, Error> {
    if bytes.len() > limits.max_bytes {
        return Err(Inner::TooManyBytes { found: bytes.len(), limit: limits.max_bytes }.into());
    }
    let (format, decoder) = sniff(bytes)?;
    // Image decoders have a history of panicking on crafted files; one bad picture must stay one bad picture.
    let decoded = catch_unwind(AssertUnwindSafe(|| decoder(bytes, limits)))
        .map_err(|_| Inner::Undecodable { format, reason: "the decoder panicked".to_owned() })??;
    Ok(turn(decoded))
}

type Decoder = fn(&[u8], &Limits) -> Result<Decoded, Error>;

/// Tells the format by its first bytes; names and media types lie.
fn sniff(bytes: &[u8]) -> Result<(&'static str, Decoder), Error> {
    if bytes.starts_with(&[0xFF, 0xD8, 0xFF]) {
        Ok((jpeg::FORMAT, jpeg::decode))
    } else if bytes.starts_with(b"\x89PNG\r\n\x1A\n") {
        Ok((png::FORMAT, png::decode))
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        Ok((webp::FORMAT, webp::decode))
    } else {
        Err(Inner::UnknownFormat.into())
    }
}

/// Refuses a size before a buffer of that size is asked for. Decoders call it with what the header says.
pub(super) fn check_size(width: u32, height: u32, limits: &Limits) -> Result<(), Error> {
    if width.max(height) > limits.max_side {
        return Err(Inner::SideTooLong { width, height, limit: limits.max_side }.into());
    }
    if u64::from(width) * u64::from(height) > limits.max_pixels {
        return Err(Inner::TooManyPixels { width, height, limit: limits.max_pixels }.into());
    }
    Ok(())
}

/// Carries out the EXIF orientation, as transformers' loader does, so that the model sees what a person sees. A damaged
/// EXIF block is no reason to refuse a picture.
fn turn(decoded: Decoded) -> RgbImage {
    let orientation = decoded.exif.as_deref().and_then(|exif| {
        let block = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
        Orientation::from_exif_chunk(block)
    });
    match orientation {
        None | Some(Orientation::NoTransforms) => decoded.pixels,
        Some(orientation) => {
            let mut picture = DynamicImage::ImageRgb8(decoded.pixels);
            picture.apply_orientation(orientation);
            picture.into_rgb8()
        }
    }
}

/// Sorts the errors of the `image` crate into ours.
pub(super) fn image_error(format: &'static str, bytes: &[u8], error: &image::ImageError) -> Error {
    if let image::ImageError::Unsupported(unsupported) = error {
        return Inner::UnsupportedVariant { format, what: unsupported.to_string() }.into();
    }
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = source {
        let end_of_file = current
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::UnexpectedEof);
        if end_of_file {
            return Inner::Truncated { format, bytes: bytes.len() }.into();
        }
        source = current.source();
    }
    Inner::Undecodable { format, reason: error.to_string() }.into()
}
