use super::points::Points;
use crate::product::{dot, dots};

/// The number of columns that are computed together: their rows stay in the nearest cache.
const BLOCK: usize = 16;

/// Cosines of all pairs of points. k-means on directions needs nothing else, because the cosine of a point and a mean is a
/// sum of these. A board is fitted dozens of times to determine the number of themes, and saves 512 products each time.
pub(super) struct Gram {
    points: usize,
    cosines: Vec<f32>,
}

impl Gram {
    pub(super) fn new(points: &Points<'_>, check: &mut dyn FnMut()) -> Self {
        let count = points.len();
        let mut cosines = vec![0.0; count * count];
        for begin in (0..count).step_by(BLOCK) {
            check();
            let end = count.min(begin + BLOCK);
            for left in begin..count {
                let row = points.row(left);
                let mut right = begin;
                while right + 4 <= end.min(left + 1) {
                    let found = dots(row, [0, 1, 2, 3].map(|next| points.row(right + next)));
                    cosines[left * count + right..][..4].copy_from_slice(&found);
                    right += 4;
                }
                for right in right..end.min(left + 1) {
                    cosines[left * count + right] = dot(row, points.row(right));
                }
            }
        }
        for left in 0..count {
            for right in 0..left {
                cosines[right * count + left] = cosines[left * count + right];
            }
        }
        Self { points: count, cosines }
    }

    /// Cosines of a point with all points.
    pub(super) fn row(&self, point: usize) -> &[f32] {
        &self.cosines[point * self.points..][..self.points]
    }
}
