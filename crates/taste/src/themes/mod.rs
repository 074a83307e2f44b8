//! Spherical k-means (Dhillon and Modha, Concept Decompositions for Large Sparse Text Data Using Clustering, 2001): clusters
//! of directions, each with the direction of its mean as its centre.

mod clusters;
mod count;
mod points;
mod seeds;

use crate::mean::{check_weights, weight};
use crate::vectors::{Direction, Vectors};
use clusters::Clusters;
use points::Points;

/// How to look for themes.
#[derive(Clone, Debug, PartialEq)]
pub struct ThemeOptions {
    /// How many themes; None finds it out. Fewer are found where there are fewer different images.
    pub count: Option<usize>,
    /// The most themes that are tried where the count is to be found out.
    pub most: usize,
    /// How many images the themes are fitted on, evenly spread over the board; all images then join the nearest.
    pub sample: usize,
}

impl Default for ThemeOptions {
    /// Finds up to 8 themes, on at most 1,000 images.
    fn default() -> Self {
        Self { count: None, most: 8, sample: 1000 }
    }
}

/// One taste in a board.
#[derive(Clone, Debug, PartialEq)]
pub struct Theme {
    /// Direction of the members' weighted mean.
    pub direction: Direction,
    /// Share of the images' weight, over 0 and up to 1; those of all themes add up to 1.
    pub weight: f64,
    /// Weighted mean of the members' cosines with the direction, up to 1.
    pub cohesion: f64,
    /// Rows of the images, nearest to the direction first.
    pub members: Vec<usize>,
}

/// Finds the themes of a board, heaviest first (of equal ones the one with the first image).
///
/// Without weights all images count the same; an image of weight 0 belongs to no theme. No image, no theme; of one image,
/// or of equal ones, one theme. Where members cancel each other out, the direction is that of one of them.
///
/// # Panics
///
/// If there are not as many weights as images, or one is negative or not finite; if a count or the sample is 0.
pub fn themes(
    images: &Vectors,
    weights: Option<&[f64]>,
    options: &ThemeOptions,
    check: &mut dyn FnMut(),
) -> Vec<Theme> {
    check_weights(images, weights);
    assert!(options.count != Some(0) && options.most > 0 && options.sample > 0, "{options:?} allows no theme");
    let counted: Vec<usize> = (0..images.len()).filter(|&index| weight(weights, index) > 0.0).collect();
    if counted.is_empty() {
        return Vec::new();
    }
    let sampled = points::spread(&counted, options.sample);
    let sampled_all = sampled.len() == counted.len();
    let sample = Points::new(images, weights, sampled);
    let fitted = match options.count {
        Some(count) => count::exactly(&sample, count, check),
        None => count::best(&sample, options.most, check),
    };
    if sampled_all {
        return described(&sample, &fitted);
    }
    let all = Points::new(images, weights, counted);
    described(&all, &Clusters::settled(&all, fitted.into_centres(), check))
}

/// The clusters that have members, as themes.
fn described(points: &Points<'_>, clusters: &Clusters) -> Vec<Theme> {
    let total = points.weight();
    let mut themes: Vec<Theme> = (0..clusters.len())
        .filter_map(|cluster| {
            let mut members: Vec<usize> =
                (0..points.len()).filter(|&point| clusters.assigned[point].nearest == cluster).collect();
            let weight: f64 = members.iter().map(|&member| points.weights[member]).sum();
            let similarity = |member: usize| f64::from(clusters.assigned[member].similarity).min(1.0);
            let cohesion =
                members.iter().map(|&member| points.weights[member] * similarity(member)).sum::<f64>() / weight;
            members.sort_by(|&left, &right| similarity(right).total_cmp(&similarity(left)));
            let members: Vec<usize> = members.into_iter().map(|member| points.rows[member]).collect();
            let direction = Direction::from_row(clusters.centre(cluster));
            (!members.is_empty()).then(|| Theme { direction, weight: weight / total, cohesion, members })
        })
        .collect();
    let first = |theme: &Theme| theme.members.iter().copied().min();
    themes.sort_by(|left, right| right.weight.total_cmp(&left.weight).then_with(|| first(left).cmp(&first(right))));
    themes
}
