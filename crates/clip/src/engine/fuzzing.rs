//! Private readers of a model's files, for the fuzz targets in `fuzz/` of the repository only. They change with the code that
//! they call.

use std::path::Path;

use super::{fast, weights};
use crate::Error;
use crate::architecture::Architecture;

/// A model's shape, read from its `config.json`.
pub struct Shape(Architecture);

impl Shape {
    /// Reads a `config.json`; the error states which value is not accepted.
    pub fn read(json: &[u8]) -> Result<Self, String> {
        Architecture::from_json(json).map(Self)
    }

    /// The `config.json` of this shape.
    pub fn to_json(&self) -> Vec<u8> {
        self.0.to_json()
    }

    /// Words of a packed model of this shape in each of three formats, if the fast kernels can compute it.
    pub fn packed_lengths(&self) -> Option<[usize; 3]> {
        fast::lengths(&self.0)
    }

    /// Reads a `model.safetensors` of this shape; returns the number of tensors.
    pub fn weights(&self, file: &[u8]) -> Result<usize, Error> {
        let weights = weights::read_from(file, file.len() as u64, Path::new("model.safetensors"), &self.0)?;
        Ok(weights.tensors.len())
    }
}

/// Reads the header of a packed file and encodes it again; `None` if it is not one.
pub fn rewrite_packed_header(file: &[u8]) -> Option<Vec<u8>> {
    fast::rewrite_header(file)
}
