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
/// The images are gone through in order: each joins the nearest leader within the threshold, or leads a group of its own.
/// No chain of small steps can join what differs, as it would with connected components: all members are within the
/// threshold of the leader, and within about four times it of each other: an angle may double, and a distance grows with its
/// square. An image between two leaders goes to the nearer one.
pub fn duplicates(images: &Vectors, threshold: f64, check: &mut dyn FnMut()) -> Vec<Vec<usize>> {
    // A little room for rounding, so that threshold 0 finds what is equal.
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
