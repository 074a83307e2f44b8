//! How f32, bf16 and int8 numbers are stored in words, and multiplied.
//!
//! Weights W, N x K as in the checkpoint, are cut into panels of [`PANEL`] outputs. A panel consists of one step per word of
//! K; a step consists of [`PANEL`] words, one per output, each with one (f32), two (bf16) or four (int8) consecutive inputs,
//! the first in the lowest bits. Outputs beyond N are zero. Activations are rows of the same words.
#![allow(unsafe_code, reason = "index checks would cost a third of the innermost loop")]

use std::ops::Range;

use super::simd::{MultiplyBf16, MultiplyInt8, Simd, UnpackBf16};

/// Outputs of a panel: three vectors of sixteen, or three times two of eight.
pub(super) const PANEL: usize = 48;

/// Inputs that share a scale in int8. As many as an attention head has, so that its result is scaled when it is computed.
pub(super) const GROUP: usize = 64;

/// The content of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Kind {
    /// One f32.
    F32 = 1,
    /// Two bfloat16.
    Bf16 = 2,
    /// Four bytes, of weights signed, of activations with 128 for zero.
    Int8 = 4,
}

impl Kind {
    /// Numbers in a word.
    pub(super) const fn per_word(self) -> usize {
        self as usize
    }

    /// Scales of a row, or of an output, with `inputs` numbers.
    pub(super) const fn groups(self, inputs: usize) -> usize {
        match self {
            Self::Int8 => inputs / GROUP,
            Self::F32 | Self::Bf16 => 0,
        }
    }
}

/// A row of activations.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub words: &'a [u32],
    pub scales: &'a [f32],
}

/// The weights of [`PANEL`] outputs.
#[derive(Clone, Copy)]
pub(super) struct Panel<'a> {
    /// `[steps][PANEL]`
    pub words: &'a [u32],
    /// `[groups][PANEL]`
    pub scales: &'a [f32],
    /// `[groups][PANEL]`: -128 times the sum of the group's weights, which cancels the activations' zero point.
    pub starts: &'a [u32],
}

/// The arithmetic of a product on one kind of processor.
pub(super) trait Format: 'static {
    /// The instructions it uses.
    type Simd: Simd;
    /// The content of a word of weights.
    const KIND: Kind;
    /// The content of a word of activations.
    const ACTIVATIONS: Kind = Self::KIND;

    /// Writes the words of weights as those of [`F32`], in formats whose activations are f32 and whose weights are not.
    fn unpack(_: Self::Simd, _: &[u32], _: &mut [u32]) {
        unreachable!("not a packed format: this is a bug")
    }

    /// Writes `values`, which fill whole words and groups, as activations.
    fn encode(simd: Self::Simd, values: &[f32], words: &mut [u32], scales: &mut [f32]);

    /// Writes one vector as activations, in formats without scales.
    fn encode_vector(simd: Self::Simd, value: <Self::Simd as Simd>::Floats, words: &mut [u32]);

    /// The products of `ROWS` rows with `VECTORS` vectors of outputs, from the `first` vector of the panel on.
    fn sums<const ROWS: usize, const VECTORS: usize>(
        simd: Self::Simd,
        rows: [Row<'_>; ROWS],
        panel: Panel<'_>,
        first: usize,
    ) -> [[<Self::Simd as Simd>::Floats; VECTORS]; ROWS];
}

/// f32 on any processor.
pub(super) struct F32<S>(std::marker::PhantomData<S>);

/// bfloat16 products, summed in f32, by instructions for bfloat16.
pub(super) struct Bf16<S>(std::marker::PhantomData<S>);

/// The same products by instructions for f32. Activations are f32 that have been rounded to bfloat16.
pub(super) struct UnpackedBf16<S>(std::marker::PhantomData<S>);

/// Products of bytes, summed exactly within a group and in f32 over groups.
pub(super) struct Int8<S>(std::marker::PhantomData<S>);

/// Steps by which weights are prefetched: a few hundred cycles, the latency of the second-level cache under load.
const AHEAD: usize = 12;

/// Prefetches the weights that are needed [`AHEAD`] steps later.
#[inline(always)]
fn prefetch<S: Simd>(simd: S, words: &[u32], step: usize) {
    for line in 0..PANEL / 16 {
        simd.prefetch(words, (step + AHEAD) * PANEL + 16 * line);
    }
}

/// The word of `row` at `step`.
///
/// # Safety
///
/// `step` must be less than the row's length. The compiler cannot prove that for eight rows, and would check each.
#[inline(always)]
unsafe fn word(row: &[u32], step: usize) -> u32 {
    debug_assert!(step < row.len());
    // SAFETY: guaranteed by the caller.
    unsafe { *row.get_unchecked(step) }
}

