//! JPEG by libjpeg-turbo's integer transform, which is what Pillow uses: the pixels are equal to the bit. Decoders with a
//! transform and an upsampling of their own differ by up to ten levels, which moved embeddings of the fixtures by up to 4e-4
//! in cosine, forty times what the golden tests allow.
//!
//! Always at full size, a few rows at a time: the memory of a JPEG of one scan is that of its rows. Decoding at half the
//! size, where 896 to 1800 pixels of the short side are left, would save a fifth to three fifths of the time, but it clips
//! colours after averaging them instead of before: drawn photographs came out within 9 levels after the resize, small print
//! with halved chroma up to 29 levels off (18 at 3600 x 4000; 1 - cosine 7e-6). The coefficients of a JPEG of several scans,
//! which take most of the memory there, it would not make fewer.

use std::any::Any;
use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use mozjpeg::decompress::DecompressStarted;
use mozjpeg::{ColorSpace, Decompress, Marker};

use super::decode::{check_size, orientation};
use super::rows::{Rows, STRIP};
use super::samples;
use crate::Limits;
use crate::error::{Error, Inner};

pub(super) const FORMAT: &str = "JPEG";

pub(super) fn decode(bytes: &[u8], limits: &Limits, rows: &mut dyn Rows) -> Result<(), Error> {
    let ran_out = Cell::new(false);
    let source = Source { rest: bytes, ran_out: &ran_out };
    // libjpeg leaves through an unwind, which carries its message and does not run the panic hook.
    catch_unwind(AssertUnwindSafe(|| decompress(source, limits, rows))).unwrap_or_else(|payload| {
        Err(if ran_out.get() {
            Inner::Truncated { format: FORMAT, bytes: bytes.len() }.into()
        } else {
            undecodable(message(payload.as_ref()))
        })
    })
}

fn decompress(source: Source<'_>, limits: &Limits, rows: &mut dyn Rows) -> Result<(), Error> {
    let header = Decompress::with_markers(&[Marker::APP(1)]).from_reader(source).map_err(failed)?;
    let (width, height) = (header.width(), header.height());
    check_size(u32::try_from(width).unwrap_or(u32::MAX), u32::try_from(height).unwrap_or(u32::MAX), limits)?;
    let orientation = {
        let exif = header.markers().map(|marker| marker.data).find(|data| data.starts_with(b"Exif\0\0"));
        orientation(exif)
    };
    match header.components().len() {
        1 | 3 => {
            rows.begin([width, height], orientation);
            // Grey is widened by libjpeg itself.
            strips::<3>(header.rgb().map_err(failed)?, |rgb| rows.take(rgb))
        }
        4 => {
            rows.begin([width, height], orientation);
            let mut rgb = vec![];
            strips::<4>(header.to_colorspace(ColorSpace::JCS_CMYK).map_err(failed)?, |inks| {
                let (inks, _) = inks.as_chunks::<4>();
                rgb.clear();
                // Adobe writes CMYK inverted, and Pillow takes every CMYK JPEG for one of Adobe's.
                rgb.extend(inks.iter().flat_map(|ink| samples::cmyk_to_rgb(ink.map(|level| 255 - level))));
                rows.take(&rgb);
            })
        }
        components => {
            Err(Inner::UnsupportedVariant { format: FORMAT, what: format!("{components} colour components") }.into())
        }
    }
}

/// Reads all rows, of `SAMPLES` bytes a pixel.
fn strips<const SAMPLES: usize>(
    mut started: DecompressStarted<Source<'_>>,
    mut take: impl FnMut(&[u8]),
) -> Result<(), Error> {
    let stride = SAMPLES * started.width();
    let mut strip = vec![0; STRIP * stride];
    let mut left = started.height();
    while left > 0 {
        let rows = left.min(STRIP);
        take(started.read_scanlines_into(&mut strip[..rows * stride]).map_err(failed)?);
        left -= rows;
    }
    Ok(())
}

fn failed(error: io::Error) -> Error {
    undecodable(error.to_string())
}

fn undecodable(reason: String) -> Error {
    Inner::Undecodable { format: FORMAT, reason }.into()
}

fn message(payload: &(dyn Any + Send)) -> String {
    payload.downcast_ref::<String>().cloned().unwrap_or_else(|| "the decoder gave no reason".to_owned())
}

/// The file, once. Left to itself the decoder invents an end-of-image marker where the bytes run out and paints the rest
/// grey; an error from the source is what makes it stop.
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
            // Not `UnexpectedEof`, which the decoder takes for the licence to invent.
            return Err(io::Error::other("no more bytes"));
        }
        Ok(self.rest)
    }

    fn consume(&mut self, amount: usize) {
        self.rest.consume(amount);
    }
}
