//! Layer norm, straight into the next product's activations.

use std::marker::PhantomData;
use std::ops::Range;

use super::buffer::Parts;
use super::format::Format;
use super::layout::{self, MAX_WIDTH};
use super::pool::Pool;
use super::product::ActivationParts;
use super::simd::{Simd, Work};

/// transformers' `layer_norm_eps` of CLIP.
const EPSILON: f32 = 1e-5;

/// Rows of one task: enough to outweigh its overhead.
const ROWS: usize = 16;

/// Distributes rows over tasks.
fn by_rows(pool: &Pool, rows: usize, task: impl Fn(Range<usize>) + Sync + Send) {
    pool.for_each(rows.div_ceil(ROWS), |index| task(index * ROWS..rows.min((index + 1) * ROWS)));
}

/// Gain and shift in a model's words.
#[derive(Clone, Copy)]
pub(super) struct Norm<'a> {
    gain: &'a [f32],
    shift: &'a [f32],
}

impl<'a> Norm<'a> {
    /// The norm of the model in `storage`.
    pub(super) fn new(storage: &'a [u32], norm: &layout::Norm) -> Self {
        let part = |range: &Range<usize>| bytemuck::cast_slice(&storage[range.clone()]);
        Self { gain: part(&norm.gain), shift: part(&norm.shift) }
    }
}

/// Normalises the first `rows` of `input`, whose rows are `stride` numbers apart, into `output`.
pub(super) fn normalise<F: Format>(
    simd: F::Simd,
    pool: &Pool,
    norm: Norm<'_>,
    (input, stride): (&[f32], usize),
    rows: usize,
    output: &ActivationParts<'_>,
) {
    by_rows(pool, rows, |rows| {
        simd.vectorize(Rows { norm, input, stride, rows, output, format: PhantomData::<F> });
    });
}

struct Rows<'a, F> {
    norm: Norm<'a>,
    input: &'a [f32],
    stride: usize,
    rows: Range<usize>,
    output: &'a ActivationParts<'a>,
    format: PhantomData<F>,
}

impl<F: Format> Work<F::Simd> for Rows<'_, F> {
    type Output = ();

    #[inline(always)]
    #[allow(unsafe_code, reason = "each row is written by one task")]
    fn run(self, simd: F::Simd) {
        let width = self.norm.gain.len();
        let mut normalised = [0.0; MAX_WIDTH];
        for row in self.rows {
            normalise_row(simd, self.norm, &self.input[row * self.stride..][..width], &mut normalised[..width]);
            // SAFETY: `normalise` gives every row to one task.
            unsafe { self.output.encode::<F>(simd, row, 0, &normalised[..width]) };
        }
    }
}

/// Subtracts the mean and divides by the deviation, as torch does; sums of the lanes in f32.
#[inline(always)]
pub(super) fn normalise_row<S: Simd>(simd: S, norm: Norm<'_>, input: &[f32], output: &mut [f32]) {
    let count = simd.splat(1.0 / input.len() as f32);
    let mut sum = simd.splat(0.0);
    for values in input.chunks_exact(S::LANES) {
        sum = simd.add(sum, simd.load(values));
    }
    let mean = simd.multiply(simd.splat(simd.sum(sum)), count);
    let mut sum = simd.splat(0.0);
    for values in input.chunks_exact(S::LANES) {
        let deviation = simd.subtract(simd.load(values), mean);
        sum = simd.multiply_add(deviation, deviation, sum);
    }
    let variance = simd.sum(sum) / input.len() as f32;
    let inverse = simd.splat(1.0 / (variance + EPSILON).sqrt());
    let parameters = norm.gain.chunks_exact(S::LANES).zip(norm.shift.chunks_exact(S::LANES));
    let values = input.chunks_exact(S::LANES).zip(output.chunks_exact_mut(S::LANES));
    for ((input, output), (gain, shift)) in values.zip(parameters) {
        let deviation = simd.multiply(simd.subtract(simd.load(input), mean), inverse);
        simd.store(output, simd.multiply_add(deviation, simd.load(gain), simd.load(shift)));
    }
}

/// Writes rows as activations without normalising them.
pub(super) fn encode<F: Format>(
    simd: F::Simd,
    pool: &Pool,
    (input, stride): (&[f32], usize),
    rows: usize,
    output: &ActivationParts<'_>,
) {
    by_rows(pool, rows, |rows| {
        simd.vectorize(Plain { input, stride, rows, output, format: PhantomData::<F> });
    });
}

