//! Multiplies activations with packed weights, distributed over the threads by panels of weights.

mod tiles;

use std::cell::Cell;
use std::marker::PhantomData;

use super::buffer::{Buffer, Parts};
use super::format::{F32, Format, Kind, PANEL, Panel, Row};
use super::layout;
use super::pool::Pool;
use super::simd::{Simd, TILE, Work, quick_gelu};

/// Approximate number of rows that are multiplied with a panel at a time. With 768 inputs of bfloat16 they fit the
/// second-level cache beside the panel, and the pieces are small enough to keep all threads busy to the end.
const CHUNK: usize = 400;

/// Rows of words, with their scales if the format has any.
pub(super) struct Activations {
    kind: Kind,
    width: usize,
    stride: usize,
    words: Buffer<u32>,
    scales: Buffer<f32>,
}

/// Unused words between rows: without them eight rows would compete for the same sets of the cache.
const GAP: usize = 16;

impl Activations {
    /// An empty matrix with rows of `width` numbers.
    pub(super) fn new(kind: Kind, width: usize) -> Self {
        // The last panel may have outputs beyond the width.
        let numbers = width.next_multiple_of(PANEL);
        let stride = (numbers / kind.per_word()).next_multiple_of(16) + GAP;
        Self { kind, width, stride, words: Buffer::new(0), scales: Buffer::new(0) }
    }

    /// Makes room for `rows`.
    pub(super) fn reserve(&mut self, rows: usize) {
        // The last tile of rows may have some beyond `rows`.
        self.words.reserve(rows.next_multiple_of(TILE) * self.stride);
        self.scales.reserve(rows * self.groups());
    }

    fn groups(&self) -> usize {
        self.kind.groups(self.width)
    }

    #[inline(always)]
    fn row(&self, row: usize) -> Row<'_> {
        let groups = self.groups();
        Row { words: &self.words[row * self.stride..][..self.stride], scales: &self.scales[row * groups..][..groups] }
    }

    /// The words from the beginning of a row on, with those of all later rows.
    #[inline(always)]
    pub(super) fn words_from(&self, row: usize) -> &[u32] {
        &self.words[row * self.stride..]
    }

    /// Words from one row to the next.
    #[inline(always)]
    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    /// Sets the first words of a row.
    #[cfg(test)]
    pub(super) fn set_words(&mut self, row: usize, words: &[u32]) {
        self.words[row * self.stride..][..words.len()].copy_from_slice(words);
    }

    /// The words of a row.
    #[cfg(test)]
    pub(super) fn words(&self, row: usize) -> &[u32] {
        self.row(row).words
    }

    /// Lends rows and columns to several threads.
    pub(super) fn parts(&mut self) -> ActivationParts<'_> {
        let (kind, width, groups) = (self.kind, self.width, self.groups());
        ActivationParts {
            kind,
            width,
            words: Parts::new(&mut self.words, self.stride),
            scales: Parts::new(&mut self.scales, groups),
        }
    }
}

/// [`Activations`] that several threads write.
pub(super) struct ActivationParts<'a> {
    kind: Kind,
    width: usize,
    words: Parts<'a, u32>,
    scales: Parts<'a, f32>,
}

