//! Pillow's bicubic resize, equal to the bit, of the centre window only, from rows as they are decoded.
//!
//! The algorithm is that of `Image.resize(size, BICUBIC)` (Pillow's `src/libImaging/Resample.c`): separable, widened when
//! shrinking so that it does not alias, weights in fixed point, horizontal pass first with an 8-bit result. Each output
//! pixel depends only on its own weights, so the 224 x 224 window is computed without the rest of the image: a 10 x 5000
//! strip is not enlarged to 224 x 112000. Pillow 13 starts with the vertical pass if an image is more than twice as high as
//! wide. Here the horizontal pass is always first, as in earlier versions of Pillow.
//!
//! A row is not needed any more once the horizontal pass has reduced it to 224 pixels, so the image itself is never in memory.
//! The EXIF orientation takes no memory either: for a mirrored axis the weights are mirrored, and for swapped axes the pass
//! that Pillow would do first on the oriented image adds up rows instead of pixels within a row.
//!
//! All passes are sums of integers, so the order of summation is free and all implementations return the same bits:
//! `portable` is the definition, `avx2` is faster.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod kernel;
mod portable;
mod sideways;
mod upright;
mod weights;

#[cfg(test)]
use image::RgbImage;
use image::metadata::Orientation;

use self::kernel::Kernel;
use self::sideways::Sideways;
use self::upright::Upright;
use self::weights::Weights;
use super::SIDE;
use super::rows::Rows;

/// Bytes of a row of the window.
const ROW: usize = 3 * SIDE;

/// Bytes from one row to the next in the result of the pass along the rows: a row of the window, and room for the store of its
/// last pixel.
const NARROW: usize = ROW + 4;

/// Resizes the short side to 224 and cuts out the centre 224 x 224.
pub(super) struct CentreWindow {
    kernel: Kernel,
    passes: Option<Passes>,
}

enum Passes {
    /// The stored rows are rows of the oriented image.
    Upright(Upright),
    /// The stored rows are columns of the oriented image.
    Sideways(Sideways),
}

impl CentreWindow {
    pub fn new() -> Self {
        Self::by(Kernel::best())
    }

    fn by(kernel: Kernel) -> Self {
        Self { kernel, passes: None }
    }

    /// The window as rows of RGB; `None` if rows of the image are missing.
    pub fn finish(self) -> Option<Box<[u8]>> {
        match self.passes? {
            Passes::Upright(passes) => passes.finish(),
            Passes::Sideways(passes) => passes.finish(),
        }
    }
}

impl Rows for CentreWindow {
    fn begin(&mut self, size: [usize; 2], orientation: Orientation) {
        let turn = Turn::of(orientation);
        let Geometry { resized, crop } = Geometry::new(size[0], size[1]);
        let [across, down] = [0, 1].map(|axis| {
            let weights = Weights::new(size[axis], resized[axis], crop[axis]);
            if turn.mirrored[axis] { weights.mirrored(size[axis]) } else { weights }
        });
        self.passes = Some(match turn.swapped {
            false => Passes::Upright(Upright::new(self.kernel, size, across, down)),
            true => Passes::Sideways(Sideways::new(self.kernel, size, across, down)),
        });
    }

    fn take(&mut self, rgb: &[u8]) {
        match &mut self.passes {
            Some(Passes::Upright(passes)) => passes.take(rgb),
            Some(Passes::Sideways(passes)) => passes.take(rgb),
            None => unreachable!("rows come after their size: this is a bug"),
        }
    }
}

/// Turns the stored image into the displayed one.
struct Turn {
    /// Whether rows become columns.
    swapped: bool,
    /// Whether the stored rows, and the stored columns, are mirrored.
    mirrored: [bool; 2],
}

impl Turn {
    fn of(orientation: Orientation) -> Self {
        let (swapped, mirrored) = match orientation {
            Orientation::NoTransforms => (false, [false, false]),
            Orientation::FlipHorizontal => (false, [true, false]),
            Orientation::Rotate180 => (false, [true, true]),
            Orientation::FlipVertical => (false, [false, true]),
            Orientation::Rotate90FlipH => (true, [false, false]),
            Orientation::Rotate90 => (true, [false, true]),
            Orientation::Rotate270FlipH => (true, [true, true]),
            Orientation::Rotate270 => (true, [true, false]),
        };
        Self { swapped, mirrored }
    }
}

/// Position of the window, as in transformers' `get_resize_output_image_size` and `center_crop`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    /// Width and height after the resize: the short side 224, the long side `floor(224 * long / short)`.
    pub resized: [usize; 2],
    /// Left and top of the window in the resized image: `floor((side - 224) / 2)`.
    pub crop: [usize; 2],
}

impl Geometry {
    pub fn new(width: usize, height: usize) -> Self {
        let short = width.min(height);
        let resized = [width, height].map(|side| SIDE * side / short);
        Self { resized, crop: resized.map(|side| (side - SIDE) / 2) }
    }
}

/// The most memory that a [`CentreWindow`] takes for an image of this size, in bytes.
pub(super) fn memory(width: u64, height: u64) -> u64 {
    let short = width.min(height);
    // Rows of 224 pixels, or sums of 4 bytes per sample for the outputs that depend on a row: 5 if the image is shrunk, all
    // 224 if it is enlarged, but then it is small.
    let passes = 1024 * (short + short / 32 + 256);
    // Factors: 64 bytes for 4 of each output; a shrunk image has up to 4 times its side.
    let weights = 128 * (short + 1024);
    passes + weights
}

/// The result of each implementation on this processor, by name.
#[cfg(test)]
pub(super) fn centre_windows(picture: &RgbImage) -> Vec<(&'static str, Box<[u8]>)> {
    let window = |kernel| {
        let mut window = CentreWindow::by(kernel);
        super::rows::hand_over(picture, Orientation::NoTransforms, &mut window);
        window.finish().unwrap()
    };
    Kernel::all().into_iter().map(|(name, kernel)| (name, window(kernel))).collect()
}

#[cfg(test)]
mod tests;
