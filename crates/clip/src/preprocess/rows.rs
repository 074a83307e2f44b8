//! Passes an image from a decoder to the resize a few rows at a time.

use image::RgbImage;
use image::metadata::Orientation;

/// Rows that a decoder passes at a time if it can choose.
pub(super) const STRIP: usize = 32;

/// Receives an image as stored.
pub(super) trait Rows {
    /// Width and height in pixels, neither of them 0, and the orientation to apply. Called once, first.
    fn begin(&mut self, size: [usize; 2], orientation: Orientation);

    /// The next rows from top to bottom: any whole number of them, 3 bytes per pixel.
    fn take(&mut self, rgb: &[u8]);
}

/// Passes an image that was decoded as a whole.
pub(super) fn hand_over(picture: &RgbImage, orientation: Orientation, rows: &mut dyn Rows) {
    rows.begin([picture.width() as usize, picture.height() as usize], orientation);
    rows.take(picture.as_raw());
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
