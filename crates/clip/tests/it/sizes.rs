//! How much the vector of a picture depends on which size of it is downloaded: the small one that an import takes by default,
//! against the large one. The image host compresses both as JPEG; here the small one is scaled down from the large one.
//!
//! The stand-in's weights are untrained. The differences of the windows, in levels of 255, do not depend on weights.

use clip::standin::Size;
use clip::{Embedding, Engine, Limits, Window};
use image::RgbImage;
use image::imageops::{self, FilterType};

use crate::scenes::{Motif, draw, jpeg};
use crate::support;

/// Least cosine between the vectors of the two sizes, of every kind of picture.
const LEAST_COSINE: f64 = 0.999;
/// The same of the vectors without the part that all pictures of this test have in common.
const LEAST_CENTRED_COSINE: f64 = 0.99;
/// Greatest mean difference of the windows for pictures as people pin them, if the sides of one size divide those of the other.
const PLAIN: f64 = 3.0;
/// The same if they do not.
const UNEVEN: f64 = 4.0;
/// The same for patterns that a JPEG cannot keep at any size: noise in every pixel, and stripes and squares of a few pixels.
const FINE: f64 = 15.0;

const MOTIFS: [(Motif, f64); 14] = [
    (Motif::Photograph, PLAIN),
    (Motif::Grain, PLAIN),
    (Motif::Portrait, PLAIN),
    (Motif::Gradient, PLAIN),
    (Motif::Print, PLAIN),
    (Motif::Lines, PLAIN),
    (Motif::Flat, PLAIN),
    (Motif::Rings, PLAIN),
    (Motif::Board(1), PLAIN),
    (Motif::Board(2), PLAIN),
    (Motif::Board(5), FINE),
    (Motif::Board(8), FINE),
    (Motif::Noise, FINE),
    (Motif::RedOnBlue, FINE),
];

/// Large and small size, and [`PLAIN`] or [`UNEVEN`]: of upright pictures; of oblong ones, whose shorter side is just sufficient;
/// of sides that do not divide each other; and against a large original.
const SHAPES: [([u32; 2], [u32; 2], f64); 4] = [
    ([1200, 1800], [600, 900], PLAIN),
    ([1200, 900], [600, 450], PLAIN),
    ([1200, 1800], [736, 1104], UNEVEN),
    ([2400, 3600], [600, 900], PLAIN),
];

/// What the large size is compressed with, and what the small one is, which is the worse of what hosts use.
const QUALITIES: [f32; 2] = [85.0, 75.0];

#[test]
fn a_sufficient_size_gives_nearly_the_vector_of_the_largest() {
    let mut engine = support::standin(Size::Full);
    let mut pairs = vec![];
    for (large, small, plain) in SHAPES {
        for (motif, most) in MOTIFS {
            let most = most.max(plain);
            let [left, right] = windows(motif, large, small);
            let name = format!("{motif:?}, {} x {} and {} x {}", large[0], large[1], small[0], small[1]);
            pairs.push((name, difference(&left, &right), most, embed(&mut *engine, &left, &right)));
        }
    }
    let mean_vector = support::mean(&pairs.iter().map(|(.., [left, _])| left.clone()).collect::<Vec<_>>());
    let mut failures = vec![];
    for (name, (mean, greatest), most, [left, right]) in pairs {
        let (cosine, centred) = (left.cosine(&right), support::centred_cosine(&left, &right, &mean_vector));
        let line =
            format!("{name}: mean {mean:.1}, greatest {greatest}, cosine {cosine:.5}, centred cosine {centred:.4}");
        println!("{line}");
        if mean > most || cosine < LEAST_COSINE || centred < LEAST_CENTRED_COSINE {
            failures.push(line);
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Why a size is not sufficient if its window is off by rounding: 1200 x 675 is reduced to 398 x 224 and 600 x 338 to 397 x 224,
/// so that the crop begins one pixel further left.
#[test]
fn a_window_off_by_half_a_pixel_shows() {
    let [left, right] = windows(Motif::Board(8), [1200, 675], [600, 338]);
    let mean = difference(&left, &right).0;
    let [left, right] = embed(&mut *support::standin(Size::Full), &left, &right);
    let cosine = left.cosine(&right);
    println!("mean {mean:.1}, cosine {cosine:.5}");
    assert!(mean > FINE && cosine < LEAST_COSINE, "mean {mean}, cosine {cosine}");
}

fn windows(motif: Motif, large: [u32; 2], small: [u32; 2]) -> [Window; 2] {
    let picture = draw(motif, large[0], large[1]);
    let reduced = imageops::resize(&picture, small[0], small[1], FilterType::Lanczos3);
    let window = |picture: &RgbImage, quality| clip::window(&jpeg(picture, quality), &Limits::default()).unwrap();
    [window(&picture, QUALITIES[0]), window(&reduced, QUALITIES[1])]
}

/// Mean and greatest difference of levels.
fn difference(left: &Window, right: &Window) -> (f64, u8) {
    let differences = || left.as_rgb().iter().zip(right.as_rgb()).map(|(&left, &right)| left.abs_diff(right));
    let sum: u64 = differences().map(u64::from).sum();
    (sum as f64 / left.as_rgb().len() as f64, differences().max().unwrap())
}

fn embed(engine: &mut dyn Engine, left: &Window, right: &Window) -> [Embedding; 2] {
    let pixels = [left.normalise(), right.normalise()];
    engine.embed_images(&pixels).unwrap().try_into().unwrap()
}