impl ActivationParts<'_> {
    /// Numbers in a row.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Writes `values` from `column` on, which must begin a group.
    ///
    /// # Safety
    ///
    /// No other thread may access these columns of the row during the call.
    #[inline(always)]
    #[allow(unsafe_code, reason = "the caller's duty")]
    pub(super) unsafe fn encode<F: Format>(&self, simd: F::Simd, row: usize, column: usize, values: &[f32]) {
        debug_assert_eq!(self.kind, F::ACTIVATIONS);
        // Constants: a division by a variable takes as long as the rest.
        let per_word = const { F::ACTIVATIONS.per_word() };
        let (first_word, first_group) = (column / per_word, F::ACTIVATIONS.groups(column));
        let words = first_word..first_word + values.len() / per_word;
        let scales = first_group..first_group + F::ACTIVATIONS.groups(values.len());
        // SAFETY: guaranteed by the caller.
        let (words, scales) = unsafe { (self.words.part(row, words), self.scales.part(row, scales)) };
        F::encode(simd, values, words, scales);
    }

    /// Writes consecutive vectors from `column` on, in formats without scales.
    ///
    /// # Safety
    ///
    /// No other thread may access these columns of the row during the call.
    #[inline(always)]
    #[allow(unsafe_code, reason = "the caller's duty")]
    pub(super) unsafe fn encode_vectors<F: Format, const VECTORS: usize>(
        &self,
        simd: F::Simd,
        row: usize,
        column: usize,
        values: [<F::Simd as Simd>::Floats; VECTORS],
    ) {
        debug_assert_eq!(self.kind, F::ACTIVATIONS);
        let (lanes, per_word) = const { (F::Simd::LANES, F::ACTIVATIONS.per_word()) };
        let words = column / per_word..(column + VECTORS * lanes) / per_word;
        // SAFETY: guaranteed by the caller.
        let words = unsafe { self.words.part(row, words) };
        for (to, value) in words.chunks_exact_mut(lanes / per_word).zip(values) {
            F::encode_vector(simd, value, to);
        }
    }
}

