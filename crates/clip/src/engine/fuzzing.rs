//! The readers of a model's files that are not public, for the fuzz targets in `fuzz/` of the repository. Nothing else may
//! use them: they change with the code they reach.

use std::path::Path;

use super::{fast, weights};
use crate::Error;
use crate::architecture::Architecture;

/// A model's shape, as its `config.json` tells.
pub struct Shape(Architecture);

impl Shape {
    /// Reads a `config.json`; the error says what does not fit.
    pub fn read(json: &[u8]) -> Result<Self, String> {
        Architecture::from_json(json).map(Self)
    }

    /// The `config.json` of such a model.
    pub fn to_json(&self) -> Vec<u8> {
        self.0.to_json()
    }

    /// Words of such a model in each of three formats, if the fast kernels can compute it.
    pub fn packed_lengths(&self) -> Option<[usize; 3]> {
        fast::lengths(&self.0)
    }

    /// Reads a `model.safetensors` of such a model; returns how many tensors it has.
    pub fn weights(&self, file: &[u8]) -> Result<usize, Error> {
        let weights = weights::read_from(file, file.len() as u64, Path::new("model.safetensors"), &self.0)?;
        Ok(weights.tensors.len())
    }
}

/// The header of a packed file, if it is one, as it would be written again.
pub fn rewrite_packed_header(file: &[u8]) -> Option<Vec<u8>> {
    fast::rewrite_header(file)
}
