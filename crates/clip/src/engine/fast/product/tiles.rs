//! Products by a processor's matrix instructions.
//!
//! A block is 32 rows times 32 outputs: two tiles by two. For each block of outputs all rows pass by, so that its weights
//! stay in the first-level cache and the rows come from the second. What is done with the results of a block happens
//! between the instructions that multiply the next.

use std::marker::PhantomData;
use std::ops::Range;

use super::{Activations, CHUNK, Target, Weights};
use crate::engine::fast::format::{Format, PANEL};
use crate::engine::fast::pool::Pool;
use crate::engine::fast::simd::{Operand, Session, Simd, Sums, TILE, Tiles, Work};

/// Words of a row, or of an output, that are multiplied before the next: of all rows of a chunk they fit the second-level
/// cache, and of a block of outputs the first.
const PART: usize = 384;

/// Tiles of outputs of a task, if there are enough tasks for all threads: two panels.
const WIDE: usize = 2 * PANEL / TILE;

/// Tiles of rows, and of outputs, of a block.
const BLOCK: usize = 2;

/// Like [`multiply`](super::multiply). Sums of more than [`PART`] words are cut after every part, and the parts are added up
/// in the target.
pub(super) fn multiply<F: Format>(
    (simd, tiles): (F::Simd, <F::Simd as Simd>::Tiles),
    pool: &Pool,
    activations: &Activations,
    rows: usize,
    weights: Weights<'_>,
    target: &Target<'_>,
) {
    let chunks = rows.div_ceil(CHUNK);
    let height = rows.div_ceil(chunks.max(1)).next_multiple_of(BLOCK * TILE);
    let columns = weights.panels() * (PANEL / TILE);
    let width = if chunks * columns.div_ceil(WIDE) < 4 * pool.threads() { BLOCK } else { WIDE };
    let across = columns.div_ceil(width);
    let words = weights.panel_words / PANEL;
    debug_assert_eq!(words % TILE, 0, "every layout has whole steps");
    // Only sums in f32 can be continued.
    let part = if target.can_be_added_to() { PART.min(words) } else { words };
    for first in (0..words).step_by(part.max(1)) {
        let words = first..words.min(first + part);
        pool.for_each(chunks * across, |task| {
            let (first, left) = (task / across * height, task % across * width);
            simd.vectorize(Strip {
                tiles,
                activations,
                weights,
                words: words.clone(),
                rows: first..rows.min(first + height),
                columns: left..columns.min(left + width),
                target,
                format: PhantomData::<F>,
            });
        });
    }
}

/// Some rows times some tiles of outputs.
struct Strip<'a, F: Format> {
    tiles: <F::Simd as Simd>::Tiles,
    activations: &'a Activations,
    weights: Weights<'a>,
    /// The part of each sum.
    words: Range<usize>,
    rows: Range<usize>,
    /// Tiles of outputs.
    columns: Range<usize>,
    target: &'a Target<'a>,
    format: PhantomData<F>,
}

/// Where a block's sums belong: its first row, its height in rows, its first tile of outputs, and their number.
#[derive(Clone, Copy)]
struct Block {
    row: usize,
    height: usize,
    column: usize,
    width: usize,
}

impl<F: Format> Work<F::Simd> for Strip<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run(self, simd: F::Simd) {
        let mut session = Session::new(self.tiles);
        let mut sums = Sums::new();
        let mut before = Block { row: 0, height: 0, column: 0, width: 0 };
        for column in self.columns.clone().step_by(BLOCK) {
            let width = BLOCK.min(self.columns.end - column);
            for row in self.rows.clone().step_by(BLOCK * TILE) {
                let height = (self.rows.end - row).min(BLOCK * TILE);
                let block = Block { row, height, column, width };
                match (height > TILE, width > 1) {
                    (true, true) => self.block::<2, 2>(simd, &mut session, block, &mut sums, before),
                    (true, false) => self.block::<2, 1>(simd, &mut session, block, &mut sums, before),
                    (false, true) => self.block::<1, 2>(simd, &mut session, block, &mut sums, before),
                    (false, false) => self.block::<1, 1>(simd, &mut session, block, &mut sums, before),
                }
                before = block;
            }
        }
        self.finish(simd, &sums, before, 0..before.height);
    }
}

