//! The vision tower, from pixels to features.

use std::marker::PhantomData;

use super::attention::Sequence;
use super::format::Format;
use super::layout::Layout;
use super::norm::{Norm, VisionEmbedding, begin};
use super::parameters::Parameters;
use super::pool::Pool;
use super::product::{ActivationParts, Activations, Target, Weights, multiply};
use super::simd::{Simd, Work};
use super::tower::Tower;
use crate::preprocess::SIDE;
use crate::{DIMENSION, Pixels};

/// The tower, and its scratch memory.
pub(super) struct Vision {
    patches: Activations,
    tower: Tower,
    /// Side of a patch in pixels.
    side: usize,
    /// The images of the present pass.
    sequences: Vec<Sequence>,
}

impl Vision {
    /// A tower whose layers compute in `F` and whose edges in `E`; `side` is that of a patch in pixels.
    pub(super) fn new<F: Format, E: Format>(simd: F::Simd, layout: &Layout, side: usize) -> Self {
        Self {
            patches: Activations::new(E::ACTIVATIONS, layout.patches.inputs),
            tower: Tower::new::<F, E>(simd, &layout.vision, false),
            side,
            sequences: Vec::new(),
        }
    }

    /// Begins a pass. Its layers follow, and then [`features`](Self::features).
    pub(super) fn begin<F: Format, E: Format>(
        &mut self,
        parameters: &Parameters<F, E>,
        pool: &Pool,
        images: &[Pixels],
    ) {
        let positions = (SIDE / self.side).pow(2) + 1;
        self.embed_patches(parameters, pool, images, positions);
        self.sequences = (0..images.len())
            .map(|image| Sequence { rows: image * positions..(image + 1) * positions, queries: 0..1, output: image })
            .collect();
    }

    /// The number of layers.
    pub(super) fn layers(&self) -> usize {
        self.tower.layers()
    }

    /// Computes layer number `index` of the present pass.
    pub(super) fn layer<F: Format, E: Format>(&mut self, parameters: &Parameters<F, E>, pool: &Pool, index: usize) {
        let (context, _) = parameters.contexts(pool);
        self.tower.layer::<F>(context, index, &self.sequences);
    }

    /// The features of the present pass' images, not normalised.
    pub(super) fn features<F: Format, E: Format>(
        &mut self,
        parameters: &Parameters<F, E>,
        pool: &Pool,
    ) -> Vec<[f32; DIMENSION]> {
        let (_, edge) = parameters.contexts(pool);
        self.tower.features::<E>(edge, self.sequences.len())
    }

    fn embed_patches<F: Format, E: Format>(
        &mut self,
        parameters: &Parameters<F, E>,
        pool: &Pool,
        images: &[Pixels],
        positions: usize,
    ) {
        let &Parameters { ref storage, ref layout, inner, edge } = parameters;
        let rows = images.len() * positions;
        self.patches.reserve(rows);
        self.tower.reserve(rows, images.len());
        {
            let output = self.patches.parts();
            let side = self.side;
            pool.for_each(rows, |row| {
                let pixels = images[row / positions].as_slice();
                let position = row % positions;
                edge.vectorize(Patch { pixels, row, position, side, output: &output, format: PhantomData::<E> });
            });
        }
        let weights = Weights::new(storage, &layout.patches);
        let target = Target::Store(self.tower.stream.parts());
        multiply::<E>(edge, pool, &self.patches, rows, weights, &target);

        let embedding = VisionEmbedding {
            class: parameters.floats(&layout.class),
            positions: parameters.floats(&layout.vision.positions),
        };
        let norm = Norm::new(storage, &layout.before_vision);
        let stride = self.tower.stream.stride;
        begin(inner, pool, norm, embedding, (&mut self.tower.stream.values, stride), rows);
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
