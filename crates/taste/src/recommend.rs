use crate::product::{add, cosine};
use crate::themes::Theme;
use crate::vectors::{Direction, Vectors, same_dimension};

/// The best `diversity` of [`recommend`], by the benchmark in docs/quality.md.
pub const DEFAULT_DIVERSITY: f64 = 0.3;

/// Candidates between two calls of `check`.
const STRIDE: usize = 64;

/// Themes to rank by.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Taste {
    /// Themes of the liked boards. Weights count relative to each other.
    pub themes: Vec<Theme>,
    /// Themes of the disliked boards.
    pub against: Vec<Theme>,
}

/// Parameters of the ranking. The default is the best that docs/quality.md has measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranking {
    /// From 0, by relevance alone, to 1, as different from each other as possible.
    pub diversity: f64,
    /// The share of a theme's cohesion that is subtracted from the cosines with it. Without it, loose themes would never
    /// have the best match, because images of a tight theme's kind have higher cosines with its direction.
    pub handicap: f64,
    /// The cosine by which a theme is behind another of e times its weight. With the default, 0, all themes count the same,
    /// however many images they have.
    pub share: f64,
    /// The cosine that a candidate loses for each unit by which its cosine with the liked theme, minus its greatest cosine
    /// with a disliked theme, is less than [`LEAD`].
    pub aversion: f64,
}

impl Default for Ranking {
    fn default() -> Self {
        Self { diversity: DEFAULT_DIVERSITY, handicap: 0.5, share: 0.0, aversion: 2.0 }
    }
}

/// The cosine by which a candidate has to be nearer to a liked theme than to all disliked ones, to lose nothing. In CLIP's
/// space the cosines of images of the same kind and of different kinds are some 0.2 apart.
const LEAD: f64 = 0.1;

/// A candidate that was chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pick {
    /// Row of the candidate, from 0.
    pub candidate: usize,
    /// Maximal marginal relevance when it was chosen: its relevance, from 0 to 1 over the candidates, minus its similarity to
    /// earlier picks. Does not grow from one pick to the next.
    pub score: f64,
    /// The theme that it matches best, from 0.
    pub theme: usize,
    /// Cosine of the candidate and that theme, from -1 to 1.
    pub similarity: f64,
}

/// [`rank`] with the defaults except for `diversity`.
///
/// # Panics
///
/// Like [`rank`].
pub fn recommend(taste: &Taste, candidates: &Vectors, k: usize, diversity: f64, check: &mut dyn FnMut()) -> Vec<Pick> {
    rank(taste, candidates, k, &Ranking { diversity, ..Ranking::default() }, check)
}

/// Picks `k` candidates, or all if there are fewer, by maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998).
///
/// A candidate's relevance is its cosine with the theme that it matches best, corrected by [`Ranking`]. Each pick is the
/// remaining candidate with the greatest
/// `(1 - diversity) · relevance - diversity · (greatest similarity to an earlier pick)`.
/// In CLIP's space all images have much in common, so both terms are stretched over the candidates: relevance from 0 for the
/// least to 1 for the greatest; similarity is the cosine after the candidates' mean was subtracted, and 0 if that is negative.
/// Without themes or candidates there are no picks.
///
/// # Panics
///
/// If the dimensions differ or `diversity` is not within 0 and 1.
pub fn rank(taste: &Taste, candidates: &Vectors, k: usize, ranking: &Ranking, check: &mut dyn FnMut()) -> Vec<Pick> {
    let diversity = ranking.diversity;
    assert!((0.0..=1.0).contains(&diversity), "diversity is {diversity}, not within 0 and 1");
    for theme in taste.themes.iter().chain(&taste.against) {
        same_dimension(theme.direction.len(), candidates.dimension());
    }
    if taste.themes.is_empty() || candidates.is_empty() {
        return Vec::new();
    }
    let matches = matches(taste, candidates, ranking, check);
    let relevance = stretched(&matches);
    let centred = Centred::new(candidates, check);
    // The greatest similarity to an earlier pick.
    let mut shown = vec![0.0f64; matches.len()];
    let mut left: Vec<usize> = (0..matches.len()).collect();
    let mut picks = Vec::with_capacity(k.min(matches.len()));
    while picks.len() < k && !left.is_empty() {
        let marginal = |index: usize| (1.0 - diversity) * relevance[index] - diversity * shown[index];
        let mut best = 0;
        for place in 1..left.len() {
            if marginal(left[place]) > marginal(left[best]) {
                best = place;
            }
        }
        // Keeps the order, by which ties are broken.
        let candidate = left.remove(best);
        let Match { theme, similarity, .. } = matches[candidate];
        picks.push(Pick { candidate, score: marginal(candidate), theme, similarity });
        for (place, &other) in left.iter().enumerate() {
            if place.is_multiple_of(STRIDE) {
                check();
            }
            shown[other] = shown[other].max(centred.similarity(candidate, other));
        }
    }
    picks
}

