//! Decodes JPEG by libjpeg-turbo's integer transform. Pillow uses it too, so the pixels are equal to the bit. Decoders with
//! another transform and upsampling differ by up to ten levels, which changed embeddings of the fixtures by up to 4e-4 in
//! cosine, forty times what the golden tests allow.
//!
//! Decodes at full size, a few rows at a time, so that a JPEG of one scan takes only the memory of its rows. Decoding at half
//! the size, if 896 to 1800 pixels of the short side are left, would save a fifth to three fifths of the time. But it clips
//! colours after averaging them instead of before: drawn photographs differed by up to 9 levels after the resize, small
//! print with halved chroma by up to 29 (18 at 3600 x 4000; 1 - cosine 7e-6). It would also not reduce the coefficients of a
//! JPEG of several scans, which take most of its memory.

use std::any::Any;
use std::cell::Cell;
use std::fmt::Display;
use std::io::{self, BufRead, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use mozjpeg::decompress::DecompressStarted;
use mozjpeg::{ColorSpace, Decompress, Marker};

use super::measure::{Headers, Measure, check_size};
use super::rows::{Rows, STRIP, orientation};
use super::{jpeg_frame, samples};
use crate::Limits;
use crate::error::{Error, Inner};

pub(super) const FORMAT: &str = "JPEG";

/// A JPEG of more than one scan is decoded from all of its coefficients. Of several images in a file (MPO), the first is
/// decoded.
pub(super) fn headers(bytes: &[u8]) -> Result<Headers, Error> {
    let frame = jpeg_frame::read(bytes).ok_or_else(|| match jpeg_frame::unsupported(bytes) {
        Some(what) => unsupported(what),
        None => damaged("its header is truncated or of an unknown kind"),
    })?;
    if frame.coefficients > 0 && jpeg_frame::scans(bytes) > jpeg_frame::MAX_SCANS {
        return Err(unsupported(format!("more than {} scans", jpeg_frame::MAX_SCANS)));
    }
    // Segments of metadata are copied.
    let whole = frame.coefficients.saturating_add(bytes.len() as u64);
    Ok(Headers { measure: Measure::new(frame.width, frame.height, whole), animated: false })
}

pub(super) fn decode(bytes: &[u8], limits: &Limits, rows: &mut dyn Rows) -> Result<(), Error> {
    let ran_out = Cell::new(false);
    let source = Source { rest: bytes, ran_out: &ran_out };
    // An error of libjpeg unwinds with its message, and does not run the panic hook.
    catch_unwind(AssertUnwindSafe(|| decompress(source, limits, rows))).unwrap_or_else(|payload| {
        Err(if ran_out.get() { Error::truncated(FORMAT, bytes) } else { damaged(message(payload.as_ref())) })
    })
}

fn decompress(source: Source<'_>, limits: &Limits, rows: &mut dyn Rows) -> Result<(), Error> {
    let header = Decompress::with_markers(&[Marker::APP(1)]).from_reader(source).map_err(damaged)?;
    let (width, height) = (header.width(), header.height());
    check_size(u32::try_from(width).unwrap_or(u32::MAX), u32::try_from(height).unwrap_or(u32::MAX), limits)?;
    let orientation = {
        let exif = header.markers().map(|marker| marker.data).find(|data| data.starts_with(b"Exif\0\0"));
        orientation(exif)
    };
    match header.components().len() {
        1 | 3 => {
            rows.begin([width, height], orientation);
            // libjpeg converts grey to RGB.
            strips::<3>(header.rgb().map_err(damaged)?, |rgb| rows.take(rgb))
        }
        4 => {
            rows.begin([width, height], orientation);
            let mut rgb = vec![];
            strips::<4>(header.to_colorspace(ColorSpace::JCS_CMYK).map_err(damaged)?, |inks| {
                let (inks, _) = inks.as_chunks::<4>();
                rgb.clear();
                // Adobe writes CMYK inverted, and Pillow treats every CMYK JPEG so.
                rgb.extend(inks.iter().flat_map(|ink| samples::cmyk_to_rgb(ink.map(|level| 255 - level))));
                rows.take(&rgb);
            })
        }
        components => Err(unsupported(format!("{components} colour components"))),
    }
}

/// Reads all rows, with `SAMPLES` bytes per pixel.
fn strips<const SAMPLES: usize>(
    mut started: DecompressStarted<Source<'_>>,
    mut take: impl FnMut(&[u8]),
) -> Result<(), Error> {
    let stride = SAMPLES * started.width();
    let mut strip = vec![0; STRIP * stride];
    let mut left = started.height();
    while left > 0 {
        let rows = left.min(STRIP);
        take(started.read_scanlines_into(&mut strip[..rows * stride]).map_err(damaged)?);
        left -= rows;
    }
    Ok(())
}

fn damaged(reason: impl Display) -> Error {
    Error::damaged(FORMAT, reason)
}

fn unsupported(what: String) -> Error {
    Inner::UnsupportedVariant { format: FORMAT, what }.into()
}

fn message(payload: &(dyn Any + Send)) -> &str {
    payload.downcast_ref::<String>().map_or("the decoder gave no reason", String::as_str)
}

/// The bytes of a file. By default the decoder inserts an end-of-image marker if the bytes run out, and paints the rest grey.
/// An error from the source prevents that.
struct Source<'a> {
    rest: &'a [u8],
    ran_out: &'a Cell<bool>,
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.rest.read(buffer)
    }
}

impl BufRead for Source<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.rest.is_empty() {
            self.ran_out.set(true);
            // Not `UnexpectedEof`, after which the decoder would insert the marker.
            return Err(io::Error::other("no more bytes"));
        }
        Ok(self.rest)
    }

    fn consume(&mut self, amount: usize) {
        self.rest.consume(amount);
    }
}
