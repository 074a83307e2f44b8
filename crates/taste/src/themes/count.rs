use super::clusters::{Clusters, Sample};
use super::seeds;

/// The least mean silhouette that clusters must have to be told apart from one; see docs/quality.md.
const SEPARATED: f64 = 0.15;

/// How much of the silhouette more clusters must add: a few stray images in clusters of their own add less.
const NEARLY: f64 = 0.01;

/// `count` clusters, fewer where there are fewer different points.
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

/// As few clusters, up to `most`, as set the points apart nearly as well as any number does; one, if none does.
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

/// The better of two starts: these clusters and one more, or so many of the seeds.
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
