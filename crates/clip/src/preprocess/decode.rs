//! Bytes of a stranger in, upright RGB picture out.

use std::panic::{AssertUnwindSafe, catch_unwind};

use image::RgbImage;
use image::metadata::Orientation;

use super::measure::{self, Measure};
use super::rows::{Rows, hand_over};
use super::{jpeg, png, webp};
use crate::Limits;
use crate::error::{Error, Inner};

/// What a decoder hands back that makes a picture as a whole.
pub(super) struct Decoded {
    pub pixels: RgbImage,
    /// The picture's EXIF block, with or without its `Exif\0\0` prefix.
    pub exif: Option<Vec<u8>>,
}

/// What a picture would cost, unless that is over a limit.
///
/// # Errors
///
/// As of [`preprocess`](super::preprocess), as far as headers tell.
pub fn measure(bytes: &[u8], limits: &Limits) -> Result<Measure, Error> {
    measured(sniff(bytes, limits)?, bytes, limits)
}

/// Hands the picture over to `rows`, once it is known to be inside the limits.
pub(super) fn decode(bytes: &[u8], limits: &Limits, rows: &mut dyn Rows) -> Result<(), Error> {
    let format = sniff(bytes, limits)?;
    measured(format, bytes, limits)?;
    // Image decoders have a history of panicking on crafted files; one bad picture must stay one bad picture.
    let decoded = catch_unwind(AssertUnwindSafe(|| match format.decoder {
        Decoder::Rows(decode) => decode(bytes, limits, rows),
        Decoder::Whole(decode) => {
            let Decoded { pixels, exif } = decode(bytes, limits)?;
            hand_over(&pixels, orientation(exif.as_deref()), rows);
            Ok(())
        }
    }));
    decoded.map_err(|_| Inner::Undecodable { format: format.name, reason: "the decoder panicked".to_owned() })?
}

/// A format that is read.
struct Format {
    name: &'static str,
    /// `None` where the file does not begin as the format wants it.
    measure: fn(&[u8]) -> Option<Measure>,
    decoder: Decoder,
}

enum Decoder {
    /// Gives rows as it reads them.
    Rows(fn(&[u8], &Limits, &mut dyn Rows) -> Result<(), Error>),
    /// Gives the picture at the end.
    Whole(fn(&[u8], &Limits) -> Result<Decoded, Error>),
}

const JPEG: Format = Format { name: jpeg::FORMAT, measure: measure::jpeg, decoder: Decoder::Rows(jpeg::decode) };
const PNG: Format = Format { name: png::FORMAT, measure: measure::png, decoder: Decoder::Rows(png::decode) };
const WEBP: Format = Format { name: webp::FORMAT, measure: measure::webp, decoder: Decoder::Whole(webp::decode) };

/// Tells the format by its first bytes; names and media types lie.
fn sniff(bytes: &[u8], limits: &Limits) -> Result<&'static Format, Error> {
    if bytes.len() > limits.max_bytes {
        return Err(Inner::TooManyBytes { found: bytes.len(), limit: limits.max_bytes }.into());
    }
    if bytes.starts_with(&[0xFF, 0xD8, 0xFF]) {
        Ok(&JPEG)
    } else if bytes.starts_with(b"\x89PNG\r\n\x1A\n") {
        Ok(&PNG)
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        Ok(&WEBP)
    } else {
        Err(Inner::UnknownFormat.into())
    }
}

fn measured(format: &Format, bytes: &[u8], limits: &Limits) -> Result<Measure, Error> {
    let measure = (format.measure)(bytes).ok_or_else(|| Inner::Undecodable {
        format: format.name,
        reason: "its header is cut off or of no known kind".to_owned(),
    })?;
    measure.check(limits)?;
    Ok(measure)
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

/// The EXIF orientation, which is carried out as transformers' loader does, so that the model sees what a person sees. A
/// damaged EXIF block is no reason to refuse a picture.
pub(super) fn orientation(exif: Option<&[u8]>) -> Orientation {
    let block = exif.map(|exif| exif.strip_prefix(b"Exif\0\0").unwrap_or(exif));
    block.and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms)
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
