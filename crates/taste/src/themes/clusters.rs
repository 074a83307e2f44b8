use super::gram::Gram;

/// The greatest number of rounds; a board is settled after about five.
const ROUNDS: usize = 50;

/// A partition of points into clusters, each around the direction of its members' mean.
#[derive(Clone)]
pub(super) struct Clusters {
    /// The cluster of each point.
    pub(super) of: Vec<usize>,
    /// Weight of each cluster's members.
    weights: Vec<f64>,
    /// Length of the weighted sum of each cluster's members.
    lengths: Vec<f64>,
    /// Dot products of the points with each cluster's weighted sum, a row for each cluster.
    sums: Vec<f64>,
}

/// The points that are clustered.
pub(super) struct Sample<'a> {
    pub(super) gram: &'a Gram,
    pub(super) weights: &'a [f64],
}

impl Sample<'_> {
    pub(super) fn len(&self) -> usize {
        self.weights.len()
    }

    /// The total weight.
    pub(super) fn weight(&self) -> f64 {
        self.weights.iter().sum()
    }
}

impl Clusters {
    /// One cluster of all points.
    pub(super) fn one(sample: &Sample<'_>, check: &mut dyn FnMut()) -> Self {
        let mut clusters = Self { of: vec![0; sample.len()], weights: vec![0.0], lengths: vec![0.0], sums: Vec::new() };
        clusters.gather(sample, check);
        clusters
    }

    /// Every point joins the nearest of these points, then Lloyd's algorithm: every point joins the nearest mean, until
    /// none changes its cluster.
    pub(super) fn around(sample: &Sample<'_>, seeds: &[usize], check: &mut dyn FnMut()) -> Self {
        let nearest = |point: usize| first_greatest(seeds.iter().map(|&seed| f64::from(sample.gram.row(seed)[point])));
        let of = (0..sample.len()).map(nearest).collect();
        Self::settled(sample, of, seeds.len(), check)
    }

    /// These clusters and one more that starts at a point, settled.
    pub(super) fn with(&self, sample: &Sample<'_>, seed: usize, check: &mut dyn FnMut()) -> Self {
        let row = sample.gram.row(seed);
        let nearer = |point: usize| f64::from(row[point]) > self.cosine(point, self.of[point]);
        let of = (0..sample.len()).map(|point| if nearer(point) { self.len() } else { self.of[point] }).collect();
        Self::settled(sample, of, self.len() + 1, check)
    }

    fn settled(sample: &Sample<'_>, of: Vec<usize>, count: usize, check: &mut dyn FnMut()) -> Self {
        let none = vec![0.0; count];
        let mut clusters = Self { of, weights: none.clone(), lengths: none, sums: Vec::new() };
        for _ in 0..ROUNDS {
            clusters.gather(sample, check);
            if !clusters.assign() {
                return clusters;
            }
        }
        clusters.gather(sample, check);
        clusters
    }

    pub(super) fn len(&self) -> usize {
        self.weights.len()
    }

    /// Cosine of a point and the mean of a cluster; -1 if the cluster has no members or they cancel out.
    fn cosine(&self, point: usize, cluster: usize) -> f64 {
        if self.lengths[cluster] <= 1e-9 * self.weights[cluster] {
            return -1.0;
        }
        self.sums[cluster * self.of.len() + point] / self.lengths[cluster]
    }

    /// Cosine distance of a point and the mean of its cluster.
    pub(super) fn distance(&self, point: usize) -> f64 {
        (1.0 - self.cosine(point, self.of[point])).max(0.0)
    }

    /// The sum of the points' distances by weight, which k-means minimises. With directions it is the total weight minus the
    /// lengths of the clusters' sums.
    pub(super) fn cost(&self) -> f64 {
        self.weights.iter().zip(&self.lengths).map(|(weight, length)| weight - length).sum()
    }

    /// The silhouette of a point (Rousseeuw, Silhouettes, 1987), from -1 to 1: how much nearer it is to the others of its
    /// cluster than to those of the next cluster; 0 for the only point of a cluster.
    ///
    /// It uses the means over all pairs except for the point with itself, which follow from the sums. Distances to the centres
    /// would mislead: the fewer members a cluster has, the more noise its centre contains, and the farther all other points
    /// seem to be from it.
    pub(super) fn silhouette(&self, sample: &Sample<'_>, point: usize) -> f64 {
        let (own, weight) = (self.of[point], sample.weights[point]);
        let along = |cluster: usize| self.sums[cluster * self.of.len() + point];
        let others = self.weights[own] - weight;
        if others <= 1e-9 * self.weights[own] {
            return 0.0;
        }
        let within = 1.0 - (along(own) - weight) / others;
        let rest = (0..self.len()).filter(|&cluster| cluster != own && self.weights[cluster] > 0.0);
        let next = rest.map(|cluster| 1.0 - along(cluster) / self.weights[cluster]).fold(f64::INFINITY, f64::min);
        let greater = within.max(next);
        if !greater.is_finite() || greater <= SAME { 0.0 } else { (next - within) / greater }
    }

    /// Adds up the members of each cluster.
    fn gather(&mut self, sample: &Sample<'_>, check: &mut dyn FnMut()) {
        check();
        let points = sample.len();
        self.sums.clear();
        self.sums.resize(self.len() * points, 0.0);
        self.weights.fill(0.0);
        for (point, &cluster) in self.of.iter().enumerate() {
            let weight = sample.weights[point];
            let sums = &mut self.sums[cluster * points..][..points];
            sums.iter_mut().zip(sample.gram.row(point)).for_each(|(sum, &cosine)| *sum += weight * f64::from(cosine));
            self.weights[cluster] += weight;
        }
        self.lengths.fill(0.0);
        for (point, &cluster) in self.of.iter().enumerate() {
            self.lengths[cluster] += sample.weights[point] * self.sums[cluster * points + point];
        }
        self.lengths.iter_mut().for_each(|length| *length = length.max(0.0).sqrt());
    }

    /// Assigns every point to the nearest mean, the first of equally near ones; returns whether any assignment changed.
    fn assign(&mut self) -> bool {
        let nearest = |point: usize| first_greatest((0..self.len()).map(|cluster| self.cosine(point, cluster)));
        let of: Vec<usize> = (0..self.of.len()).map(nearest).collect();
        let changed = of != self.of;
        self.of = of;
        changed
    }
}

/// Cosine distance up to which two images count as the same: twice the rounding error.
pub(super) const SAME: f64 = 1e-6;

/// Index of the greatest; the first of equal ones.
fn first_greatest(values: impl Iterator<Item = f64>) -> usize {
    let mut greatest = (0, f64::NEG_INFINITY);
    for (index, value) in values.enumerate() {
        if value > greatest.1 {
            greatest = (index, value);
        }
    }
    greatest.0
}