/// The innermost loop of all formats, which takes nearly all of the time. Per step it loads each weight vector, broadcasts
/// each row's word, and adds the product of each pair to `sums`.
///
/// # Panics
///
/// If a row or the panel ends before the last of `steps`.
#[inline(always)]
fn add_products<S: Simd, Sum: Copy, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    rows: [Row<'_>; ROWS],
    panel: &[u32],
    first: usize,
    steps: Range<usize>,
    sums: &mut [[Sum; VECTORS]; ROWS],
    dot: impl Fn(Sum, S::Words, S::Words) -> Sum,
) {
    let rows = rows.map(|row| &row.words[..steps.end]);
    let columns = panel[steps.start * PANEL..steps.end * PANEL].chunks_exact(PANEL);
    for (step, column) in steps.zip(columns) {
        prefetch(simd, panel, step);
        let mut weights = [simd.splat_word(0); VECTORS];
        for (vector, weights) in weights.iter_mut().enumerate() {
            *weights = simd.load_words(&column[(first + vector) * S::LANES..][..S::LANES]);
        }
        for (row, sums) in rows.iter().zip(&mut *sums) {
            // SAFETY: each row was cut to the end of the steps above.
            let activation = simd.splat_word(unsafe { word(row, step) });
            for (sum, &weight) in sums.iter_mut().zip(&weights) {
                *sum = dot(*sum, activation, weight);
            }
        }
    }
}

/// The sums of a format without scales, over the whole panel.
#[inline(always)]
fn unscaled<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    rows: [Row<'_>; ROWS],
    panel: Panel<'_>,
    first: usize,
    dot: impl Fn(S::Floats, S::Words, S::Words) -> S::Floats,
) -> [[S::Floats; VECTORS]; ROWS] {
    let mut sums = [[simd.splat(0.0); VECTORS]; ROWS];
    add_products(simd, rows, panel.words, first, 0..panel.words.len() / PANEL, &mut sums, dot);
    sums
}

impl<S: Simd> Format for F32<S> {
    type Simd = S;
    const KIND: Kind = Kind::F32;

    #[inline(always)]
    fn encode(_: S, values: &[f32], words: &mut [u32], _: &mut [f32]) {
        for (word, value) in words.iter_mut().zip(values) {
            *word = value.to_bits();
        }
    }

    #[inline(always)]
    fn encode_vector(simd: S, value: S::Floats, words: &mut [u32]) {
        simd.store(bytemuck::cast_slice_mut(words), value);
    }

    #[inline(always)]
    fn sums<const ROWS: usize, const VECTORS: usize>(
        simd: S,
        rows: [Row<'_>; ROWS],
        panel: Panel<'_>,
        first: usize,
    ) -> [[S::Floats; VECTORS]; ROWS] {
        unscaled(
            simd,
            rows,
            panel,
            first,
            #[inline(always)]
            |sum, activation, weight| simd.multiply_add(simd.floats(activation), simd.floats(weight), sum),
        )
    }
}

impl<S: MultiplyBf16> Format for Bf16<S> {
    type Simd = S;
    const KIND: Kind = Kind::Bf16;

    #[inline(always)]
    fn encode(simd: S, values: &[f32], words: &mut [u32], _: &mut [f32]) {
        for (values, words) in values.chunks_exact(S::LANES).zip(words.chunks_exact_mut(S::LANES / 2)) {
            simd.store_bf16(words, simd.load(values));
        }
    }

    #[inline(always)]
    fn encode_vector(simd: S, value: S::Floats, words: &mut [u32]) {
        simd.store_bf16(words, value);
    }

    #[inline(always)]
    fn sums<const ROWS: usize, const VECTORS: usize>(
        simd: S,
        rows: [Row<'_>; ROWS],
        panel: Panel<'_>,
        first: usize,
    ) -> [[S::Floats; VECTORS]; ROWS] {
        unscaled(
            simd,
            rows,
            panel,
            first,
            #[inline(always)]
            |sum, activation, weight| simd.dot_bf16(sum, activation, weight),
        )
    }
}

/// Adds the products of one number of each row with the weights of one input.
///
/// # Safety
///
/// `at` must be less than the length of each row.
#[inline(always)]
unsafe fn add_column<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    rows: &[&[u32]; ROWS],
    at: usize,
    weights: [S::Floats; VECTORS],
    sums: &mut [[S::Floats; VECTORS]; ROWS],
) {
    for (row, sums) in rows.iter().zip(sums) {
        // SAFETY: guaranteed by the caller.
        let activation = simd.floats(simd.splat_word(unsafe { word(row, at) }));
        for (sum, &weight) in sums.iter_mut().zip(&weights) {
            *sum = simd.multiply_add(activation, weight, *sum);
        }
    }
}

impl<S: UnpackBf16> Format for UnpackedBf16<S> {
    type Simd = S;
    const KIND: Kind = Kind::Bf16;
    const ACTIVATIONS: Kind = Kind::F32;

    #[inline(always)]
    fn unpack(simd: S, packed: &[u32], words: &mut [u32]) {
        for (packed, words) in packed.chunks_exact(PANEL).zip(words.chunks_exact_mut(2 * PANEL)) {
            let (low, high) = words.split_at_mut(PANEL);
            let halves = low.chunks_exact_mut(S::LANES).zip(high.chunks_exact_mut(S::LANES));
            for (packed, (low, high)) in packed.chunks_exact(S::LANES).zip(halves) {
                let packed = simd.load_words(packed);
                simd.store(bytemuck::cast_slice_mut(low), simd.low(packed));
                simd.store(bytemuck::cast_slice_mut(high), simd.high(packed));
            }
        }
    }

