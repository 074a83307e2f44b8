/// What a picture may cost before any of it is decoded.
///
/// Decoders hold several times the size of the decoded picture (all coefficients of a progressive JPEG, 16-bit samples of
/// a PNG), so the pixel limit is the one that bounds memory: 16 million pixels stay under 200 MB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Encoded size, in bytes.
    pub max_bytes: usize,
    /// Width times height, in pixels.
    pub max_pixels: u64,
    /// Width or height, whichever is larger, in pixels.
    pub max_side: u32,
}

impl Default for Limits {
    /// 16 MiB, 16 million pixels, 8,192 pixels a side: far over anything a photograph needs to become 224 x 224.
    fn default() -> Self {
        Self { max_bytes: 16 * 1024 * 1024, max_pixels: 16_000_000, max_side: 8_192 }
    }
}
