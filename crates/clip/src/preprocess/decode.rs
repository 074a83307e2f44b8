//! Untrusted bytes in, rows of RGB out. The table of formats is here.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::measure::{Headers, Measure};
use super::rows::Rows;
use super::signature::{self, Format, Other};
use super::{gif, jpeg, png, webp};
use crate::error::{Error, Inner};
use crate::{Animations, Limits};

/// How a format is read.
struct Reader {
    name: &'static str,
    /// Size, cost and number of frames, without decoding any pixel.
    headers: fn(&[u8]) -> Result<Headers, Error>,
    /// Passes the first frame on as rows. Does not decode any size but the one in the headers.
    decode: fn(&[u8], &Limits, &mut dyn Rows) -> Result<(), Error>,
}

const JPEG: Reader = Reader { name: jpeg::FORMAT, headers: jpeg::headers, decode: jpeg::decode };
const PNG: Reader = Reader { name: png::FORMAT, headers: png::headers, decode: png::decode };
const WEBP: Reader = Reader { name: webp::FORMAT, headers: webp::headers, decode: webp::decode };
const GIF: Reader = Reader { name: gif::FORMAT, headers: gif::headers, decode: gif::decode };

/// What an image costs to decode.
///
/// # Errors
///
/// Those of [`preprocess`](super::preprocess), as far as the headers show them.
pub fn measure(bytes: &[u8], limits: &Limits) -> Result<Measure, Error> {
    let (_, headers) = read_headers(bytes, limits)?;
    Ok(headers.measure)
}

/// Passes the image to `rows` if it is within the limits; returns whether it is the first of several frames.
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
    // Image decoders have a history of panicking on crafted files.
    let decoded = catch_unwind(AssertUnwindSafe(|| (reader.decode)(bytes, limits, rows)));
    decoded.map_err(|_| Error::damaged(format, "the decoder panicked"))??;
    Ok(headers.animated)
}

/// The format, by the first bytes, and the headers, if the image is within the limits.
fn read_headers(bytes: &[u8], limits: &Limits) -> Result<(&'static Reader, Headers), Error> {
    if bytes.len() > limits.max_bytes {
        return Err(Inner::TooManyBytes { found: bytes.len(), limit: limits.max_bytes }.into());
    }
    let reader = match signature::format(bytes) {
        Ok(Format::Jpeg) => &JPEG,
        Ok(Format::Png) => &PNG,
        Ok(Format::WebP) => &WEBP,
        Ok(Format::Gif) => &GIF,
        Err(Some(Other::Image(name))) => return Err(Inner::OtherFormat { name }.into()),
        Err(Some(Other::NoImage(what))) => return Err(Inner::NoImage { what }.into()),
        Err(None) => return Err(Inner::UnknownFormat.into()),
    };
    let headers = (reader.headers)(bytes)?;
    headers.measure.check(limits)?;
    Ok((reader, headers))
}
