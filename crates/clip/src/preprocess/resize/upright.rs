//! The passes for an image that is stored upright: along each row when it comes, and down the columns at the end.

use std::ops::Range;

use super::NARROW;
use super::kernel::{Columns, Kernel};
use super::weights::Weights;

pub(super) struct Upright {
    kernel: Kernel,
    /// Bytes of a row.
    stride: usize,
    height: usize,
    /// Rows received.
    seen: usize,
    columns: Columns,
    /// The rows that the window depends on.
    needed: Range<usize>,
    /// 224 pixels of each of them.
    narrow: Vec<u8>,
    /// The rows of `narrow` for each row of the window.
    down: Weights,
}

impl Upright {
    pub fn new(kernel: Kernel, [width, height]: [usize; 2], across: Weights, mut down: Weights) -> Self {
        let needed = down.rebase();
        Self {
            kernel,
            stride: 3 * width,
            height,
            seen: 0,
            columns: kernel.columns(across),
            narrow: vec![0; NARROW * needed.len()],
            needed,
            down,
        }
    }

    pub fn take(&mut self, rgb: &[u8]) {
        let came = self.seen..self.seen + rgb.len() / self.stride;
        self.seen = came.end;
        let wanted = came.start.max(self.needed.start)..came.end.min(self.needed.end);
        if wanted.is_empty() {
            return;
        }
        let rows = &rgb[self.stride * (wanted.start - came.start)..self.stride * (wanted.end - came.start)];
        let narrow = NARROW * (wanted.start - self.needed.start)..NARROW * (wanted.end - self.needed.start);
        self.columns.along(rows, self.stride, &mut self.narrow[narrow]);
    }

    pub fn finish(self) -> Option<Box<[u8]>> {
        (self.seen == self.height).then(|| self.kernel.down(&self.narrow, &self.down))
    }
}
