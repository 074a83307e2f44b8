//! Texts of like meaning.

use crate::Embedding;

/// Texts in pairs of like meaning. For any trained CLIP the nearest text to each is its partner; in an untrained one that
/// happens by chance, or where words are shared. Nothing here depends on fine shades, so that every trained CLIP passes.
pub const LIKE_TEXTS: [(&str, &str); 10] = [
    ("a photo of a cat", "a photo of a kitten"),
    ("a photo of a car", "a photo of an automobile"),
    ("a photo of the ocean", "a photo of the sea"),
    ("a photo of a sofa", "a photo of a couch"),
    ("a photo of an airplane", "a photo of a jet plane"),
    ("a photo of a bicycle", "a photo of a bike"),
    ("a photo of a forest", "a photo of the woods"),
    ("a photo of a bride", "a photo of a wedding dress"),
    ("a photo of a baby", "a photo of an infant"),
    ("an essay on tax law", "an article about income tax"),
];

/// The number of texts whose partner must be nearest. By chance it is one of 19 texts each.
pub const ENOUGH_PARTNERS: usize = 15;

/// All texts of [`LIKE_TEXTS`], partners beside each other.
pub fn texts() -> Vec<&'static str> {
    LIKE_TEXTS.iter().flat_map(|&(first, second)| [first, second]).collect()
}

/// The number of embeddings of [`texts`] whose nearest other is their partner's.
pub fn partners(embeddings: &[Embedding]) -> usize {
    let is_partner = |index: usize| {
        let others = (0..embeddings.len()).filter(|&other| other != index);
        let cosine = |other: usize| embeddings[index].cosine(&embeddings[other]);
        let nearest = others.max_by(|&left, &right| cosine(left).total_cmp(&cosine(right)));
        nearest == Some(index ^ 1)
    };
    (0..embeddings.len()).filter(|&index| is_partner(index)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DIMENSION;

    fn towards(axes: &[usize]) -> Embedding {
        let mut features = [0.0; DIMENSION];
        for &axis in axes {
            features[axis] = 1.0;
        }
        Embedding::normalised(&features).unwrap()
    }

    #[test]
    fn partners_are_beside_each_other() {
        let like: Vec<_> = (0..20).map(|text| towards(&[text / 2, 20 + text])).collect();
        assert_eq!(partners(&like), 20);
        let mut one_lost = like.clone();
        one_lost[7] = towards(&[0, 400]);
        // Neither it nor its partner is nearest to the other.
        assert!(partners(&one_lost) < 20 && partners(&one_lost) >= ENOUGH_PARTNERS);
        // An untrained model ranks by the position in the list at best.
        let shifted: Vec<_> = (0..20_usize).map(|text| towards(&[text.div_ceil(2), 20 + text])).collect();
        assert!(partners(&shifted) < ENOUGH_PARTNERS);
    }
}
