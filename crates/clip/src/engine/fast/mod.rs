//! The forward pass on weights that are packed once, with the processor's widest vectors.
//!
//! ```text
//! checkpoint ── pack ──► words of a layout ── storage (mapped from the packed file) ──┐
//! pixels, tokens ── model ──► tower ──► norm, product, attention ◄────────────────────┘
//! ```
//!
//! - `model`, `vision`, `tower`: CLIP's two transformers, in terms of `norm`, `product` and `attention`.
//! - `simd`: the instructions of a processor behind the trait `Simd`: `simd/avx2.rs`, `simd/avx512.rs`; matrix instructions
//!   behind `Tiles`: `simd/amx.rs`. `product/tiles.rs` and `attention/tiles.rs` compute by these.
//! - `format`: how f32, bf16 and int8 numbers are stored in words and multiplied, for any `Simd`.
//! - `variants`: the table of precisions and processors. **A kernel is added here**, with its `Simd` or `Format`.
//! - `layout`, `pack`, `packed`, `record`, `storage`: the packed file.
//! - `buffer`, `pool`, `parameters`: memory, threads, and what they read.
//!
//! A row's result has the same bits in every batch and on any number of threads, since the order of a sum never depends on
//! them.
#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "kernels are of processors; see `variants`"))]

mod attention;
mod buffer;
mod format;
mod layout;
mod model;
mod norm;
mod pack;
mod packed;
mod parameters;
mod pool;
mod product;
mod record;
mod simd;
mod storage;
mod tower;
mod variants;
mod vision;

use std::num::NonZeroUsize;
use std::path::Path;

pub(super) use layout::lengths;
pub(super) use packed::{is_packed, rewrite_header, write};
pub(super) use variants::{Variant, choose, fits};

use super::{Engine, ModelInfo};
use crate::architecture::Architecture;
use crate::error::Error;

/// Opens the packed weights of a checkpoint, or packs them, and puts the model together. `info` lacks what this finds out:
/// the hash of the weights, and the notice.
///
/// # Errors
///
/// If the checkpoint cannot be read or does not belong to the architecture, or if other users may write it.
pub(super) fn load(
    variant: &Variant,
    checkpoint: &Path,
    architecture: &Architecture,
    threads: NonZeroUsize,
    info: ModelInfo,
) -> Result<Box<dyn Engine>, Error> {
    let pool = pool::Pool::new(threads)?;
    let source = packed::Source::new(variant, checkpoint, architecture);
    let packed::Opened { storage, sha256, notice } = pool.run(|| source.open())?;
    let info = ModelInfo { weights_sha256: sha256, notice, ..info };
    Ok((variant.build)(info, storage, source.layout, pool, architecture.patch))
}
