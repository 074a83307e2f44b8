//! Attention by a processor's matrix instructions: queries, keys, values and the softmax's weights in bfloat16, scores and
//! sums in f32.

use std::marker::PhantomData;

use super::{Sequence, softmax};
use crate::engine::fast::format::Format;
use crate::engine::fast::layout::{HEAD, MAX_LENGTH};
use crate::engine::fast::product::{ActivationParts, Activations};
use crate::engine::fast::simd::{Operand, Session, Simd, Sums, TILE, Work};

/// Words of a head in a row: two steps of a tile.
const HEAD_WORDS: usize = HEAD / 2;

/// Tiles of keys of the longest sequence.
const KEY_TILES: usize = MAX_LENGTH / TILE;

/// Tiles of values of the longest sequence; one has the values of two rows in each of its own.
const VALUE_TILES: usize = MAX_LENGTH.div_ceil(2 * TILE);

/// Weights of a row, in whole tiles.
const WEIGHTS: usize = VALUE_TILES * 2 * TILE;

/// Query rows that are computed together: two tiles.
const ROWS: usize = 2 * TILE;

/// Like [`Inputs`](super::Inputs), in bfloat16.
#[derive(Clone, Copy)]
pub(in super::super) struct Inputs<'a> {
    /// Followed by room for [`MAX_LENGTH`] rows of any content.
    pub values: &'a Activations,
    /// Numbers in a third.
    pub width: usize,
    /// Whether a row attends only to itself and earlier rows.
    pub causal: bool,
}

impl<'a> Inputs<'a> {
    /// The words from a head in one third (0 queries, 1 keys, 2 values) of a row on.
    #[inline(always)]
    fn from(self, third: usize, row: usize, head: usize) -> &'a [u32] {
        &self.values.words_from(row)[third * self.width / 2 + head * HEAD_WORDS..]
    }
}

/// One head of a sequence.
pub(super) struct Head<'a, F: Format> {
    pub tiles: <F::Simd as Simd>::Tiles,
    pub inputs: Inputs<'a>,
    pub sequence: &'a Sequence,
    pub head: usize,
    pub output: &'a ActivationParts<'a>,
    pub format: PhantomData<F>,
}

/// Words that begin at a cache line.
#[repr(C, align(64))]
struct Aligned<const COUNT: usize>([u32; COUNT]);

impl<F: Format> Work<F::Simd> for Head<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run(self, simd: F::Simd) {
        let mut session = Session::new(self.tiles);
        let mut sums = Sums::new();
        let keys = self.keys(simd);
        let values = self.values();
        for first in self.sequence.queries.clone().step_by(ROWS) {
            let height = (self.sequence.queries.end - first).min(ROWS);
            if height > TILE {
                self.rows::<2>(simd, &mut session, &mut sums, (&keys, &values), first, height);
            } else {
                self.rows::<1>(simd, &mut session, &mut sums, (&keys, &values), first, height);
            }
        }
    }
}

