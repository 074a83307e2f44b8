/// Limits on an image, checked against its headers before any of it is decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Encoded size, in bytes.
    pub max_bytes: usize,
    /// Width times height, in pixels.
    pub max_pixels: u64,
    /// Width or height, whichever is larger, in pixels.
    pub max_side: u32,
    /// Memory for decoding and resizing in addition to the encoded bytes, in bytes; see [`Measure`](crate::Measure).
    pub max_memory: u64,
}

impl Default for Limits {
    /// 64 MiB; 256 million pixels, more than the 200 megapixels of the largest phone camera; 65,500 pixels per side, the most
    /// that JPEG decoders accept; 1 GiB of memory.
    fn default() -> Self {
        Self { max_bytes: 64 << 20, max_pixels: 256_000_000, max_side: 65_500, max_memory: 1 << 30 }
    }
}