/// Destination of a product's results, with the bias added.
pub(super) enum Target<'a> {
    /// Store the results.
    Store(Parts<'a, f32>),
    /// Add the results to the present values.
    Add(Parts<'a, f32>),
    /// Store their quick-GELU.
    Gelu(Parts<'a, f32>),
    /// Store the results as the next product's activations; in formats without scales.
    Encoded(ActivationParts<'a>),
    /// Store their quick-GELU as the next product's activations; in formats without scales.
    GeluEncoded(ActivationParts<'a>),
}

impl Target<'_> {
    /// Whether sums can be stored in parts, by [`add`](Self::add).
    fn can_be_added_to(&self) -> bool {
        matches!(self, Target::Store(_) | Target::Add(_))
    }

    /// Passes on consecutive vectors of a row's results.
    ///
    /// # Safety
    ///
    /// No other thread may access these columns of the row during the call.
    #[inline(always)]
    #[allow(unsafe_code, reason = "the caller's duty")]
    unsafe fn finish<F: Format, const VECTORS: usize>(
        &self,
        simd: F::Simd,
        row: usize,
        column: usize,
        values: [<F::Simd as Simd>::Floats; VECTORS],
    ) {
        let lanes = F::Simd::LANES;
        let mut values = values;
        if let Target::Gelu(_) | Target::GeluEncoded(_) = self {
            for value in &mut values {
                *value = quick_gelu(simd, *value);
            }
        }
        match self {
            Target::Store(parts) | Target::Gelu(parts) => {
                // SAFETY: guaranteed by the caller.
                let part = unsafe { parts.part(row, column..column + VECTORS * lanes) };
                for (to, value) in part.chunks_exact_mut(lanes).zip(values) {
                    simd.store(to, value);
                }
            }
            // SAFETY: guaranteed by the caller.
            Target::Add(_) => unsafe { self.add::<F, VECTORS>(simd, row, column, values) },
            Target::Encoded(parts) | Target::GeluEncoded(parts) => {
                // SAFETY: guaranteed by the caller.
                unsafe { parts.encode_vectors::<F, VECTORS>(simd, row, column, values) }
            }
        }
    }

    /// Adds consecutive vectors of numbers to those of a row, in targets of f32 sums.
    ///
    /// # Safety
    ///
    /// No other thread may access these columns of the row during the call.
    #[inline(always)]
    #[allow(unsafe_code, reason = "the caller's duty")]
    unsafe fn add<F: Format, const VECTORS: usize>(
        &self,
        simd: F::Simd,
        row: usize,
        column: usize,
        values: [<F::Simd as Simd>::Floats; VECTORS],
    ) {
        let lanes = F::Simd::LANES;
        let (Target::Store(parts) | Target::Add(parts)) = self else {
            unreachable!("not a target of sums: this is a bug")
        };
        // SAFETY: guaranteed by the caller.
        let part = unsafe { parts.part(row, column..column + VECTORS * lanes) };
        for (to, value) in part.chunks_exact_mut(lanes).zip(values) {
            let sum = simd.add(simd.load(to), value);
            simd.store(to, sum);
        }
    }
}

/// Packed weights in a model's words.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a> {
    pub words: &'a [u32],
    pub bias: &'a [f32],
    pub scales: &'a [f32],
    pub starts: &'a [u32],
    pub panel_words: usize,
    pub panel_scales: usize,
}

impl<'a> Weights<'a> {
    /// The weights of a product of the model in `storage`.
    pub(super) fn new(storage: &'a [u32], product: &layout::Product) -> Self {
        Self {
            words: &storage[product.words.clone()],
            bias: bytemuck::cast_slice(&storage[product.bias.clone()]),
            scales: bytemuck::cast_slice(&storage[product.scales.clone()]),
            starts: &storage[product.starts.clone()],
            panel_words: product.panel_words(),
            panel_scales: product.panel_scales(),
        }
    }

    fn panels(&self) -> usize {
        self.bias.len() / PANEL
    }

    #[inline(always)]
    fn panel(&self, index: usize) -> (Panel<'a>, &'a [f32]) {
        let groups = index * self.panel_scales..(index + 1) * self.panel_scales;
        let panel = Panel {
            words: &self.words[index * self.panel_words..][..self.panel_words],
            scales: &self.scales[groups.clone()],
            starts: &self.starts[groups],
        };
        (panel, &self.bias[index * PANEL..][..PANEL])
    }
}

/// Multiplies the first `rows` of `activations` with `weights`. The order of a sum never depends on the other rows or on the
/// number of threads, and so neither does its result.
pub(super) fn multiply<F: Format>(
    simd: F::Simd,
    pool: &Pool,
    activations: &Activations,
    rows: usize,
    weights: Weights<'_>,
    target: &Target<'_>,
) {
    if F::KIND == Kind::Bf16
        && let Some(tiles) = simd.tiles()
    {
        return tiles::multiply::<F>((simd, tiles), pool, activations, rows, weights, target);
    }
    // All chunks but the last have the same height, in whole tiles.
    let chunks = rows.div_ceil(CHUNK);
    let height = rows.div_ceil(chunks.max(1)).next_multiple_of(F::Simd::TILE_ROWS);
    let panels = weights.panels();
    // By chunks first, so that threads which begin far from each other use different rows.
    pool.for_each(chunks * panels, |task| {
        let first = task / panels * height;
        let rows = (first, rows.min(first + height));
        simd.vectorize(Strip { activations, rows, weights, panel: task % panels, target, format: PhantomData::<F> });
    });
}

/// Some rows times one panel.
struct Strip<'a, F> {
    activations: &'a Activations,
    rows: (usize, usize),
    weights: Weights<'a>,
    panel: usize,
    target: &'a Target<'a>,
    format: PhantomData<F>,
}

impl<F: Format> Work<F::Simd> for Strip<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run(self, simd: F::Simd) {
        let (panel, _) = self.weights.panel(self.panel);
        // Both conditions are constants.
        if F::ACTIVATIONS == Kind::F32 && F::KIND != Kind::F32 && self.rows.1 - self.rows.0 > UNPACK_ABOVE {
            // Taken, since a closure would be compiled without the vector instructions.
            let mut buffer = UNPACKED.take();
            let length = panel.words.len() * F::KIND.per_word();
            buffer.reserve(length);
            F::unpack(simd, panel.words, &mut buffer[..length]);
            self.tiles::<F32<F::Simd>>(simd, Panel { words: &buffer[..length], ..panel });
            UNPACKED.set(buffer);
        } else {
            self.tiles::<F>(simd, panel);
        }
    }
}

