//! The transformer of both towers.

use std::sync::Arc;

use super::attention::{EncodedInputs, Inputs, Sequence, attend, attend_by_tiles};
use super::buffer::{Buffer, Parts};
use super::format::{Format, Kind};
use super::layout::{self, Layer, MAX_LENGTH, TowerLayout};
use super::norm::{Norm, normalise};
use super::pool::Pool;
use super::product::{Activations, Target, Weights, multiply};
use super::simd::Simd;
use crate::DIMENSION;

/// The model's words, the processor's instructions and the threads of a computation.
#[derive(Clone, Copy)]
pub(super) struct Context<'a, S> {
    pub storage: &'a [u32],
    pub simd: S,
    pub pool: &'a Pool,
}

/// Rows of numbers in whole panels.
pub(super) struct Rows {
    pub values: Buffer<f32>,
    pub stride: usize,
}

impl Rows {
    pub(super) fn new(width: usize) -> Self {
        // A gap as between activations: without it the rows of a tile compete for the same sets of the cache.
        Self { values: Buffer::new(0), stride: layout::panels(width) * super::format::PANEL + 16 }
    }

    pub(super) fn reserve(&mut self, rows: usize) {
        self.values.reserve(rows * self.stride);
    }

    pub(super) fn row_mut(&mut self, row: usize) -> &mut [f32] {
        &mut self.values[row * self.stride..][..self.stride]
    }

    pub(super) fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.stride..][..self.stride]
    }

    pub(super) fn parts(&mut self) -> Parts<'_, f32> {
        Parts::new(&mut self.values, self.stride)
    }
}

/// What attention reads.
enum QueriesKeysValues {
    /// In f32.
    Floats(Rows),
    /// In bfloat16, for matrix instructions.
    Encoded(Activations),
}

/// A tower and its scratch memory, which is kept between calls.
pub(super) struct Tower {
    layout: Arc<TowerLayout>,
    hidden: usize,
    causal: bool,
    /// The residual stream, which the caller fills.
    pub stream: Rows,
    /// The stream's rows that are needed after the last layer.
    wanted: Rows,
    attention: QueriesKeysValues,
    narrow: Activations,
    wide: Activations,
    /// The perceptron's hidden numbers, in formats that need whole groups before they can encode.
    unencoded: Option<Rows>,
    /// As wide as `narrow`, in the format of the model's edges.
    projected: Activations,
    features: Rows,
}

impl Tower {
    /// A tower whose layers compute in `F` and whose last product in `E`.
    pub(super) fn new<F: Format, E: Format>(simd: F::Simd, layout: &TowerLayout, causal: bool) -> Self {
        let layer = &layout.layers[0];
        let (kind, hidden, intermediate) = (F::ACTIVATIONS, layer.widen.inputs, layer.widen.outputs);
        Self {
            hidden,
            causal,
            stream: Rows::new(hidden),
            wanted: Rows::new(hidden),
            attention: match simd.tiles() {
                Some(_) if kind == Kind::Bf16 => QueriesKeysValues::Encoded(Activations::new(kind, 3 * hidden)),
                _ => QueriesKeysValues::Floats(Rows::new(3 * hidden)),
            },
            narrow: Activations::new(kind, hidden),
            wide: Activations::new(kind, intermediate),
            unencoded: (kind == Kind::Int8).then(|| Rows::new(intermediate)),
            projected: Activations::new(E::ACTIVATIONS, hidden),
            features: Rows::new(DIMENSION),
            layout: Arc::new(layout.clone()),
        }
    }

    /// Makes room for `rows` of `sequences`.
    pub(super) fn reserve(&mut self, rows: usize, sequences: usize) {
        self.stream.reserve(rows);
        // Attention reads whole squares of keys, the last of which exceeds its sequence.
        match &mut self.attention {
            QueriesKeysValues::Floats(matrix) => matrix.reserve(rows + MAX_LENGTH),
            QueriesKeysValues::Encoded(matrix) => matrix.reserve(rows + MAX_LENGTH),
        }
        for matrix in [&mut self.wanted, &mut self.features] {
            matrix.reserve(sequences);
        }
        self.narrow.reserve(rows);
        self.wide.reserve(rows);
        self.projected.reserve(sequences);
        if let Some(matrix) = &mut self.unencoded {
            matrix.reserve(rows);
        }
    }

    /// The number of layers.
    pub(super) fn layers(&self) -> usize {
        self.layout.layers.len()
    }

    /// Computes layer number `index`. The layers are computed in order, the first one from the embedded input in
    /// [`stream`](Self::stream). `sequences` are consecutive; each has one query row, whose features are wanted.
    pub(super) fn layer<F: Format>(&mut self, context: Context<'_, F::Simd>, index: usize, sequences: &[Sequence]) {
        let rows = sequences.last().map_or(0, |sequence| sequence.rows.end);
        let layout = Arc::clone(&self.layout);
        let layer = &layout.layers[index];
        self.weigh::<F>(context, layer, rows);
        if index + 1 == layout.layers.len() {
            return self.finish_wanted::<F>(context, layer, sequences);
        }
        let whole: Vec<Sequence> = sequences
            .iter()
            .map(|sequence| Sequence {
                rows: sequence.rows.clone(),
                queries: 0..sequence.rows.len(),
                output: sequence.rows.start,
            })
            .collect();
        self.mix::<F>(context, &whole);
        self.finish::<F>(context, layer, rows);
    }

