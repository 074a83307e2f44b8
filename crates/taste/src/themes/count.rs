use super::clusters::{Clusters, Sample};
use super::seeds;

/// The least mean silhouette with which several clusters are preferred to one; see docs/quality.md.
const SEPARATED: f64 = 0.15;

/// The least silhouette that more clusters have to add: a few stray images in separate clusters add less.
const NEARLY: f64 = 0.01;

/// `count` clusters, or fewer if there are fewer different points.
pub(super) fn exactly(sample: &Sample<'_>, count: usize, check: &mut dyn FnMut()) -> Clusters {
    let seeds = seeds::chosen(sample, count, check);
    let mut clusters = Clusters::one(sample, check);
    while clusters.len() < count {
        match one_more(sample, &clusters, &seeds, check) {
            Some(more) => clusters = more,
            None => break,
        }
    }
    clusters
}

/// The least number of clusters, up to `most`, that separates the points nearly as well as the best number; one cluster if
/// none separates them.
pub(super) fn best(sample: &Sample<'_>, most: usize, check: &mut dyn FnMut()) -> Clusters {
    let seeds = seeds::chosen(sample, most, check);
    let mut tried = vec![(SEPARATED, Clusters::one(sample, check))];
    for _ in 1..most {
        let Some(more) = one_more(sample, &tried[tried.len() - 1].1, &seeds, check) else { break };
        tried.push((separation(sample, &more), more));
    }
    let greatest = tried.iter().map(|&(separation, _)| separation).fold(SEPARATED, f64::max);
    let enough = if greatest > SEPARATED { greatest - NEARLY } else { greatest };
    let best = tried.iter().position(|&(separation, _)| separation >= enough).expect("the greatest is among them");
    tried.swap_remove(best).1
}

/// The better result of two starts: these clusters and another one, or the first seeds of that number.
fn one_more(sample: &Sample<'_>, clusters: &Clusters, seeds: &[usize], check: &mut dyn FnMut()) -> Option<Clusters> {
    let distances: Vec<f64> = (0..sample.len()).map(|point| clusters.distance(point)).collect();
    let seed = seeds::next(sample, &distances, check)?;
    let grown = clusters.with(sample, seed, check);
    let Some(seeds) = seeds.get(..grown.len()) else { return Some(grown) };
    let fresh = Clusters::around(sample, seeds, check);
    Some(if fresh.cost() < grown.cost() { fresh } else { grown })
}

/// Mean silhouette of the points by weight.
fn separation(sample: &Sample<'_>, clusters: &Clusters) -> f64 {
    let sum: f64 = (0..sample.len()).map(|point| sample.weights[point] * clusters.silhouette(sample, point)).sum();
    sum / sample.weight()
}