/// Rows above which unpacking a panel pays. It writes to the second-level cache, from which all tiles of rows then read.
const UNPACK_ABOVE: usize = 128;

thread_local! {
    /// The weights of a panel as f32.
    static UNPACKED: Cell<Buffer<u32>> = Cell::default();
}

impl<F: Format> Strip<'_, F> {
    /// Multiplies with `panel`, in the words of `G`.
    #[inline(always)]
    fn tiles<G: Format<Simd = F::Simd>>(&self, simd: F::Simd, panel: Panel<'_>) {
        let vectors = PANEL / F::Simd::LANES;
        for first in (0..vectors).step_by(F::Simd::TILE_VECTORS) {
            let (mut row, end) = self.rows;
            while row < end {
                let height = height(end - row, F::Simd::TILE_ROWS);
                // Both conditions are constants: only one of the branches is compiled.
                if F::Simd::TILE_VECTORS == 3 {
                    match height {
                        8 => self.tile::<G, 8, 3>(simd, panel, row, first),
                        7 => self.tile::<G, 7, 3>(simd, panel, row, first),
                        6 => self.tile::<G, 6, 3>(simd, panel, row, first),
                        5 => self.tile::<G, 5, 3>(simd, panel, row, first),
                        4 => self.tile::<G, 4, 3>(simd, panel, row, first),
                        3 => self.tile::<G, 3, 3>(simd, panel, row, first),
                        2 => self.tile::<G, 2, 3>(simd, panel, row, first),
                        _ => self.tile::<G, 1, 3>(simd, panel, row, first),
                    }
                } else {
                    match height {
                        6 => self.tile::<G, 6, 2>(simd, panel, row, first),
                        5 => self.tile::<G, 5, 2>(simd, panel, row, first),
                        4 => self.tile::<G, 4, 2>(simd, panel, row, first),
                        3 => self.tile::<G, 3, 2>(simd, panel, row, first),
                        2 => self.tile::<G, 2, 2>(simd, panel, row, first),
                        _ => self.tile::<G, 1, 2>(simd, panel, row, first),
                    }
                }
                row += height;
            }
        }
    }
}

/// Rows of the next tile if `left` rows remain. The last two tiles get about the same height, since a low tile reads all
/// weights for little work.
#[inline(always)]
fn height(left: usize, most: usize) -> usize {
    if left <= most {
        left
    } else if left < 2 * most {
        left.div_ceil(2)
    } else {
        most
    }
}

impl<F: Format> Strip<'_, F> {
    #[inline(always)]
    #[allow(unsafe_code, reason = "each panel's columns are written by one task")]
    fn tile<G: Format<Simd = F::Simd>, const ROWS: usize, const VECTORS: usize>(
        &self,
        simd: F::Simd,
        panel: Panel<'_>,
        row: usize,
        first: usize,
    ) {
        let (_, bias) = self.weights.panel(self.panel);
        let mut rows = [self.activations.row(row); ROWS];
        for (offset, slot) in rows.iter_mut().enumerate() {
            *slot = self.activations.row(row + offset);
        }
        let sums = G::sums::<ROWS, VECTORS>(simd, rows, panel, first);
        let mut biases = [simd.splat(0.0); VECTORS];
        for (vector, slot) in biases.iter_mut().enumerate() {
            *slot = simd.load(&bias[(first + vector) * F::Simd::LANES..]);
        }
        for (offset, mut sums) in sums.into_iter().enumerate() {
            for (sum, &bias) in sums.iter_mut().zip(&biases) {
                *sum = simd.add(*sum, bias);
            }
            let column = self.panel * PANEL + first * F::Simd::LANES;
            // SAFETY: `multiply` assigns the rows of a chunk and a panel to one task, and these are the panel's columns.
            unsafe { self.target.finish::<F, VECTORS>(simd, row + offset, column, sums) };
        }
    }
}

#[cfg(test)]
mod tests;
