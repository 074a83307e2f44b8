//! What an image costs to decode, from its headers alone.

use super::resize;
use crate::Limits;
use crate::error::{Error, Inner};

/// What the headers of an image show before any of it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// In pixels, as stored.
    pub width: u32,
    /// In pixels, as stored.
    pub height: u32,
    /// The most memory that decoding and resizing take in addition to the encoded bytes, in bytes. Does not count the tables
    /// of a lossless WebP, of which a file can have many. Small if the decoder returns rows as it reads them (JPEG in one
    /// scan, PNG without interlacing), otherwise several bytes per pixel.
    pub memory: u64,
}

/// Bytes that a decoder takes per pixel of a row: rows in all stages, [`STRIP`](super::rows::STRIP) of them in the last one, with
/// alpha; and the sums of a thumbnail.
const ROWS: u64 = 400;

/// Tables, windows, a thumbnail and other buffers that do not depend on the image.
const TABLES: u64 = 3 << 20;

impl Measure {
    /// For an image of this size whose decoder takes `whole` bytes in addition to those per row.
    pub(super) fn new(width: u32, height: u32, whole: u64) -> Self {
        let rows = ROWS * u64::from(width) + TABLES + resize::memory(width.into(), height.into());
        let memory = whole.saturating_add(rows);
        Self { width, height, memory }
    }

    /// Width times height.
    pub fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// Refuses an image that exceeds a limit.
    pub(super) fn check(&self, limits: &Limits) -> Result<(), Error> {
        check_size(self.width, self.height, limits)?;
        if self.memory > limits.max_memory {
            return Err(Inner::TooMuchMemory { needed: self.memory, limit: limits.max_memory }.into());
        }
        Ok(())
    }
}

/// The contents of an image's headers.
pub(super) struct Headers {
    pub measure: Measure,
    /// Whether there are several frames.
    pub animated: bool,
}

/// Refuses a size before a buffer of that size is allocated.
pub(super) fn check_size(width: u32, height: u32, limits: &Limits) -> Result<(), Error> {
    if width.max(height) > limits.max_side {
        return Err(Inner::SideTooLong { width, height, limit: limits.max_side }.into());
    }
    if u64::from(width) * u64::from(height) > limits.max_pixels {
        return Err(Inner::TooManyPixels { width, height, limit: limits.max_pixels }.into());
    }
    Ok(())
}
