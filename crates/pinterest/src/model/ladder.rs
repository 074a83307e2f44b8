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

impl ListedSize<'_> {
    /// Its width, unless it is a crop or has an unknown name: that in its name, to which the host scales wider images, or a
    /// smaller one that is stated.
    fn scaled_width(&self) -> Option<u32> {
        let named = width_in_name(self.name)?;
        Some(self.stated_width().unwrap_or(named))
    }

    /// The stated width and height, unless they cannot be true.
    fn stated(&self) -> Option<(u32, u32)> {
        self.stated_width().zip(self.height.filter(|&height| height > 0))
    }

    fn stated_width(&self) -> Option<u32> {
        let most = width_in_name(self.name).unwrap_or(u32::MAX);
        self.width.filter(|width| (1..=most).contains(width))
    }
}

/// How much of an image a size shows. However often a size is refused, none of a later class is tried before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    /// All of it, with at least [`SUFFICIENT`] pixels on the shorter side, or as many as there are.
    Large,
    /// All of it, with fewer.
    Small,
    /// Its stated shape is not that of the largest, so it may be a crop.
    OtherShape,
    /// Sizes without a width, covers and crops, in the order of [`Rank`].
    Last(Rank),
}

/// When a size of a class is tried; lower ones first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Sufficient(u32),
    /// Its file may have many megabytes, and the host refuses some of them.
    Original,
    Narrower(Reverse<u32>),
}

impl Ladder {
    /// Puts the sizes of an image into the order in which they are to be tried. Crops always come last: they lack a part of
    /// the image. Of those that show as much of it, the ones that are `refused` come later.
    pub fn sort<T>(self, sizes: &mut [T], listed: impl Fn(&T) -> ListedSize<'_>, refused: impl Fn(&T) -> bool) {
        let shape = sizes
            .iter()
            .map(&listed)
            .filter(|size| size.scaled_width().is_some() || is_original(size))
            .filter_map(|size| size.stated())
            .max();
        sizes.sort_by_cached_key(|size| {
            let listed = listed(size);
            (class(&listed, shape), refused(size), self.turn(&listed, shape))
        });
    }

    fn turn(self, size: &ListedSize<'_>, shape: Option<(u32, u32)>) -> Turn {
        match size.scaled_width() {
            None => Turn::Original,
            Some(width) if self == Self::SmallestSufficient && is_sufficient(width, size, shape) => {
                Turn::Sufficient(width)
            }
            Some(width) => Turn::Narrower(Reverse(width)),
        }
    }
}

fn class(size: &ListedSize<'_>, shape: Option<(u32, u32)>) -> Class {
    let width = size.scaled_width();
    if width.is_none() && !is_original(size) {
        return Class::Last(Rank::of(size.name));
    }
    match width {
        _ if !has_shape(size, shape) => Class::OtherShape,
        Some(width) if !is_large(width, shape) => Class::Small,
        _ => Class::Large,
    }
}

fn is_original(size: &ListedSize<'_>) -> bool {
    Rank::of(size.name) == Rank::Originals
}

/// Without a stated shape the image is taken for one that is not wide, as most are.
fn is_large(width: u32, shape: Option<(u32, u32)>) -> bool {
    let Some((w, h)) = shape else { return width >= SUFFICIENT };
    let height = u64::from(width) * u64::from(h) / u64::from(w);
    width >= w || u64::from(width).min(height) >= u64::from(SUFFICIENT)
}

/// Whether the model sees the same part of the image as of the largest size. Where rounding differs by one, the window is
/// half a pixel off. Fine patterns show that.
fn is_sufficient(width: u32, size: &ListedSize<'_>, shape: Option<(u32, u32)>) -> bool {
    let is_same_window = match (size.stated(), shape) {
        (Some(own), Some(largest)) => reduced(own) == reduced(largest),
        _ => true,
    };
    is_large(width, shape) && is_same_window
}

/// The longer side when the shorter one is that of the model's input, rounded as the model's preprocessing does.
fn reduced((width, height): (u32, u32)) -> u64 {
    MODEL_SIDE * u64::from(width.max(height)) / u64::from(width.min(height))
}

/// The width that the host scales to.
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
    let (Some((w, h)), Some((width, height))) = (shape, size.stated()) else { return true };
    let expected = f64::from(width) * f64::from(h) / f64::from(w);
    (expected - f64::from(height)).abs() <= 1.0 + SAME_SHAPE * expected
}

#[cfg(test)]
mod tests {
    use super::*;

    type Size = (&'static str, Option<u32>, Option<u32>);

    fn order(ladder: Ladder, sizes: &[Size]) -> Vec<&'static str> {
        order_if_refused(ladder, sizes, &[])
    }

    fn order_if_refused(ladder: Ladder, sizes: &[Size], refused: &[&str]) -> Vec<&'static str> {
        let mut sizes = sizes.to_vec();
        // The order of the list does not matter.
        sizes.sort();
        ladder.sort(
            &mut sizes,
            |&(name, width, height)| ListedSize { name, width, height },
            |(name, ..)| refused.contains(name),
        );
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

    #[test]
    fn refused_sizes_are_tried_later_but_before_those_that_show_less() {
        let sizes = [
            stated("400x300", 400, 300),
            stated("236x", 236, 354),
            stated("600x", 600, 900),
            stated("1200x", 1200, 1800),
            stated("originals", 2400, 3600),
        ];
        for (refused, smallest, largest) in [
            (
                &["600x"][..],
                ["1200x", "originals", "600x", "236x", "400x300"],
                ["originals", "1200x", "600x", "236x", "400x300"],
            ),
            (
                &["originals", "400x300"],
                ["600x", "1200x", "originals", "236x", "400x300"],
                ["1200x", "600x", "originals", "236x", "400x300"],
            ),
            (
                &["600x", "1200x", "originals"],
                ["600x", "1200x", "originals", "236x", "400x300"],
                ["originals", "1200x", "600x", "236x", "400x300"],
            ),
        ] {
            assert_eq!(order_if_refused(Ladder::SmallestSufficient, &sizes, refused), smallest, "{refused:?}");
            assert_eq!(order_if_refused(Ladder::Largest, &sizes, refused), largest, "{refused:?}");
        }
    }

    #[test]
    fn a_statement_that_contradicts_the_name_does_not_count() {
        let sizes = [stated("600x", 600, 900), stated("1200x", 1200, 1800), stated("236x", 4000, 40)];
        assert_eq!(order(Ladder::SmallestSufficient, &sizes), ["600x", "1200x", "236x"]);
        assert_eq!(order(Ladder::Largest, &sizes), ["1200x", "600x", "236x"]);
    }

    #[test]
    fn a_smaller_statement_counts_instead_of_the_name() {
        let sizes = [stated("600x", 236, 354), stated("1200x", 1200, 1800)];
        assert_eq!(order(Ladder::SmallestSufficient, &sizes), ["1200x", "600x"]);
        // The image itself is small: all of these have the same pixels.
        let sizes = [stated("600x", 400, 300), stated("1200x", 400, 300), stated("originals", 400, 300)];
        assert_eq!(order(Ladder::SmallestSufficient, &sizes)[2], "originals");
    }
}
