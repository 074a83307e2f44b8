use std::collections::TryReserveError;
use std::ops::Deref;

use crate::error::{Error, Inner};

/// A direction: finite numbers whose Euclidean norm is 1.
///
/// It can be made by normalising only, so that the invariant needs no other check.
#[derive(Clone, Debug, PartialEq)]
pub struct Direction(Vec<f32>);

impl Direction {
    /// Divides `values` by their Euclidean norm; the sum of squares is taken in f64.
    ///
    /// # Errors
    ///
    /// [`NotFinite`](crate::ErrorKind::NotFinite) if a number is NaN or infinite, [`Zero`](crate::ErrorKind::Zero) if all are
    /// 0 or there are none.
    pub fn normalised(values: &[f32]) -> Result<Self, Error> {
        let mut direction = Vec::with_capacity(values.len());
        normalise_onto(values, &mut direction)?;
        Ok(Self(direction))
    }

    /// The direction of a sum with this total weight; None if it vanishes: the rest of vectors that cancel out is rounding.
    pub(crate) fn of_sum(sum: &[f64], weight: f64) -> Option<Self> {
        let norm = sum.iter().map(|value| value * value).sum::<f64>().sqrt();
        (norm > VANISHED * weight).then(|| Self(sum.iter().map(|value| (value / norm) as f32).collect()))
    }

    /// A row of [`Vectors`], which is a direction already.
    pub(crate) fn from_row(row: &[f32]) -> Self {
        Self(row.to_vec())
    }

    /// The numbers, by value.
    pub fn into_vec(self) -> Vec<f32> {
        self.0
    }
}

impl Deref for Direction {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.0
    }
}

/// A mean shorter than this is the result of rounding in f32 and has no direction.
const VANISHED: f64 = 1e-6;

/// Directions of one dimension, row after row in one allocation.
#[derive(Clone, Debug, PartialEq)]
pub struct Vectors {
    dimension: usize,
    values: Vec<f32>,
}

impl Vectors {
    /// No rows, of `dimension` numbers each.
    ///
    /// # Panics
    ///
    /// If `dimension` is 0.
    pub fn new(dimension: usize) -> Self {
        Self::with_capacity(dimension, 0)
    }

    /// No rows, with room for `rows`.
    ///
    /// # Panics
    ///
    /// If `dimension` is 0.
    pub fn with_capacity(dimension: usize, rows: usize) -> Self {
        assert!(dimension > 0, "a direction needs a dimension");
        Self { dimension, values: Vec::with_capacity(dimension * rows) }
    }

    /// Makes room for more rows.
    ///
    /// # Errors
    ///
    /// If the memory cannot be allocated.
    pub fn reserve(&mut self, rows: usize) -> Result<(), TryReserveError> {
        self.values.try_reserve_exact(self.dimension.saturating_mul(rows))
    }

    /// Adds the direction of `values` as the last row; after an error nothing was added.
    ///
    /// # Errors
    ///
    /// [`Dimension`](crate::ErrorKind::Dimension) if the length is not [`Vectors::dimension`], and those of
    /// [`Direction::normalised`].
    pub fn push(&mut self, values: &[f32]) -> Result<(), Error> {
        if values.len() != self.dimension {
            return Err(Inner::Dimension { expected: self.dimension, found: values.len() }.into());
        }
        normalise_onto(values, &mut self.values)
    }

    /// The number of numbers per row.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.values.len() / self.dimension
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Row `index`, from 0: a unit vector.
    ///
    /// # Panics
    ///
    /// If `index` is not less than the number of rows.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.dimension..][..self.dimension]
    }

    /// All rows but the last, and the last; None if there are no rows.
    pub fn split_last(mut self) -> Option<(Self, Direction)> {
        let last = Direction(self.values.split_off(self.values.len().checked_sub(self.dimension)?));
        Some((self, last))
    }

    /// The rows in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.dimension)
    }

    /// Adds a direction of this dimension.
    pub(crate) fn push_direction(&mut self, direction: &Direction) {
        debug_assert_eq!(direction.len(), self.dimension);
        self.values.extend_from_slice(direction);
    }

    /// Adds a row of other directions of this dimension.
    pub(crate) fn push_row(&mut self, others: &Self, index: usize) {
        debug_assert_eq!(others.dimension, self.dimension);
        self.values.extend_from_slice(others.row(index));
    }
}

/// Appends `values` divided by their norm, or nothing.
fn normalise_onto(values: &[f32], target: &mut Vec<f32>) -> Result<(), Error> {
    if let Some(position) = values.iter().position(|value| !value.is_finite()) {
        return Err(Inner::NotFinite { position }.into());
    }
    let norm = values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
    if norm == 0.0 {
        return Err(Inner::Zero.into());
    }
    target.extend(values.iter().map(|&value| (f64::from(value) / norm) as f32));
    Ok(())
}

/// Panics if the dimensions differ.
pub(crate) fn same_dimension(left: usize, right: usize) {
    assert!(left == right, "directions of {left} and of {right} dimensions cannot be compared");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn rows_have_length_one_whatever_the_length_of_the_input() {
        let mut vectors = Vectors::new(2);
        for row in [[3.0, 4.0], [3e30, 4e30], [3e-42, 4e-42]] {
            vectors.push(&row).unwrap();
        }
        assert_eq!(vectors.len(), 3);
        for row in vectors.rows() {
            assert!((row[0] - 0.6).abs() < 1e-3 && (row[1] - 0.8).abs() < 1e-3, "{row:?}");
        }
    }

    #[test]
    fn vectors_without_a_direction_are_refused_and_not_added() {
        let mut vectors = Vectors::new(2);
        let kind = |result: Result<(), Error>| result.unwrap_err().kind();
        assert_eq!(kind(vectors.push(&[0.0, -0.0])), ErrorKind::Zero);
        assert_eq!(kind(vectors.push(&[1.0, f32::NAN])), ErrorKind::NotFinite);
        assert_eq!(kind(vectors.push(&[f32::NEG_INFINITY, 1.0])), ErrorKind::NotFinite);
        assert_eq!(kind(vectors.push(&[1.0])), ErrorKind::Dimension);
        assert!(vectors.is_empty());
        assert_eq!(Direction::normalised(&[]).unwrap_err().kind(), ErrorKind::Zero);
    }

    #[test]
    fn a_wrong_dimension_names_both() {
        let message = Vectors::new(512).push(&[1.0; 768]).unwrap_err().to_string();
        assert!(message.contains("512") && message.contains("768"), "{message}");
    }
}
