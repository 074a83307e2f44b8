//! A model without meaning that nevertheless computes the published figures and recognises all texts and pictures of the
//! checks: the stand-in, whose projections are solved for that. It shows that the checks can be passed, which no other weights
//! at hand do.

use std::num::NonZeroUsize;
use std::path::Path;

use clip::verify::{CAT_AND_DOG, HELLO_WORLD, Picture, pictures, texts};
use clip::{DIMENSION, Embedding, Kernels, Options, Pixels, Precision, Tokenizer};

use super::checkpoint::{Checkpoint, TEXT, VISION};

/// The mark after a text.
const END_OF_TEXT: usize = 49_407;

/// Rigs the tiny stand-in in `directory`; `photo` shall have the published logits.
pub fn rig(directory: &Path, photo: &Pixels) {
    let mut checkpoint = Checkpoint::read(directory);
    checkpoint.bear_marks();
    // The stand-in's vectors of texts are nearly alike: all end with the same mark, which attends to a single token. Without
    // the mark, and with even attention, every word counts.
    checkpoint.change("text_model.embeddings.token_embedding.weight", |index, value| match index / TEXT {
        END_OF_TEXT => 0.0,
        _ => 10.0 * value,
    });
    checkpoint.change("text_model.embeddings.position_embedding.weight", |_, value| 0.1 * value);
    for layer in 0..2 {
        for part in ["weight", "bias"] {
            let name = format!("text_model.encoder.layers.{layer}.self_attn.q_proj.{part}");
            checkpoint.change(&name, |_, value| 0.01 * value);
        }
    }
    // The towers' own numbers, up to their lengths.
    for (projection, width) in [("text_projection.weight", TEXT), ("visual_projection.weight", VISION)] {
        checkpoint.change(projection, |index, _| f32::from(index / width == index % width));
    }
    checkpoint.write(directory);

    let mut captions = texts();
    let like = captions.len();
    let pictures = pictures();
    captions.extend(pictures.iter().map(|picture| picture.caption));
    captions.push(HELLO_WORLD.0);
    captions.extend(CAT_AND_DOG.map(|(caption, _)| caption).iter().filter(|caption| !texts().contains(caption)));
    let mut images: Vec<Pixels> = pictures.iter().map(Picture::pixels).collect();
    images.push(photo.clone());

    let options = Options {
        precision: Precision::F32,
        kernels: Some(Kernels::Candle),
        threads: NonZeroUsize::MIN,
        ..Options::default()
    };
    let mut engine = clip::load(directory, &options).unwrap();
    let tokenizer = Tokenizer::new();
    let tokens: Vec<_> = captions.iter().map(|caption| tokenizer.encode(caption).unwrap()).collect();
    let text_features = features(&engine.embed_texts(&tokens).unwrap(), TEXT);
    let image_features = features(&engine.embed_images(&images).unwrap(), VISION);

    // Partners share a direction, and every text has one of its own.
    let mut text_targets: Vec<Vec<f64>> = (0..captions.len())
        .map(|text| {
            let own = direction(text);
            if text < like { sum(&[(0.9, &direction(1000 + text / 2)), (0.3, &own)]) } else { own }
        })
        .collect();
    let hello = like + pictures.len();
    let published = HELLO_WORLD.1.map(f64::from);
    let length = (1.0 - published.iter().map(|number| number * number).sum::<f64>()).sqrt();
    let rest = sum(&[(length, &[vec![0.0; 5], text_targets[hello][5..].to_vec()].concat())]);
    let rest_length = rest.iter().map(|number| number * number).sum::<f64>().sqrt();
    text_targets[hello] =
        (0..DIMENSION).map(|at| published.get(at).copied().unwrap_or(rest[at] * length / rest_length)).collect();
    // A picture is nearer to its caption than to others.
    let mut image_targets: Vec<Vec<f64>> = (0..pictures.len())
        .map(|picture| sum(&[(0.4, &text_targets[like + picture]), (1.0, &direction(2000 + picture))]))
        .collect();
    let at = |caption: &str| captions.iter().position(|other| *other == caption).unwrap();
    let [(cat, cat_logit), (dog, dog_logit)] = CAT_AND_DOG;
    image_targets.push(with_cosines(
        &text_targets[at(cat)],
        cat_logit / 100.0,
        &text_targets[at(dog)],
        dog_logit / 100.0,
    ));

    let text = solve(&text_features, &text_targets);
    let vision = solve(&image_features, &image_targets);
    checkpoint.change("text_projection.weight", |index, _| text[index] as f32);
    checkpoint.change("visual_projection.weight", |index, _| vision[index] as f32);
    checkpoint.write(directory);
}

