use crate::product::add;
use crate::vectors::{Direction, Vectors};

/// The direction of the weighted mean of the images; without weights all images count the same.
///
/// None if no image has a weight over 0, or if the images cancel each other out.
///
/// # Panics
///
/// If there are not as many weights as images, or one is negative or not finite.
pub fn mean_direction(images: &Vectors, weights: Option<&[f64]>) -> Option<Direction> {
    check_weights(images, weights);
    let mut sum = vec![0.0; images.dimension()];
    let mut total = 0.0;
    for (index, row) in images.rows().enumerate() {
        let weight = weight(weights, index);
        add(&mut sum, row, weight);
        total += weight;
    }
    Direction::of_sum(&sum, total)
}

/// Weight of image `index`.
pub(crate) fn weight(weights: Option<&[f64]>, index: usize) -> f64 {
    weights.map_or(1.0, |weights| weights[index])
}

/// Panics as documented at [`mean_direction`].
pub(crate) fn check_weights(images: &Vectors, weights: Option<&[f64]>) {
    if let Some(weights) = weights {
        assert!(weights.len() == images.len(), "{} weights for {} images", weights.len(), images.len());
        let usable = weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0);
        assert!(usable, "a weight is negative or not finite");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors(rows: &[[f32; 2]]) -> Vectors {
        let mut vectors = Vectors::new(2);
        rows.iter().for_each(|row| vectors.push(row).unwrap());
        vectors
    }

    #[test]
    fn weights_turn_the_mean() {
        let images = vectors(&[[1.0, 0.0], [0.0, 1.0]]);
        let even = mean_direction(&images, None).unwrap();
        assert!((even[0] - even[1]).abs() < 1e-7);
        let turned = mean_direction(&images, Some(&[3.0, 4.0])).unwrap();
        assert!((turned[0] - 0.6).abs() < 1e-7 && (turned[1] - 0.8).abs() < 1e-7);
    }

    #[test]
    fn no_image_and_images_that_cancel_out_have_no_direction() {
        assert_eq!(mean_direction(&Vectors::new(2), None), None);
        assert_eq!(mean_direction(&vectors(&[[1.0, 2.0], [-1.0, -2.0]]), None), None);
        assert_eq!(mean_direction(&vectors(&[[1.0, 2.0]]), Some(&[0.0])), None);
    }

    #[test]
    #[should_panic(expected = "negative")]
    fn a_negative_weight_is_refused() {
        mean_direction(&vectors(&[[1.0, 2.0]]), Some(&[-1.0]));
    }
}
