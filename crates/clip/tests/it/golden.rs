//! Equality with transformers, Pillow and torch, as frozen by `tests/fixtures/make_golden.py`.

use clip::standin::Size;
use clip::{Embedding, Limits, Tokenizer};
use sha2::{Digest, Sha256};

use crate::support::{self, Golden};

/// What f32 arithmetic in another order may cost.
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
    compare(Size::Tiny);
}

#[test]
fn embeddings_of_the_full_model_are_equal() {
    compare(Size::Full);
}

fn compare(size: Size) {
    let golden = Golden::read();
    let mut engine = support::standin(size);

    let pixels: Vec<_> =
        golden.pictures.iter().map(|golden| support::preprocess(&support::picture(&golden.name))).collect();
    let names: Vec<&str> = golden.pictures.iter().map(|golden| golden.name.as_str()).collect();
    assert_close(&names, &engine.embed_images(&pixels).unwrap(), &support::frozen(size, "pictures"));

    let tokenizer = Tokenizer::new();
    let tokens: Vec<_> = golden.texts.iter().map(|golden| tokenizer.encode(&golden.text).unwrap()).collect();
    let texts: Vec<&str> = golden.texts.iter().map(|golden| golden.text.as_str()).collect();
    assert_close(&texts, &engine.embed_texts(&tokens).unwrap(), &support::frozen(size, "texts"));
}

fn assert_close(names: &[&str], found: &[Embedding], frozen: &[Embedding]) {
    assert_eq!(found.len(), frozen.len());
    let mean = support::mean(frozen);
    let mut worst = (1.0f64, 1.0f64);
    for ((name, found), frozen) in names.iter().zip(found).zip(frozen) {
        let cosine = found.cosine(frozen);
        let centred = support::centred_cosine(found, frozen, &mean);
        assert!(cosine >= MIN_COSINE, "{name:?}: cosine {cosine}");
        assert!(centred >= MIN_CENTRED_COSINE, "{name:?}: centred cosine {centred}");
        worst = (worst.0.min(cosine), worst.1.min(centred));
    }
    println!("worst of {}: cosine {:.8}, centred {:.8}", names.len(), worst.0, worst.1);
}
