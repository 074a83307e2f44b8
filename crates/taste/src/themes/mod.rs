//! Spherical k-means (Dhillon and Modha, Concept Decompositions for Large Sparse Text Data Using Clustering, 2001): clusters
//! of directions, each with the direction of its mean as its centre.

mod centres;
mod clusters;
mod count;
mod gram;
mod points;
mod seeds;

use crate::mean::{check_weights, weight};
use crate::product::cosine;
use crate::vectors::{Direction, Vectors};
use clusters::Sample;
use gram::Gram;
use points::Points;

/// Parameters of [`themes`].
#[derive(Clone, Debug, PartialEq)]
pub struct ThemeOptions {
    /// The number of themes; if None, it is determined. Fewer are found if there are fewer different images.
    pub count: Option<usize>,
    /// The greatest number of themes that is tried if the count is not given.
    pub most: usize,
    /// The number of images on which the themes are fitted, chosen all over the board, the same ones every time; then all
    /// images join the nearest theme. The time grows with its square.
    pub sample: usize,
}

impl Default for ThemeOptions {
    /// Up to 8 themes, from at most 500 images: of these, ten are of a theme that is a fiftieth of the board.
    fn default() -> Self {
        Self { count: None, most: 8, sample: 500 }
    }
}

/// A cluster of a board's images.
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
/// Without weights all images count the same; an image of weight 0 belongs to no theme. Without images there are no themes;
/// one image, or equal ones, make one theme. If members cancel each other out, the direction is that of one of them.
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
    let points = Points::new(images, weights, points::sampled(&counted, options.sample));
    let sample = Sample { gram: &Gram::new(&points, check), weights: &points.weights };
    let clusters = match options.count {
        Some(count) => count::exactly(&sample, count, check),
        None => count::best(&sample, options.most, check),
    };
    let centres = centres::of(&points, &clusters.of, clusters.len(), check);
    let all = Points::new(images, weights, counted);
    let of = centres::nearest(&all, &centres, check);
    described(&all, &of, centres.len(), check)
}

/// The clusters that have members, as themes.
fn described(points: &Points<'_>, of: &[usize], count: usize, check: &mut dyn FnMut()) -> Vec<Theme> {
    let centres = centres::of(points, of, count, check);
    let total = points.weight();
    let mut themes: Vec<Theme> = (0..count)
        .map(|cluster| {
            check();
            let direction = Direction::from_row(centres.row(cluster));
            let members = (0..points.len()).filter(|&point| of[point] == cluster);
            let mut members: Vec<(f64, usize)> =
                members.map(|point| (cosine(points.row(point), &direction), point)).collect();
            let weight: f64 = members.iter().map(|&(_, point)| points.weights[point]).sum();
            let cohesion = members.iter().map(|&(similarity, point)| points.weights[point] * similarity).sum::<f64>();
            // A stable sort: ties stay in the order of the images.
            members.sort_by(|left, right| right.0.total_cmp(&left.0));
            let members = members.into_iter().map(|(_, point)| points.rows[point]).collect();
            Theme { direction, weight: weight / total, cohesion: cohesion / weight, members }
        })
        .filter(|theme| !theme.members.is_empty())
        .collect();
    let first = |theme: &Theme| theme.members.iter().copied().min();
    themes.sort_by(|left, right| right.weight.total_cmp(&left.weight).then_with(|| first(left).cmp(&first(right))));
    themes
}
