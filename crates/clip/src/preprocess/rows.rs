//! Passes an image from a decoder to the resize a few rows at a time.

use image::RgbImage;
use image::metadata::Orientation;

/// Rows that a decoder passes at a time if it can choose.
pub(super) const STRIP: usize = 32;

/// Receives an image as stored.
pub(super) trait Rows {
    /// Width and height in pixels, neither of them 0, and the orientation to apply. Called once, first.
    fn begin(&mut self, size: [usize; 2], orientation: Orientation);

    /// The alpha of the rows that are passed next, 1 byte per pixel, if the file has any: the model ignores it.
    fn alpha(&mut self, _alpha: &[u8]) {}

    /// The next rows from top to bottom: any whole number of them, 3 bytes per pixel.
    fn take(&mut self, rgb: &[u8]);
}

/// Passes the rows on to two receivers.
pub(super) struct Both<'a>(pub &'a mut dyn Rows, pub &'a mut dyn Rows);

impl Rows for Both<'_> {
    fn begin(&mut self, size: [usize; 2], orientation: Orientation) {
        self.0.begin(size, orientation);
        self.1.begin(size, orientation);
    }

    fn alpha(&mut self, alpha: &[u8]) {
        self.0.alpha(alpha);
        self.1.alpha(alpha);
    }

    fn take(&mut self, rgb: &[u8]) {
        self.0.take(rgb);
        self.1.take(rgb);
    }
}

/// Passes an image that was decoded as a whole.
#[cfg(test)]
pub(super) fn hand_over(picture: &RgbImage, orientation: Orientation, rows: &mut dyn Rows) {
    hand_over_with_alpha(picture, None, orientation, rows);
}

/// Passes an image that was decoded as a whole, a few rows at a time.
pub(super) fn hand_over_with_alpha(
    picture: &RgbImage,
    alpha: Option<&[u8]>,
    orientation: Orientation,
    rows: &mut dyn Rows,
) {
    let width = picture.width() as usize;
    rows.begin([width, picture.height() as usize], orientation);
    for (place, strip) in picture.as_raw().chunks(3 * width * STRIP).enumerate() {
        if let Some(alpha) = alpha {
            let first = place * width * STRIP;
            rows.alpha(&alpha[first..first + strip.len() / 3]);
        }
        rows.take(strip);
    }
}

/// The orientation that an EXIF block states, with or without its `Exif\0\0` prefix. It is applied as transformers' loader
/// does, so that the model sees what a person sees. A damaged block is not a reason to refuse an image.
pub(super) fn orientation(exif: Option<&[u8]>) -> Orientation {
    let block = exif.map(|exif| exif.strip_prefix(b"Exif\0\0").unwrap_or(exif));
    block.and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms)
}

/// Collects the whole image, for comparisons with other decoders.
#[derive(Default)]
pub(super) struct Whole {
    size: [usize; 2],
    orientation: Option<Orientation>,
    rgb: Vec<u8>,
}

impl Whole {
    pub fn turned(self) -> RgbImage {
        let [width, height] = self.size.map(|side| side as u32);
        let mut picture =
            image::DynamicImage::ImageRgb8(RgbImage::from_raw(width, height, self.rgb).unwrap_or_default());
        picture.apply_orientation(self.orientation.unwrap_or(Orientation::NoTransforms));
        picture.into_rgb8()
    }
}

impl Rows for Whole {
    fn begin(&mut self, size: [usize; 2], orientation: Orientation) {
        (self.size, self.orientation) = (size, Some(orientation));
    }

    fn take(&mut self, rgb: &[u8]) {
        self.rgb.extend_from_slice(rgb);
    }
}
