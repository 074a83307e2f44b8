//! Pillow's bicubic resize, to the bit, of the one window that is wanted, from rows as they come.
//!
//! The algorithm is that of `Image.resize(size, BICUBIC)` (Pillow's `src/libImaging/Resample.c`): separable, widened when
//! shrinking so that it does not alias, weights in fixed point, horizontal pass first with an 8-bit result. Each output
//! pixel depends on its own weights alone, so the 224 x 224 window is computed without the rest of the picture: a
//! 10 x 5000 strip does not become 224 x 112000 on the way. Pillow 13 reduces a picture
//! that is more than twice as high as wide by the vertical pass first. Here the horizontal pass is always the first one, as
//! in earlier versions of Pillow.
//!
//! A row is done with once the horizontal pass has made 224 pixels of it, so the picture itself is never in memory. Turning
//! it (EXIF) takes none either: a mirrored axis has its weights mirrored instead, and where the axes are swapped, the pass
//! that Pillow would do first on the turned picture adds up rows instead of pixels within a row.
//!
//! All passes are sums of integers, so the order of summation is free and every implementation gives the same bits:
//! `portable` says what is computed, `avx2` computes it faster.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod kernel;
mod lying;
mod portable;
mod upright;
mod weights;

#[cfg(test)]
use image::RgbImage;
use image::metadata::Orientation;

use self::kernel::Kernel;
use self::lying::Lying;
use self::upright::Upright;
use self::weights::Weights;
use super::SIDE;
use super::rows::Rows;

/// Bytes of a row of the window.
const ROW: usize = 3 * SIDE;

/// Bytes from one row to the next of what the pass along the rows makes: a row of the window and room for what is stored
/// with its last pixel.
const NARROW: usize = ROW + 4;

/// Resizes the short side to 224 and cuts out the centre 224 x 224.
pub(super) struct CentreWindow {
    kernel: Kernel,
    passes: Option<Passes>,
}

enum Passes {
    /// The rows are those of the turned picture.
    Upright(Upright),
    /// The rows are the columns of the turned picture.
    Lying(Lying),
}

impl CentreWindow {
    pub fn new() -> Self {
        Self::by(Kernel::best())
    }

    fn by(kernel: Kernel) -> Self {
        Self { kernel, passes: None }
    }

    /// Rows of RGB. `None` if rows of the picture have not come.
    pub fn finish(self) -> Option<Box<[u8]>> {
        match self.passes? {
            Passes::Upright(passes) => passes.finish(),
            Passes::Lying(passes) => passes.finish(),
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
            true => Passes::Lying(Lying::new(self.kernel, size, across, down)),
        });
    }

    fn take(&mut self, rgb: &[u8]) {
        match &mut self.passes {
            Some(Passes::Upright(passes)) => passes.take(rgb),
            Some(Passes::Lying(passes)) => passes.take(rgb),
            None => unreachable!("rows come after their size: this is a bug"),
        }
    }
}

/// How the picture as it is stored becomes the one that is shown.
struct Turn {
    /// Rows become columns.
    swapped: bool,
    /// Whether what comes last along the stored rows, and down the stored columns, is shown first.
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

/// The memory that a [`CentreWindow`] takes for a picture of this size, in bytes, at most.
pub(super) fn memory(width: u64, height: u64) -> u64 {
    let short = width.min(height);
    // Rows of 224 pixels, or sums of 4 bytes a sample for those of the 224 outputs that a row is part of: 5 where the
    // picture is shrunk, all where it is enlarged, and then it is small.
    let passes = 1024 * (short + short / 32 + 256);
    // Factors: 64 bytes for 4 of each output, of which a picture that is shrunk has as many as 4 times its side.
    let weights = 128 * (short + 1024);
    passes + weights
}

/// What every implementation that runs here makes of a picture, by name.
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
