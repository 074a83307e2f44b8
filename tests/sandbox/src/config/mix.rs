//! Shares of media variants and picture formats among the pins of a board.

/// Percent of pins that are not a single picture; the rest are.
///
/// The shares hold for each hundred pins in a row, spread evenly, so that small boards have some of each too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaMix {
    /// `video`.
    pub video: u8,
    /// `multiple_images`: a carousel of two to five pictures.
    pub multiple_images: u8,
    /// `multiple_videos`.
    pub multiple_videos: u8,
    /// `multiple_mixed`: pictures and videos in one pin.
    pub multiple_mixed: u8,
    /// Pins whose `media` is absent.
    pub without_media: u8,
    /// A `media_type` nobody has heard of, with pictures in it all the same.
    pub unknown_media: u8,
}

impl Default for MediaMix {
    fn default() -> Self {
        Self {
            video: 4,
            multiple_images: 10,
            multiple_videos: 2,
            multiple_mixed: 3,
            without_media: 2,
            unknown_media: 0,
        }
    }
}

impl MediaMix {
    /// Nothing but single pictures.
    pub fn images_only() -> Self {
        Self { video: 0, multiple_images: 0, multiple_videos: 0, multiple_mixed: 0, without_media: 0, unknown_media: 0 }
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        let shares = [
            self.video,
            self.multiple_images,
            self.multiple_videos,
            self.multiple_mixed,
            self.without_media,
            self.unknown_media,
        ];
        check_percent("media", &shares)
    }
}

/// Percent of pictures that are not JPEG; the rest are.
///
/// Pinterest's CDN gives sized pictures as JPEG whatever was uploaded. Here a PNG or WebP picture is one in all
/// its sizes, extension included, so that a client's decoders are all used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormatMix {
    /// PNG.
    pub png: u8,
    /// Lossless WebP.
    pub webp: u8,
}

impl Default for FormatMix {
    fn default() -> Self {
        Self { png: 4, webp: 4 }
    }
}

impl FormatMix {
    /// Nothing but JPEG.
    pub fn jpeg_only() -> Self {
        Self { png: 0, webp: 0 }
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        check_percent("formats", &[self.png, self.webp])
    }
}

fn check_percent(what: &str, shares: &[u8]) -> Result<(), String> {
    let sum: u32 = shares.iter().copied().map(u32::from).sum();
    if sum > 100 {
        return Err(format!("shares of {what} add up to {sum} percent, more than 100"));
    }
    Ok(())
}
