use crate::mean::weight;
use crate::vectors::Vectors;

/// The images that are clustered, with their weights, all over 0.
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

    /// The total weight.
    pub(super) fn weight(&self) -> f64 {
        self.weights.iter().sum()
    }
}

/// At most `most` of `rows`, in their order.
///
/// They are chosen by a fixed permutation: a sample at even distances could consist of one kind of images, if a board has that
/// kind at such distances.
pub(super) fn sampled(rows: &[usize], most: usize) -> Vec<usize> {
    if rows.len() <= most {
        return rows.to_vec();
    }
    let mut scrambled: Vec<(u64, usize)> = rows.iter().map(|&row| (scramble(row as u64), row)).collect();
    scrambled.select_nth_unstable(most);
    let mut chosen: Vec<usize> = scrambled[..most].iter().map(|&(_, row)| row).collect();
    chosen.sort_unstable();
    chosen
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): one to one, so that there are no ties.
fn scramble(row: u64) -> u64 {
    let mut value = row.wrapping_add(0x9E37_79B9_7F4A_7C15);
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}
