use std::collections::HashMap;
use std::hash::Hash;

use crate::product::dot;
use crate::vectors::Vectors;

/// Cosine distance up to which two images count as the same picture.
///
/// Reasoned, not measured on trained weights: decoding and resizing the same picture in other ways moves its embedding by
/// less than 0.001, squashing it instead of cropping by up to 0.04; other pictures of the same kind are some 0.15 to 0.3 away.
pub const DEFAULT_THRESHOLD: f64 = 0.05;

/// Images between two calls of `check`.
const STRIDE: usize = 64;

/// Groups of images within `threshold` (a cosine distance, 0 to 2) of the first of their group; only groups of two or more,
/// in the order of their first image, each in ascending order.
///
/// The images are taken in order: each joins the nearest leader within the threshold, or leads a new group. A chain of small
/// steps cannot join different images, as it would with connected components: all members are within the threshold of the
/// leader, and within about four times the threshold of each other, because an angle may double and a distance grows with
/// its square.
pub fn duplicates(images: &Vectors, threshold: f64, check: &mut dyn FnMut()) -> Vec<Vec<usize>> {
    // Some room for rounding, so that threshold 0 finds equal images.
    let least = 1.0 - threshold - 1e-6;
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut leaders = Vectors::new(images.dimension());
    for (index, image) in images.rows().enumerate() {
        let mut nearest = None;
        let mut most = f64::NEG_INFINITY;
        for (leader, row) in leaders.rows().enumerate() {
            if leader.is_multiple_of(STRIDE) {
                check();
            }
            let similarity = f64::from(dot(image, row));
            if similarity >= least && similarity > most {
                (nearest, most) = (Some(leader), similarity);
            }
        }
        match nearest {
            Some(leader) => groups[leader].push(index),
            None => {
                leaders.push_row(images, index);
                groups.push(vec![index]);
            }
        }
    }
    groups.retain(|group| group.len() > 1);
    groups
}

/// [`duplicates`], if it is already known which images have equal bytes: `first` is the index of the first image with the
/// same bytes, of each image. Images with equal bytes are in one group, whatever their embeddings.
///
/// # Panics
///
/// If there are not as many indexes as images, or one is not an earlier image that is its own first.
pub fn duplicates_with_equal(
    images: &Vectors,
    first: &[usize],
    threshold: f64,
    check: &mut dyn FnMut(),
) -> Vec<Vec<usize>> {
    assert!(first.len() == images.len(), "{} indexes for {} images", first.len(), images.len());
    let different: Vec<usize> = (0..first.len()).filter(|&index| first[index] == index).collect();
    let mut among = Vectors::with_capacity(images.dimension(), different.len());
    different.iter().for_each(|&index| among.push_row(images, index));
    let mut leader: Vec<usize> = (0..first.len()).collect();
    for group in duplicates(&among, threshold, check) {
        group.iter().for_each(|&member| leader[different[member]] = different[group[0]]);
    }
    let mut groups: Vec<Vec<usize>> = vec![Vec::new(); first.len()];
    (0..first.len()).for_each(|index| groups[leader[first[index]]].push(index));
    groups.retain(|group| group.len() > 1);
    groups
}

/// For each image the index of the first image with the same bytes, itself if there is none before it.
///
/// Images have the same bytes if they share a hash of one kind; an image has up to `N` kinds of hashes.
pub fn first_equal<H: Hash + Eq, const N: usize>(images: impl IntoIterator<Item = [Option<H>; N]>) -> Vec<usize> {
    let mut known: HashMap<(usize, H), usize> = HashMap::new();
    let first = |(index, hashes): (usize, [Option<H>; N])| {
        let hashes: Vec<(usize, H)> =
            hashes.into_iter().enumerate().filter_map(|(kind, hash)| Some((kind, hash?))).collect();
        let first = hashes.iter().find_map(|hash| known.get(hash)).copied().unwrap_or(index);
        for hash in hashes {
            known.entry(hash).or_insert(first);
        }
        first
    };
    images.into_iter().enumerate().map(first).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_hashes_of_the_same_kind_make_equal_bytes() {
        let images = [[Some("a"), None], [None, Some("a")], [Some("b"), Some("a")], [Some("b"), None], [None, None]];
        assert_eq!(first_equal(images), [0, 1, 1, 1, 4]);
    }

    #[test]
    fn equal_bytes_join_the_group_of_the_first_of_them() {
        let mut images = Vectors::new(2);
        for row in [[1.0, 0.0], [0.0, 1.0], [0.01, 1.0], [0.0, -1.0], [-1.0, 0.0]] {
            images.push(&row).unwrap();
        }
        // 1 and 2 are near, 3 has the bytes of 2 although it is far away, 4 equals nothing.
        assert_eq!(duplicates_with_equal(&images, &[0, 1, 2, 2, 4], 0.01, &mut || {}), [[1, 2, 3]]);
        assert!(duplicates_with_equal(&images, &[0, 1, 2, 3, 4], 0.0, &mut || {}).is_empty());
    }
}
