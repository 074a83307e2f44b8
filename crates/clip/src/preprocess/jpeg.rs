//! JPEG by libjpeg-turbo's integer transform, which is what Pillow uses: the pixels are equal to the bit. Decoders with a
//! transform and an upsampling of their own differ by up to ten levels, which moved embeddings of the fixtures by up to 4e-4
//! in cosine, forty times what the golden tests allow.
//!
//! Always at full size. Decoding at half of it, where 896 to 1800 pixels of the short side are left, would save a fifth to
//! three fifths of the time, but it clips colours after averaging them instead of before: drawn photographs came out within
//! 9 levels after the resize, small print with halved chroma up to 29 levels off (18 at 3600 x 4000; 1 - cosine 7e-6).

use std::any::Any;
use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::RgbImage;
use mozjpeg::{ColorSpace, Decompress, Marker};

use super::decode::{Decoded, check_size};
use super::samples;
use crate::Limits;
use crate::error::{Error, Inner};

pub(super) const FORMAT: &str = "JPEG";

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Decoded, Error> {
    let ran_out = Cell::new(false);
    let source = Source { rest: bytes, ran_out: &ran_out };
    // libjpeg leaves through an unwind, which carries its message and does not run the panic hook.
    catch_unwind(AssertUnwindSafe(|| decompress(source, limits))).unwrap_or_else(|payload| {
        Err(if ran_out.get() {
            Inner::Truncated { format: FORMAT, bytes: bytes.len() }.into()
        } else {
            undecodable(message(payload.as_ref()))
        })
    })
}

fn decompress(source: Source<'_>, limits: &Limits) -> Result<Decoded, Error> {
    let failed = |error: io::Error| undecodable(error.to_string());
    let header = Decompress::with_markers(&[Marker::APP(1)]).from_reader(source).map_err(failed)?;
    let width = u32::try_from(header.width()).unwrap_or(u32::MAX);
    let height = u32::try_from(header.height()).unwrap_or(u32::MAX);
    check_size(width, height, limits)?;
    let exif =
        header.markers().map(|marker| marker.data).find(|data| data.starts_with(b"Exif\0\0")).map(<[u8]>::to_vec);

    let pixels = match header.components().len() {
        1 | 3 => {
            // Grey is widened by libjpeg itself.
            let mut started = header.rgb().map_err(failed)?;
            started.read_scanlines::<u8>().map_err(failed)?
        }
        4 => {
            let inks = {
                // Gives its memory back before the conversion asks for some.
                let mut started = header.to_colorspace(ColorSpace::JCS_CMYK).map_err(failed)?;
                started.read_scanlines::<[u8; 4]>().map_err(failed)?
            };
            // Adobe writes CMYK inverted, and Pillow takes every CMYK JPEG for one of Adobe's.
            inks.into_iter().flat_map(|ink| samples::cmyk_to_rgb(ink.map(|level| 255 - level))).collect()
        }
        components => {
            return Err(
                Inner::UnsupportedVariant { format: FORMAT, what: format!("{components} colour components") }.into()
            );
        }
    };
    let pixels = RgbImage::from_raw(width, height, pixels)
        .ok_or_else(|| undecodable(format!("fewer pixels than the {width} x {height} of its header")))?;
    Ok(Decoded { pixels, exif })
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
