//! The towers as operations on candle's tensors.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp1, Layout, Result as CandleResult, Shape, Tensor};

use super::model::Towers;
use super::packed::{Opened, Source};
use super::pool::Pool;
use super::variants::Variant;
use crate::DIMENSION;
use crate::architecture::Architecture;
use crate::engine::towers::{self, until_end};
use crate::error::Error;

/// A loaded model of fast kernels.
pub(in super::super) struct Fast {
    towers: Mutex<Box<dyn Towers>>,
}

/// What [`Fast::load`] gives.
pub(in super::super) struct Loaded {
    pub towers: Fast,
    /// Of the checkpoint, in lower-case hexadecimal.
    pub sha256: String,
    /// Why the weights are in private memory and not in a file, if so.
    pub notice: Option<String>,
}

impl Fast {
    /// Opens or makes the packed weights of a checkpoint and puts the model together.
    pub(in super::super) fn load(
        variant: &Variant,
        checkpoint: &Path,
        architecture: &Architecture,
        threads: NonZeroUsize,
    ) -> Result<Loaded, Error> {
        let pool = Pool::new(threads)?;
        let source = Source::new(variant, checkpoint, architecture);
        let Opened { storage, sha256, notice } = pool.run(|| source.open())?;
        let towers = (variant.build)(storage, source.layout, pool, architecture.patch);
        Ok(Loaded { towers: Self { towers: Mutex::new(towers) }, sha256, notice })
    }

    fn with<R>(&self, work: impl FnOnce(&mut dyn Towers) -> R) -> R {
        // A panic leaves nothing but scratch memory behind, which every pass writes before it reads.
        work(&mut **self.towers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl towers::Towers for Fast {
    fn images(&self, pixels: &Tensor) -> CandleResult<Tensor> {
        pixels.apply_op1_no_bwd(&Images(self))
    }

    fn texts(&self, tokens: &Tensor) -> CandleResult<Tensor> {
        tokens.apply_op1_no_bwd(&Texts(self))
    }

    /// The numbers of eight pictures between two products stay in the third-level cache, those of 32 do not. A text is a
    /// sixth of a picture, and reading the weights for it takes most of its time.
    fn at_once(&self) -> (usize, usize) {
        (8, 64)
    }

    fn mixes_lengths(&self) -> bool {
        true
    }

    fn is_current(&self) -> bool {
        self.with(|towers| towers.is_current())
    }
}

struct Images<'a>(&'a Fast);

struct Texts<'a>(&'a Fast);

impl CustomOp1 for Images<'_> {
    fn name(&self) -> &'static str {
        "clip-images"
    }

    /// `[n, 3, 224, 224]` of f32 to `[n, 512]`.
    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> CandleResult<(CpuStorage, Shape)> {
        let pixels = contiguous(storage.as_slice::<f32>()?, layout)?;
        Ok(features(self.0.with(|towers| towers.images(pixels))))
    }
}

impl CustomOp1 for Texts<'_> {
    fn name(&self) -> &'static str {
        "clip-texts"
    }

    /// `[n, length]` of u32, each row up to its first end mark, to `[n, 512]`.
    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> CandleResult<(CpuStorage, Shape)> {
        let tokens = contiguous(storage.as_slice::<u32>()?, layout)?;
        let (_, length) = layout.shape().dims2()?;
        let texts: Vec<&[u32]> = tokens.chunks_exact(length).map(until_end).collect();
        Ok(features(self.0.with(|towers| towers.texts(&texts))))
    }
}

fn contiguous<'a, T>(values: &'a [T], layout: &Layout) -> CandleResult<&'a [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&values[start..end]),
        None => candle_core::bail!("expected a contiguous tensor"),
    }
}

fn features(rows: Vec<[f32; DIMENSION]>) -> (CpuStorage, Shape) {
    let shape = Shape::from((rows.len(), DIMENSION));
    (CpuStorage::F32(rows.into_flattened()), shape)
}
