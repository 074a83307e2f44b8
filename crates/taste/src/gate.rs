use crate::classify::classify;
use crate::vectors::{Direction, Vectors};

/// What a topic gate let through.
#[derive(Clone, Debug, PartialEq)]
pub struct Gated {
    /// Weight of each image, from 0 (not about the topic) to 1, in the order of the images: to be multiplied with other
    /// weights and given to [`themes`](crate::themes).
    pub weights: Vec<f64>,
    /// How many images have a weight over 0. With none, nothing is about the topic: the caller must say so, for themes of
    /// nothing recommend nothing.
    pub kept: usize,
    /// How likely each image is about the topic, against the others, from 0 to 1.
    pub probabilities: Vec<f64>,
}

/// Keeps the images that are about `wanted` rather than about any of `others` (see [`contrast_prompts`]): those with a
/// probability of at least one half against the nearest of them.
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

/// About nothing in particular: what fits nothing better is not about the topic either.
const NEUTRAL: &str = "a photo";

/// What else is on a board that collects for a wedding, and pictures as such.
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

/// Texts to hold `wanted` against where the caller gives none: other things found on wedding boards, and `a photo`.
///
/// A prompt whose thing `wanted` names itself is left out: `a summer dress` is not held against `a wedding dress`. `a photo`
/// always stays.
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

/// Whether two words are the same but for a plural's ending.
fn same_thing(left: &str, right: &str) -> bool {
    let plural = |one: &str, other: &str| matches!(other.strip_prefix(one), Some("" | "s" | "es"));
    plural(left, right) || plural(right, left)
}