impl<F: Format> Strip<'_, F> {
    /// Multiplies a block, and meanwhile finishes the sums of the block `before`.
    #[inline(always)]
    fn block<const DOWN: usize, const ACROSS: usize>(
        &self,
        simd: F::Simd,
        session: &mut Session<<F::Simd as Simd>::Tiles>,
        block: Block,
        sums: &mut Sums,
        before: Block,
    ) {
        let steps = self.words.len() / TILE;
        let rows = std::array::from_fn::<_, DOWN, _>(|down| self.row_tiles(block.row + down * TILE, steps));
        let columns = std::array::from_fn::<_, ACROSS, _>(|across| self.column_tiles(block.column + across, steps));

        let rows_per_step = before.height.div_ceil(steps);
        // The steps of all blocks of rows prefetch the weights of the next block of outputs.
        let blocks = self.rows.len().div_ceil(BLOCK * TILE);
        let words_per_step = self.words.len().div_ceil(blocks * steps);
        let words_before = (block.row - self.rows.start) / (BLOCK * TILE) * steps * words_per_step;
        let next = std::array::from_fn::<_, BLOCK, _>(|next| self.column_start(block.column + BLOCK + next));
        session.block(
            rows,
            columns,
            steps,
            sums,
            #[inline(always)]
            |step, sums| {
                let first = words_before + step * words_per_step;
                for word in first..(first + words_per_step).min(self.words.len()) {
                    for column in next {
                        self.tiles.prefetch(self.weights.words, column + word * PANEL);
                    }
                }
                let first = step * rows_per_step;
                self.finish(simd, sums, before, first..(first + rows_per_step).min(before.height));
            },
        );
    }

    /// The tiles of sixteen rows, a step after the other.
    #[inline(always)]
    fn row_tiles(&self, row: usize, steps: usize) -> Operand<'_> {
        let stride = self.activations.stride;
        Operand::new(&self.activations.words[row * stride + self.words.start..], stride, TILE, steps)
    }

    /// The tiles of sixteen outputs, a step after the other.
    #[inline(always)]
    fn column_tiles(&self, column: usize, steps: usize) -> Operand<'_> {
        Operand::new(&self.weights.words[self.column_start(column)..], PANEL, TILE * PANEL, steps)
    }

    /// Where the words of a tile of outputs begin.
    #[inline(always)]
    fn column_start(&self, column: usize) -> usize {
        const TILES: usize = PANEL / TILE;
        column / TILES * self.weights.panel_words + self.words.start * PANEL + column % TILES * TILE
    }

    /// Adds the bias to some rows of a block's sums, and passes them to the target.
    #[inline(always)]
    fn finish(&self, simd: F::Simd, sums: &Sums, block: Block, rows: Range<usize>) {
        for row in rows {
            match block.width {
                BLOCK => self.finish_row::<BLOCK>(simd, sums, block, row),
                _ => self.finish_row::<1>(simd, sums, block, row),
            }
        }
    }

    /// One row of a block of `ACROSS` tiles of outputs. It has few instructions: they are executed between those that
    /// multiply, of which the processor sees only so many ahead.
    #[inline(always)]
    #[allow(unsafe_code, reason = "the columns of a strip are written by one task")]
    fn finish_row<const ACROSS: usize>(&self, simd: F::Simd, sums: &Sums, block: Block, row: usize) {
        let column = block.column * TILE;
        let mut values = [simd.splat(0.0); ACROSS];
        for (across, value) in values.iter_mut().enumerate() {
            *value = simd.load(sums.row((row / TILE, across), row % TILE));
        }
        let row = block.row + row;
        if self.words.start > 0 {
            // SAFETY: `multiply` assigns the rows of a chunk and the columns of a strip to one task.
            return unsafe { self.target.add::<F, ACROSS>(simd, row, column, values) };
        }
        let biases = self.weights.bias[column..][..ACROSS * TILE].chunks_exact(TILE);
        for (value, bias) in values.iter_mut().zip(biases) {
            *value = simd.add(*value, simd.load(bias));
        }
        // SAFETY: as above.
        unsafe { self.target.finish::<F, ACROSS>(simd, row, column, values) }
    }
}
