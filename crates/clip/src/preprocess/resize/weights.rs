//! The inputs of each output, and their weights.

use std::ops::Range;

use crate::preprocess::SIDE;

/// Fraction bits of a factor: 32 less 8 for the samples and 2 for overshoot.
pub(super) const FRACTION_BITS: u32 = 32 - 8 - 2;

/// One half of a level. Every sum starts with it, since the final shift rounds down.
pub(super) const HALF: i32 = 1 << (FRACTION_BITS - 1);

/// The inputs of one output position.
pub(super) struct Weight<'a> {
    /// The position of the first input.
    pub first: usize,
    /// One per input, in units of `2^-FRACTION_BITS`; their sum is 1 up to rounding.
    pub factors: &'a [i32],
}

impl Weight<'_> {
    pub fn end(&self) -> usize {
        self.first + self.factors.len()
    }
}

/// One [`Weight`] for each of [`SIDE`] output positions.
pub(super) struct Weights {
    /// The first input, and the end of the factors.
    spans: Vec<(usize, usize)>,
    factors: Vec<i32>,
}

impl Weights {
    /// The weights of [`SIDE`] positions from `crop` on, if `length` input positions are resized to `resized`.
    pub fn new(length: usize, resized: usize, crop: usize) -> Self {
        let scale = length as f64 / resized as f64;
        let widening = scale.max(1.0);
        let support = 2.0 * widening;
        let mut weights = Self { spans: Vec::with_capacity(SIDE), factors: vec![] };
        let mut curve = vec![];
        for position in crop..crop + SIDE {
            let centre = (position as f64 + 0.5) * scale;
            // `as` truncates, and converts negative numbers to 0.
            let first = (centre - support + 0.5) as usize;
            let end = ((centre + support + 0.5) as usize).min(length);
            curve.clear();
            // Times the reciprocal, as in Pillow: a division would round differently.
            curve.extend((first..end).map(|input| cubic((input as f64 - centre + 0.5) * (1.0 / widening))));
            let sum: f64 = curve.iter().sum();
            weights.factors.extend(curve.iter().map(|value| fixed_point(value / sum)));
            weights.spans.push((first, weights.factors.len()));
        }
        weights
    }

    pub fn iter(&self) -> impl Iterator<Item = Weight<'_>> {
        let mut start = 0;
        self.spans.iter().map(move |&(first, end)| {
            let factors = &self.factors[start..end];
            start = end;
            Weight { first, factors }
        })
    }

    /// The weights of the same positions for the `length` inputs in reverse order.
    pub fn mirrored(self, length: usize) -> Self {
        let mut mirrored = Self { spans: Vec::with_capacity(SIDE), factors: Vec::with_capacity(self.factors.len()) };
        for weight in self.iter() {
            mirrored.factors.extend(weight.factors.iter().rev());
            mirrored.spans.push((length - weight.end(), mirrored.factors.len()));
        }
        mirrored
    }

    /// Returns the range of all inputs, and counts them from its start from now on.
    pub fn rebase(&mut self) -> Range<usize> {
        let start = self.iter().map(|weight| weight.first).min().unwrap_or(0);
        let end = self.iter().map(|weight| weight.end()).max().unwrap_or(start);
        for (first, _) in &mut self.spans {
            *first -= start;
        }
        start..end
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_every_position_sum_to_one() {
        for (length, resized, crop) in
            [(1, 224, 0), (5000, 224, 0), (10, 224, 0), (5000, 112_000, 55_888), (223, 225, 1)]
        {
            for weight in Weights::new(length, resized, crop).iter() {
                let sum: i32 = weight.factors.iter().sum();
                let error = (sum - (1 << FRACTION_BITS)).unsigned_abs() as usize;
                assert!(error <= weight.factors.len(), "{length} to {resized}: off by {error}");
                assert!(weight.end() <= length);
            }
        }
    }

    #[test]
    fn no_image_overflows_a_sum() {
        for length in (1..600).chain([601, 1200, 1999, 5000, 8192, 65_500, 1_000_000]) {
            for (resized, crop) in
                [(SIDE, 0), (SIDE + length, length), (SIDE * length, 0), (SIDE * length, SIDE * (length / 2))]
            {
                for weight in Weights::new(length, resized, crop).iter() {
                    // White under the factors of one sign, black under the others.
                    let (under, over): (Vec<i64>, Vec<i64>) =
                        weight.factors.iter().map(|&factor| 255 * i64::from(factor)).partition(|&term| term < 0);
                    for sum in [under.iter().sum::<i64>(), over.iter().sum::<i64>() + i64::from(HALF)] {
                        assert!(i32::try_from(sum).is_ok(), "{length} to {resized}: {sum}");
                    }
                }
            }
        }
    }
}