fn features(embeddings: &[Embedding], width: usize) -> Vec<Vec<f64>> {
    embeddings.iter().map(|embedding| embedding.as_slice()[..width].iter().copied().map(f64::from).collect()).collect()
}

/// A vector of length 1. Vectors of different numbers are nearly orthogonal.
fn direction(number: usize) -> Vec<f64> {
    let mut state = (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1_u32 << 31) - 0.5
    };
    let numbers: Vec<f64> = (0..DIMENSION).map(|_| random()).collect();
    sum(&[(1.0, &numbers)])
}

/// A weighted sum, scaled to length 1.
fn sum(parts: &[(f64, &Vec<f64>)]) -> Vec<f64> {
    let mut total = vec![0.0; DIMENSION];
    for (weight, part) in parts {
        total.iter_mut().zip(part.iter()).for_each(|(total, number)| *total += weight * number);
    }
    let length = dot(&total, &total).sqrt();
    total.iter_mut().for_each(|number| *number /= length);
    total
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

/// A vector of length 1 with these cosines to two others.
fn with_cosines(one: &[f64], to_one: f64, other: &[f64], to_other: f64) -> Vec<f64> {
    let between = dot(one, other);
    let determinant = 1.0 - between * between;
    let (a, b) = ((to_one - between * to_other) / determinant, (to_other - between * to_one) / determinant);
    let plane: Vec<f64> = one.iter().zip(other).map(|(one, other)| a * one + b * other).collect();
    // Whatever is left is orthogonal to both.
    let mut rest = direction(3000);
    let second: Vec<f64> = other.iter().zip(one).map(|(other, one)| other - between * one).collect();
    for axis in [one, &second] {
        let share = dot(&rest, axis) / dot(axis, axis);
        rest.iter_mut().zip(axis).for_each(|(rest, axis)| *rest -= share * axis);
    }
    let length = ((1.0 - dot(&plane, &plane)) / dot(&rest, &rest)).sqrt();
    plane.iter().zip(&rest).map(|(plane, rest)| plane + length * rest).collect()
}

/// The matrix of the least norm, row-major, that takes every input to its target: `T^t (X X^t)^-1 X` for inputs and targets
/// as rows.
fn solve(inputs: &[Vec<f64>], targets: &[Vec<f64>]) -> Vec<f64> {
    let count = inputs.len();
    assert!(count <= inputs[0].len(), "{count} inputs have no exact solution");
    // Gauss-Jordan on the Gram matrix, with the targets on the right.
    let mut rows: Vec<Vec<f64>> = (0..count)
        .map(|row| inputs.iter().map(|other| dot(&inputs[row], other)).chain(targets[row].iter().copied()).collect())
        .collect();
    for column in 0..count {
        let pivot = (column..count).max_by(|&a, &b| rows[a][column].abs().total_cmp(&rows[b][column].abs())).unwrap();
        rows.swap(column, pivot);
        let divisor = rows[column][column];
        rows[column].iter_mut().for_each(|value| *value /= divisor);
        let pivot = rows[column].clone();
        for (row, values) in rows.iter_mut().enumerate() {
            let factor = values[column];
            if row != column && factor != 0.0 {
                values.iter_mut().zip(&pivot).for_each(|(value, pivot)| *value -= factor * pivot);
            }
        }
    }
    let width = inputs[0].len();
    let mut matrix = vec![0.0; DIMENSION * width];
    for (input, row) in inputs.iter().zip(&rows) {
        for (output, weight) in row[count..].iter().enumerate() {
            for (column, value) in input.iter().enumerate() {
                matrix[output * width + column] += weight * value;
            }
        }
    }
    matrix
}
