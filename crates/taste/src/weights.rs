//! Weights of images by their age, theme or board.

/// Multiplies each weight by ½ for each `half_life` by which its image is older than the newest. `times` are those of the
/// images, in the unit of `half_life`.
///
/// Ages counted from now would give the same direction, and old boards would vanish in rounding.
///
/// # Panics
///
/// If `half_life` is not greater than 0.
pub fn by_age(weights: &mut [f64], times: impl Iterator<Item = f64> + Clone, half_life: f64) {
    assert!(half_life > 0.0, "half_life is {half_life}");
    let newest = times.clone().fold(f64::NEG_INFINITY, f64::max);
    for (weight, time) in weights.iter_mut().zip(times) {
        *weight *= (-(newest - time) / half_life).exp2();
    }
}

/// Sets the weights of all images other than `members` to 0.
///
/// # Panics
///
/// If a member has no weight.
pub fn only(weights: &mut [f64], members: &[usize]) {
    let mut kept = vec![0.0; weights.len()];
    members.iter().for_each(|&member| kept[member] = weights[member]);
    weights.copy_from_slice(&kept);
}

/// Weights with which every board counts the same, however many images it has. `boards` is the number of each image's
/// board, from 0.
pub fn even(boards: impl Iterator<Item = usize> + Clone) -> Vec<f64> {
    let mut counts: Vec<u32> = Vec::new();
    for board in boards.clone() {
        counts.resize(counts.len().max(board + 1), 0);
        counts[board] += 1;
    }
    boards.map(|board| 1.0 / f64::from(counts[board])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_life_halves_and_the_newest_keeps_its_weight() {
        let mut weights = [1.0, 1.0, 3.0];
        by_age(&mut weights, [100.0, 90.0, 70.0].into_iter(), 10.0);
        assert_eq!(weights, [1.0, 0.5, 0.375]);
    }

    #[test]
    fn members_alone_keep_their_weights() {
        let mut weights = [0.5, 2.0, 3.0];
        only(&mut weights, &[2, 0]);
        assert_eq!(weights, [0.5, 0.0, 3.0]);
    }

    #[test]
    fn boards_count_the_same() {
        assert_eq!(even([0, 2, 0, 2, 2, 0, 0].into_iter()), [0.25, 1.0 / 3.0, 0.25, 1.0 / 3.0, 1.0 / 3.0, 0.25, 0.25]);
        assert!(even(std::iter::empty()).is_empty());
    }
}
