//! Pillow's bicubic resize, to the bit, of the one window that is wanted.
//!
//! The algorithm is that of `Image.resize(size, BICUBIC)` (Pillow's `src/libImaging/Resample.c`): separable, widened when
//! shrinking so that it does not alias, weights in fixed point, horizontal pass first with an 8-bit result. Each output
//! pixel depends on its own weights alone, so the 224 x 224 window is computed without the rest of the picture: a
//! 10 x 5000 strip does not become 224 x 112000 on the way.
//!
//! Both passes are sums of integers, so the order of summation is free and every implementation gives the same bits:
//! `portable` says what is computed, `avx2` computes it faster.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod portable;
mod weights;

use image::RgbImage;

use self::weights::Weights;
use super::SIDE;

/// Bytes of a row of the window.
const ROW: usize = 3 * SIDE;

/// Resizes the short side to 224 and cuts out the centre 224 x 224: rows of RGB.
///
/// The long side becomes `floor(224 * long / short)`, the margin `floor((that - 224) / 2)`, as in transformers'
/// `get_resize_output_image_size` and `center_crop`.
pub(super) fn centre_window(picture: &RgbImage) -> Box<[u8]> {
    let plan = Plan::new(picture);
    #[cfg(target_arch = "x86_64")]
    if let Some(window) = avx2::window(&plan) {
        return window;
    }
    portable::window(&plan)
}

/// What the two passes work on.
struct Plan<'a> {
    /// The rows of RGB the window depends on, and no others.
    samples: &'a [u8],
    /// Bytes of one of them.
    stride: usize,
    /// The pixels of a row that make each column of the window.
    columns: Weights,
    /// The rows of `samples` that make each row of the window.
    rows: Weights,
}

impl<'a> Plan<'a> {
    fn new(picture: &'a RgbImage) -> Self {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let short = width.min(height);
        let stride = 3 * width;
        let mut rows = Weights::new(height, SIDE * height / short);
        let needed = rows.rebase();
        Self {
            samples: &picture.as_raw()[stride * needed.start..stride * needed.end],
            stride,
            columns: Weights::new(width, SIDE * width / short),
            rows,
        }
    }

    /// How many rows `samples` has.
    fn height(&self) -> usize {
        self.samples.len() / self.stride
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_of_the_right_size_is_left_alone() {
        let picture = RgbImage::from_fn(224, 224, |x, y| image::Rgb([x as u8, y as u8, (x ^ y) as u8]));
        assert_eq!(centre_window(&picture)[..], picture.as_raw()[..]);
    }

    #[test]
    fn the_centre_is_kept_and_the_margin_cut() {
        // Three squares of one colour each; only the middle one is inside the window, but for the filter's reach.
        let picture =
            RgbImage::from_fn(672, 224, |x, _| image::Rgb(if x / 224 == 1 { [9, 99, 199] } else { [255, 0, 0] }));
        let window = centre_window(&picture);
        assert_eq!(window.len(), 3 * SIDE * SIDE);
        assert!(window.chunks_exact(3).all(|pixel| pixel == [9, 99, 199]));
    }
}
