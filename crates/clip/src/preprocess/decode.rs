//! Bytes of a stranger in, upright RGB picture out.

use std::panic::{AssertUnwindSafe, catch_unwind};

use image::RgbImage;
use image::metadata::Orientation;

use super::measure::{self, Headers, Measure};
use super::rows::{Rows, hand_over};
use super::signature::{self, Format, Other};
use super::{gif, jpeg, png, webp};
use crate::error::{Error, Inner};
use crate::{Animations, Limits};

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
    let (_, headers) = read_headers(bytes, limits)?;
    Ok(headers.measure)
}

/// Hands the picture over to `rows`, once it is known to be inside the limits; tells whether it is the first of several
/// frames.
pub(super) fn decode(
    bytes: &[u8],
    limits: &Limits,
    animations: Animations,
    rows: &mut dyn Rows,
) -> Result<bool, Error> {
    let (reader, headers) = read_headers(bytes, limits)?;
    let format = reader.name;
    if headers.animated && animations == Animations::Refuse {
        return Err(Inner::Animated { format }.into());
    }
    // Image decoders have a history of panicking on crafted files; one bad picture must stay one bad picture.
    let decoded = catch_unwind(AssertUnwindSafe(|| match reader.decoder {
        Decoder::Rows(decode) => decode(bytes, limits, rows),
        Decoder::Whole(decode) => {
            let Decoded { pixels, exif } = decode(bytes)?;
            hand_over(&pixels, orientation(exif.as_deref()), rows);
            Ok(())
        }
    }));
    decoded.map_err(|_| Inner::Undecodable { format, reason: "the decoder panicked".to_owned() })??;
    Ok(headers.animated)
}

/// How a format is read.
struct Reader {
    name: &'static str,
    headers: fn(&[u8]) -> Result<Headers, Error>,
    decoder: Decoder,
}

enum Decoder {
    /// Gives rows as it reads them.
    Rows(fn(&[u8], &Limits, &mut dyn Rows) -> Result<(), Error>),
    /// Gives the picture at the end. Decodes no size but the one that the headers gave.
    Whole(fn(&[u8]) -> Result<Decoded, Error>),
}

const JPEG: Reader = Reader { name: jpeg::FORMAT, headers: measure::jpeg, decoder: Decoder::Rows(jpeg::decode) };
const PNG: Reader = Reader { name: png::FORMAT, headers: measure::png, decoder: Decoder::Rows(png::decode) };
const WEBP: Reader = Reader { name: webp::FORMAT, headers: measure::webp, decoder: Decoder::Whole(webp::decode) };
const GIF: Reader = Reader { name: gif::FORMAT, headers: measure::gif, decoder: Decoder::Whole(gif::decode) };

/// The format, told by the first bytes, and what the headers say, unless that is over a limit.
fn read_headers(bytes: &[u8], limits: &Limits) -> Result<(&'static Reader, Headers), Error> {
    if bytes.len() > limits.max_bytes {
        return Err(Inner::TooManyBytes { found: bytes.len(), limit: limits.max_bytes }.into());
    }
    let reader = match signature::format(bytes) {
        Ok(Format::Jpeg) => &JPEG,
        Ok(Format::Png) => &PNG,
        Ok(Format::WebP) => &WEBP,
        Ok(Format::Gif) => &GIF,
        Err(Some(Other::Picture(name))) => return Err(Inner::OtherFormat { name }.into()),
        Err(Some(Other::NoPicture(what))) => return Err(Inner::NoPicture { what }.into()),
        Err(None) => return Err(Inner::UnknownFormat.into()),
    };
    let headers = (reader.headers)(bytes)?;
    headers.measure.check(limits)?;
    Ok((reader, headers))
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
