use crate::product::cosine;
use crate::themes::Theme;
use crate::vectors::{Direction, Vectors, same_dimension};

/// The `k` images nearest to a direction with their cosines, nearest first; all where there are fewer.
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

/// How alike two boards are, from -1 to 1: each theme is compared with the one nearest to it on the other side; the cosines
/// are averaged by weight on each side, and both sides count the same.
///
/// Two boards that share their tastes in other shares come out near 1 where their means would differ, and two different
/// mixtures with the same mean do not. 0 where a side has no theme.
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
