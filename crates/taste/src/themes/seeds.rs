use super::clusters::Clusters;
use super::points::Points;
use crate::product::dot;

/// How many points are tried as a seed.
const TRIED: usize = 8;

/// The point to start another cluster from: of several that are far from their centres, the one that would bring all
/// points nearest to a centre. None if every point lies on its centre.
///
/// Greedy k-means++ (Arthur and Vassilvitskii, 2007; Grunau et al., 2023) with its draws taken at even distances of the
/// cumulated cost instead of at random: as good a spread of tries, and the same every time.
pub(super) fn next(points: &Points<'_>, clusters: &Clusters, check: &mut dyn FnMut()) -> Option<usize> {
    let costs: Vec<f64> = (0..points.len()).map(|point| points.weights[point] * clusters.distance(point)).collect();
    let total: f64 = costs.iter().sum();
    if total <= 1e-6 * points.weight() {
        return None;
    }
    let mut tried: Vec<usize> = Vec::with_capacity(TRIED);
    let mut cumulated = 0.0;
    for (point, cost) in costs.iter().enumerate() {
        cumulated += cost;
        let due = |tried: usize| (tried as f64 + 0.5) / TRIED as f64 * total;
        if tried.len() < TRIED && cumulated > due(tried.len()) {
            tried.push(point);
            while tried.len() < TRIED && cumulated > due(tried.len()) {
                tried.push(point);
            }
        }
    }
    tried.dedup();
    let mut best = None;
    let mut most = f64::NEG_INFINITY;
    for candidate in tried {
        check();
        let row = points.row(candidate);
        let gain: f64 = (0..points.len())
            .map(|point| {
                let distance = f64::from(1.0 - dot(row, points.row(point)));
                points.weights[point] * (clusters.distance(point) - distance).max(0.0)
            })
            .sum();
        if gain > most {
            (best, most) = (Some(candidate), gain);
        }
    }
    best
}
