//! Softmax attention, one task per sequence and head: in f32, or in tiles of bfloat16.

mod tiles;

use std::marker::PhantomData;
use std::ops::Range;

use super::format::Format;
use super::layout::{HEAD, MAX_LENGTH};
use super::pool::Pool;
use super::product::ActivationParts;
use super::simd::{Simd, Work, exp};
pub(super) use tiles::Inputs as EncodedInputs;

/// Query rows that are computed together: with four vectors per row, 16 sums.
const ROWS: usize = 4;

/// Rows for whose attention, in one head, another thread is worth its overhead.
const ENOUGH: usize = 50;

/// Consecutive rows that attend to one another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sequence {
    /// Its rows among all.
    pub rows: Range<usize>,
    /// The query rows whose result is needed, counted from the start of the sequence.
    pub queries: Range<usize>,
    /// Row of the output for the first of them.
    pub output: usize,
}

/// Queries, keys and values of all rows, heads side by side in each third.
#[derive(Clone, Copy)]
pub(super) struct Inputs<'a> {
    pub values: &'a [f32],
    /// Numbers from one row to the next.
    pub stride: usize,
    /// Numbers in a third.
    pub width: usize,
    /// Whether a row attends only to itself and earlier rows.
    pub causal: bool,
}

/// Computes attention within each sequence, and writes the heads' results side by side as activations.
pub(super) fn attend<F: Format>(
    simd: F::Simd,
    pool: &Pool,
    inputs: Inputs<'_>,
    sequences: &[Sequence],
    output: &ActivationParts<'_>,
) {
    for_each_head(pool, inputs.width, sequences, |sequence, head| {
        simd.vectorize(Head { inputs, sequence, head, output, format: PhantomData::<F> });
    });
}

/// Like [`attend`], by matrix instructions.
pub(super) fn attend_by_tiles<F: Format>(
    (simd, tiles): (F::Simd, <F::Simd as Simd>::Tiles),
    pool: &Pool,
    inputs: EncodedInputs<'_>,
    sequences: &[Sequence],
    output: &ActivationParts<'_>,
) {
    for_each_head(pool, inputs.width, sequences, |sequence, head| {
        simd.vectorize(tiles::Head { tiles, inputs, sequence, head, output, format: PhantomData::<F> });
    });
}

/// Distributes the heads of all sequences over the threads.
fn for_each_head(pool: &Pool, width: usize, sequences: &[Sequence], task: impl Fn(&Sequence, usize) + Sync + Send) {
    let heads = width / HEAD;
    // A head of few tokens takes less time than passing it to another thread.
    let rows: usize = sequences.iter().map(|sequence| sequence.rows.len()).sum();
    let at_least = ENOUGH * sequences.len() / rows.max(1);
    pool.for_each_at_least(at_least, sequences.len() * heads, |index| task(&sequences[index / heads], index % heads));
}

struct Head<'a, F> {
    inputs: Inputs<'a>,
    sequence: &'a Sequence,
    head: usize,
    output: &'a ActivationParts<'a>,
    format: PhantomData<F>,
}

impl<'a> Inputs<'a> {
    /// The numbers of a head in one third (0 queries, 1 keys, 2 values) of a row.
    #[inline(always)]
    fn part(self, third: usize, row: usize, head: usize) -> &'a [f32] {
        &self.values[row * self.stride + third * self.width + head * HEAD..][..HEAD]
    }
}