    /// Completes the last layer. After it only one row of each sequence is needed.
    fn finish_wanted<F: Format>(&mut self, context: Context<'_, F::Simd>, layer: &Layer, sequences: &[Sequence]) {
        self.mix::<F>(context, sequences);
        for (index, sequence) in sequences.iter().enumerate() {
            let row = self.stream.row(sequence.rows.start + sequence.queries.start);
            self.wanted.row_mut(index).copy_from_slice(row);
        }
        std::mem::swap(&mut self.stream, &mut self.wanted);
        self.finish::<F>(context, layer, sequences.len());
        std::mem::swap(&mut self.stream, &mut self.wanted);
    }

    /// Computes queries, keys and values of the stream's rows.
    fn weigh<F: Format>(&mut self, context: Context<'_, F::Simd>, layer: &Layer, rows: usize) {
        let Context { storage, simd, pool } = context;
        let norm = Norm::new(storage, &layer.before_attention);
        normalise::<F>(simd, pool, norm, (&self.stream.values, self.stream.stride), rows, &self.narrow.parts());
        let weights = Weights::new(storage, &layer.attention);
        let target = match &mut self.attention {
            QueriesKeysValues::Floats(matrix) => Target::Store(matrix.parts()),
            QueriesKeysValues::Encoded(matrix) => Target::Encoded(matrix.parts()),
        };
        multiply::<F>(simd, pool, &self.narrow, rows, weights, &target);
    }

    /// Computes attention, as activations.
    fn mix<F: Format>(&mut self, context: Context<'_, F::Simd>, sequences: &[Sequence]) {
        let Context { simd, pool, .. } = context;
        let (width, causal, output) = (self.hidden, self.causal, self.narrow.parts());
        match (&self.attention, simd.tiles()) {
            (QueriesKeysValues::Floats(Rows { values, stride }), _) => {
                let inputs = Inputs { values, stride: *stride, width, causal };
                attend::<F>(simd, pool, inputs, sequences, &output);
            }
            (QueriesKeysValues::Encoded(values), Some(tiles)) => {
                let inputs = EncodedInputs { values, width, causal };
                attend_by_tiles::<F>((simd, tiles), pool, inputs, sequences, &output);
            }
            (QueriesKeysValues::Encoded(_), None) => {
                unreachable!("encoded for tiles that there are not: this is a bug")
            }
        }
    }

    /// The rest of a layer: adds the result of attention to the stream, and then that of the perceptron.
    fn finish<F: Format>(&mut self, context: Context<'_, F::Simd>, layer: &Layer, rows: usize) {
        let Context { storage, simd, pool } = context;
        let weights = Weights::new(storage, &layer.after_attention);
        multiply::<F>(simd, pool, &self.narrow, rows, weights, &Target::Add(self.stream.parts()));

        let norm = Norm::new(storage, &layer.before_perceptron);
        normalise::<F>(simd, pool, norm, (&self.stream.values, self.stream.stride), rows, &self.narrow.parts());
        let weights = Weights::new(storage, &layer.widen);
        match &mut self.unencoded {
            None => {
                let target = Target::GeluEncoded(self.wide.parts());
                multiply::<F>(simd, pool, &self.narrow, rows, weights, &target);
            }
            Some(hidden) => {
                multiply::<F>(simd, pool, &self.narrow, rows, weights, &Target::Gelu(hidden.parts()));
                super::norm::encode::<F>(simd, pool, (&hidden.values, hidden.stride), rows, &self.wide.parts());
            }
        }
        let weights = Weights::new(storage, &layer.narrow);
        multiply::<F>(simd, pool, &self.wide, rows, weights, &Target::Add(self.stream.parts()));
    }

    /// Projects the wanted rows of so many sequences, after the last layer, into the space that both towers share: their
    /// features, not normalised.
    pub(super) fn features<E: Format>(
        &mut self,
        context: Context<'_, E::Simd>,
        sequences: usize,
    ) -> Vec<[f32; DIMENSION]> {
        let Context { storage, simd, pool } = context;
        let norm = Norm::new(storage, &self.layout.last);
        let wanted = (&*self.wanted.values, self.wanted.stride);
        normalise::<E>(simd, pool, norm, wanted, sequences, &self.projected.parts());
        let weights = Weights::new(storage, &self.layout.projection);
        multiply::<E>(simd, pool, &self.projected, sequences, weights, &Target::Store(self.features.parts()));
        (0..sequences)
            .map(|row| {
                let mut features = [0.0; DIMENSION];
                features.copy_from_slice(&self.features.row(row)[..DIMENSION]);
                features
            })
            .collect()
    }
}
