//! The order in which the sizes of an image are downloaded.

use std::cmp::Reverse;

use super::size::Rank;

/// Which of an image's sizes is downloaded first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ladder {
    /// The smallest one that gives nearly the same vector as the largest: its shorter side has at least [`SUFFICIENT`]
    /// pixels, and reduced to the side of the model's input its longer side has as many pixels as the largest's, so that
    /// the same part of the image is cropped. Then larger ones.
    #[default]
    SmallestSufficient,
    /// The largest one.
    Largest,
}

/// Twice the side of the model's input: most JPEGs have half as many samples of colour as of brightness, so that one of this
/// size still has a sample of each for each pixel of the input. The tests `sizes` of the crate `clip` state how much the
/// vectors differ.
pub const SUFFICIENT: u32 = 448;

/// The side of the model's input, to which the shorter side of an image is reduced.
const MODEL_SIDE: u64 = 224;

/// Sides of two sizes of one image differ by rounding, and by no more than this share of a side.
const SAME_SHAPE: f64 = 0.02;

/// A size as the API lists it.
#[derive(Clone, Copy, Debug)]
pub struct ListedSize<'a> {
    /// Its name.
    pub name: &'a str,
    /// Width in pixels as stated.
    pub width: Option<u32>,
    /// Height in pixels as stated.
    pub height: Option<u32>,
}

/// When a size is tried; lower ones first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Sufficient(u32),
    /// Its file may have many megabytes, and the host refuses some of them.
    Original,
    Smaller(Reverse<u32>),
    /// Its stated shape is not that of the largest, so it may be a crop.
    OtherShape,
    /// Sizes without a width, covers and crops, in the order of [`Rank`].
    Last(Rank),
}

impl Ladder {
    /// Puts the sizes of an image into the order in which they are to be tried. Crops always come last: they lack a part of
    /// the image.
    pub fn sort<T>(self, sizes: &mut [T], listed: impl Fn(&T) -> ListedSize<'_>) {
        let shape = sizes
            .iter()
            .map(&listed)
            .filter(|size| width_in_name(size.name).is_some() || size.name == "originals")
            .filter_map(|size| size.width.zip(size.height))
            .filter(|&(width, height)| width > 0 && height > 0)
            .max();
        sizes.sort_by_cached_key(|size| self.turn(&listed(size), shape));
    }

    fn turn(self, size: &ListedSize<'_>, shape: Option<(u32, u32)>) -> Turn {
        let rank = Rank::of(size.name);
        let (width, is_original) = (width_in_name(size.name), rank == Rank::Originals);
        if width.is_none() && !is_original {
            return Turn::Last(rank);
        }
        if !has_shape(size, shape) {
            return Turn::OtherShape;
        }
        let Some(width) = width else { return Turn::Original };
        match self {
            Self::SmallestSufficient if is_sufficient(width, size, shape) => Turn::Sufficient(width),
            _ => Turn::Smaller(Reverse(width)),
        }
    }
}

/// Without a stated shape the image is taken for one that is not wide, as most are.
fn is_sufficient(width: u32, size: &ListedSize<'_>, shape: Option<(u32, u32)>) -> bool {
    let Some((w, h)) = shape else { return width >= SUFFICIENT };
    let height = u64::from(width) * u64::from(h) / u64::from(w);
    // Where rounding differs by one, the window is half a pixel off. Fine patterns show that.
    let is_same_window = match (size.width, size.height) {
        (Some(width), Some(height)) => reduced(width, height) == reduced(w, h),
        _ => true,
    };
    u64::from(width).min(height) >= u64::from(SUFFICIENT) && is_same_window
}

/// The longer side when the shorter one is that of the model's input, rounded as the model's preprocessing does.
fn reduced(width: u32, height: u32) -> u64 {
    MODEL_SIDE * u64::from(width.max(height)) / u64::from(width.min(height).max(1))
}

/// The width that the host scales to. What an answer states beside the name may be wrong.
fn width_in_name(name: &str) -> Option<u32> {
    match Rank::of(name) {
        Rank::Width600 => Some(600),
        Rank::Width1200 => Some(1200),
        Rank::Width(Reverse(width)) => Some(width),
        _ => None,
    }
}

/// Has the size, as far as it is stated, this shape?
fn has_shape(size: &ListedSize<'_>, shape: Option<(u32, u32)>) -> bool {
    let (Some((w, h)), Some(width), Some(height)) = (shape, size.width, size.height) else { return true };
    let expected = f64::from(width) * f64::from(h) / f64::from(w);
    (expected - f64::from(height)).abs() <= 1.0 + SAME_SHAPE * expected
}

