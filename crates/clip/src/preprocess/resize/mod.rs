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
pub(super) fn centre_window(picture: &RgbImage) -> Box<[u8]> {
    let plan = Plan::new(picture);
    #[cfg(target_arch = "x86_64")]
    if let Some(window) = avx2::window(&plan) {
        return window;
    }
    portable::window(&plan)
}

/// What every implementation that runs here makes of a picture, by name.
#[cfg(test)]
pub(super) fn centre_windows(picture: &RgbImage) -> Vec<(&'static str, Box<[u8]>)> {
    let plan = Plan::new(picture);
    let portable = [("portable", portable::window(&plan))];
    #[cfg(target_arch = "x86_64")]
    let fast = avx2::window(&plan).map(|window| ("avx2", window));
    #[cfg(not(target_arch = "x86_64"))]
    let fast = None;
    portable.into_iter().chain(fast).collect()
}

/// Where the window lies, as in transformers' `get_resize_output_image_size` and `center_crop`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    /// Width and height after the resize: the short side 224, the long side `floor(224 * long / short)`.
    pub resized: [usize; 2],
    /// Left and top of the window in the resized picture: `floor((side - 224) / 2)`.
    pub crop: [usize; 2],
}

impl Geometry {
    pub fn new(width: usize, height: usize) -> Self {
        let short = width.min(height);
        let resized = [width, height].map(|side| SIDE * side / short);
        Self { resized, crop: resized.map(|side| (side - SIDE) / 2) }
    }
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
        let Geometry { resized, crop } = Geometry::new(width, height);
        let stride = 3 * width;
        let mut rows = Weights::new(height, resized[1], crop[1]);
        let needed = rows.rebase();
        Self {
            samples: &picture.as_raw()[stride * needed.start..stride * needed.end],
            stride,
            columns: Weights::new(width, resized[0], crop[0]),
            rows,
        }
    }

    /// How many rows `samples` has.
    fn height(&self) -> usize {
        self.samples.len() / self.stride
    }
}

#[cfg(test)]
mod tests;