/// The theme that a candidate matches best.
struct Match {
    theme: usize,
    similarity: f64,
    relevance: f64,
}

impl Taste {
    /// The relevance of a candidate in [`recommend`], before it is stretched: to choose among several vectors of one row.
    /// Negative infinity without themes.
    ///
    /// # Panics
    ///
    /// If the dimensions differ.
    pub fn relevance(&self, candidate: &Direction) -> f64 {
        for theme in self.themes.iter().chain(&self.against) {
            same_dimension(theme.direction.len(), candidate.len());
        }
        self.best_match(candidate, &Ranking::default()).relevance
    }

    fn best_match(&self, candidate: &[f32], ranking: &Ranking) -> Match {
        let total: f64 = self.themes.iter().map(|theme| theme.weight).sum();
        let mut best = Match { theme: 0, similarity: -1.0, relevance: f64::NEG_INFINITY };
        for (theme, liked) in self.themes.iter().enumerate() {
            let similarity = cosine(candidate, &liked.direction);
            // A weight of 0 is as far behind as a millionth.
            let share = (liked.weight / total).max(1e-6);
            let relevance = similarity + ranking.share * share.ln() - ranking.handicap * liked.cohesion;
            if relevance > best.relevance {
                best = Match { theme, similarity, relevance };
            }
        }
        let disliked = self.against.iter().map(|theme| cosine(candidate, &theme.direction)).reduce(f64::max);
        if let Some(disliked) = disliked {
            best.relevance -= ranking.aversion * (LEAD - (best.similarity - disliked)).max(0.0);
        }
        best
    }
}

fn matches(taste: &Taste, candidates: &Vectors, ranking: &Ranking, check: &mut dyn FnMut()) -> Vec<Match> {
    let rows = candidates.rows().enumerate();
    rows.map(|(index, row)| {
        if index.is_multiple_of(STRIDE) {
            check();
        }
        taste.best_match(row, ranking)
    })
    .collect()
}

/// Relevance from 0 to 1; all 1 if there is no difference.
fn stretched(matches: &[Match]) -> Vec<f64> {
    let values = || matches.iter().map(|found| found.relevance);
    let least = values().fold(f64::INFINITY, f64::min);
    let span = values().fold(f64::NEG_INFINITY, f64::max) - least;
    values().map(|value| if span > 0.0 { (value - least) / span } else { 1.0 }).collect()
}

/// The candidates minus their mean; None for one that equals the mean.
struct Centred(Vec<Option<Direction>>);

impl Centred {
    fn new(candidates: &Vectors, check: &mut dyn FnMut()) -> Self {
        let mut mean = vec![0.0; candidates.dimension()];
        for (index, row) in candidates.rows().enumerate() {
            if index.is_multiple_of(STRIDE) {
                check();
            }
            add(&mut mean, row, 1.0 / candidates.len() as f64);
        }
        let rows = candidates.rows().enumerate();
        let centred = rows.map(|(index, row)| {
            if index.is_multiple_of(STRIDE) {
                check();
            }
            let rest: Vec<f64> = row.iter().zip(&mean).map(|(&value, mean)| f64::from(value) - mean).collect();
            Direction::of_sum(&rest, 1.0)
        });
        Self(centred.collect())
    }

    /// From 0, nothing in common except for the mean, to 1.
    fn similarity(&self, left: usize, right: usize) -> f64 {
        match (&self.0[left], &self.0[right]) {
            (Some(left), Some(right)) => cosine(left, right).max(0.0),
            (None, None) => 1.0,
            _ => 0.0,
        }
    }
}
