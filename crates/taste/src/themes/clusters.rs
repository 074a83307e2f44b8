use super::points::Points;
use crate::product::{add, dot};
use crate::vectors::{Direction, Vectors};

/// Rounds after which the assignment is taken as it is; a board is settled after about ten.
const ROUNDS: usize = 50;

/// Points between two calls of `check`.
const STRIDE: usize = 64;

/// Where a point belongs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Assigned {
    /// The nearest centre.
    pub(super) nearest: usize,
    /// Cosine with it.
    pub(super) similarity: f32,
    /// Cosine with the second nearest, -1 where there is none.
    pub(super) next: f32,
}

/// Centres, and the points that are nearest to each.
#[derive(Clone)]
pub(super) struct Clusters {
    centres: Vectors,
    /// Length of the weighted sum of each cluster's members; where it is their weight, they all are the same.
    lengths: Vec<f64>,
    /// In the order of the points.
    pub(super) assigned: Vec<Assigned>,
}

impl Clusters {
    /// One cluster of all points.
    pub(super) fn one(points: &Points<'_>, check: &mut dyn FnMut()) -> Self {
        let mut centres = Vectors::new(points.dimension());
        centres.push_direction(&Direction::from_row(points.row(0)));
        Self::settled(points, centres, check)
    }

    /// Lloyd's algorithm from these centres: every point joins the nearest centre, every centre moves to its members' mean,
    /// until no point changes its cluster.
    pub(super) fn settled(points: &Points<'_>, centres: Vectors, check: &mut dyn FnMut()) -> Self {
        let lengths = vec![0.0; centres.len()];
        let mut clusters = Self { assigned: Vec::new(), lengths, centres };
        clusters.assign(points, check);
        for _ in 0..ROUNDS {
            clusters.centre_all(points, check);
            if !clusters.assign(points, check) {
                break;
            }
        }
        clusters
    }

    /// These clusters and one more that starts at a point, settled.
    pub(super) fn with(&self, points: &Points<'_>, seed: usize, check: &mut dyn FnMut()) -> Self {
        let mut centres = self.centres.clone();
        centres.push_direction(&Direction::from_row(points.row(seed)));
        Self::settled(points, centres, check)
    }

    pub(super) fn len(&self) -> usize {
        self.centres.len()
    }

    pub(super) fn centre(&self, cluster: usize) -> &[f32] {
        self.centres.row(cluster)
    }

    pub(super) fn into_centres(self) -> Vectors {
        self.centres
    }

    /// Cosine distance of a point and its centre.
    pub(super) fn distance(&self, point: usize) -> f64 {
        f64::from(1.0 - self.assigned[point].similarity).max(0.0)
    }

    /// How much nearer a point is to the mean of the others in its cluster than to the next centre, from -1 to 1: a
    /// silhouette with centres for clusters. 0 for a point alone.
    ///
    /// Without the point itself, since its own share draws a centre nearer: in a cut through the middle of one round cluster
    /// that share is all that sets the halves apart.
    pub(super) fn silhouette(&self, points: &Points<'_>, point: usize) -> f64 {
        let assigned = self.assigned[point];
        let (length, weight) = (self.lengths[assigned.nearest], points.weights[point]);
        let along = length * f64::from(assigned.similarity);
        let others = (length * length - 2.0 * weight * along + weight * weight).max(0.0).sqrt();
        if others <= 1e-6 * weight {
            return 0.0;
        }
        let own = 1.0 - ((along - weight) / others).clamp(-1.0, 1.0);
        let next = 1.0 - f64::from(assigned.next).clamp(-1.0, 1.0);
        let greater = own.max(next);
        if greater <= 1e-6 { 0.0 } else { (next - own) / greater }
    }

    /// Gives every point to the nearest centre, the first of equally near ones; whether any changed.
    fn assign(&mut self, points: &Points<'_>, check: &mut dyn FnMut()) -> bool {
        let mut changed = self.assigned.len() != points.len();
        let before = std::mem::take(&mut self.assigned);
        for point in 0..points.len() {
            if point % STRIDE == 0 {
                check();
            }
            let row = points.row(point);
            let mut assigned = Assigned { nearest: 0, similarity: f32::NEG_INFINITY, next: -1.0 };
            for (cluster, centre) in self.centres.rows().enumerate() {
                let similarity = dot(row, centre);
                if similarity > assigned.similarity {
                    assigned = Assigned { nearest: cluster, similarity, next: assigned.similarity.max(-1.0) };
                } else if similarity > assigned.next {
                    assigned.next = similarity;
                }
            }
            changed |= before.get(point).is_some_and(|before| before.nearest != assigned.nearest);
            self.assigned.push(assigned);
        }
        changed
    }

    /// Moves every centre to the mean of its members. One without members, or whose members cancel out, stays.
    fn centre_all(&mut self, points: &Points<'_>, check: &mut dyn FnMut()) {
        let dimension = points.dimension();
        let mut sums = vec![0.0; self.len() * dimension];
        let mut weights = vec![0.0; self.len()];
        for (point, assigned) in self.assigned.iter().enumerate() {
            if point % STRIDE == 0 {
                check();
            }
            let sum = &mut sums[assigned.nearest * dimension..][..dimension];
            add(sum, points.row(point), points.weights[point]);
            weights[assigned.nearest] += points.weights[point];
        }
        for (cluster, sum) in sums.chunks_exact(dimension).enumerate() {
            self.lengths[cluster] = sum.iter().map(|value| value * value).sum::<f64>().sqrt();
            if let Some(direction) = Direction::of_sum(sum, weights[cluster]) {
                self.centres.set(cluster, &direction);
            }
        }
    }
}
