//! A picture on its way from a decoder to the resize, a few rows at a time: neither needs the whole of it.

use image::RgbImage;
use image::metadata::Orientation;

/// How many rows a decoder hands over at once where it is free to choose.
pub(super) const STRIP: usize = 32;

/// Takes a picture as its file stores it.
pub(super) trait Rows {
    /// Width and height in pixels, neither of them 0, and how the picture is to be turned. Called once, first.
    fn begin(&mut self, size: [usize; 2], orientation: Orientation);

    /// The next rows, from top to bottom: any whole number of them, 3 bytes a pixel.
    fn take(&mut self, rgb: &[u8]);
}

/// Hands over a picture that was decoded as a whole.
pub(super) fn hand_over(picture: &RgbImage, orientation: Orientation, rows: &mut dyn Rows) {
    rows.begin([picture.width() as usize, picture.height() as usize], orientation);
    rows.take(picture.as_raw());
}

/// The whole picture again, turned: what comparisons with other decoders need.
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
