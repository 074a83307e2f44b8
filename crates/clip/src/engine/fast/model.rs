//! Both towers on packed weights.

use std::marker::PhantomData;
use std::ops::Range;

use super::attention::Sequence;
use super::format::Format;
use super::layout::Layout;
use super::norm::{Norm, VisionEmbedding, begin};
use super::pool::Pool;
use super::product::{ActivationParts, Activations, Target, Weights, multiply};
use super::simd::{Simd, Work};
use super::storage::Storage;
use super::tower::{Context, Tower};
use crate::engine::{Engine, ModelInfo, tokens};
use crate::error::Error;
use crate::preprocess::SIDE;
use crate::{DIMENSION, Embedding, Pixels};

/// Images of one pass. The intermediate results of eight fit the third-level cache, those of 32 do not.
const IMAGES: usize = 8;

/// Texts of one pass. A text is a sixth of an image, and most of its time is spent reading the weights.
const TEXTS: usize = 64;

/// A model whose layers compute in `F` and whose edges, the first and the last product, in `E`.
///
/// A panic leaves only scratch memory behind, which every pass writes before it reads.
pub(super) struct Model<F: Format, E: Format> {
    info: ModelInfo,
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

impl<F: Format, E: Format> Engine for Model<F, E> {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn is_current(&self) -> bool {
        self.storage.is_current()
    }

    fn embed_images(&mut self, images: &[Pixels]) -> Result<Vec<Embedding>, Error> {
        let pool = self.pool.clone();
        let features = images.chunks(IMAGES).flat_map(|batch| pool.run(|| self.images(batch)));
        features.map(|features| Embedding::normalised(&features)).collect()
    }

    fn embed_texts(&mut self, texts: &[Vec<u32>]) -> Result<Vec<Embedding>, Error> {
        let texts = tokens::checked(texts)?;
        let pool = self.pool.clone();
        let features = texts.chunks(TEXTS).flat_map(|batch| pool.run(|| self.texts(batch)));
        features.map(|features| Embedding::normalised(&features)).collect()
    }
}

impl<F: Format, E: Format> Model<F, E> {
    /// Puts a model together; `patch` is the side of a patch in pixels.
    pub(super) fn new(
        info: ModelInfo,
        storage: Storage,
        layout: Layout,
        (inner, edge): (F::Simd, E::Simd),
        pool: Pool,
        patch: usize,
    ) -> Self {
        Self {
            info,
            vision: Tower::new::<F, E>(inner, &layout.vision, false),
            text: Tower::new::<F, E>(inner, &layout.text, true),
            patches: Activations::new(E::ACTIVATIONS, layout.patches.inputs),
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

    /// The features of images, not normalised.
    fn images(&mut self, images: &[Pixels]) -> Vec<[f32; DIMENSION]> {
        let positions = (SIDE / self.side).pow(2) + 1;
        self.embed_patches(images, positions);
        let sequences: Vec<Sequence> = (0..images.len())
            .map(|image| Sequence { rows: image * positions..(image + 1) * positions, queries: 0..1, output: image })
            .collect();
        let context = Context { storage: &self.storage, simd: self.inner, pool: &self.pool };
        let edge = Context { storage: &self.storage, simd: self.edge, pool: &self.pool };
        self.vision.run::<F, E>(context, edge, &sequences)
    }

    fn embed_patches(&mut self, images: &[Pixels], positions: usize) {
        let rows = images.len() * positions;
        self.patches.reserve(rows);
        self.vision.reserve(rows, images.len());
        {
            let output = self.patches.parts();
            let (simd, side) = (self.edge, self.side);
            self.pool.for_each(rows, |row| {
                let pixels = images[row / positions].as_slice();
                let position = row % positions;
                simd.vectorize(Patch { pixels, row, position, side, output: &output, format: PhantomData::<E> });
            });
        }
        let weights = Weights::new(&self.storage, &self.layout.patches);
        let target = Target::Store(self.vision.stream.parts());
        multiply::<E>(self.edge, &self.pool, &self.patches, rows, weights, &target);

        let embedding = VisionEmbedding {
            class: Self::floats(&self.storage, &self.layout.class),
            positions: Self::floats(&self.storage, &self.layout.vision.positions),
        };
        let norm = Norm::new(&self.storage, &self.layout.before_vision);
        let stride = self.vision.stream.stride;
        begin(self.inner, &self.pool, norm, embedding, (&mut self.vision.stream.values, stride), rows);
    }

    /// The features of texts, each with its end mark last, not normalised.
    fn texts(&mut self, texts: &[&[u32]]) -> Vec<[f32; DIMENSION]> {
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

/// One patch as a row of activations: red, green, blue, each row by row, in the order of the convolution's weights. The row
/// of the class token, at position 0, is zero: simpler than leaving it out, and a fiftieth of the work.
struct Patch<'a, E> {
    /// Of its image.
    pixels: &'a [f32],
    row: usize,
    position: usize,
    side: usize,
    output: &'a ActivationParts<'a>,
    format: PhantomData<E>,
}

impl<E: Format> Work<E::Simd> for Patch<'_, E> {
    type Output = ();

    #[inline(always)]
    #[allow(unsafe_code, reason = "each row is written by the one task that has it")]
    fn run(self, simd: E::Simd) {
        let Self { pixels, row, position, side, output, .. } = self;
        let zeros = [0.0; SIDE];
        let zeros = &zeros[..side];
        let across = SIDE / side;
        for channel in 0..3 {
            for line in 0..side {
                let values = match position.checked_sub(1) {
                    None => zeros,
                    Some(patch) => {
                        let (top, left) = (patch / across * side + line, patch % across * side);
                        &pixels[(channel * SIDE + top) * SIDE + left..][..side]
                    }
                };
                // SAFETY: `embed_patches` gives every row to one task.
                unsafe { output.encode::<E>(simd, row, (channel * side + line) * side, values) };
            }
        }
    }
}
