//! What the threads of a pass read.

use std::ops::Range;

use super::format::Format;
use super::layout::Layout;
use super::pool::Pool;
use super::storage::Storage;
use super::tower::Context;

/// A model's words, and the instructions for its layers, in `F`, and for its edges, in `E`.
pub(super) struct Parameters<F: Format, E: Format> {
    pub storage: Storage,
    pub layout: Layout,
    pub inner: F::Simd,
    pub edge: E::Simd,
}

impl<F: Format, E: Format> Parameters<F, E> {
    /// The contexts of the layers and of the edges, in a pass by the threads of `pool`.
    pub(super) fn contexts<'a>(&'a self, pool: &'a Pool) -> (Context<'a, F::Simd>, Context<'a, E::Simd>) {
        let storage = &self.storage;
        (Context { storage, simd: self.inner, pool }, Context { storage, simd: self.edge, pool })
    }

    /// Words that are f32 in every format.
    pub(super) fn floats(&self, part: &Range<usize>) -> &[f32] {
        bytemuck::cast_slice(&self.storage[part.clone()])
    }
}