    #[inline(always)]
    fn encode(simd: S, values: &[f32], words: &mut [u32], _: &mut [f32]) {
        for (values, words) in values.chunks_exact(S::LANES).zip(words.chunks_exact_mut(S::LANES)) {
            Self::encode_vector(simd, simd.load(values), words);
        }
    }

    #[inline(always)]
    fn encode_vector(simd: S, value: S::Floats, words: &mut [u32]) {
        simd.store(bytemuck::cast_slice_mut(words), simd.round_bf16(value));
    }

    /// In the order of [`F32`], so that both ways give the same bits.
    #[inline(always)]
    fn sums<const ROWS: usize, const VECTORS: usize>(
        simd: S,
        rows: [Row<'_>; ROWS],
        panel: Panel<'_>,
        first: usize,
    ) -> [[S::Floats; VECTORS]; ROWS] {
        let mut sums = [[simd.splat(0.0); VECTORS]; ROWS];
        let steps = panel.words.len() / PANEL;
        let rows = rows.map(|row| &row.words[..2 * steps]);
        for (step, column) in panel.words.chunks_exact(PANEL).enumerate() {
            prefetch(simd, panel.words, step);
            let mut weights = [simd.splat_word(0); VECTORS];
            for (vector, weights) in weights.iter_mut().enumerate() {
                *weights = simd.load_words(&column[(first + vector) * S::LANES..][..S::LANES]);
            }
            let mut unpacked = [simd.splat(0.0); VECTORS];
            for (unpacked, &words) in unpacked.iter_mut().zip(&weights) {
                *unpacked = simd.low(words);
            }
            // SAFETY: each row was cut to twice the steps above.
            unsafe { add_column(simd, &rows, 2 * step, unpacked, &mut sums) };
            for (unpacked, &words) in unpacked.iter_mut().zip(&weights) {
                *unpacked = simd.high(words);
            }
            // SAFETY: as above.
            unsafe { add_column(simd, &rows, 2 * step + 1, unpacked, &mut sums) };
        }
        sums
    }
}

impl<S: MultiplyInt8> Format for Int8<S> {
    type Simd = S;
    const KIND: Kind = Kind::Int8;

    #[inline(always)]
    fn encode(simd: S, values: &[f32], words: &mut [u32], scales: &mut [f32]) {
        let groups = values.chunks_exact(GROUP).zip(words.chunks_exact_mut(GROUP / 4));
        for ((values, words), scale) in groups.zip(scales) {
            let mut largest = simd.splat(0.0);
            for values in values.chunks_exact(S::LANES) {
                largest = simd.max(largest, simd.absolute(simd.load(values)));
            }
            let largest = simd.largest(largest);
            *scale = largest / 127.0;
            let inverse = simd.splat(if largest > 0.0 { 127.0 / largest } else { 0.0 });
            for (values, words) in values.chunks_exact(S::LANES).zip(words.chunks_exact_mut(S::LANES / 4)) {
                simd.store_bytes(words, simd.multiply(simd.load(values), inverse));
            }
        }
    }

    #[inline(always)]
    fn encode_vector(_: S, _: S::Floats, _: &mut [u32]) {
        unreachable!("int8 scales are per group: this is a bug")
    }

    #[inline(always)]
    fn sums<const ROWS: usize, const VECTORS: usize>(
        simd: S,
        rows: [Row<'_>; ROWS],
        panel: Panel<'_>,
        first: usize,
    ) -> [[S::Floats; VECTORS]; ROWS] {
        const STEPS: usize = GROUP / 4;
        let groups = panel.scales.len() / PANEL;
        let scales = rows.map(|row| &row.scales[..groups]);
        let mut sums = [[simd.splat(0.0); VECTORS]; ROWS];
        for group in 0..groups {
            let lanes = |vector: usize| group * PANEL + (first + vector) * S::LANES;
            let mut integers = [[simd.splat_word(0); VECTORS]; ROWS];
            for vector in 0..VECTORS {
                let start = simd.load_words(&panel.starts[lanes(vector)..]);
                for integers in &mut integers {
                    integers[vector] = start;
                }
            }
            add_products(
                simd,
                rows,
                panel.words,
                first,
                group * STEPS..(group + 1) * STEPS,
                &mut integers,
                #[inline(always)]
                |integer, activation, weight| simd.dot_int8(integer, activation, weight),
            );
            for vector in 0..VECTORS {
                let weight_scale = simd.load(&panel.scales[lanes(vector)..]);
                for ((scales, integers), sums) in scales.iter().zip(&integers).zip(&mut sums) {
                    let scale = simd.multiply(weight_scale, simd.splat(scales[group]));
                    sums[vector] = simd.multiply_add(simd.convert(integers[vector]), scale, sums[vector]);
                }
            }
        }
        sums
    }
}
