//! Both towers on packed weights.

use super::attention::Sequence;
use super::format::Format;
use super::layout::Layout;
use super::parameters::Parameters;
use super::pool::Pool;
use super::storage::Storage;
use super::tower::Tower;
use super::vision::Vision;
use crate::engine::{Engine, ModelInfo, tokens};
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

    fn is_current(&self) -> bool {
        self.parameters.storage.is_current()
    }

    fn embed_images(&mut self, images: &[Pixels]) -> Result<Vec<Embedding>, Error> {
        let pool = self.pool.clone();
        let features = pool.run(|| self.images(images));
        features.iter().map(|features| Embedding::normalised(features)).collect()
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
            vision: (0..pool.threads()).map(|_| Vision::new::<F, E>(inner, &layout, patch)).collect(),
            text: Tower::new::<F, E>(inner, &layout.text, true),
            parameters: Parameters { storage, layout, inner, edge },
            pool,
        }
    }

    /// The features of images, not normalised.
    fn images(&mut self, mut images: &[Pixels]) -> Vec<[f32; DIMENSION]> {
        let Self { parameters, pool, vision, .. } = self;
        let alone = Pool::of_caller();
        let mut features = Vec::with_capacity(images.len());
        loop {
            let share = IMAGES.min(SHARED.min(images.len()) / vision.len());
            if share < SHARE {
                break;
            }
            let (shared, rest) = images.split_at(share * vision.len());
            let parts = shared.chunks(share).zip(&mut *vision).collect();
            features.extend(pool.map(parts, |(images, vision)| vision.features(parameters, &alone, images)).concat());
            images = rest;
        }
        for images in images.chunks(IMAGES) {
            features.extend(vision[0].features(parameters, pool, images));
        }
        features
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
        let Parameters { layout, .. } = &self.parameters;
        let tokens = self.parameters.floats(&layout.tokens);
        let positions = self.parameters.floats(&layout.text.positions);
        let width = layout.text.projection.inputs;
        let all = texts.iter().flat_map(|text| text.iter().enumerate());
        for (row, (position, &token)) in all.enumerate() {
            let token = &tokens[token as usize * width..][..width];
            let position = &positions[position * width..][..width];
            let stream = self.text.stream.row_mut(row);
            for ((value, token), position) in stream.iter_mut().zip(token).zip(position) {
                *value = token + position;
            }
        }
        let (context, edge) = self.parameters.contexts(&self.pool);
        self.text.run::<F, E>(context, edge, &sequences)
    }
}
