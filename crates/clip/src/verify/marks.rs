//! Marks that training leaves in the weights.
//!
//! Each is a number near 0 for independent random weights of any scale, the stand-in's included, and far above its limit for
//! a trained CLIP. No single one decides: most of them must be there.

use std::ops::Range;
use std::path::Path;

use crate::SIDE;
use crate::architecture::Architecture;
use crate::engine;
use crate::error::Error;
use crate::tokenizer::CONTEXT_LENGTH;

/// A mark, as it was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// What it is a property of.
    pub name: &'static str,
    /// The number found.
    pub found: f64,
    /// The least number that counts as trained.
    pub least: f64,
}

impl Mark {
    /// Whether the weights bear it.
    pub fn is_there(&self) -> bool {
        // False for a NaN.
        self.found >= self.least
    }
}

/// All marks.
#[derive(Clone, Debug, PartialEq)]
pub struct Training {
    /// In the order in which they are best shown.
    pub marks: [Mark; 5],
}

impl Training {
    /// The number of marks that the weights bear.
    pub fn count(&self) -> usize {
        self.marks.iter().filter(|mark| mark.is_there()).count()
    }

    /// Whether most marks are there.
    pub fn is_trained(&self) -> bool {
        2 * self.count() > self.marks.len()
    }
}

/// A fresh CLIP begins with 2.6592 = ln(1 / 0.07) and learns the scale; OpenAI's training ended at its upper limit, ln 100
/// = 4.6052. Fine-tuned models stay near it.
const LEAST_LOGIT_SCALE: f64 = 4.0;

/// The least correlation of neighbouring weights of a patch filter. Filters learn edges and colours of many pixels' width.
const LEAST_SMOOTHNESS: f64 = 0.2;

/// The least cosine of neighbouring positions, after the mean is subtracted. With hidden size 512 and 76 pairs, random
/// numbers have 0 with a deviation of 0.005; with the stand-in's smallest size 64, of 0.014.
const LEAST_NEIGHBOURHOOD: f64 = 0.05;

/// The least difference between the cosines of alike and of other tokens.
const LEAST_LIKENESS: f64 = 0.05;

/// Patch filters that are examined: 1.5 MB.
const FILTERS: usize = 128;

/// Tokens of like meaning; the first of a pair is unlike the second of others. The test below spells them.
const LIKE_TOKENS: [(usize, usize); 16] = [
    (2368, 3989),
    (1615, 3346),
    (674, 2997),
    (736, 1746),
    (1237, 2097),
    (2098, 2519),
    (786, 2308),
    (1212, 1137),
    (2102, 4918),
    (1205, 3638),
    (3552, 4464),
    (1673, 2541),
    (1876, 1611),
    (1125, 1674),
    (4474, 6548),
    (5084, 7894),
];

/// Examines the weights of the model in `directory`. Reads less than 3 MB of them.
///
/// # Errors
///
/// Those of [`load`](crate::load).
pub fn training(directory: &Path) -> Result<Training, Error> {
    let (architecture, checkpoint) = engine::checkpoint(directory)?;
    examine(&architecture, |name, places| checkpoint.numbers(name, places))
}

fn examine(
    architecture: &Architecture,
    numbers: impl Fn(&str, Range<usize>) -> Result<Vec<f32>, Error>,
) -> Result<Training, Error> {
    let whole = 0..usize::MAX;
    let scale = numbers("logit_scale", whole.clone())?;
    let plane = architecture.patch.pow(2);
    let filters = numbers("vision_model.embeddings.patch_embedding.weight", 0..3 * plane * FILTERS)?;

    let across = SIDE / architecture.patch;
    let mut image =
        rows(numbers("vision_model.embeddings.position_embedding.weight", whole.clone())?, architecture.vision.hidden);
    // The class token is not a place.
    image.remove(0);
    centre(&mut image);
    let beside = (0..across * across).filter(|place| place % across + 1 < across).map(|place| (place, place + 1));
    let below = (0..across * (across - 1)).map(|place| (place, place + across));

    let width = architecture.text.hidden;
    let mut text = rows(numbers("text_model.embeddings.position_embedding.weight", whole)?, width);
    centre(&mut text);

    let token = |token: usize| {
        let row = numbers("text_model.embeddings.token_embedding.weight", token * width..(token + 1) * width)?;
        Ok::<Vec<f64>, Error>(row.into_iter().map(f64::from).collect())
    };
    let mut likeness = 0.0;
    for (index, (first, second)) in LIKE_TOKENS.into_iter().enumerate() {
        let other = LIKE_TOKENS[(index + LIKE_TOKENS.len() / 2) % LIKE_TOKENS.len()].1;
        let first = token(first)?;
        likeness += cosine(&first, &token(second)?) - cosine(&first, &token(other)?);
    }

    let mark = |name, found, least| Mark { name, found, least };
    Ok(Training {
        marks: [
            mark("logit scale", scale.first().copied().map_or(f64::NAN, f64::from), LEAST_LOGIT_SCALE),
            mark("patch filters", smoothness(&filters, architecture.patch), LEAST_SMOOTHNESS),
            mark("image positions", mean_cosine(&image, beside.chain(below)), LEAST_NEIGHBOURHOOD),
            mark(
                "text positions",
                mean_cosine(&text, (1..CONTEXT_LENGTH).map(|place| (place - 1, place))),
                LEAST_NEIGHBOURHOOD,
            ),
            mark("tokens", likeness / LIKE_TOKENS.len() as f64, LEAST_LIKENESS),
        ],
    })
}

