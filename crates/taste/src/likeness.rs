use crate::product::cosine;
use crate::themes::Theme;
use crate::vectors::{Direction, Vectors, same_dimension};

/// Cosine distance of two vectors of any length, from 0 to 2, in f64: 0 for a vector and itself, in spite of rounding in f32.
///
/// # Panics
///
/// If the dimensions differ.
pub fn distance(left: &[f32], right: &[f32]) -> f64 {
    same_dimension(left.len(), right.len());
    let dot = |left: &[f32], right: &[f32]| -> f64 {
        left.iter().zip(right).map(|(&left, &right)| f64::from(left) * f64::from(right)).sum()
    };
    (1.0 - dot(left, right) / (dot(left, left) * dot(right, right)).sqrt()).max(0.0)
}

/// The `k` images nearest to a direction with their cosines, nearest first; all if there are fewer.
///
/// # Panics
///
/// If the dimensions differ.
pub fn nearest(images: &Vectors, direction: &Direction, k: usize) -> Vec<(usize, f64)> {
    same_dimension(images.dimension(), direction.len());
    let mut found: Vec<(usize, f64)> =
        images.rows().enumerate().map(|(index, row)| (index, cosine(row, direction))).collect();
    // A stable sort: ties stay in the order of the images.
    found.sort_by(|left, right| right.1.total_cmp(&left.1));
    found.truncate(k);
    found
}

/// Likeness of two boards, from -1 to 1: each theme is compared with the nearest theme of the other board; the cosines are
/// averaged by weight for each board, and both boards count the same.
///
/// Two boards with the same tastes in different shares have a likeness near 1, although their means differ; two different
/// mixtures with the same mean do not. 0 if a board has no theme.
///
/// # Panics
///
/// If the dimensions differ.
pub fn likeness(left: &[Theme], right: &[Theme]) -> f64 {
    if left.is_empty() || right.is_empty() {
        return 0.0;
    }
    (one_way(left, right) + one_way(right, left)) / 2.0
}

/// Mean over `themes`, by weight, of the cosine with the nearest of `others`.
fn one_way(themes: &[Theme], others: &[Theme]) -> f64 {
    let nearest = |theme: &Theme| {
        let similarity = |other: &Theme| {
            same_dimension(theme.direction.len(), other.direction.len());
            cosine(&theme.direction, &other.direction)
        };
        others.iter().map(similarity).fold(f64::NEG_INFINITY, f64::max)
    };
    let total: f64 = themes.iter().map(|theme| theme.weight).sum();
    themes.iter().map(|theme| theme.weight * nearest(theme)).sum::<f64>() / total
}
