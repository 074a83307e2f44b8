use taste::{
    Direction, Ranking, Support, SupportRule, Taste, Theme, ThemeOptions, Vectors, gate, mean_direction, rank,
    supports, themes,
};

use crate::instance::Instance;

/// A way to make a taste from a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// One direction, the mean of all images: the usual method.
    Mean,
    /// Every image is a theme: a venue counts as much as the image nearest to it.
    NearestPin,
    Themes,
    /// Without those for which the table has no rows: the default of `pinterest_recommend`.
    ServedThemes,
    GatedMean,
    GatedThemes,
}

impl Method {
    pub const ALL: [Self; 6] =
        [Self::Mean, Self::GatedMean, Self::NearestPin, Self::Themes, Self::ServedThemes, Self::GatedThemes];

    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean vector",
            Self::NearestPin => "nearest pin",
            Self::Themes => "all themes",
            Self::ServedThemes => "served themes",
            Self::GatedMean => "mean vector + gate",
            Self::GatedThemes => "themes + gate",
        }
    }

    pub fn taste(self, instance: &Instance) -> Taste {
        let board = &instance.board;
        let weights = match self {
            Self::GatedMean | Self::GatedThemes => kept(instance),
            _ => None,
        };
        let weights = weights.as_deref();
        let themes = match self {
            Self::Mean | Self::GatedMean => {
                mean_direction(board, weights).map(|direction| theme(direction, 1.0)).into_iter().collect()
            }
            Self::NearestPin => each(board),
            Self::Themes | Self::ServedThemes | Self::GatedThemes => {
                themes(board, weights, &ThemeOptions::default(), &mut || {})
            }
        };
        Taste { themes, against: Vec::new() }
    }
}

/// The recommendations of a method.
pub fn recommended(method: Method, instance: &Instance, taste: &Taste, ranking: &Ranking, k: usize) -> Vec<usize> {
    match method {
        Method::ServedThemes => served_answer(instance, taste, &SupportRule::default(), ranking, k),
        _ => answer(instance, taste, ranking, k),
    }
}

/// The gate's weights; None without texts.
fn kept(instance: &Instance) -> Option<Vec<f64>> {
    let topic = instance.topic.as_ref()?;
    Some(gate(&instance.board, &topic.wanted, &topic.others).weights)
}

fn each(board: &Vectors) -> Vec<Theme> {
    let share = 1.0 / board.len() as f64;
    board.rows().map(|row| theme(Direction::normalised(row).expect("a row is a direction"), share)).collect()
}

pub fn theme(direction: Direction, weight: f64) -> Theme {
    Theme { direction, weight, cohesion: 1.0, members: Vec::new() }
}

/// The number of venues that an index returns per theme.
const ASKED: usize = 100;

/// The answer: the nearest of each theme, united, then ranked, as SQL does it.
pub fn answer(instance: &Instance, taste: &Taste, ranking: &Ranking, k: usize) -> Vec<usize> {
    let (rows, candidates) = candidates(instance, taste);
    ranked(taste, &rows, &candidates, ranking, k)
}

/// The same without the themes for which the table has no rows.
pub fn served_answer(
    instance: &Instance,
    taste: &Taste,
    rule: &SupportRule,
    ranking: &Ranking,
    k: usize,
) -> Vec<usize> {
    let (rows, candidates) = candidates(instance, taste);
    let mut supports = supported(instance, taste, &candidates, rule).into_iter();
    let mut served = taste.clone();
    served.themes.retain(|_| supports.next().is_some_and(|support| support.served));
    ranked(&served, &rows, &candidates, ranking, k)
}

fn ranked(taste: &Taste, rows: &[usize], candidates: &Vectors, ranking: &Ranking, k: usize) -> Vec<usize> {
    rank(taste, candidates, k, ranking, &mut || {}).iter().map(|pick| rows[pick.candidate]).collect()
}

/// The support of the table for each theme.
pub fn supported(instance: &Instance, taste: &Taste, candidates: &Vectors, rule: &SupportRule) -> Vec<Support> {
    let chosen = if instance.venues.len() <= ASKED { 0 } else { ASKED };
    supports(&taste.themes, candidates, &vec![chosen; taste.themes.len()], rule, &mut || {})
}

/// The rows near each theme, and their embeddings.
pub fn candidates(instance: &Instance, taste: &Taste) -> (Vec<usize>, Vectors) {
    let mut rows: Vec<usize> = Vec::new();
    for theme in &taste.themes {
        rows.extend(taste::nearest(&instance.venues, &theme.direction, ASKED).iter().map(|&(row, _)| row));
    }
    rows.sort_unstable();
    rows.dedup();
    let mut candidates = Vectors::new(instance.venues.dimension());
    for &row in &rows {
        candidates.push(instance.venues.row(row)).expect("a row is a direction");
    }
    (rows, candidates)
}
