//! Pillow's bicubic resize, to the bit, of the one window that is wanted.
//!
//! The algorithm is that of `Image.resize(size, BICUBIC)` (Pillow's `src/libImaging/Resample.c`): separable, widened when
//! shrinking so that it does not alias, weights in fixed point, horizontal pass first with an 8-bit result. Each output
//! pixel depends on its own weights alone, so the 224 x 224 window is computed without the rest of the picture: a
//! 10 x 5000 strip does not become 224 x 112000 on the way.

use image::RgbImage;

use super::SIDE;

/// Fraction bits of a weight: 32 less 8 for the samples and 2 for overshoot.
const FRACTION_BITS: u32 = 32 - 8 - 2;

/// Resizes the short side to 224 and cuts out the centre 224 x 224: rows of RGB.
///
/// The long side becomes `floor(224 * long / short)`, the margin `floor((that - 224) / 2)`, as in transformers'
/// `get_resize_output_image_size` and `center_crop`.
pub(super) fn centre_window(picture: &RgbImage) -> Box<[u8]> {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let short = width.min(height);
    let columns = weights(width, SIDE * width / short);
    let rows = weights(height, SIDE * height / short);

    let first_row = rows.iter().map(|weight| weight.first).min().unwrap_or(0);
    let end_row = rows.iter().map(Weight::end).max().unwrap_or(0);
    let stride = 3 * width;
    let narrow: Vec<u8> = picture.as_raw()[stride * first_row..stride * end_row]
        .chunks_exact(stride)
        .flat_map(|row| columns.iter().flat_map(|weight| horizontal(row, weight)))
        .collect();
    rows.iter().flat_map(|weight| vertical(&narrow, weight, first_row)).collect()
}

/// The inputs of one output position.
struct Weight {
    first: usize,
    factors: Vec<i32>,
}

impl Weight {
    fn end(&self) -> usize {
        self.first + self.factors.len()
    }
}

/// The centre [`SIDE`] of the `resized` positions that `length` input positions become.
fn weights(length: usize, resized: usize) -> Vec<Weight> {
    let scale = length as f64 / resized as f64;
    let widening = scale.max(1.0);
    let support = 2.0 * widening;
    let margin = (resized - SIDE) / 2;
    (margin..margin + SIDE)
        .map(|position| {
            let centre = (position as f64 + 0.5) * scale;
            // `as` truncates, and takes what is negative for 0.
            let first = (centre - support + 0.5) as usize;
            let end = ((centre + support + 0.5) as usize).min(length);
            let curve: Vec<f64> = (first..end)
                // Times the reciprocal, as in Pillow: a division would round differently.
                .map(|input| cubic((input as f64 - centre + 0.5) * (1.0 / widening)))
                .collect();
            let sum: f64 = curve.iter().sum();
            let factors = curve.iter().map(|value| fixed_point(value / sum)).collect();
            Weight { first, factors }
        })
        .collect()
}

/// Keys' cubic with a = -0.5, in the factored form Pillow evaluates.
fn cubic(distance: f64) -> f64 {
    const A: f64 = -0.5;
    let x = distance.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

/// Rounds half away from zero.
fn fixed_point(weight: f64) -> i32 {
    let scaled = weight * f64::from(1 << FRACTION_BITS);
    (scaled + 0.5f64.copysign(scaled)) as i32
}

const HALF: i32 = 1 << (FRACTION_BITS - 1);

fn level(sum: i32) -> u8 {
    (sum >> FRACTION_BITS).clamp(0, 255) as u8
}

fn horizontal(row: &[u8], weight: &Weight) -> [u8; 3] {
    let mut sums = [HALF; 3];
    let pixels = row[3 * weight.first..3 * weight.end()].chunks_exact(3);
    for (pixel, factor) in pixels.zip(&weight.factors) {
        for (sum, &sample) in sums.iter_mut().zip(pixel) {
            *sum += i32::from(sample) * factor;
        }
    }
    sums.map(level)
}

/// One output row of `narrow`, whose first row is the picture's `first_row`.
fn vertical(narrow: &[u8], weight: &Weight, first_row: usize) -> [u8; 3 * SIDE] {
    let mut sums = [HALF; 3 * SIDE];
    let rows = narrow.chunks_exact(3 * SIDE).skip(weight.first - first_row);
    for (row, factor) in rows.zip(&weight.factors) {
        for (sum, &sample) in sums.iter_mut().zip(row) {
            *sum += i32::from(sample) * factor;
        }
    }
    sums.map(level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_of_the_right_size_is_left_alone() {
        let picture = RgbImage::from_fn(224, 224, |x, y| image::Rgb([x as u8, y as u8, (x ^ y) as u8]));
        assert_eq!(centre_window(&picture)[..], picture.as_raw()[..]);
    }

    #[test]
    fn weights_of_every_position_sum_to_one() {
        for (length, resized) in [(1, 224), (5000, 224), (10, 224), (5000, 112_000), (223, 224)] {
            for weight in weights(length, resized) {
                let sum: i32 = weight.factors.iter().sum();
                let error = (sum - (1 << FRACTION_BITS)).unsigned_abs() as usize;
                assert!(error <= weight.factors.len(), "{length} to {resized}: off by {error}");
                assert!(weight.end() <= length);
            }
        }
    }

    #[test]
    fn the_centre_is_kept_and_the_margin_cut() {
        // Three squares of one colour each; only the middle one is inside the window, but for the filter's reach.
        let picture =
            RgbImage::from_fn(672, 224, |x, _| image::Rgb(if x / 224 == 1 { [9, 99, 199] } else { [255, 0, 0] }));
        let window = centre_window(&picture);
        assert_eq!(window.len(), 3 * SIDE * SIDE);
        assert!(window.chunks_exact(3).all(|pixel| pixel == [9, 99, 199]));
    }
}
