//! Both towers on packed weights.

use super::attention::Sequence;
use super::format::Format;
use super::layout::Layout;
use super::parameters::Parameters;
use super::pool::Pool;
use super::storage::Storage;
use super::tower::Tower;
use super::vision::Vision;
use crate::engine::{AtBreak, Engine, ModelInfo, TextEngine, tokens};
use crate::error::Error;
use crate::{DIMENSION, Embedding, Pixels};

/// Images of one pass. The intermediate results of eight fit the third-level cache, those of 32 do not.
const IMAGES: usize = 8;

/// Fewest images for which a thread reads all weights by itself. The threads then need not wait for one another after each
/// product.
const SHARE: usize = 4;

/// Most images that several threads compute by themselves at the same time, which limits the memory for intermediate results to
/// 18 MB, and how often all weights are read.
const SHARED: usize = 2 * IMAGES;

/// Texts of one pass. A text is a sixth of an image, and most of its time is spent reading the weights.
const TEXTS: usize = 64;

/// A model whose layers compute in `F` and whose edges, the first and the last product, in `E`.
///
/// A panic leaves only scratch memory behind, which every pass writes before it reads.
pub(super) struct Model<F: Format, E: Format> {
    info: ModelInfo,
    parameters: Parameters<F, E>,
    pool: Pool,
    /// One for each thread.
    vision: Vec<Vision>,
    text: Tower,
}

impl<F: Format, E: Format> Engine for Model<F, E> {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn embed_images_with_breaks(
        &mut self,
        images: &[Pixels],
        at_break: &mut AtBreak<'_>,
    ) -> Result<Vec<Embedding>, Error> {
        let Self { parameters, pool, vision, text, .. } = self;
        let mut texts = Texts { parameters, pool, tower: text };
        let features = pool.run(|| image_features(parameters, pool, vision, images, || at_break(&mut texts)));
        features.iter().map(|features| Embedding::normalised(features)).collect()
    }
}

impl<F: Format, E: Format> TextEngine for Model<F, E> {
    fn is_current(&self) -> bool {
        self.parameters.storage.is_current()
    }

    fn embed_texts(&mut self, texts: &[Vec<u32>]) -> Result<Vec<Embedding>, Error> {
        let Self { parameters, pool, text, .. } = self;
        pool.run(|| Texts { parameters, pool, tower: text }.embed_texts(texts))
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
            vision: (0..pool.threads()).map(|_| Vision::new::<F, E>(inner, &layout, patch)).collect(),
            text: Tower::new::<F, E>(inner, &layout.text, true),
            parameters: Parameters { storage, layout, inner, edge },
            pool,
        }
    }
}

/// The features of images, not normalised. Calls `at_break` after each layer. Within [`Pool::run`].
fn image_features<F: Format, E: Format>(
    parameters: &Parameters<F, E>,
    pool: &Pool,
    vision: &mut [Vision],
    mut images: &[Pixels],
    mut at_break: impl FnMut(),
) -> Vec<[f32; DIMENSION]> {
    let alone = &Pool::of_caller();
    let mut features = Vec::with_capacity(images.len());
    while !images.is_empty() {
        let share = IMAGES.min(SHARED.min(images.len()) / vision.len());
        // Each thread computes images by itself, or all compute the same ones.
        let (share, threads, inner) = if share < SHARE { (IMAGES, 1, pool) } else { (share, vision.len(), alone) };
        let (now, later) = images.split_at((share * threads).min(images.len()));
        let layers = vision[0].layers();
        let mut parts: Vec<_> = vision.iter_mut().zip(now.chunks(share)).collect();
        pool.map(parts.iter_mut().collect(), |(vision, images)| vision.begin(parameters, inner, images));
        for layer in 0..layers {
            pool.map(parts.iter_mut().collect(), |(vision, _)| vision.layer(parameters, inner, layer));
            at_break();
        }
        features.extend(pool.map(parts, |(vision, _)| vision.features(parameters, inner)).concat());
        images = later;
    }
    features
}

/// The text tower, within [`Pool::run`].
struct Texts<'a, F: Format, E: Format> {
    parameters: &'a Parameters<F, E>,
    pool: &'a Pool,
    tower: &'a mut Tower,
}

impl<F: Format, E: Format> TextEngine for Texts<'_, F, E> {
    fn is_current(&self) -> bool {
        self.parameters.storage.is_current()
    }

    fn embed_texts(&mut self, texts: &[Vec<u32>]) -> Result<Vec<Embedding>, Error> {
        let texts = tokens::checked(texts)?;
        let features = texts.chunks(TEXTS).flat_map(|batch| self.features(batch));
        features.map(|features| Embedding::normalised(&features)).collect()
    }
}

impl<F: Format, E: Format> Texts<'_, F, E> {
    /// The features of texts, each with its end mark last, not normalised.
    fn features(&mut self, texts: &[&[u32]]) -> Vec<[f32; DIMENSION]> {
        let Self { parameters, pool, tower } = self;
        let mut sequences = Vec::with_capacity(texts.len());
        let mut rows = 0;
        for (output, text) in texts.iter().enumerate() {
            let length = text.len();
            sequences.push(Sequence { rows: rows..rows + length, queries: length - 1..length, output });
            rows += length;
        }
        tower.reserve(rows, texts.len());
        let layout = &parameters.layout;
        let tokens = parameters.floats(&layout.tokens);
        let positions = parameters.floats(&layout.text.positions);
        let width = layout.text.projection.inputs;
        let all = texts.iter().flat_map(|text| text.iter().enumerate());
        for (row, (position, &token)) in all.enumerate() {
            let token = &tokens[token as usize * width..][..width];
            let position = &positions[position * width..][..width];
            let stream = tower.stream.row_mut(row);
            for ((value, token), position) in stream.iter_mut().zip(token).zip(position) {
                *value = token + position;
            }
        }
        let (context, edge) = parameters.contexts(pool);
        for layer in 0..tower.layers() {
            tower.layer::<F>(context, layer, &sequences);
        }
        tower.features::<E>(edge, sequences.len())
    }
}