#[cfg(test)]
mod tests {
    use super::*;

    type Size = (&'static str, Option<u32>, Option<u32>);

    fn order(ladder: Ladder, sizes: &[Size]) -> Vec<&'static str> {
        let mut sizes = sizes.to_vec();
        // The order of the list does not matter.
        sizes.sort();
        ladder.sort(&mut sizes, |&(name, width, height)| ListedSize { name, width, height });
        sizes.into_iter().map(|(name, ..)| name).collect()
    }

    const fn stated(name: &'static str, width: u32, height: u32) -> Size {
        (name, Some(width), Some(height))
    }

    const fn unstated(name: &'static str) -> Size {
        (name, None, None)
    }

    #[test]
    fn the_smallest_sufficient_size_is_first_and_larger_ones_follow() {
        let sizes = [
            stated("150x150", 150, 150),
            stated("400x300", 400, 300),
            stated("236x", 236, 354),
            stated("600x", 600, 900),
            stated("736x", 736, 1104),
            stated("1200x", 1200, 1800),
            stated("originals", 2400, 3600),
            unstated("cover"),
        ];
        assert_eq!(
            order(Ladder::SmallestSufficient, &sizes),
            ["600x", "736x", "1200x", "originals", "236x", "cover", "400x300", "150x150"]
        );
        assert_eq!(
            order(Ladder::Largest, &sizes),
            ["originals", "1200x", "736x", "600x", "236x", "cover", "400x300", "150x150"]
        );
    }

    #[test]
    fn a_wide_image_needs_a_wider_size() {
        for (height, first) in [(1200, "600x"), (896, "600x"), (890, "1200x"), (400, "1200x"), (100, "1200x")] {
            let sizes = [stated("600x", 600, height / 2), stated("1200x", 1200, height), stated("400x300", 400, 300)];
            assert_eq!(order(Ladder::SmallestSufficient, &sizes)[0], first, "1200 x {height}");
        }
        // Neither is sufficient: the larger one loses less.
        let strip = [stated("600x", 600, 50), stated("1200x", 1200, 100)];
        assert_eq!(order(Ladder::SmallestSufficient, &strip), ["1200x", "600x"]);
        // One that states its shape is enough.
        assert_eq!(
            order(Ladder::SmallestSufficient, &[unstated("600x"), stated("1200x", 1200, 400)]),
            ["1200x", "600x"]
        );
    }

    #[test]
    fn a_size_whose_window_is_off_by_rounding_is_not_sufficient() {
        // 224 * 1799 / 1200 = 335.8, 224 * 900 / 600 = 336.
        for (height, small, first) in
            [(1799, 900, "1200x"), (1800, 900, "600x"), (1797, 899, "600x"), (901, 451, "600x")]
        {
            let sizes = [stated("600x", 600, small), stated("1200x", 1200, height)];
            assert_eq!(order(Ladder::SmallestSufficient, &sizes)[0], first, "1200 x {height}");
        }
    }

    #[test]
    fn sizes_without_a_stated_shape_are_taken_by_their_names() {
        let sizes = ["600x", "1200x", "originals", "236x", "weird", "400x300"].map(unstated);
        assert_eq!(
            order(Ladder::SmallestSufficient, &sizes),
            ["600x", "1200x", "originals", "236x", "weird", "400x300"]
        );
        assert_eq!(order(Ladder::Largest, &sizes), ["originals", "1200x", "600x", "236x", "weird", "400x300"]);
        for odd in [stated("600x", 0, 0), stated("600x", u32::MAX, 1), ("600x", Some(600), None)] {
            assert_eq!(order(Ladder::SmallestSufficient, &[odd, unstated("150x150")]), ["600x", "150x150"], "{odd:?}");
        }
    }

    #[test]
    fn a_size_of_another_shape_is_not_preferred() {
        let sizes = [stated("600x", 600, 600), stated("1200x", 1200, 1800), stated("400x300", 400, 300)];
        for ladder in [Ladder::SmallestSufficient, Ladder::Largest] {
            assert_eq!(order(ladder, &sizes), ["1200x", "600x", "400x300"], "{ladder:?}");
        }
        // Rounding is no difference.
        let rounded = [stated("600x", 600, 899), stated("1200x", 1200, 1797)];
        assert_eq!(order(Ladder::SmallestSufficient, &rounded)[0], "600x");
    }
}
