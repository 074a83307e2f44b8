use crate::error::{Error, Inner};

/// Length of an embedding: the width of ViT-B/32's shared space of images and texts.
pub const DIMENSION: usize = 512;

/// The embedding of an image or a text: [`DIMENSION`] finite numbers whose Euclidean norm is 1.
///
/// [`Embedding::normalised`] is the only constructor, so the invariant needs no second check.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding([f32; DIMENSION]);

impl Embedding {
    /// Divides `features` by their Euclidean norm; the sum of squares is taken in f64.
    ///
    /// # Errors
    ///
    /// [`Inference`](crate::ErrorKind::Inference) if the length is not [`DIMENSION`], a number is not finite, or all are 0.
    pub fn normalised(features: &[f32]) -> Result<Self, Error> {
        let mut values: [f32; DIMENSION] =
            features.try_into().map_err(|_| Inner::WrongLength { expected: DIMENSION, found: features.len() })?;
        let norm = values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
        // A NaN or an infinity anywhere makes the sum one, so this checks every element.
        if !norm.is_finite() || norm == 0.0 {
            return Err(Inner::NoDirection { norm }.into());
        }
        for value in &mut values {
            *value = (f64::from(*value) / norm) as f32;
        }
        Ok(Self(values))
    }

    /// The numbers.
    pub fn as_slice(&self) -> &[f32] {
        &self.0
    }

    /// The numbers, by value.
    pub fn into_array(self) -> [f32; DIMENSION] {
        self.0
    }

    /// Cosine similarity, from -1 to 1: the dot product, since both norms are 1; summed in f64.
    pub fn cosine(&self, other: &Self) -> f64 {
        self.0.iter().zip(&other.0).map(|(&left, &right)| f64::from(left) * f64::from(right)).sum()
    }
}

impl AsRef<[f32]> for Embedding {
    fn as_ref(&self) -> &[f32] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn norm_becomes_one_even_where_f32_squares_overflow() {
        let embedding = Embedding::normalised(&[1e30; DIMENSION]).unwrap();
        let norm: f64 = embedding.cosine(&embedding).sqrt();
        assert!((norm - 1.0).abs() < 1e-6, "norm is {norm}");
    }

    #[test]
    fn vectors_that_cannot_be_normalised_are_refused() {
        for poison in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut features = [1.0; DIMENSION];
            features[DIMENSION - 1] = poison;
            let error = Embedding::normalised(&features).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Inference);
        }
        assert!(Embedding::normalised(&[0.0; DIMENSION]).is_err());
    }

    #[test]
    fn wrong_length_names_both_lengths() {
        let message = Embedding::normalised(&[1.0; 768]).unwrap_err().to_string();
        assert!(message.contains("512") && message.contains("768"), "{message}");
    }
}
