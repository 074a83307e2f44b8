use crate::product::cosine;
use crate::vectors::{Direction, Vectors, same_dimension};

/// The factor of cosines before the softmax: a learned temperature of CLIP, which training clipped at 100 and which ended there
/// (Radford et al., Learning Transferable Visual Models From Natural Language Supervision, 2021, section 2.5).
pub const LOGIT_SCALE: f64 = 100.0;

/// Probability of a label among the given ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Probability {
    /// Row of the label, from 0.
    pub label: usize,
    /// From 0 to 1; those of all labels add up to 1.
    pub probability: f64,
    /// Cosine of the label and the embedding, from -1 to 1.
    pub similarity: f64,
}

/// Zero-shot classification: the softmax over the cosines times [`LOGIT_SCALE`], in the order of the labels.
///
/// The probabilities are relative: a single label has probability 1, however little it fits.
///
/// # Panics
///
/// If the dimensions differ.
pub fn classify(embedding: &Direction, labels: &Vectors) -> Vec<Probability> {
    same_dimension(embedding.len(), labels.dimension());
    let similarities: Vec<f64> = labels.rows().map(|label| cosine(embedding, label)).collect();
    let likeliest = similarities.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // Minus the greatest, so that no power overflows and the sum is at least 1.
    let powers: Vec<f64> =
        similarities.iter().map(|similarity| (LOGIT_SCALE * (similarity - likeliest)).exp()).collect();
    let total: f64 = powers.iter().sum();
    let probabilities = powers.iter().map(|power| power / total);
    similarities
        .iter()
        .zip(probabilities)
        .enumerate()
        .map(|(label, (&similarity, probability))| Probability { label, probability, similarity })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(rows: &[[f32; 2]]) -> Vectors {
        let mut labels = Vectors::new(2);
        rows.iter().for_each(|row| labels.push(row).unwrap());
        labels
    }

    #[test]
    fn probabilities_are_the_softmax_of_scaled_cosines() {
        let found = classify(&Direction::normalised(&[1.0, 0.0]).unwrap(), &labels(&[[0.6, 0.8], [0.61, 0.7924]]));
        let odds = found[1].probability / found[0].probability;
        let expected = (100.0 * (found[1].similarity - found[0].similarity)).exp();
        assert!((odds / expected - 1.0).abs() < 1e-12);
        assert!((found[0].probability + found[1].probability - 1.0).abs() < 1e-12);
        assert!((found[0].similarity - 0.6).abs() < 1e-6);
        assert_eq!([found[0].label, found[1].label], [0, 1]);
    }

    #[test]
    fn opposite_labels_do_not_overflow() {
        let found = classify(&Direction::normalised(&[1.0, 0.0]).unwrap(), &labels(&[[-1.0, 0.0], [1.0, 0.0]]));
        assert_eq!(found[1].probability, 1.0);
        assert!(found[0].probability < 1e-80);
    }

    #[test]
    fn no_label_no_answer_and_one_label_is_certain() {
        let embedding = Direction::normalised(&[1.0, 0.0]).unwrap();
        assert!(classify(&embedding, &Vectors::new(2)).is_empty());
        assert_eq!(classify(&embedding, &labels(&[[0.0, 1.0]]))[0].probability, 1.0);
    }
}
