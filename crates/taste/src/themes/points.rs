use crate::mean::weight;
use crate::vectors::Vectors;

/// The images that take part, with their weights, all over 0.
pub(super) struct Points<'a> {
    images: &'a Vectors,
    /// Row of each point among the images, ascending.
    pub(super) rows: Vec<usize>,
    pub(super) weights: Vec<f64>,
}

impl<'a> Points<'a> {
    pub(super) fn new(images: &'a Vectors, weights: Option<&[f64]>, rows: Vec<usize>) -> Self {
        let weights = rows.iter().map(|&row| weight(weights, row)).collect();
        Self { images, rows, weights }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn dimension(&self) -> usize {
        self.images.dimension()
    }

    pub(super) fn row(&self, point: usize) -> &'a [f32] {
        self.images.row(self.rows[point])
    }

    /// Of all points together.
    pub(super) fn weight(&self) -> f64 {
        self.weights.iter().sum()
    }
}

/// At most `most` of `rows`, at even distances.
pub(super) fn spread(rows: &[usize], most: usize) -> Vec<usize> {
    if rows.len() <= most {
        return rows.to_vec();
    }
    (0..most).map(|index| rows[index * rows.len() / most]).collect()
}
