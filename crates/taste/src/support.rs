use crate::duplicates::DEFAULT_THRESHOLD;
use crate::product::cosine;
use crate::themes::Theme;
use crate::vectors::{Vectors, same_dimension};

/// Parameters of [`supports`]. docs/quality.md has the reasons for the defaults and how much each number matters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SupportRule {
    /// The least lift of a row that is like the theme, as a share of that of the theme's own images.
    pub likeness: f64,
    /// The share of the best supported theme's rows that a theme needs, with one added on both sides.
    pub share: f64,
    /// The number of different rows that is enough, however many another theme has.
    pub enough: usize,
    /// The least number of rows from which the rest of the table is judged.
    pub judges: usize,
    /// How much farther the rest of the table has to be from a theme than from the supported ones, in standard deviations.
    pub distance: f64,
}

impl Default for SupportRule {
    fn default() -> Self {
        Self { likeness: 0.6, share: 1.0 / 3.0, enough: 10, judges: 5, distance: 1.0 }
    }
}

/// The rows of a table that are like a theme.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Support {
    /// The number of different rows that are like the theme; counting stops when more rows would not change the result.
    pub rows: usize,
    /// How much farther the rest of the table is from the theme than from the supported ones, in standard deviations; None
    /// if there are too few rows.
    pub distance: Option<f64>,
    /// Whether candidates are ranked by the theme.
    pub served: bool,
}

/// Decides for each theme whether a table has rows for it, from the candidates that the table's index returned.
///
/// A theme is not served if hardly any row is like it and the rest of the table is unlike it as well. Both hold for dresses
/// among venues. One beach among many barns has few rows as well, but barns are nearer to beaches than to dresses; and in a
/// table of everything dresses have as many rows as the rest. At least one theme is always served, and so is a single theme.
///
/// The measure is the mean cosine between a theme's images and a row. It is the row's cosine with the theme's direction times
/// the theme's cohesion, which is the length of the images' mean, and so does not depend on how much noise the mean has
/// lost. No fixed cosine is used: the rows themselves define near and far, so that texts, which are far from all images, are
/// judged among themselves.
///
/// * The *lift* of a row is its distance beyond the median of the rows that are nearer to other themes. Its unit is how much
///   nearer the theme's images are to each other than to those of the other themes, so that it is about 1 for another image
///   of the theme's kind. A row is like the theme if its lift is at least [`SupportRule::likeness`] times 1, or times the
///   greatest lift of the table if that is less.
/// * *Hardly any* row: fewer than [`SupportRule::enough`], and fewer than [`SupportRule::share`] of the best supported theme.
///   Rows that show the same picture count once.
/// * The *rest of the table* are the rows that are not like the theme and were not chosen for it: an index returns the rows
///   nearest to a theme, and some rows of a large table are near it by chance. The rest is unlike the theme if its mean is
///   [`SupportRule::distance`] standard deviations of the rows below the mean of the supported themes.
///
/// `chosen` is the number of candidates, the nearest ones, that the search for each theme chose; 0 if the candidates are the
/// whole table. The order of the rows does not matter.
///
/// # Panics
///
/// If the dimensions differ, or there are not as many counts as themes.
pub fn supports(
    themes: &[Theme],
    rows: &Vectors,
    chosen: &[usize],
    rule: &SupportRule,
    check: &mut dyn FnMut(),
) -> Vec<Support> {
    assert!(chosen.len() == themes.len(), "{} counts for {} themes", chosen.len(), themes.len());
    for theme in themes {
        same_dimension(theme.direction.len(), rows.dimension());
    }
    if themes.len() < 2 || rows.is_empty() {
        return themes.iter().map(|_| Support { rows: 0, distance: None, served: true }).collect();
    }
    let likeness: Vec<Likeness> = themes.iter().map(|theme| Likeness::of(theme, rows, check)).collect();
    let lifts: Vec<Vec<f64>> =
        (0..themes.len()).map(|theme| lifts(theme, themes, &likeness, rule.judges, check)).collect();
    let greatest = lifts.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
    let least = rule.likeness * greatest.min(1.0);
    // A greater number would not change the result.
    let most = (rule.enough as f64 / rule.share).ceil() as usize;
    let counts: Vec<usize> = lifts.iter().map(|lifts| different(rows, lifts, least, most, check)).collect();
    let rest: Vec<Option<Rest>> = likeness
        .iter()
        .zip(&lifts)
        .zip(chosen)
        .map(|((likeness, lifts), &chosen)| Rest::of(likeness, lifts, least, chosen, rule.judges))
        .collect();

    let best = counts.iter().copied().max().unwrap_or(0);
    let supported = |count: usize| count >= rule.enough || (count + 1) as f64 >= rule.share * (best + 1) as f64;
    let known: Vec<&Rest> = counts
        .iter()
        .zip(&rest)
        .filter(|&(&count, _)| supported(count))
        .filter_map(|(_, rest)| rest.as_ref())
        .collect();
    let usual = Rest::mean(&known);
    let verdict = |(&rows, rest): (&usize, &Option<Rest>)| {
        let distance = rest.as_ref().zip(usual.as_ref()).map(|(rest, usual)| rest.behind(usual));
        let unlike = distance.is_some_and(|distance| distance > rule.distance);
        Support { rows, distance, served: supported(rows) || !unlike }
    };
    counts.iter().zip(&rest).map(verdict).collect()
}

