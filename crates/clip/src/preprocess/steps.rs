//! Measures how far each step is from the reference, frozen by `tests/fixtures/make_golden.py`.

use std::path::{Path, PathBuf};

use image::RgbImage;
use safetensors::SafeTensors;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::resize::{Geometry, centre_windows};
use super::rows::Whole;
use super::{SIDE, Window, decode};
use crate::standin::{self, Size};
use crate::{Animations, DIMENSION, Embedding, Limits, Options, Pixels, Precision};

#[derive(Deserialize)]
struct Golden {
    pictures: Vec<Frozen>,
}

/// The reference's results for an image.
#[derive(Deserialize)]
struct Frozen {
    name: String,
    decoded_sha256: String,
    /// Width and height.
    resized: [usize; 2],
    /// Left and top.
    crop: [usize; 2],
    window_sha256: String,
}

impl Frozen {
    fn decode(&self) -> RgbImage {
        let bytes = std::fs::read(fixtures().join("pictures").join(&self.name)).unwrap();
        let mut whole = Whole::default();
        decode::decode(&bytes, &Limits::default(), Animations::Refuse, &mut whole).unwrap();
        whole.turned()
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures")
}

fn golden() -> Vec<Frozen> {
    let golden: Golden = serde_json::from_slice(&std::fs::read(fixtures().join("golden.json")).unwrap()).unwrap();
    golden.pictures
}

/// Rows of `length` numbers of `golden.safetensors`.
fn rows(name: &str, length: usize) -> Vec<Vec<f32>> {
    let bytes = std::fs::read(fixtures().join("golden.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let (words, _) = file.tensor(name).unwrap().data().as_chunks::<4>();
    let numbers: Vec<f32> = words.iter().map(|&word| f32::from_le_bytes(word)).collect();
    numbers.chunks_exact(length).map(<[f32]>::to_vec).collect()
}

#[test]
fn every_step_is_as_close_as_stated() {
    let pictures = golden();
    let decoded: Vec<RgbImage> = pictures.iter().map(Frozen::decode).collect();
    let count = |differs: &dyn Fn(&Frozen, &RgbImage) -> bool| {
        let names = pictures.iter().zip(&decoded).filter(|(frozen, picture)| differs(frozen, picture));
        names.inspect(|(frozen, _)| println!("differs: {}", frozen.name)).count() as f64
    };
    let geometry = |picture: &RgbImage| Geometry::new(picture.width() as usize, picture.height() as usize);

    let mut rows = vec![
        Row::new("decode", "pictures with another level", count(&|f, p| sha256(p) != f.decoded_sha256), 0.0),
        Row::new("resize", "pictures of another size", count(&|f, p| geometry(p).resized != f.resized), 0.0),
        Row::new("crop", "pictures cut elsewhere", count(&|f, p| geometry(p).crop != f.crop), 0.0),
    ];
    for (index, (implementation, _)) in centre_windows(&decoded[0]).iter().enumerate() {
        let found = count(&|f, p| sha256(&centre_windows(p)[index].1) != f.window_sha256);
        rows.push(Row::new("resize, crop", &format!("windows with another level, {implementation}"), found, 0.0));
    }
    rows.push(Row::new("normalise", "largest difference of a value", normalise_difference(), 1e-6));
    rows.push(Row::new("embedding", "largest 1 - cosine, f32", embedding_difference(&decoded), 1e-5));

    println!("{} pictures\n{:<13} {:<38} {:>9} {:>9}", pictures.len(), "step", "difference", "found", "allowed");
    for Row { step, difference, found, allowed } in &rows {
        println!("{step:<13} {difference:<38} {found:>9.2e} {allowed:>9.0e}");
    }
    for Row { step, difference, found, allowed } in rows {
        assert!(found <= allowed, "{step}: {difference}: {found}, allowed {allowed}");
    }
}

struct Row {
    step: &'static str,
    difference: String,
    found: f64,
    allowed: f64,
}

impl Row {
    fn new(step: &'static str, difference: &str, found: f64, allowed: f64) -> Self {
        Self { step, difference: difference.to_owned(), found, allowed }
    }
}

fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// Over all levels of all channels.
fn normalise_difference() -> f64 {
    let ramp: Vec<u8> = (0..SIDE * SIDE).flat_map(|pixel| [pixel as u8; 3]).collect();
    let found = Window(ramp.into_boxed_slice()).normalise();
    let planes = found.as_slice().chunks_exact(SIDE * SIDE);
    let pairs = planes.zip(rows("normalised", 256)).flat_map(|(plane, frozen)| plane.iter().zip(frozen));
    pairs.map(|(&found, frozen)| f64::from((found - frozen).abs())).fold(0.0, f64::max)
}

/// Between the tiny stand-in's vectors of these images and the frozen vectors of the reference.
fn embedding_difference(decoded: &[RgbImage]) -> f64 {
    const SEED: u64 = 42;
    let directory = tempfile::tempdir().unwrap();
    standin::write(directory.path(), SEED, Size::Tiny).unwrap();
    let options = Options { precision: Precision::F32, ..Options::default() };
    let mut engine = crate::load(directory.path(), &options).unwrap();
    let pixels: Vec<Pixels> =
        decoded.iter().map(|picture| Window(centre_windows(picture).remove(0).1).normalise()).collect();
    let found = engine.embed_images(&pixels).unwrap();
    let frozen = rows("tiny/pictures", DIMENSION);
    assert_eq!(found.len(), frozen.len());
    let pairs = found.iter().zip(&frozen);
    pairs.map(|(found, frozen)| 1.0 - found.cosine(&Embedding::normalised(frozen).unwrap())).fold(0.0, f64::max)
}
