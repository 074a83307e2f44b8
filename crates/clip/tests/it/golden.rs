//! Equality with transformers, Pillow and torch, frozen by `tests/fixtures/make_golden.py`.

use clip::standin::Size;
use clip::{Embedding, Engine, Kernels, Limits, Precision, Tokenizer};
use sha2::{Digest, Sha256};

use crate::support::{self, Golden};

/// Bounds for f32 arithmetic in another order.
pub const MIN_COSINE: f64 = 0.99999;
pub const MIN_CENTRED_COSINE: f64 = 0.9999;

#[test]
fn windows_are_equal_to_the_bit() {
    let differing: Vec<String> = Golden::read()
        .pictures
        .into_iter()
        .filter(|golden| {
            let window = clip::window(&support::picture(&golden.name), &Limits::default()).unwrap();
            format!("{:x}", Sha256::digest(window.as_rgb())) != golden.window_sha256
        })
        .map(|golden| golden.name)
        .collect();
    assert!(differing.is_empty(), "differ from Pillow's: {differing:?}");
}

#[test]
fn tokens_are_equal() {
    let tokenizer = Tokenizer::new();
    for golden in Golden::read().texts {
        assert_eq!(tokenizer.encode(&golden.text).unwrap(), golden.tokens, "{:?}", golden.text);
    }
}

#[test]
fn embeddings_of_the_tiny_model_are_equal() {
    every_engine(Size::Tiny);
}

#[test]
fn embeddings_of_the_full_model_are_equal() {
    every_engine(Size::Full);
}

/// How near all vectors of a precision must be to the frozen ones: cosine, centred cosine.
fn bounds(precision: Precision, size: Size) -> (f64, f64) {
    match (precision, size) {
        (Precision::F32 | Precision::Auto, _) => (MIN_COSINE, MIN_CENTRED_COSINE),
        (Precision::Bf16, Size::Full) => (0.9999, 0.999),
        // Rounding errors of narrow layers average out less. By AMX, attention is in bf16, too.
        (Precision::Bf16, Size::Tiny) => (0.97, 0.97),
        // The effect on trained weights is not known; this bound detects mistakes.
        (Precision::Int8, Size::Full) => (0.999, 0.985),
        (Precision::Int8, Size::Tiny) => (0.7, 0.7),
    }
}

fn every_engine(size: Size) {
    if support::tested(Kernels::Candle) {
        compare("candle", &mut *support::standin(size), size, bounds(Precision::F32, size));
    }
    for (precision, kernels) in support::variants() {
        let options = support::options(precision, kernels, 2);
        let mut engine = clip::load(&support::standin_directory(size), &options).unwrap();
        compare(&format!("{precision} {kernels}"), &mut *engine, size, bounds(precision, size));
    }
}

fn compare(engine_name: &str, engine: &mut dyn Engine, size: Size, bounds: (f64, f64)) {
    let golden = Golden::read();
    let pixels: Vec<_> =
        golden.pictures.iter().map(|golden| support::preprocess(&support::picture(&golden.name))).collect();
    let names: Vec<&str> = golden.pictures.iter().map(|golden| golden.name.as_str()).collect();
    let found = engine.embed_images(&pixels).unwrap();
    assert_close(engine_name, &names, &found, &support::frozen(size, "pictures"), bounds);

    let tokenizer = Tokenizer::new();
    let tokens: Vec<_> = golden.texts.iter().map(|golden| tokenizer.encode(&golden.text).unwrap()).collect();
    let texts: Vec<&str> = golden.texts.iter().map(|golden| golden.text.as_str()).collect();
    let found = engine.embed_texts(&tokens).unwrap();
    assert_close(engine_name, &texts, &found, &support::frozen(size, "texts"), bounds);
}

fn assert_close(engine: &str, names: &[&str], found: &[Embedding], frozen: &[Embedding], bounds: (f64, f64)) {
    assert_eq!(found.len(), frozen.len());
    let mean = support::mean(frozen);
    let mut worst = (1.0f64, 1.0f64);
    for (found, frozen) in found.iter().zip(frozen) {
        worst.0 = worst.0.min(found.cosine(frozen));
        worst.1 = worst.1.min(support::centred_cosine(found, frozen, &mean));
    }
    println!("{engine}: worst of {}: cosine {:.8}, centred {:.8}", names.len(), worst.0, worst.1);
    for ((name, found), frozen) in names.iter().zip(found).zip(frozen) {
        let cosine = found.cosine(frozen);
        let centred = support::centred_cosine(found, frozen, &mean);
        assert!(cosine >= bounds.0, "{engine}, {name:?}: cosine {cosine}");
        assert!(centred >= bounds.1, "{engine}, {name:?}: centred cosine {centred}");
    }
}