/// Mean cosine of a theme's images with each row.
struct Likeness {
    of: Vec<f64>,
    /// The rows, the most alike first.
    order: Vec<usize>,
}

impl Likeness {
    fn of(theme: &Theme, rows: &Vectors, check: &mut dyn FnMut()) -> Self {
        check();
        let of: Vec<f64> = rows.rows().map(|row| theme.cohesion * cosine(row, &theme.direction)).collect();
        let mut order: Vec<usize> = (0..of.len()).collect();
        order.sort_by(|&left, &right| of[right].total_cmp(&of[left]));
        Self { of, order }
    }
}

/// The lift of each row for a theme.
fn lifts(place: usize, themes: &[Theme], likeness: &[Likeness], judges: usize, check: &mut dyn FnMut()) -> Vec<f64> {
    check();
    let theme = &themes[place];
    let others = || (0..themes.len()).filter(|&other| other != place);
    let with_others: f64 = others()
        .map(|other| theme.cohesion * themes[other].cohesion * cosine(&theme.direction, &themes[other].direction))
        .sum();
    let unlike = with_others / (themes.len() - 1) as f64;
    let own = &likeness[place];
    // In order of their likeness, so that the middle one is the median.
    let nearer_to_another = |&&row: &&usize| others().any(|other| likeness[other].of[row] > own.of[row]);
    let elsewhere: Vec<usize> = own.order.iter().filter(nearer_to_another).copied().collect();
    let background = if elsewhere.len() < judges { unlike } else { own.of[elsewhere[elsewhere.len() / 2]] };
    let unit = (theme.cohesion * theme.cohesion - unlike).max(LEAST_UNIT);
    own.of.iter().map(|alike| (alike - background) / unit).collect()
}

/// The least unit of a lift: images of a theme may be no nearer to each other than to those of other themes.
const LEAST_UNIT: f64 = 1e-6;

/// The number of different pictures among the rows whose lift is at least `least`; at most `most`.
fn different(rows: &Vectors, lifts: &[f64], least: f64, most: usize, check: &mut dyn FnMut()) -> usize {
    let mut order: Vec<usize> = (0..lifts.len()).filter(|&row| lifts[row] >= least).collect();
    order.sort_by(|&left, &right| lifts[right].total_cmp(&lifts[left]));
    let mut kept: Vec<usize> = Vec::new();
    for row in order {
        check();
        let same = |&other: &usize| cosine(rows.row(row), rows.row(other)) >= 1.0 - DEFAULT_THRESHOLD;
        if !kept.iter().any(same) {
            kept.push(row);
        }
        if kept.len() == most {
            break;
        }
    }
    kept.len()
}

/// Likeness of a theme to the rest of the table.
struct Rest {
    mean: f64,
    variance: f64,
}

impl Rest {
    /// None if there are fewer than `judges` rows.
    fn of(likeness: &Likeness, lifts: &[f64], least: f64, chosen: usize, judges: usize) -> Option<Self> {
        let rest = likeness.order.iter().skip(chosen).filter(|&&row| lifts[row] < least);
        let rest: Vec<f64> = rest.map(|&row| likeness.of[row]).collect();
        if rest.len() < judges.max(1) {
            return None;
        }
        let count = rest.len() as f64;
        let mean = rest.iter().sum::<f64>() / count;
        let variance = rest.iter().map(|alike| (alike - mean).powi(2)).sum::<f64>() / count;
        Some(Self { mean, variance })
    }

    /// None if `all` is empty.
    fn mean(all: &[&Self]) -> Option<Self> {
        let mean = |of: fn(&Self) -> f64| all.iter().map(|rest| of(rest)).sum::<f64>() / all.len() as f64;
        (!all.is_empty()).then(|| Self { mean: mean(|rest| rest.mean), variance: mean(|rest| rest.variance) })
    }

    /// The number of standard deviations by which it is below another.
    fn behind(&self, usual: &Self) -> f64 {
        let deviation = ((self.variance + usual.variance) / 2.0).sqrt().max(LEAST_UNIT);
        (usual.mean - self.mean) / deviation
    }
}
