//! Published figures of `openai/clip-vit-base-patch32`.

use crate::Embedding;

/// A text, and the first numbers of its embedding with an error of at most 0.001, from the tests of fastembed (Qdrant), which
/// embeds with an export of the same weights.
///
/// These are of unit length. That follows from their size: the numbers of a unit vector have a root mean square of 0.044,
/// those of CLIP's features before normalisation, whose length is about 10, one of 0.4. Five in a row below 0.02 are
/// ordinary for the first and next to impossible for the second. [`beginning`] compares up to a common factor nevertheless.
pub const HELLO_WORLD: (&str, [f32; 5]) = ("hello world", [0.0083, 0.0103, -0.0138, 0.0199, -0.0069]);

/// An image of the COCO data set, which is not part of this project: its number, width and height.
pub const CAT_PHOTO: (&str, u32, u32) = ("000000039769", 640, 480);

/// Two texts, and the logits of [`CAT_PHOTO`] against them, from the tests of transformers.
pub const CAT_AND_DOG: [(&str, f64); 2] = [("a photo of a cat", 24.5701), ("a photo of a dog", 19.3049)];

/// The first numbers of an embedding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beginning {
    /// Largest difference between the numbers and the published ones.
    pub difference: f64,
    /// The factor that brings the numbers nearest to the published ones.
    pub factor: f64,
    /// Largest difference after multiplication with it.
    pub scaled_difference: f64,
    /// The result.
    pub comparison: Comparison,
}

/// The result of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The numbers are the published ones.
    Equal,
    /// They are up to a common positive factor.
    EqualUpToFactor,
    /// They are not.
    Different,
}

/// Largest differences from published figures in a precision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Of a number of an embedding.
    pub number: f64,
    /// Of a logit, a hundred times a cosine.
    pub logit: f64,
}

/// For f32, the published error of a number; and for a logit what other decoders and resizers of the same image have caused.
///
/// For reduced precisions the rounding is added. Its angle is below 0.01 in bf16 and 0.03 in int8 (docs/performance.md:
/// cosines of 0.99997 and 0.9996), which is 0.0005 and 0.0013 in each of 512 numbers, and at most 1 and 3 in a logit if it
/// points to the text, typically a twentieth of that. The tolerances are a few of the typical ones.
///
/// `precision` is that of a [`ModelInfo`](crate::ModelInfo).
pub fn tolerance(precision: &str) -> Tolerance {
    match precision.split('-').next() {
        Some("bf16") => Tolerance { number: 0.003, logit: 0.4 },
        Some("int8") => Tolerance { number: 0.006, logit: 1.0 },
        _ => Tolerance { number: 0.001, logit: 0.1 },
    }
}

/// Compares the first numbers of an embedding with `published` ones.
pub fn beginning(found: &[f32], published: &[f32], tolerance: f64) -> Beginning {
    let pairs = || found.iter().zip(published).map(|(&found, &published)| (f64::from(found), f64::from(published)));
    let worst = |factor: f64| {
        let differences = pairs().map(|(found, published)| (factor * found - published).abs());
        // A NaN is the worst.
        differences.map(|difference| if difference.is_nan() { f64::INFINITY } else { difference }).fold(0.0, f64::max)
    };
    let factor = pairs().map(|(found, published)| found * published).sum::<f64>()
        / pairs().map(|(found, _)| found * found).sum::<f64>();
    let (difference, scaled_difference) = (worst(1.0), worst(factor));
    let comparison = if difference <= tolerance {
        Comparison::Equal
    } else if factor > 0.0 && scaled_difference <= tolerance {
        Comparison::EqualUpToFactor
    } else {
        Comparison::Different
    };
    Beginning { difference, factor, scaled_difference, comparison }
}

/// A hundred times the cosine: the scale at which OpenAI's training ended, and which its files contain.
pub fn logit(image: &Embedding, text: &Embedding) -> f64 {
    100.0 * image.cosine(text)
}

/// Whether logits are those of [`CAT_AND_DOG`].
pub fn logits_agree(found: [f64; 2], tolerance: f64) -> bool {
    CAT_AND_DOG.iter().zip(found).all(|(&(_, published), found)| (found - published).abs() <= tolerance)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLISHED: [f32; 5] = HELLO_WORLD.1;

    fn compare(found: [f32; 5]) -> Comparison {
        beginning(&found, &PUBLISHED, 0.001).comparison
    }

    #[test]
    fn equal_within_the_tolerance() {
        assert_eq!(compare(PUBLISHED), Comparison::Equal);
        assert_eq!(compare(PUBLISHED.map(|number| number + 0.0009)), Comparison::Equal);
        let mut wrong = PUBLISHED;
        wrong[4] += 0.002;
        assert_eq!(compare(wrong), Comparison::Different);
    }

    #[test]
    fn a_common_factor_is_recognised() {
        let longer = beginning(&PUBLISHED.map(|number| 10.0 * number), &PUBLISHED, 0.001);
        assert_eq!(longer.comparison, Comparison::EqualUpToFactor);
        assert!((longer.factor - 0.1).abs() < 1e-6, "{longer:?}");
        assert_eq!(compare(PUBLISHED.map(|number| -number)), Comparison::Different, "the opposite direction");
    }

    #[test]
    fn what_is_no_number_or_nothing_is_different() {
        let mut poisoned = PUBLISHED;
        poisoned[2] = f32::NAN;
        assert_eq!(compare(poisoned), Comparison::Different);
        assert_eq!(compare([0.0; 5]), Comparison::Different);
        assert!(!logits_agree([f64::NAN, 19.3], 1.0));
    }

    /// Of a million random directions, next to none begins like the text, in any precision.
    #[test]
    fn chance_does_not_pass() {
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        let passed = (0..100_000)
            .filter(|_| {
                // A uniform number of the deviation of a unit vector's.
                let numbers: [f32; 5] = std::array::from_fn(|_| 0.153 * random());
                beginning(&numbers, &PUBLISHED, tolerance("int8-g64").number).comparison == Comparison::Equal
            })
            .count();
        assert!(passed <= 3, "{passed}");
    }
}
