use crate::product::{add, cosine};
use crate::themes::Theme;
use crate::vectors::{Direction, Vectors, same_dimension};

/// What the `diversity` of [`recommend`] is best set to, by the benchmark in docs/quality.md.
pub const DEFAULT_DIVERSITY: f64 = 0.3;

/// Candidates between two calls of `check`.
const STRIDE: usize = 64;

/// What somebody likes and dislikes.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Taste {
    /// Themes of the boards to go by. Weights count relative to each other.
    pub themes: Vec<Theme>,
    /// Themes of boards that show what is not wanted.
    pub against: Vec<Theme>,
}

/// How candidates are ranked. The default is the best on record in docs/quality.md.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranking {
    /// From 0, by relevance alone, to 1, as different from each other as can be.
    pub diversity: f64,
    /// What share of a theme's cohesion is taken off the cosines with it: to a tight theme everything of its kind has a
    /// higher cosine than to a loose one, which would never have its turn.
    pub handicap: f64,
    /// By how much cosine a theme is behind another of e times its weight. At the default, 0, every theme has the same say,
    /// however many images it has.
    pub share: f64,
    /// How far a candidate sinks, in cosine, for each unit by which its lead of what is liked over what is not falls short
    /// of [`LEAD`].
    pub aversion: f64,
}

impl Default for Ranking {
    fn default() -> Self {
        Self { diversity: DEFAULT_DIVERSITY, handicap: 0.5, share: 0.0, aversion: 2.0 }
    }
}

/// How much nearer, in cosine, a candidate has to be to what is liked than to what is not, to be left in its place. In CLIP's
/// space pictures of one kind and of two have cosines some 0.2 apart.
const LEAD: f64 = 0.1;

/// A candidate that was chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pick {
    /// Row of the candidate, from 0.
    pub candidate: usize,
    /// Maximal marginal relevance when it was chosen: relevance, from 0 to 1 over the candidates, less what those before it
    /// showed already. Does not grow from one pick to the next.
    pub score: f64,
    /// The theme that it matches best, from 0.
    pub theme: usize,
    /// Cosine of the candidate and that theme, from -1 to 1.
    pub similarity: f64,
}

/// [`rank`] with the default in everything but `diversity`.
///
/// # Panics
///
/// As [`rank`].
pub fn recommend(taste: &Taste, candidates: &Vectors, k: usize, diversity: f64, check: &mut dyn FnMut()) -> Vec<Pick> {
    rank(taste, candidates, k, &Ranking { diversity, ..Ranking::default() }, check)
}

/// Picks `k` candidates, or all where there are fewer, by maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998).
///
/// A candidate's relevance is its cosine with the theme that it matches best, corrected as [`Ranking`] says. One after
/// another, the candidate is picked with the greatest
/// `(1 - diversity) · relevance - diversity · (greatest similarity to a candidate picked before)`.
/// All pictures have a good deal in common in CLIP's space, so both terms are stretched over the candidates at hand:
/// relevance from 0 for the least to 1 for the greatest, and similarity as the cosine after the candidates' mean was taken
/// off, 0 where that is negative. Without themes or candidates there are no picks.
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
    // The greatest similarity to what was picked before.
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
        // Keeps the order, which is what ties are broken by.
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

fn matches(taste: &Taste, candidates: &Vectors, ranking: &Ranking, check: &mut dyn FnMut()) -> Vec<Match> {
    let total: f64 = taste.themes.iter().map(|theme| theme.weight).sum();
    let heads_start = |theme: &Theme| {
        // A weight of nothing at all is as far behind as one of a millionth.
        let share = (theme.weight / total).max(1e-6);
        ranking.share * share.ln() - ranking.handicap * theme.cohesion
    };
    let starts: Vec<f64> = taste.themes.iter().map(heads_start).collect();
    let best = |row: &[f32]| {
        let mut best = Match { theme: 0, similarity: -1.0, relevance: f64::NEG_INFINITY };
        for (theme, liked) in taste.themes.iter().enumerate() {
            let similarity = cosine(row, &liked.direction);
            let relevance = similarity + starts[theme];
            if relevance > best.relevance {
                best = Match { theme, similarity, relevance };
            }
        }
        let disliked = taste.against.iter().map(|theme| cosine(row, &theme.direction)).reduce(f64::max);
        if let Some(disliked) = disliked {
            best.relevance -= ranking.aversion * (LEAD - (best.similarity - disliked)).max(0.0);
        }
        best
    };
    let rows = candidates.rows().enumerate();
    rows.map(|(index, row)| {
        if index.is_multiple_of(STRIDE) {
            check();
        }
        best(row)
    })
    .collect()
}

/// Relevance from 0 to 1; all 1 where there is no difference.
fn stretched(matches: &[Match]) -> Vec<f64> {
    let values = || matches.iter().map(|found| found.relevance);
    let least = values().fold(f64::INFINITY, f64::min);
    let span = values().fold(f64::NEG_INFINITY, f64::max) - least;
    values().map(|value| if span > 0.0 { (value - least) / span } else { 1.0 }).collect()
}

/// The candidates without what all have in common; None for one in which nothing else is.
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

    /// From 0, nothing in common but what all have, to 1.
    fn similarity(&self, left: usize, right: usize) -> f64 {
        match (&self.0[left], &self.0[right]) {
            (Some(left), Some(right)) => cosine(left, right).max(0.0),
            (None, None) => 1.0,
            _ => 0.0,
        }
    }
}
