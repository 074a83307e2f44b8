use taste::Vectors;

use crate::instance::Instance;

/// The number of first picks that are scored.
pub const PLACES: usize = 10;
/// The number of first picks for recall.
pub const DEEP: usize = 50;

/// Scores of an answer, from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scores {
    /// Share of the liked families' venues among the first [`DEEP`], of as many as could be.
    pub recall: f64,
    /// Normalised discounted cumulative gain (Järvelin and Kekäläinen, 2002) of the first [`PLACES`], a liked venue counting 1.
    pub ndcg: f64,
    /// The same with every further venue of a family counting half of the one before (α-NDCG, Clarke et al., SIGIR 2008,
    /// α = 0.5): relevance and diversity in one figure.
    pub novelty: f64,
    /// Share of the board's families of venues with at least one among the first [`PLACES`].
    pub coverage: f64,
    /// Mean cosine distance of the first [`PLACES`] to each other.
    pub distance: f64,
}

impl Scores {
    pub const NAMES: [&str; 5] = ["recall@50", "NDCG@10", "α-NDCG@10", "families@10", "distance@10"];

    pub fn of(instance: &Instance, picked: &[usize]) -> Self {
        let first = &picked[..picked.len().min(PLACES)];
        let liked = (0..instance.venues.len()).filter(|&venue| instance.is_liked(venue)).count();
        let found = picked.iter().take(DEEP).filter(|&&venue| instance.is_liked(venue)).count();
        let gains = first.iter().map(|&venue| f64::from(u8::from(instance.is_liked(venue))));
        let ideal = std::iter::repeat_n(1.0, PLACES.min(liked));
        Self {
            recall: found as f64 / liked.clamp(1, DEEP) as f64,
            ndcg: discounted(gains) / discounted(ideal),
            novelty: discounted(novelties(instance, first)) / discounted(ideal_novelties(instance)),
            coverage: covered(instance, first),
            distance: distance(&instance.venues, first),
        }
    }

    pub fn values(&self) -> [f64; 5] {
        [self.recall, self.ndcg, self.novelty, self.coverage, self.distance]
    }
}

fn discounted(gains: impl IntoIterator<Item = f64>) -> f64 {
    gains.into_iter().enumerate().map(|(place, gain)| gain / (place as f64 + 2.0).log2()).sum()
}

fn novelties<'a>(instance: &'a Instance, picked: &'a [usize]) -> impl Iterator<Item = f64> + 'a {
    picked.iter().enumerate().map(|(place, &venue)| {
        let family = instance.families[venue];
        let before = picked[..place].iter().filter(|&&other| instance.families[other] == family).count();
        if instance.is_liked(venue) { 0.5f64.powi(before as i32) } else { 0.0 }
    })
}

/// The families in turn.
fn ideal_novelties(instance: &Instance) -> impl Iterator<Item = f64> {
    let families = instance.liked.len();
    (0..PLACES).map(move |place| 0.5f64.powi((place / families) as i32))
}

fn covered(instance: &Instance, picked: &[usize]) -> f64 {
    let shown = |family: usize| picked.iter().any(|&venue| instance.families[venue] == family);
    instance.liked.iter().filter(|(family, _)| shown(*family)).count() as f64 / instance.liked.len() as f64
}

fn distance(venues: &Vectors, picked: &[usize]) -> f64 {
    let mut sum = 0.0;
    let mut pairs = 0;
    for (place, &left) in picked.iter().enumerate() {
        for &right in &picked[..place] {
            let cosine: f32 = venues.row(left).iter().zip(venues.row(right)).map(|(left, right)| left * right).sum();
            sum += 1.0 - f64::from(cosine);
            pairs += 1;
        }
    }
    sum / f64::from(pairs.max(1))
}

/// The agreement of two labellings: 1 if they are equal, about 0 for chance (adjusted Rand index, Hubert and Arabie, 1985).
pub fn adjusted_rand_index(left: &[usize], right: &[usize]) -> f64 {
    let pairs = |count: usize| (count * count.saturating_sub(1)) as f64 / 2.0;
    let count = |labels: &mut dyn Iterator<Item = (usize, usize)>| {
        let mut counts = std::collections::BTreeMap::<(usize, usize), usize>::new();
        labels.for_each(|label| *counts.entry(label).or_default() += 1);
        counts.values().map(|&count| pairs(count)).sum::<f64>()
    };
    let both = count(&mut left.iter().copied().zip(right.iter().copied()));
    let lefts = count(&mut left.iter().map(|&label| (label, 0)));
    let rights = count(&mut right.iter().map(|&label| (label, 0)));
    let chance = lefts * rights / pairs(left.len());
    let most = (lefts + rights) / 2.0;
    if most == chance { 1.0 } else { (both - chance) / (most - chance) }
}
