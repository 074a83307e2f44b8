//! The stand-in is suitable for tests: wrong preprocessing changes its embeddings, and similar images are near.

use clip::standin::Size;
use clip::{Embedding, Limits};
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

use crate::families::{FAMILIES, draw};
use crate::golden::{MIN_CENTRED_COSINE, MIN_COSINE};
use crate::support::{self, Golden, png, preprocess};

const PICTURES: [&str; 4] = ["portrait.jpg", "landscape.jpg", "texture.jpg", "lossy.webp"];

#[test]
fn the_tiny_model_shows_wrong_preprocessing() {
    wrong_preprocessing_shows(Size::Tiny);
}

#[test]
fn the_full_model_shows_wrong_preprocessing() {
    wrong_preprocessing_shows(Size::Full);
}

type Mistake = fn(&[u8]) -> RgbImage;

/// Each mistake produces a 224 x 224 image, which correct preprocessing does not change.
fn wrong_preprocessing_shows(size: Size) {
    let mistakes: [(&str, Mistake); 4] = [
        ("squashed instead of cropped", squashed),
        ("scaled to [-1, 1]", scaled_to_one),
        ("blue, green, red", reversed),
        ("cropped one pixel off", shifted),
    ];
    let mut engine = support::standin(size);
    let mean = support::mean(&support::frozen(size, "pictures"));
    for name in PICTURES {
        let bytes = support::picture(name);
        let mut pixels = vec![preprocess(&bytes)];
        pixels.extend(mistakes.iter().map(|(_, mistake)| preprocess(&png(&mistake(&bytes)))));
        let embeddings = engine.embed_images(&pixels).unwrap();
        for ((mistake, _), embedding) in mistakes.iter().zip(&embeddings[1..]) {
            let cosine = embedding.cosine(&embeddings[0]);
            let centred = support::centred_cosine(embedding, &embeddings[0], &mean);
            println!("{name} {mistake}: cosine {cosine:.5}, centred {centred:.5}");
            assert!(
                cosine < MIN_COSINE && centred < MIN_CENTRED_COSINE,
                "{name} {mistake}: cosine {cosine}, centred {centred}"
            );
        }
    }
}

fn window(bytes: &[u8]) -> RgbImage {
    let window = clip::window(bytes, &Limits::default()).unwrap();
    RgbImage::from_raw(224, 224, window.as_rgb().to_vec()).unwrap()
}

fn squashed(bytes: &[u8]) -> RgbImage {
    let decoded = match image::load_from_memory(bytes) {
        Ok(decoded) => decoded.into_rgb8(),
        Err(_) => decoded_jpeg(bytes),
    };
    imageops::resize(&decoded, 224, 224, FilterType::CatmullRom)
}

fn decoded_jpeg(bytes: &[u8]) -> RgbImage {
    let mut started = mozjpeg::Decompress::new_mem(bytes).unwrap().rgb().unwrap();
    let (width, height) = (started.width() as u32, started.height() as u32);
    RgbImage::from_raw(width, height, started.read_scanlines::<u8>().unwrap()).unwrap()
}

/// The levels that mean and deviation turn into `level / 127.5 - 1`.
fn scaled_to_one(bytes: &[u8]) -> RgbImage {
    const MEAN: [f32; 3] = [0.48145466, 0.4578275, 0.40821073];
    #[allow(clippy::excessive_precision, reason = "as published")]
    const DEVIATION: [f32; 3] = [0.26862954, 0.26130258, 0.27577711];
    let mut picture = window(bytes);
    for pixel in picture.pixels_mut() {
        for (channel, level) in pixel.0.iter_mut().enumerate() {
            let wrong = f32::from(*level) / 127.5 - 1.0;
            *level = ((wrong * DEVIATION[channel] + MEAN[channel]) * 255.0).round() as u8;
        }
    }
    picture
}

fn reversed(bytes: &[u8]) -> RgbImage {
    let mut picture = window(bytes);
    for Rgb(levels) in picture.pixels_mut() {
        levels.reverse();
    }
    picture
}

fn shifted(bytes: &[u8]) -> RgbImage {
    let picture = window(bytes);
    RgbImage::from_fn(224, 224, |x, y| *picture.get_pixel(x, (y + 1).min(223)))
}

#[test]
fn the_tiny_model_ranks_by_colour_and_texture() {
    families_are_apart(Size::Tiny);
}

#[test]
fn the_full_model_ranks_by_colour_and_texture() {
    families_are_apart(Size::Full);
}

fn families_are_apart(size: Size) {
    const EACH: usize = 4;
    let mut engine = support::standin(size);
    let mut embeddings = vec![];
    for family in FAMILIES {
        let pixels: Vec<_> = (0..EACH).map(|seed| preprocess(&png(&draw(family, seed as u64)))).collect();
        embeddings.push(engine.embed_images(&pixels).unwrap());
    }
    let all: Vec<(usize, &Embedding)> = embeddings
        .iter()
        .enumerate()
        .flat_map(|(family, embeddings)| embeddings.iter().map(move |embedding| (family, embedding)))
        .collect();

    let (mut within, mut between) = (vec![], vec![]);
    let mut nearest_is_family = 0;
    for (index, &(family, embedding)) in all.iter().enumerate() {
        let others = all.iter().enumerate().filter(|&(other, _)| other != index).map(|(_, other)| other);
        for &(other_family, other) in others.clone() {
            let cosine = embedding.cosine(other);
            if family == other_family { within.push(cosine) } else { between.push(cosine) }
        }
        let nearest = others.max_by(|(_, left), (_, right)| embedding.cosine(left).total_cmp(&embedding.cosine(right)));
        nearest_is_family += usize::from(nearest.is_some_and(|&(other, _)| other == family));
    }
    let average = |cosines: &[f64]| cosines.iter().sum::<f64>() / cosines.len() as f64;
    let (within, between) = (average(&within), average(&between));
    println!("within {within:.3}, between {between:.3}, nearest of the family {nearest_is_family} of {}", all.len());
    assert!(within > between + 0.1, "within {within}, between {between}");
    assert!(nearest_is_family * 10 >= all.len() * 8, "only {nearest_is_family} of {}", all.len());
}

#[test]
fn embeddings_of_the_fixtures_differ() {
    let golden = Golden::read();
    let row = |name: &str| golden.pictures.iter().position(|picture| picture.name == name).unwrap();
    for size in [Size::Tiny, Size::Full] {
        let frozen = support::frozen(size, "pictures");
        for (left, right) in
            [("portrait.jpg", "landscape.jpg"), ("texture.jpg", "grey.jpg"), ("lossy.webp", "cmyk.jpg")]
        {
            let cosine = frozen[row(left)].cosine(&frozen[row(right)]);
            assert!(cosine < 0.98, "{left}, {right}: {cosine}");
        }
    }
}
