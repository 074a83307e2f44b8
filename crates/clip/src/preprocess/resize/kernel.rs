//! Chooses the implementation of the passes.

#[cfg(target_arch = "x86_64")]
use super::avx2::{self, Avx2};
use super::portable;
use super::weights::Weights;

#[derive(Clone, Copy)]
pub(super) enum Kernel {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
}

/// The weights of the pass along the rows, in the form of the implementation.
pub(super) enum Columns {
    Portable(Weights),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2, avx2::Columns),
}

impl Kernel {
    /// The fastest on this processor.
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = Avx2::detect() {
            return Self::Avx2(avx2);
        }
        Self::Portable
    }

    /// All on this processor, by name.
    #[cfg(test)]
    pub fn all() -> Vec<(&'static str, Self)> {
        let portable = [("portable", Self::Portable)];
        #[cfg(target_arch = "x86_64")]
        let fast = Avx2::detect().map(|avx2| ("avx2", Self::Avx2(avx2)));
        #[cfg(not(target_arch = "x86_64"))]
        let fast = None;
        portable.into_iter().chain(fast).collect()
    }

    pub fn columns(self, weights: Weights) -> Columns {
        match self {
            Self::Portable => Columns::Portable(weights),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => Columns::Avx2(avx2, avx2.columns(&weights)),
        }
    }

    /// The pass down the columns of `narrow`, whose rows begin [`NARROW`](super::NARROW) bytes apart: the window.
    pub fn down(self, narrow: &[u8], weights: &Weights) -> Box<[u8]> {
        match self {
            Self::Portable => portable::down(narrow, weights),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => avx2.down(narrow, weights),
        }
    }

    /// Adds `factor` times each sample to its sum.
    pub fn add(self, sums: &mut [i32], samples: &[u8], factor: i32) {
        match self {
            Self::Portable => portable::add(sums, samples, factor),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => avx2.add(sums, samples, factor),
        }
    }
}

impl Columns {
    /// The pass along each of the rows, which begin `stride` bytes apart: 224 pixels of each, [`NARROW`](super::NARROW)
    /// bytes apart.
    pub fn along(&self, rows: &[u8], stride: usize, narrow: &mut [u8]) {
        match self {
            Self::Portable(weights) => portable::along(rows, stride, weights, narrow),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2, columns) => avx2.along(rows, stride, columns, narrow),
        }
    }
}