/// The correlation of weights with their right and lower neighbours, over planes of `side` x `side` weights. Strong filters
/// count more than weak ones.
fn smoothness(filters: &[f32], side: usize) -> f64 {
    let (mut products, mut squares) = (0.0, 0.0);
    for plane in filters.chunks_exact(side * side) {
        let weight = |row: usize, column: usize| f64::from(plane[row * side + column]);
        for row in 0..side - 1 {
            for column in 0..side - 1 {
                let here = weight(row, column);
                products += here * (weight(row, column + 1) + weight(row + 1, column)) / 2.0;
                squares += here * here;
            }
        }
    }
    products / squares
}

fn rows(numbers: Vec<f32>, width: usize) -> Vec<Vec<f64>> {
    numbers.chunks_exact(width).map(|row| row.iter().copied().map(f64::from).collect()).collect()
}

/// Subtracts the mean row.
fn centre(rows: &mut [Vec<f64>]) {
    for column in 0..rows.first().map_or(0, Vec::len) {
        let mean = rows.iter().map(|row| row[column]).sum::<f64>() / rows.len() as f64;
        rows.iter_mut().for_each(|row| row[column] -= mean);
    }
}

fn mean_cosine(rows: &[Vec<f64>], pairs: impl Iterator<Item = (usize, usize)>) -> f64 {
    let (sum, count) =
        pairs.fold((0.0, 0.0), |(sum, count), (left, right)| (sum + cosine(&rows[left], &rows[right]), count + 1.0));
    sum / count
}

fn cosine(left: &[f64], right: &[f64]) -> f64 {
    let dot = |left: &[f64], right: &[f64]| left.iter().zip(right).map(|(left, right)| left * right).sum::<f64>();
    dot(left, right) / (dot(left, left) * dot(right, right)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tokenizer;
    use crate::standin::{self, Size};

    /// The pairs of [`LIKE_TOKENS`].
    const LIKE_WORDS: [(&str, &str); 16] = [
        ("cat", "cats"),
        ("car", "cars"),
        ("king", "queen"),
        ("red", "blue"),
        ("two", "three"),
        ("monday", "tuesday"),
        ("man", "woman"),
        ("house", "home"),
        ("sea", "ocean"),
        ("big", "large"),
        ("france", "germany"),
        ("summer", "winter"),
        ("boy", "girl"),
        ("photo", "picture"),
        ("pizza", "burger"),
        ("guitar", "piano"),
    ];

    #[test]
    fn the_tokens_are_those_of_the_words() {
        let tokenizer = Tokenizer::new();
        let token = |word: &str| match *tokenizer.encode(word).unwrap() {
            [_, token, _] => token as usize,
            ref tokens => panic!("{word:?} is {tokens:?}"),
        };
        assert_eq!(LIKE_TOKENS.to_vec(), LIKE_WORDS.map(|(first, second)| (token(first), token(second))).to_vec());
    }

    #[test]
    fn a_stand_in_bears_no_marks() {
        for seed in 1..20 {
            let directory = tempfile::tempdir().unwrap();
            standin::write(directory.path(), seed, Size::Tiny).unwrap();
            let training = training(directory.path()).unwrap();
            assert!(!training.is_trained(), "{training:?}");
            // The narrow tokens of this size can be alike by chance.
            assert!(training.marks[..4].iter().all(|mark| mark.found < mark.least / 1.5), "{training:?}");
        }
    }

    #[test]
    fn broad_filters_are_smooth() {
        let side = 32;
        let wave: Vec<f32> =
            (0..side * side).map(|at| ((at % side) as f32 * 0.4 + (at / side) as f32 * 0.3).sin()).collect();
        assert!(smoothness(&wave, side) > 0.9);
        // A NaN is no mark.
        let poisoned = [&wave[..wave.len() - 40], &[f32::NAN; 40]].concat();
        assert!(!Mark { name: "", found: smoothness(&poisoned, side), least: LEAST_SMOOTHNESS }.is_there());
    }
}
