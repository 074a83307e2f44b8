//! The passes for an image that is stored sideways: the stored rows are columns of the image. The first pass goes
//! along the image's rows, so down the stored columns: each stored row, times its factor, is added to the sums of its outputs.

use std::ops::Range;

use super::kernel::{Columns, Kernel};
use super::portable::level;
use super::weights::{HALF, Weights};
use super::{NARROW, ROW, SIDE};

pub(super) struct Sideways {
    kernel: Kernel,
    /// Bytes of a row.
    stride: usize,
    height: usize,
    /// Rows received.
    seen: usize,
    /// The bytes of a row that the window depends on.
    needed: Range<usize>,
    /// The rows of each column of the window.
    down: Weights,
    /// Sums of the unfinished columns, by position.
    begun: Vec<(usize, Vec<i32>)>,
    /// Unused sums.
    spare: Vec<Vec<i32>>,
    /// The columns of the window, as wide as `needed`.
    done: Vec<u8>,
    /// The weights of each row of the window.
    columns: Columns,
}

impl Sideways {
    pub fn new(kernel: Kernel, [width, height]: [usize; 2], mut across: Weights, down: Weights) -> Self {
        let needed = across.rebase();
        let needed = 3 * needed.start..3 * needed.end;
        Self {
            kernel,
            stride: 3 * width,
            height,
            seen: 0,
            down,
            begun: vec![],
            spare: vec![],
            done: vec![0; SIDE * needed.len()],
            needed,
            columns: kernel.columns(across),
        }
    }

    pub fn take(&mut self, rgb: &[u8]) {
        let came = self.seen..self.seen + rgb.len() / self.stride;
        self.seen = came.end;
        let samples = self.needed.len();
        for (place, weight) in self.down.iter().enumerate() {
            let wanted = came.start.max(weight.first)..came.end.min(weight.end());
            if wanted.is_empty() {
                continue;
            }
            let begun = self.begun.iter().position(|&(begun, _)| begun == place);
            let mut sums = match begun {
                Some(index) => self.begun.swap_remove(index).1,
                None => {
                    let mut sums = self.spare.pop().unwrap_or_else(|| vec![0; samples]);
                    sums.fill(HALF);
                    sums
                }
            };
            for row in wanted.clone() {
                let pixels = &rgb[self.stride * (row - came.start)..][self.needed.clone()];
                self.kernel.add(&mut sums, pixels, weight.factors[row - weight.first]);
            }
            if wanted.end < weight.end() {
                self.begun.push((place, sums));
                continue;
            }
            let done = &mut self.done[samples * place..samples * (place + 1)];
            done.iter_mut().zip(&sums).for_each(|(done, &sum)| *done = level(sum));
            self.spare.push(sums);
        }
    }

    pub fn finish(self) -> Option<Box<[u8]>> {
        if self.seen != self.height {
            return None;
        }
        let mut turned = vec![0; NARROW * SIDE];
        self.columns.along(&self.done, self.needed.len(), &mut turned);
        let mut window = vec![0; ROW * SIDE].into_boxed_slice();
        for (x, column) in turned.chunks_exact(NARROW).enumerate() {
            let (pixels, _) = column[..ROW].as_chunks::<3>();
            for (y, pixel) in pixels.iter().enumerate() {
                window[ROW * y + 3 * x..][..3].copy_from_slice(pixel);
            }
        }
        Some(window)
    }
}
