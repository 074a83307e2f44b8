use crate::product::{add, cosine};
use crate::themes::Theme;
use crate::vectors::{Direction, Vectors, same_dimension};

/// What the `diversity` of [`recommend`] is best set to, by the benchmark in docs/quality.md.
pub const DEFAULT_DIVERSITY: f64 = 0.3;

/// What somebody likes and dislikes.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Taste {
    /// Themes of the boards to go by. Weights count relative to each other.
    pub themes: Vec<Theme>,
    /// Themes of boards that show what is not wanted.
    pub against: Vec<Theme>,
}

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

/// Picks `k` candidates, or all where there are fewer.
///
/// # Panics
///
/// If the dimensions differ or `diversity` is not within 0 and 1.
pub fn recommend(taste: &Taste, candidates: &Vectors, k: usize, diversity: f64, check: &mut dyn FnMut()) -> Vec<Pick> {
    assert!((0.0..=1.0).contains(&diversity), "diversity is {diversity}, not within 0 and 1");
    for theme in taste.themes.iter().chain(&taste.against) {
        same_dimension(theme.direction.len(), candidates.dimension());
    }
    if taste.themes.is_empty() || candidates.is_empty() {
        return Vec::new();
    }
    let matches: Vec<Match> = candidates
        .rows()
        .enumerate()
        .map(|(index, row)| {
            if index % STRIDE == 0 {
                check();
            }
            Match::best(taste, row)
        })
        .collect();
    let relevance = spread(&matches);
    let centred = centred(candidates, check);
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
            if place % STRIDE == 0 {
                check();
            }
            shown[other] = shown[other].max(centred.similarity(candidate, other));
        }
    }
    picks
}

const STRIDE: usize = 256;

struct Match {
    theme: usize,
    similarity: f64,
    relevance: f64,
}

impl Match {
    fn best(taste: &Taste, row: &[f32]) -> Self {
        let mut best = Self { theme: 0, similarity: f64::NEG_INFINITY, relevance: f64::NEG_INFINITY };
        for (theme, liked) in taste.themes.iter().enumerate() {
            let similarity = cosine(row, &liked.direction);
            if similarity > best.relevance {
                best = Self { theme, similarity, relevance: similarity };
            }
        }
        let disliked =
            taste.against.iter().map(|theme| cosine(row, &theme.direction)).fold(f64::NEG_INFINITY, f64::max);
        best.relevance -= (disliked - best.similarity).max(0.0);
        best
    }
}

fn spread(matches: &[Match]) -> Vec<f64> {
    let least = matches.iter().map(|found| found.relevance).fold(f64::INFINITY, f64::min);
    let most = matches.iter().map(|found| found.relevance).fold(f64::NEG_INFINITY, f64::max);
    matches.iter().map(|found| if most > least { (found.relevance - least) / (most - least) } else { 1.0 }).collect()
}

struct Centred(Vec<Option<Direction>>);

impl Centred {
    fn similarity(&self, left: usize, right: usize) -> f64 {
        match (&self.0[left], &self.0[right]) {
            (Some(left), Some(right)) => cosine(left, right).max(0.0),
            (None, None) => 1.0,
            _ => 0.0,
        }
    }
}

fn centred(candidates: &Vectors, check: &mut dyn FnMut()) -> Centred {
    let mut mean = vec![0.0; candidates.dimension()];
    for (index, row) in candidates.rows().enumerate() {
        if index % STRIDE == 0 {
            check();
        }
        add(&mut mean, row, -1.0 / candidates.len() as f64);
    }
    Centred(
        candidates
            .rows()
            .enumerate()
            .map(|(index, row)| {
                if index % STRIDE == 0 {
                    check();
                }
                let mut rest = mean.clone();
                add(&mut rest, row, 1.0);
                Direction::of_sum(&rest, 1.0)
            })
            .collect(),
    )
}
