//! The committed fixtures, and the stand-ins, which are written once to the target directory.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use clip::standin::{self, Size};
use clip::{Embedding, Engine, ErrorKind, Kernels, Limits, Options, Pixels, Precision};
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

/// An image, encoded as PNG.
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

/// candle's engine, the reference, with the stand-in of the frozen vectors.
pub fn standin(size: Size) -> Box<dyn Engine> {
    clip::load(&standin_directory(size), &options(Precision::F32, Kernels::Candle, 2)).unwrap()
}

/// Options with these choices.
pub fn options(precision: Precision, kernels: Kernels, threads: usize) -> Options {
    Options { precision, kernels: Some(kernels), threads: NonZeroUsize::new(threads).unwrap(), ..Options::default() }
}

/// Whether kernels are to be tested. `CLIP_TEST_KERNELS` names some where the others take too long (tools/test-amx).
pub fn tested(kernels: Kernels) -> bool {
    std::env::var("CLIP_TEST_KERNELS").map_or(true, |names| names.split(',').any(|name| name == kernels.name()))
}

/// Every precision on every kind of kernels that this processor has, except candle.
pub fn variants() -> Vec<(Precision, Kernels)> {
    let mut variants = vec![];
    for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
        for kernels in Kernels::ALL.into_iter().filter(|&kernels| kernels != Kernels::Candle && tested(kernels)) {
            match clip::load(&standin_directory(Size::Tiny), &options(precision, kernels, 1)) {
                Ok(_) => variants.push((precision, kernels)),
                Err(error) if error.kind() == ErrorKind::Unsupported => {
                    println!("skipped: {precision} {kernels}: {error}")
                }
                Err(error) => panic!("{precision} {kernels}: {error}"),
            }
        }
    }
    variants
}

/// The directory of the stand-in of the frozen vectors. Written on first use, and again if an older version left another.
pub fn standin_directory(size: Size) -> PathBuf {
    static WRITING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("standin-{}", directory_name(size)));
    let expected = Golden::read().weights_sha256(size).to_owned();
    let known = directory.join("written.sha256");
    if std::fs::read_to_string(&known).is_ok_and(|found| found == expected) {
        return directory;
    }
    let written = standin::write(&directory, SEED, size).unwrap();
    assert_eq!(written.weights_sha256, expected, "the stand-in's weights have changed: make the golden vectors anew");
    std::fs::write(known, expected).unwrap();
    directory
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

/// Cosine after the mean is subtracted from both: embeddings lie in a narrow cone, and ranking depends on the differences.
pub fn centred_cosine(left: &Embedding, right: &Embedding, mean: &[f64]) -> f64 {
    let centred = |embedding: &Embedding| -> Vec<f64> {
        embedding.as_slice().iter().zip(mean).map(|(&value, mean)| f64::from(value) - mean).collect()
    };
    let (left, right) = (centred(left), centred(right));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(&left, &right) / (dot(&left, &left) * dot(&right, &right)).sqrt()
}
