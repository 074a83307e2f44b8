//! Percentages of media variants and image formats among the pins of a board.

/// Percentages of pins by media variant; the remaining pins have a single image.
///
/// They are exact for each hundred consecutive pins and spread evenly, so that small boards have all variants too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaMix {
    /// `video`.
    pub video: u8,
    /// `multiple_images`: a carousel of two to five images.
    pub multiple_images: u8,
    /// `multiple_videos`.
    pub multiple_videos: u8,
    /// `multiple_mixed`: images and videos in one pin.
    pub multiple_mixed: u8,
    /// Pins whose `media` is absent.
    pub without_media: u8,
    /// An unknown `media_type` that contains images.
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
    /// Single images only.
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

/// Percentages of images by format; the remaining images are JPEG.
///
/// Pinterest's CDN serves resized images as JPEG, whatever was uploaded. Here a PNG or WebP image has its format in all
/// sizes, so that all decoders of a client are used.
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
    /// JPEG only.
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
        return Err(format!("the percentages of {what} add up to {sum}, more than 100"));
    }
    Ok(())
}
