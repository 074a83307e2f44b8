use crate::classify::classify;
use crate::vectors::{Direction, Vectors};

/// The result of a topic gate.
#[derive(Clone, Debug, PartialEq)]
pub struct Gated {
    /// Weight of each image, 0 (not about the topic) or 1, in the order of the images: a factor of the weights that
    /// [`themes`](crate::themes) takes.
    pub weights: Vec<f64>,
    /// The number of images with a weight over 0. If it is 0, no image is about the topic; the caller must report that,
    /// because no image has no theme.
    pub kept: usize,
    /// Probability that each image is about the topic and not about one of the others, from 0 to 1.
    pub probabilities: Vec<f64>,
}

/// Keeps the images that are about `wanted` rather than about any of `others` (see [`contrast_prompts`]): those whose
/// probability is at least one half.
///
/// # Panics
///
/// If the dimensions differ.
pub fn gate(images: &Vectors, wanted: &Direction, others: &Vectors) -> Gated {
    let mut labels = others.clone();
    labels.push_direction(wanted);
    let probabilities: Vec<f64> = images
        .rows()
        .map(|row| classify(&Direction::from_row(row), &labels).last().map_or(1.0, |last| last.probability))
        .collect();
    let weights: Vec<f64> =
        probabilities.iter().map(|&probability| if probability >= 0.5 { 1.0 } else { 0.0 }).collect();
    let kept = weights.iter().filter(|&&weight| weight > 0.0).count();
    Gated { weights, kept, probabilities }
}

/// About nothing in particular: an image that fits no prompt better is not about the topic either.
const NEUTRAL: &str = "a photo";

/// Other things on boards about weddings, and images in general.
const CONTRASTS: &[&str] = &[
    NEUTRAL,
    "a wedding dress",
    "a wedding cake",
    "a bouquet of flowers",
    "wedding rings",
    "a hairstyle",
    "a pair of shoes",
    "a man in a suit",
    "a wedding invitation",
    "a plate of food",
    "a portrait of a bride",
    "a quote",
];

/// Texts to compare `wanted` with if the caller gives none: other things found on wedding boards, and `a photo`.
///
/// A prompt for a thing that `wanted` itself names is left out: `a summer dress` is not compared with `a wedding dress`.
/// `a photo` is always there.
pub fn contrast_prompts(wanted: &str) -> Vec<&'static str> {
    let wanted: Vec<String> = words(wanted).collect();
    let names = |prompt: &str| {
        let thing = prompt.split(" of ").next().and_then(|thing| words(thing).last());
        thing.is_some_and(|thing| wanted.iter().any(|word| same_thing(word, &thing)))
    };
    CONTRASTS.iter().copied().filter(|&prompt| prompt == NEUTRAL || !names(prompt)).collect()
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// Whether two words are equal except for a plural's ending.
fn same_thing(left: &str, right: &str) -> bool {
    let plural = |one: &str, other: &str| matches!(other.strip_prefix(one), Some("" | "s" | "es"));
    plural(left, right) || plural(right, left)
}
