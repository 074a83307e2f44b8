use super::clusters::Clusters;
use super::points::Points;
use super::seeds;

/// The least mean silhouette that clusters must have to be told apart from one; see docs/quality.md.
const SEPARATED: f64 = 0.2;

/// `count` clusters, fewer where there are fewer different points.
pub(super) fn exactly(points: &Points<'_>, count: usize, check: &mut dyn FnMut()) -> Clusters {
    let mut clusters = Clusters::one(points, check);
    while clusters.len() < count {
        let Some(seed) = seeds::next(points, &clusters, check) else { break };
        clusters = clusters.with(points, seed, check);
    }
    clusters
}

/// As many clusters, up to `most`, as set the points apart best.
pub(super) fn best(points: &Points<'_>, most: usize, check: &mut dyn FnMut()) -> Clusters {
    let mut clusters = Clusters::one(points, check);
    let mut best = (SEPARATED, clusters.clone());
    while clusters.len() < most {
        let Some(seed) = seeds::next(points, &clusters, check) else { break };
        clusters = clusters.with(points, seed, check);
        let separation = separation(points, &clusters);
        if separation > best.0 {
            best = (separation, clusters.clone());
        }
    }
    best.1
}

/// Mean silhouette of the points by weight.
fn separation(points: &Points<'_>, clusters: &Clusters) -> f64 {
    let sum: f64 = (0..points.len()).map(|point| points.weights[point] * clusters.silhouette(points, point)).sum();
    sum / points.weight()
}
