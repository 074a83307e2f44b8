use super::points::Points;
use crate::product::{add, dot};
use crate::vectors::{Direction, Vectors};

/// Points between two calls of `check`.
const STRIDE: usize = 64;

/// The mean direction of each cluster. If the members cancel each other out, it is that of the first member; if there are no
/// members, that of the first point.
pub(super) fn of(points: &Points<'_>, clusters: &[usize], count: usize, check: &mut dyn FnMut()) -> Vectors {
    let dimension = points.dimension();
    let mut sums = vec![0.0; count * dimension];
    let mut weights = vec![0.0; count];
    for (point, &cluster) in clusters.iter().enumerate() {
        if point.is_multiple_of(STRIDE) {
            check();
        }
        add(&mut sums[cluster * dimension..][..dimension], points.row(point), points.weights[point]);
        weights[cluster] += points.weights[point];
    }
    let mut centres = Vectors::with_capacity(dimension, count);
    for (cluster, sum) in sums.chunks_exact(dimension).enumerate() {
        let first = || clusters.iter().position(|&of| of == cluster).unwrap_or(0);
        let direction = Direction::of_sum(sum, weights[cluster]);
        centres.push_direction(&direction.unwrap_or_else(|| Direction::from_row(points.row(first()))));
    }
    centres
}

/// The nearest centre of each point, the first of equally near ones.
pub(super) fn nearest(points: &Points<'_>, centres: &Vectors, check: &mut dyn FnMut()) -> Vec<usize> {
    let nearest = |point: usize| {
        if point.is_multiple_of(STRIDE) {
            check();
        }
        let mut nearest = (0, f32::NEG_INFINITY);
        for (cluster, centre) in centres.rows().enumerate() {
            let similarity = dot(points.row(point), centre);
            if similarity > nearest.1 {
                nearest = (cluster, similarity);
            }
        }
        nearest.0
    };
    (0..points.len()).map(nearest).collect()
}
