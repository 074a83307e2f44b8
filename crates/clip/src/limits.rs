/// What a picture may cost, judged by its headers before any of it is decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Encoded size, in bytes.
    pub max_bytes: usize,
    /// Width times height, in pixels.
    pub max_pixels: u64,
    /// Width or height, whichever is larger, in pixels.
    pub max_side: u32,
    /// Memory that decoding and resizing take beside the encoded bytes, in bytes; see [`Measure`](crate::Measure).
    pub max_memory: u64,
}

impl Default for Limits {
    /// 64 MiB and 256 million pixels, above the 200 megapixels of the largest camera in a telephone; 65,500 pixels a side,
    /// which is the most that JPEG decoders take; 1 GiB.
    fn default() -> Self {
        Self { max_bytes: 64 << 20, max_pixels: 256_000_000, max_side: 65_500, max_memory: 1 << 30 }
    }
}
