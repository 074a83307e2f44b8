//! What a picture would cost, from its headers alone.

use super::decode::check_size;
use super::{jpeg_frame, resize};
use crate::Limits;
use crate::error::{Error, Inner};

/// What is known of a picture before any of it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// In pixels, as the file stores it.
    pub width: u32,
    /// In pixels, as the file stores it.
    pub height: u32,
    /// The most memory that decoding and resizing take beside the encoded bytes, in bytes. Little where the decoder gives
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

/// A JPEG of more than one scan is decoded from all of its coefficients.
pub(super) fn jpeg(bytes: &[u8]) -> Option<Measure> {
    let frame = jpeg_frame::read(bytes)?;
    Some(Measure::new(frame.width, frame.height, frame.coefficients))
}

/// Width, height and interlacing out of the IHDR chunk, which the format puts first (PNG specification, 11.2.1). An
/// interlaced PNG is put together whole, in RGB.
pub(super) fn png(bytes: &[u8]) -> Option<Measure> {
    let header = bytes.get(12..29)?.strip_prefix(b"IHDR")?;
    let (numbers, _) = header.as_chunks::<4>();
    let (width, height) = (u32::from_be_bytes(numbers[0]), u32::from_be_bytes(numbers[1]));
    let whole = if header[12] == 0 { 0 } else { 3u64.saturating_mul(width.into()).saturating_mul(height.into()) };
    Some(Measure::new(width, height, whole))
}

/// The largest size that the canvas or a frame states. Layout: RFC 9649, 2.3 to 2.7; the size of a lossy frame: RFC 6386,
/// 9.1; of a lossless one: RFC 9649, 3.4.
pub(super) fn webp(bytes: &[u8]) -> Option<Measure> {
    /// Levels and colours of a lossy frame; with transparency also the lossless frame that holds it; a lossless frame and
    /// its colours.
    const LOSSY: u64 = 5;
    const TRANSPARENT: u64 = 11;
    const LOSSLESS: u64 = 8;
    let (mut width, mut height, mut cost) = (0, 0, 0);
    let mut rest = bytes.get(12..)?;
    while let Some((head, after)) = rest.split_first_chunk::<8>() {
        let [name, length] = [&head[..4], &head[4..]];
        let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
        let (side, bytes_a_pixel) = match (name, after) {
            (b"VP8X", &[_, _, _, _, w0, w1, w2, h0, h1, h2, ..]) => {
                ([u32::from_le_bytes([w0, w1, w2, 0]) + 1, u32::from_le_bytes([h0, h1, h2, 0]) + 1], 0)
            }
            (b"VP8 ", &[_, _, _, 0x9D, 0x01, 0x2A, w0, w1, h0, h1, ..]) => {
                ([[w0, w1], [h0, h1]].map(|side| u32::from(u16::from_le_bytes(side) & 0x3FFF)), LOSSY)
            }
            (b"VP8L", &[0x2F, b0, b1, b2, b3, ..]) => {
                let bits = u32::from_le_bytes([b0, b1, b2, b3]);
                ([(bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1], LOSSLESS)
            }
            (b"ALPH", _) => ([0, 0], TRANSPARENT),
            // An animation's frames are chunks of their own behind 16 bytes.
            (b"ANMF", _) => {
                rest = after.get(16..)?;
                continue;
            }
            _ => ([0, 0], 0),
        };
        (width, height, cost) = (width.max(side[0]), height.max(side[1]), cost.max(bytes_a_pixel));
        rest = after.get(length.next_multiple_of(2)..).unwrap_or_default();
    }
    let padded = |side: u32| u64::from(side).next_multiple_of(16);
    (width > 0 && height > 0).then(|| Measure::new(width, height, cost.max(LOSSY) * padded(width) * padded(height)))
}
