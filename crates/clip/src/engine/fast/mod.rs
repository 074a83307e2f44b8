//! The forward pass on weights packed once, with the processor's widest vectors.
//!
//! ```text
//! checkpoint ── pack ──► words of a layout ── storage (mapped from the packed file) ──┐
//! pixels, tokens ── model ──► tower ──► norm, product, attention ◄────────────────────┘
//! ```
//!
//! A row's result is the same bits in every batch and on any number of threads, since no sum is ever split.
#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "kernels are of processors; see `variants`"))]

mod attention;
mod buffer;
mod format;
mod layout;
mod model;
mod norm;
mod operation;
mod pack;
mod packed;
mod pool;
mod product;
mod record;
mod simd;
mod storage;
mod tower;
mod variants;

pub(super) use layout::lengths;
pub(super) use operation::{Fast, Loaded};
pub(super) use packed::{is_packed, rewrite_header, write};
pub(super) use variants::{Variant, choose, fits};
