//! Both towers on packed weights.

use std::marker::PhantomData;
use std::ops::Range;

use super::attention::Sequence;
use super::format::Format;
use super::layout::Layout;
use super::norm::{Embedding, Norm, begin};
use super::pool::Pool;
use super::product::{ActivationParts, Activations, Target, Weights, multiply};
use super::simd::{Simd, Work};
use super::storage::Storage;
use super::tower::{Context, Tower};
use crate::DIMENSION;
use crate::preprocess::SIDE;

/// A model whose layers compute in `F` and whose edges, the first and the last product, in `E`.
pub(super) struct Model<F: Format, E: Format> {
    storage: Storage,
    layout: Layout,
    inner: F::Simd,
    edge: E::Simd,
    pool: Pool,
    vision: Tower,
    text: Tower,
    patches: Activations,
    side: usize,
}

/// What [`Model`]s of all formats have in common.
pub(super) trait Towers: Send {
    /// The features of `[n][3][224][224]` pictures, not normalised.
    fn images(&mut self, pixels: &[f32]) -> Vec<[f32; DIMENSION]>;
    /// The features of texts, each with its end mark last, not normalised.
    fn texts(&mut self, texts: &[&[u32]]) -> Vec<[f32; DIMENSION]>;
    /// Whether the weights are those that were checked.
    fn is_current(&self) -> bool;
}

impl<F: Format, E: Format> Model<F, E> {
    /// Puts a model together; `patch` is the side of a patch in pixels.
    pub(super) fn new(
        storage: Storage,
        layout: Layout,
        (inner, edge): (F::Simd, E::Simd),
        pool: Pool,
        patch: usize,
    ) -> Self {
        Self {
            vision: Tower::new(&layout.vision, false),
            text: Tower::new(&layout.text, true),
            patches: Activations::new(layout.patches.kind, layout.patches.inputs),
            storage,
            layout,
            inner,
            edge,
            pool,
            side: patch,
        }
    }

    fn floats<'a>(storage: &'a Storage, part: &Range<usize>) -> &'a [f32] {
        bytemuck::cast_slice(&storage[part.clone()])
    }

    fn embed_patches(&mut self, pixels: &[f32], images: usize) {
        let across = SIDE / self.side;
        let positions = across * across + 1;
        let rows = images * positions;
        self.patches.reserve(rows);
        self.vision.reserve(rows, images);
        {
            let output = self.patches.parts();
            let (simd, side) = (self.edge, self.side);
            self.pool.for_each(images * positions, |row| {
                simd.vectorize(Patch { pixels, row, positions, side, output: &output, format: PhantomData::<E> });
            });
        }
        let weights = Weights::new(&self.storage, &self.layout.patches);
        let target = Target::Store(self.vision.stream.parts());
        multiply::<E>(self.edge, &self.pool, &self.patches, rows, weights, &target);

        let table = Embedding {
            class: Self::floats(&self.storage, &self.layout.class),
            positions: Self::floats(&self.storage, &self.layout.vision.positions),
        };
        let norm = Norm::new(&self.storage, &self.layout.before_vision);
        let stride = self.vision.stream.stride;
        begin(self.inner, &self.pool, norm, table, (&mut self.vision.stream.values, stride), rows);
    }
}

impl<F: Format, E: Format> Towers for Model<F, E> {
    fn images(&mut self, pixels: &[f32]) -> Vec<[f32; DIMENSION]> {
        self.pool.clone().run(|| self.pass_of_images(pixels))
    }

    fn texts(&mut self, texts: &[&[u32]]) -> Vec<[f32; DIMENSION]> {
        self.pool.clone().run(|| self.pass_of_texts(texts))
    }

    fn is_current(&self) -> bool {
        self.storage.is_current()
    }
}

impl<F: Format, E: Format> Model<F, E> {
    fn pass_of_images(&mut self, pixels: &[f32]) -> Vec<[f32; DIMENSION]> {
        let images = pixels.len() / (3 * SIDE * SIDE);
        let positions = (SIDE / self.side).pow(2) + 1;
        self.embed_patches(pixels, images);
        let sequences: Vec<Sequence> = (0..images)
            .map(|image| Sequence { rows: image * positions..(image + 1) * positions, queries: 0..1, output: image })
            .collect();
        let context = Context { storage: &self.storage, simd: self.inner, pool: &self.pool };
        let edge = Context { storage: &self.storage, simd: self.edge, pool: &self.pool };
        self.vision.run::<F, E>(context, edge, &sequences)
    }

    fn pass_of_texts(&mut self, texts: &[&[u32]]) -> Vec<[f32; DIMENSION]> {
        let mut sequences = Vec::with_capacity(texts.len());
        let mut rows = 0;
        for (output, text) in texts.iter().enumerate() {
            let length = text.len();
            sequences.push(Sequence { rows: rows..rows + length, queries: length - 1..length, output });
            rows += length;
        }
        self.text.reserve(rows, texts.len());
        let tokens = Self::floats(&self.storage, &self.layout.tokens);
        let positions = Self::floats(&self.storage, &self.layout.text.positions);
        let width = self.layout.text.projection.inputs;
        let all = texts.iter().flat_map(|text| text.iter().enumerate());
        for (row, (position, &token)) in all.enumerate() {
            let token = &tokens[token as usize * width..][..width];
            let position = &positions[position * width..][..width];
            let stream = self.text.stream.row_mut(row);
            for ((value, token), position) in stream.iter_mut().zip(token).zip(position) {
                *value = token + position;
            }
        }
        let context = Context { storage: &self.storage, simd: self.inner, pool: &self.pool };
        let edge = Context { storage: &self.storage, simd: self.edge, pool: &self.pool };
        self.text.run::<F, E>(context, edge, &sequences)
    }
}

/// One patch as a row of activations: red, green, blue, each row by row, as the convolution's weights lie. The row of the
/// class token is zero, which is simpler than to leave it out and costs a fiftieth.
struct Patch<'a, E> {
    pixels: &'a [f32],
    row: usize,
    positions: usize,
    side: usize,
    output: &'a ActivationParts<'a>,
    format: PhantomData<E>,
}

impl<E: Format> Work<E::Simd> for Patch<'_, E> {
    type Output = ();

    #[inline(always)]
    #[allow(unsafe_code, reason = "each row is written by the one task that has it")]
    fn run(self, simd: E::Simd) {
        let Self { pixels, row, positions, side, output, .. } = self;
        let (image, position) = (row / positions, row % positions);
        let zeros = [0.0; SIDE];
        let zeros = &zeros[..side];
        let across = SIDE / side;
        for channel in 0..3 {
            for line in 0..side {
                let values = match position.checked_sub(1) {
                    None => zeros,
                    Some(patch) => {
                        let (top, left) = (patch / across * side + line, patch % across * side);
                        &pixels[((image * 3 + channel) * SIDE + top) * SIDE + left..][..side]
                    }
                };
                // SAFETY: `embed_patches` gives every row to one task.
                unsafe { output.encode::<E>(simd, row, (channel * side + line) * side, values) };
            }
        }
    }
}