impl<F: Format> Head<'_, F> {
    /// The keys as columns, `[steps][KEY_TILES][TILE][TILE]`. After the last key are rows of another sequence or of an earlier
    /// pass; `softmax` replaces their scores.
    #[inline(always)]
    fn keys(&self, simd: F::Simd) -> Aligned<{ HEAD_WORDS * KEY_TILES * TILE }> {
        let mut keys = Aligned([0; HEAD_WORDS * KEY_TILES * TILE]);
        let stride = self.inputs.values.stride();
        for tile in 0..self.sequence.rows.len().div_ceil(TILE) {
            let from = self.inputs.from(1, self.sequence.rows.start + tile * TILE, self.head);
            for step in 0..HEAD_WORDS / TILE {
                let from = bytemuck::cast_slice(&from[step * TILE..]);
                let to = &mut keys.0[(step * KEY_TILES + tile) * TILE * TILE..][..TILE * TILE];
                // The words are only moved.
                simd.transpose(from, stride, bytemuck::cast_slice_mut(to), TILE);
            }
        }
        keys
    }

    /// The values, two rows of the sequence in the halves of a row of words: `[VALUE_TILES][TILE][HEAD]`. Zero after the last.
    #[inline(always)]
    fn values(&self) -> Aligned<{ VALUE_TILES * TILE * HEAD }> {
        const NONE: &[u32] = &[0; HEAD_WORDS];
        let mut values = Aligned([0; VALUE_TILES * TILE * HEAD]);
        let length = self.sequence.rows.len();
        let row = |row: usize| match row < length {
            true => &self.inputs.from(2, self.sequence.rows.start + row, self.head)[..HEAD_WORDS],
            false => NONE,
        };
        for (pair, to) in values.0.chunks_exact_mut(HEAD).take(length.div_ceil(2)).enumerate() {
            let rows = row(2 * pair).iter().zip(row(2 * pair + 1));
            for ((&even, &odd), to) in rows.zip(to.chunks_exact_mut(2)) {
                to[0] = even & 0xFFFF | odd << 16;
                to[1] = even >> 16 | odd & 0xFFFF_0000;
            }
        }
        values
    }

    /// The results of `height` queries, in `DOWN` tiles, from the query row `first` of the sequence on.
    #[inline(always)]
    #[allow(unsafe_code, reason = "each head's columns of a sequence's rows are written by the one task that has both")]
    fn rows<const DOWN: usize>(
        &self,
        simd: F::Simd,
        session: &mut Session<<F::Simd as Simd>::Tiles>,
        sums: &mut Sums,
        (keys, values): (&Aligned<{ HEAD_WORDS * KEY_TILES * TILE }>, &Aligned<{ VALUE_TILES * TILE * HEAD }>),
        first: usize,
        height: usize,
    ) {
        const STEPS: usize = HEAD_WORDS / TILE;
        let Self { inputs, sequence, head, .. } = self;
        let length = sequence.rows.len();
        let lanes = F::Simd::LANES;

        let mut scores = [[0.0; WEIGHTS]; ROWS];
        let queries = std::array::from_fn::<_, DOWN, _>(|down| {
            let from = inputs.from(0, sequence.rows.start + first + down * TILE, *head);
            Operand::new(from, inputs.values.stride(), TILE, STEPS)
        });
        for tile in 0..length.div_ceil(TILE) {
            let keys = Operand::new(&keys.0[tile * TILE * TILE..], TILE, KEY_TILES * TILE * TILE, STEPS);
            session.block::<DOWN, 1>(queries, [keys], STEPS, sums, |_, _| ());
            for (row, scores) in scores[..height].iter_mut().enumerate() {
                simd.store(&mut scores[tile * TILE..], simd.load(sums.row((row / TILE, 0), row % TILE)));
            }
        }

        let mut weights = Aligned([0; ROWS * WEIGHTS / 2]);
        let mut inverse = [0.0; ROWS];
        for (row, scores) in scores[..height].iter_mut().enumerate() {
            let visible = if inputs.causal { first + row + 1 } else { length };
            inverse[row] = 1.0 / softmax(simd, &mut scores[..length.next_multiple_of(lanes)], visible);
            // Exactly zero: there are no values beyond.
            scores[visible..].fill(0.0);
            let to = &mut weights.0[row * WEIGHTS / 2..][..WEIGHTS / 2];
            for (scores, to) in scores.chunks_exact(lanes).zip(to.chunks_exact_mut(lanes / 2)) {
                F::encode_vector(simd, simd.load(scores), to);
            }
        }

        let steps = length.div_ceil(2 * TILE);
        let weights = std::array::from_fn::<_, DOWN, _>(|down| {
            Operand::new(&weights.0[down * TILE * WEIGHTS / 2..], WEIGHTS / 2, TILE, steps)
        });
        for column in (0..HEAD / TILE).step_by(2) {
            let values = [0, 1].map(|next| Operand::new(&values.0[(column + next) * TILE..], HEAD, TILE * HEAD, steps));
            session.block::<DOWN, 2>(weights, values, steps, sums, |_, _| ());
            for row in 0..height {
                let inverse = simd.splat(inverse[row]);
                let mut results = [inverse; 2];
                for (next, result) in results.iter_mut().enumerate() {
                    *result = simd.multiply(simd.load(sums.row((row / TILE, next), row % TILE)), inverse);
                }
                let target = sequence.output + first + row - sequence.queries.start;
                // SAFETY: `attend` gives every pair of sequence and head to one task.
                unsafe { self.output.encode_vectors::<F, 2>(simd, target, head * HEAD + column * TILE, results) };
            }
        }
    }
}