impl<F: Format> Work<F::Simd> for Head<'_, F> {
    type Output = ();

    #[inline(always)]
    #[allow(unsafe_code, reason = "each head's columns of a sequence's rows are written by the one task that has both")]
    fn run(self, simd: F::Simd) {
        let Self { inputs, sequence, head, .. } = self;
        let first = sequence.rows.start;
        let length = sequence.rows.len();
        let padded = length.next_multiple_of(F::Simd::LANES);

        // Keys by columns, so that a vector contains one number of several keys.
        let mut keys = [0.0; HEAD * MAX_LENGTH];
        for row in (0..length).step_by(F::Simd::LANES) {
            // After the last key are rows of another sequence or of an earlier pass; `softmax` replaces their scores.
            let from = &inputs.values[(first + row) * inputs.stride + inputs.width + head * HEAD..];
            for number in (0..HEAD).step_by(F::Simd::LANES) {
                simd.transpose(&from[number..], inputs.stride, &mut keys[number * padded + row..], padded);
            }
        }

        let mut next = sequence.queries.start;
        while next < sequence.queries.end {
            // The last rows are computed together with some before them, whose results are written twice.
            let start = next.min(sequence.queries.end.saturating_sub(ROWS)).max(sequence.queries.start);
            let row = |offset: usize| (start + offset).min(sequence.queries.end - 1);
            let visible = |row: usize| if inputs.causal { row + 1 } else { length };
            let mut queries = [inputs.part(0, first, head); ROWS];
            for (offset, query) in queries.iter_mut().enumerate() {
                *query = inputs.part(0, first + row(offset), head);
            }

            let mut scores = [[0.0; MAX_LENGTH]; ROWS];
            combine(simd, queries, HEAD, &keys, padded, padded, &mut scores);
            let mut inverse = [0.0; ROWS];
            for (offset, scores) in scores.iter_mut().enumerate() {
                inverse[offset] = 1.0 / softmax(simd, &mut scores[..padded], visible(row(offset)));
            }

            let mut results = [[0.0; MAX_LENGTH]; ROWS];
            let weights = [&scores[0][..], &scores[1][..], &scores[2][..], &scores[3][..]];
            let values = &inputs.values[first * inputs.stride + 2 * inputs.width + head * HEAD..];
            combine(simd, weights, visible(row(ROWS - 1)), values, inputs.stride, HEAD, &mut results);
            for (offset, results) in results.iter_mut().enumerate() {
                let results = &mut results[..HEAD];
                let inverse = simd.splat(inverse[offset]);
                for result in results.chunks_exact_mut(F::Simd::LANES) {
                    let scaled = simd.multiply(simd.load(result), inverse);
                    simd.store(result, scaled);
                }
                let target = sequence.output + row(offset) - sequence.queries.start;
                // SAFETY: `attend` gives every pair of sequence and head to one task.
                unsafe { self.output.encode::<F>(simd, target, head * HEAD, results) };
            }
            next = start + ROWS;
        }
    }
}

/// For each of `rows`: the sum over `depth` of its numbers times the rows of `matrix`, which are `stride` apart. Uses the
/// first `columns` columns.
#[inline(always)]
fn combine<S: Simd>(
    simd: S,
    rows: [&[f32]; ROWS],
    depth: usize,
    matrix: &[f32],
    stride: usize,
    columns: usize,
    results: &mut [[f32; MAX_LENGTH]; ROWS],
) {
    let mut vector = 0;
    let vectors = columns / S::LANES;
    while vector < vectors {
        let count = (vectors - vector).min(if S::LANES == 16 { 4 } else { 2 });
        match count {
            4 => block::<S, 4>(simd, rows, depth, matrix, stride, vector * S::LANES, results),
            3 => block::<S, 3>(simd, rows, depth, matrix, stride, vector * S::LANES, results),
            2 => block::<S, 2>(simd, rows, depth, matrix, stride, vector * S::LANES, results),
            _ => block::<S, 1>(simd, rows, depth, matrix, stride, vector * S::LANES, results),
        }
        vector += count;
    }
}

#[inline(always)]
fn block<S: Simd, const VECTORS: usize>(
    simd: S,
    rows: [&[f32]; ROWS],
    depth: usize,
    matrix: &[f32],
    stride: usize,
    column: usize,
    results: &mut [[f32; MAX_LENGTH]; ROWS],
) {
    let rows = rows.map(|row| &row[..depth]);
    let mut sums = [[simd.splat(0.0); VECTORS]; ROWS];
    for index in 0..depth {
        let line = &matrix[index * stride + column..][..VECTORS * S::LANES];
        let mut vectors = [simd.splat(0.0); VECTORS];
        for (vector, from) in vectors.iter_mut().zip(line.chunks_exact(S::LANES)) {
            *vector = simd.load(from);
        }
        for (row, sums) in rows.iter().zip(&mut sums) {
            let factor = simd.splat(row[index]);
            for (sum, &vector) in sums.iter_mut().zip(&vectors) {
                *sum = simd.multiply_add(factor, vector, *sum);
            }
        }
    }
    for (sums, results) in sums.iter().zip(results) {
        for (&sum, to) in sums.iter().zip(results[column..].chunks_exact_mut(S::LANES)) {
            simd.store(to, sum);
        }
    }
}

/// Replaces the first `visible` scores by `exp(score - largest)`, the others by almost 0; returns the sum.
#[inline(always)]
fn softmax<S: Simd>(simd: S, scores: &mut [f32], visible: usize) -> f32 {
    scores[visible..].fill(f32::NEG_INFINITY);
    let mut largest = simd.splat(f32::NEG_INFINITY);
    for scores in scores.chunks_exact(S::LANES) {
        largest = simd.max(largest, simd.load(scores));
    }
    let largest = simd.splat(simd.largest(largest));
    let mut sum = simd.splat(0.0);
    for scores in scores.chunks_exact_mut(S::LANES) {
        let weights = exp(simd, simd.subtract(simd.load(scores), largest));
        simd.store(scores, weights);
        sum = simd.add(sum, weights);
    }
    simd.sum(sum)
}

#[cfg(test)]
mod tests;
