use taste::{Direction, Ranking, Taste, Theme, ThemeOptions, Vectors, gate, mean_direction, rank, themes};

use crate::instance::Instance;

/// How a board becomes a taste.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// One direction, the mean of all images: what there is elsewhere.
    Mean,
    /// Every image is a theme: a venue counts as much as the image nearest to it.
    NearestPin,
    Themes,
    GatedMean,
    GatedThemes,
}

impl Method {
    pub const ALL: [Self; 5] = [Self::Mean, Self::GatedMean, Self::NearestPin, Self::Themes, Self::GatedThemes];

    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean vector",
            Self::NearestPin => "nearest pin",
            Self::Themes => "themes",
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
            Self::Themes | Self::GatedThemes => themes(board, weights, &ThemeOptions::default(), &mut || {}),
        };
        Taste { themes, against: Vec::new() }
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

/// How many venues an index is asked for, for each theme.
const ASKED: usize = 100;

/// The answer: the nearest of each theme, united, then ranked, as SQL does it.
pub fn answer(instance: &Instance, taste: &Taste, ranking: &Ranking, k: usize) -> Vec<usize> {
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
    rank(taste, &candidates, k, ranking, &mut || {}).iter().map(|pick| rows[pick.candidate]).collect()
}
