/// The number of independent sums: four registers of four lanes, on the oldest x86-64 processors, are enough to hide the
/// latency of an addition.
const LANES: usize = 16;

/// Dot product of two unit vectors: their cosine.
///
/// Computed in f32 with independent sums, in an order that does not depend on the machine; the error is less than 1e-6 for
/// 512 dimensions.
pub(crate) fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (left_chunks, left_rest) = left.as_chunks::<LANES>();
    let (right_chunks, right_rest) = right.as_chunks::<LANES>();
    for (left, right) in left_chunks.iter().zip(right_chunks) {
        for lane in 0..LANES {
            sums[lane] += left[lane] * right[lane];
        }
    }
    let rest: f32 = left_rest.iter().zip(right_rest).map(|(left, right)| left * right).sum();
    sums.iter().sum::<f32>() + rest
}

/// [`dot`] of one vector with four others; the one is loaded once.
pub(crate) fn dots(left: &[f32], rights: [&[f32]; 4]) -> [f32; 4] {
    let mut sums = [[0.0f32; LANES / 2]; 4];
    let (chunks, rest) = left.as_chunks::<{ LANES / 2 }>();
    let [first, second, third, fourth] = rights.map(|right| right[..left.len()].as_chunks::<{ LANES / 2 }>().0);
    let columns = first.iter().zip(second).zip(third).zip(fourth);
    for (left, (((first, second), third), fourth)) in chunks.iter().zip(columns) {
        for lane in 0..LANES / 2 {
            sums[0][lane] += left[lane] * first[lane];
            sums[1][lane] += left[lane] * second[lane];
            sums[2][lane] += left[lane] * third[lane];
            sums[3][lane] += left[lane] * fourth[lane];
        }
    }
    let begun = left.len() - rest.len();
    std::array::from_fn(|index| {
        let tail: f32 = rest.iter().zip(&rights[index][begun..]).map(|(left, right)| left * right).sum();
        sums[index].iter().sum::<f32>() + tail
    })
}

/// [`dot`] limited to -1 and 1, which rounding can exceed.
pub(crate) fn cosine(left: &[f32], right: &[f32]) -> f64 {
    f64::from(dot(left, right)).clamp(-1.0, 1.0)
}

/// Adds `weight` times `row` to `sum`.
pub(crate) fn add(sum: &mut [f64], row: &[f32], weight: f64) {
    for (sum, &value) in sum.iter_mut().zip(row) {
        *sum += weight * f64::from(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_f64_for_every_length() {
        for length in 0..70 {
            let left: Vec<f32> = (0..length).map(|index| (index as f32 * 0.7).sin()).collect();
            let right: Vec<f32> = (0..length).map(|index| (index as f32 * 1.3).cos()).collect();
            let exact: f64 = left.iter().zip(&right).map(|(&left, &right)| f64::from(left) * f64::from(right)).sum();
            assert!((f64::from(dot(&left, &right)) - exact).abs() < 1e-5, "{length} elements");
            let four = dots(&left, [&right, &left, &right, &right]);
            assert!((f64::from(four[0]) - exact).abs() < 1e-5, "{length} elements");
            assert!((four[1] - dot(&left, &left)).abs() < 1e-5 && four[2] == four[0] && four[3] == four[0]);
        }
    }
}
