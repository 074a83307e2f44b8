use std::fmt;

use crate::ModelFingerprint;
use crate::error::{Error, Inner};

/// Length of an embedding: the width of CLIP ViT-B/32's shared space of images and texts.
pub const DIMENSION: usize = 512;

/// How far an embedding's Euclidean norm may be from 1 before it is refused.
pub const NORM_TOLERANCE: f64 = 1e-3;

/// An embedding, and the model that made it.
#[derive(Clone, PartialEq)]
pub struct Embedded {
    /// [`DIMENSION`] finite numbers whose Euclidean norm is 1 within [`NORM_TOLERANCE`].
    pub vector: Box<[f32; DIMENSION]>,
    /// Which model made it.
    pub model: ModelFingerprint,
    /// The image was an animation, of which this is the first frame.
    pub animated: bool,
}

impl Embedded {
    /// Accepts `vector` if it is finite and of norm 1. The server is another process, which may have been replaced or be
    /// broken, so its answers are checked before they are stored.
    pub(crate) fn checked(
        vector: Box<[f32; DIMENSION]>,
        model: ModelFingerprint,
        animated: bool,
    ) -> Result<Self, Error> {
        if let Some(position) = vector.iter().position(|value| !value.is_finite()) {
            return Err(Inner::NotFinite { position }.into());
        }
        let norm = vector.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
        if (norm - 1.0).abs() > NORM_TOLERANCE {
            return Err(Inner::Norm { norm, tolerance: NORM_TOLERANCE }.into());
        }
        Ok(Self { vector, model, animated })
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Embedded").field("model", &self.model).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn check(vector: [f32; DIMENSION]) -> Result<Embedded, Error> {
        Embedded::checked(Box::new(vector), ModelFingerprint::from_bytes([7; 32]), false)
    }

    fn axis(length: f32) -> [f32; DIMENSION] {
        let mut vector = [0.0; DIMENSION];
        vector[3] = length;
        vector
    }

    #[test]
    fn only_unit_vectors_pass() {
        for length in [1.0, -1.0, 1.0009, 0.9991] {
            check(axis(length)).unwrap();
        }
        for length in [0.0, 1.0011, 0.9989, f32::NAN, f32::INFINITY, f32::MAX] {
            assert_eq!(check(axis(length)).unwrap_err().kind(), ErrorKind::Protocol);
        }
    }
}
