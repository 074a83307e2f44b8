//! The committed fixtures and the stand-ins, which are written once and kept under the target directory.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use clip::standin::{self, Size};
use clip::{Embedding, Engine, Limits, Options, Pixels};
use image::RgbImage;
use safetensors::SafeTensors;
use serde::Deserialize;

/// The seed of `examples/standin.rs`, which the vectors were frozen with.
pub const SEED: u64 = 42;

#[derive(Deserialize)]
pub struct Golden {
    pub weights_sha256: WeightsHash,
    pub pictures: Vec<GoldenPicture>,
    pub texts: Vec<GoldenText>,
}

#[derive(Deserialize)]
pub struct WeightsHash {
    pub tiny: String,
    pub full: String,
}

#[derive(Deserialize)]
pub struct GoldenPicture {
    pub name: String,
    pub window_sha256: String,
}

#[derive(Deserialize)]
pub struct GoldenText {
    pub text: String,
    pub tokens: Vec<u32>,
}

impl Golden {
    pub fn read() -> Self {
        serde_json::from_slice(&std::fs::read(fixtures().join("golden.json")).unwrap()).unwrap()
    }

    pub fn weights_sha256(&self, size: Size) -> &str {
        match size {
            Size::Tiny => &self.weights_sha256.tiny,
            Size::Full => &self.weights_sha256.full,
        }
    }
}

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures")
}

pub fn picture(name: &str) -> Vec<u8> {
    std::fs::read(fixtures().join("pictures").join(name)).unwrap()
}

pub fn preprocess(bytes: &[u8]) -> Pixels {
    clip::preprocess(bytes, &Limits::default()).unwrap()
}

/// A picture as it would come over the wire.
pub fn png(picture: &RgbImage) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(vec![]);
    picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// The rows of `{size}/{what}` of `golden.safetensors`.
pub fn frozen(size: Size, what: &str) -> Vec<Embedding> {
    let bytes = std::fs::read(fixtures().join("golden.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let rows = file.tensor(&format!("{}/{what}", directory_name(size))).unwrap();
    rows.data()
        .chunks_exact(4 * clip::DIMENSION)
        .map(|row| {
            let (words, _) = row.as_chunks::<4>();
            let row: Vec<f32> = words.iter().map(|&word| f32::from_le_bytes(word)).collect();
            Embedding::normalised(&row).unwrap()
        })
        .collect()
}

fn directory_name(size: Size) -> &'static str {
    match size {
        Size::Tiny => "tiny",
        Size::Full => "full",
    }
}

/// The stand-in the vectors were frozen with. Written on first use; one left by an older version is written anew.
pub fn standin(size: Size) -> Box<dyn Engine> {
    static WRITING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("standin-{}", directory_name(size)));
    let expected = Golden::read().weights_sha256(size).to_owned();
    if let Ok(engine) = clip::load(&directory, &Options::default())
        && engine.info().weights_sha256 == expected
    {
        return engine;
    }
    let written = standin::write(&directory, SEED, size).unwrap();
    assert_eq!(written.weights_sha256, expected, "the stand-in's weights have changed: make the golden vectors anew");
    clip::load(&directory, &Options::default()).unwrap()
}

/// The mean of the embeddings, as a vector that is not normalised.
pub fn mean(embeddings: &[Embedding]) -> Vec<f64> {
    let mut mean = vec![0.0; clip::DIMENSION];
    for embedding in embeddings {
        for (sum, &value) in mean.iter_mut().zip(embedding.as_slice()) {
            *sum += f64::from(value) / embeddings.len() as f64;
        }
    }
    mean
}

/// Cosine after the mean is taken off both: embeddings crowd in a cone, and ranking happens in what is left.
pub fn centred_cosine(left: &Embedding, right: &Embedding, mean: &[f64]) -> f64 {
    let centred = |embedding: &Embedding| -> Vec<f64> {
        embedding.as_slice().iter().zip(mean).map(|(&value, mean)| f64::from(value) - mean).collect()
    };
    let (left, right) = (centred(left), centred(right));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(&left, &right) / (dot(&left, &left) * dot(&right, &right)).sqrt()
}
