use super::clusters::{SAME, Sample};

/// The point from which to start another cluster: the one that minimises the sum of the distances to the nearest start, given
/// the distances to the starts so far. None if every point equals a start.
///
/// This is the greedy choice of k-means++ (Arthur and Vassilvitskii, 2007) among all points instead of a few random ones. It
/// does not depend on chance, and it does not choose outliers, which would reduce only their own distance.
pub(super) fn next(sample: &Sample<'_>, distances: &[f64], check: &mut dyn FnMut()) -> Option<usize> {
    if distances.iter().all(|&distance| distance <= SAME) {
        return None;
    }
    let mut best = (None, 0.0);
    for candidate in 0..sample.len() {
        if candidate.is_multiple_of(64) {
            check();
        }
        let cosines = sample.gram.row(candidate);
        let gains = cosines.iter().zip(distances).zip(sample.weights);
        let gain: f64 =
            gains.map(|((&cosine, distance), weight)| weight * (distance - 1.0 + f64::from(cosine)).max(0.0)).sum();
        if gain > best.1 {
            best = (Some(candidate), gain);
        }
    }
    best.0
}

/// Up to `count` points to start from, chosen one after another; fewer if there are fewer different points.
pub(super) fn chosen(sample: &Sample<'_>, count: usize, check: &mut dyn FnMut()) -> Vec<usize> {
    // More than any distance.
    let mut distances = vec![2.0; sample.len()];
    let mut seeds = Vec::with_capacity(count);
    while seeds.len() < count {
        let Some(seed) = next(sample, &distances, check) else { break };
        for (distance, &cosine) in distances.iter_mut().zip(sample.gram.row(seed)) {
            *distance = distance.min((1.0 - f64::from(cosine)).max(0.0));
        }
        seeds.push(seed);
    }
    seeds
}
