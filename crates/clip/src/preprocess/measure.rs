//! What a picture would cost, from its headers alone.

use super::decode::check_size;
use super::{gif, jpeg, jpeg_frame, png, resize, webp};
use crate::Limits;
use crate::error::{Error, Inner};

/// What is known of a picture before any of it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// In pixels, as the file stores it.
    pub width: u32,
    /// In pixels, as the file stores it.
    pub height: u32,
    /// The most memory that decoding and resizing take beside the encoded bytes, in bytes; without the tables of a lossless
    /// WebP, which a file can make many of. Little where the decoder gives
    /// rows as it reads them (JPEG in one scan, PNG without interlacing); several bytes a pixel elsewhere.
    pub memory: u64,
}

/// What a decoder takes for each pixel of a row: rows in all stages, [`STRIP`](super::rows::STRIP) of them in the last one.
const ROWS: u64 = 320;

/// Tables, windows and other buffers that do not depend on the picture.
const TABLES: u64 = 2 << 20;

impl Measure {
    /// Of a picture of this size whose decoder takes `whole` bytes beside what depends on its rows.
    fn new(width: u32, height: u32, whole: u64) -> Self {
        let rows = ROWS * u64::from(width) + TABLES + resize::memory(width.into(), height.into());
        let memory = whole.saturating_add(rows);
        Self { width, height, memory }
    }

    /// Width times height.
    pub fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// Refuses what is over a limit.
    pub(super) fn check(&self, limits: &Limits) -> Result<(), Error> {
        check_size(self.width, self.height, limits)?;
        if self.memory > limits.max_memory {
            return Err(Inner::TooMuchMemory { needed: self.memory, limit: limits.max_memory }.into());
        }
        Ok(())
    }
}

/// What the headers say of a picture.
pub(super) struct Headers {
    pub measure: Measure,
    /// It is the first of several frames.
    pub animated: bool,
}

/// A JPEG of more than one scan is decoded from all of its coefficients. A file has one picture; of several (MPO), the first
/// is the one that is shown.
pub(super) fn jpeg(bytes: &[u8]) -> Result<Headers, Error> {
    let frame = jpeg_frame::read(bytes).ok_or_else(|| match jpeg_frame::unsupported(bytes) {
        Some(what) => Inner::UnsupportedVariant { format: jpeg::FORMAT, what },
        None => {
            Inner::Undecodable { format: jpeg::FORMAT, reason: "its header is cut off or of no known kind".to_owned() }
        }
    })?;
    if frame.coefficients > 0 && jpeg_frame::scans(bytes) > jpeg_frame::MAX_SCANS {
        let what = format!("more than {} scans", jpeg_frame::MAX_SCANS);
        return Err(Inner::UnsupportedVariant { format: jpeg::FORMAT, what }.into());
    }
    // Segments of metadata are copied.
    let whole = frame.coefficients.saturating_add(bytes.len() as u64);
    Ok(Headers { measure: Measure::new(frame.width, frame.height, whole), animated: false })
}

/// The decoder reads from a copy of the compressed pixels; an interlaced PNG is put together whole, in RGB.
pub(super) fn png(bytes: &[u8]) -> Result<Headers, Error> {
    let chunks = png::Chunks::read(bytes)?;
    let (width, height) = chunks.size();
    let whole =
        if chunks.is_interlaced() { 3u64.saturating_mul(width.into()).saturating_mul(height.into()) } else { 0 };
    let measure = Measure::new(width, height, whole.saturating_add(bytes.len() as u64));
    Ok(Headers { measure, animated: chunks.frames > 1 })
}

/// The largest size that the canvas or the first frame states.
pub(super) fn webp(bytes: &[u8]) -> Result<Headers, Error> {
    /// Bytes a pixel: levels and colours of a lossy frame; a lossless frame and its colours; the canvas.
    const LOSSY: u64 = 5;
    const LOSSLESS: u64 = 8;
    const CANVAS: u64 = 3;
    let chunks = webp::Chunks::read(bytes)?;
    let frame = chunks.frame.size().ok_or_else(|| webp::damaged("a frame has no size".to_owned()))?;
    let canvas = chunks.canvas.unwrap_or(frame);
    let padded = |side: u32| u64::from(side).next_multiple_of(16);
    let pixels = |(width, height)| padded(width) * padded(height);
    let cost = if chunks.frame.is_lossy() { LOSSY } else { LOSSLESS };
    let whole = cost * pixels(frame) + CANVAS * pixels(canvas) + bytes.len() as u64;
    let measure = Measure::new(frame.0.max(canvas.0), frame.1.max(canvas.1), whole);
    Ok(Headers { measure, animated: chunks.frames > 1 })
}

/// Places in the palette, and the screen in RGB.
pub(super) fn gif(bytes: &[u8]) -> Result<Headers, Error> {
    let blocks = gif::Blocks::read(bytes)?;
    let (width, height) = blocks.canvas();
    let whole = 4 * u64::from(width) * u64::from(height) + bytes.len() as u64;
    Ok(Headers { measure: Measure::new(width, height, whole), animated: blocks.animated })
}