struct Plain<'a, F> {
    input: &'a [f32],
    stride: usize,
    rows: Range<usize>,
    output: &'a ActivationParts<'a>,
    format: PhantomData<F>,
}

impl<F: Format> Work<F::Simd> for Plain<'_, F> {
    type Output = ();

    #[inline(always)]
    #[allow(unsafe_code, reason = "each row is written by one task")]
    fn run(self, simd: F::Simd) {
        for row in self.rows {
            let values = &self.input[row * self.stride..][..self.output.width()];
            // SAFETY: `encode` gives every row to one task.
            unsafe { self.output.encode::<F>(simd, row, 0, values) };
        }
    }
}

/// Learned vectors that the vision tower adds to its patches.
#[derive(Clone, Copy)]
pub(super) struct VisionEmbedding<'a> {
    /// Takes the place of a patch before the first one.
    pub class: &'a [f32],
    /// `[positions][width]`
    pub positions: &'a [f32],
}

/// Turns embedded patches into the vision tower's residual stream in place: adds class and positions, then applies the first
/// norm.
pub(super) fn begin<S: Simd>(
    simd: S,
    pool: &Pool,
    norm: Norm<'_>,
    embedding: VisionEmbedding<'_>,
    (stream, stride): (&mut [f32], usize),
    rows: usize,
) {
    let parts = Parts::new(stream, stride);
    by_rows(pool, rows, |rows| {
        simd.vectorize(Begin { norm, embedding, parts: &parts, rows });
    });
}

struct Begin<'a> {
    norm: Norm<'a>,
    embedding: VisionEmbedding<'a>,
    parts: &'a Parts<'a, f32>,
    rows: Range<usize>,
}

impl<S: Simd> Work<S> for Begin<'_> {
    type Output = ();

    #[inline(always)]
    #[allow(unsafe_code, reason = "each row is written by one task")]
    fn run(self, simd: S) {
        let width = self.norm.gain.len();
        let VisionEmbedding { class, positions } = self.embedding;
        let mut sum = [0.0; MAX_WIDTH];
        for row in self.rows {
            // SAFETY: `begin` gives every row to one task.
            let stream = unsafe { self.parts.part(row, 0..width) };
            let position = row % (positions.len() / width);
            let patch = if position == 0 { class } else { &*stream };
            let addends = &positions[position * width..][..width];
            for ((sum, patch), addend) in sum.iter_mut().zip(patch).zip(addends) {
                *sum = patch + addend;
            }
            normalise_row(simd, self.norm, &sum[..width], stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Whole<'a>(Norm<'a>, &'a [f32], &'a mut [f32]);

    impl<S: Simd> Work<S> for Whole<'_> {
        type Output = ();

        #[inline(always)]
        fn run(self, simd: S) {
            normalise_row(simd, self.0, self.1, self.2);
        }
    }

    fn check<S: Simd>(simd: S) {
        for (width, offset) in [(64, 0.0f32), (128, 0.0), (512, 100.0), (768, -3.0), (1024, 0.5)] {
            let tolerance = 2e-5 * f64::from(1.0 + offset.abs());
            let input: Vec<f32> = (0..width).map(|at| ((at * 7919) % 1009) as f32 / 300.0 + offset).collect();
            let gain: Vec<f32> = (0..width).map(|at| 1.0 + (at % 5) as f32 / 7.0).collect();
            let shift: Vec<f32> = (0..width).map(|at| (at % 3) as f32 - 1.0).collect();
            let mut found = vec![0.0; width];
            simd.vectorize(Whole(Norm { gain: &gain, shift: &shift }, &input, &mut found));

            let mean = input.iter().map(|&value| f64::from(value)).sum::<f64>() / width as f64;
            let variance = input.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / width as f64;
            for (at, found) in found.iter().enumerate() {
                let normal = (f64::from(input[at]) - mean) / (variance + f64::from(EPSILON)).sqrt();
                let expected = normal * f64::from(gain[at]) + f64::from(shift[at]);
                assert!((f64::from(*found) - expected).abs() < tolerance, "{found}, expected {expected}");
            }
        }
    }

    #[test]
    fn normalised_rows_match_the_definition() {
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(simd) = crate::engine::fast::simd::Avx2::detect() {
                check(simd);
            }
            if let Some(simd) = crate::engine::fast::simd::Avx512::detect() {
                check(simd);
            }
        }
    }
}
