use image::Rgb;
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::*;

#[test]
fn a_picture_of_the_right_size_is_left_alone() {
    let picture = RgbImage::from_fn(224, 224, |x, y| Rgb([x as u8, y as u8, (x ^ y) as u8]));
    for (name, window) in centre_windows(&picture) {
        assert_eq!(window[..], picture.as_raw()[..], "{name}");
    }
}

#[test]
fn the_centre_is_kept_and_the_margin_cut() {
    // Three squares of one colour each; only the middle one is inside the window, except for the filter's support.
    let picture = RgbImage::from_fn(672, 224, |x, _| Rgb(if x / 224 == 1 { [9, 99, 199] } else { [255, 0, 0] }));
    for (name, window) in centre_windows(&picture) {
        assert_eq!(window.len(), 3 * SIDE * SIDE, "{name}");
        assert!(window.chunks_exact(3).all(|pixel| pixel == [9, 99, 199]), "{name}");
    }
}

#[test]
fn overshoot_is_clamped() {
    // When enlarging, the filter overshoots each edge by a tenth and more.
    let tiles = Contents::Tiles { side: 4 }.draw(23, 29);
    for (name, window) in centre_windows(&tiles) {
        let extremes = window.iter().filter(|&&level| level == 0 || level == 255).count();
        assert!(extremes > window.len() / 4, "{name}: {extremes} of {} levels are extreme", window.len());
    }
}

#[test]
fn implementations_agree_on_odd_shapes() {
    let sides = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 223, 224, 225, 226, 227, 447, 449, 1000];
    for width in sides {
        for height in sides {
            for contents in [Contents::Noise { seed: 7 }, Contents::Tiles { side: 1 }] {
                assert_agreement(contents, width, height);
            }
        }
    }
    for (width, height) in [(10, 5000), (5000, 10), (1, 8192), (8192, 1), (1999, 1333), (8191, 226)] {
        for contents in [Contents::Noise { seed: 7 }, Contents::Extremes { seed: 7 }, Contents::Level(255)] {
            assert_agreement(contents, width, height);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn implementations_agree(contents in contents(), width in side(), height in side()) {
        assert_agreement(contents, width, height);
    }
}

/// For any size of strips and any orientation, the window equals that of an image that was oriented before.
#[test]
fn orienting_while_resizing_equals_orienting_first() {
    for (width, height) in
        [(1, 1), (1, 3000), (3000, 1), (10, 700), (700, 10), (223, 225), (500, 340), (340, 500), (901, 225)]
    {
        let picture = noise(width, height, 7);
        for exif in 1..=8 {
            let orientation = Orientation::from_exif(exif).unwrap();
            let mut turned = image::DynamicImage::ImageRgb8(picture.clone());
            turned.apply_orientation(orientation);
            let (_, expected) = centre_windows(&turned.into_rgb8()).remove(0);
            for (name, kernel) in Kernel::all() {
                for strip in [1, 3, 32, height as usize] {
                    let mut window = CentreWindow::by(kernel);
                    window.begin([width as usize, height as usize], orientation);
                    picture.as_raw().chunks(strip * 3 * width as usize).for_each(|rows| window.take(rows));
                    let window = window.finish().unwrap();
                    assert!(window == expected, "{name}: {width} x {height}, orientation {exif}, {strip} rows");
                }
            }
        }
    }
}

#[test]
fn missing_rows_are_detected() {
    for exif in [1, 6] {
        let mut window = CentreWindow::new();
        window.begin([300, 400], Orientation::from_exif(exif).unwrap());
        window.take(&vec![0; 300 * 3 * 399]);
        assert!(window.finish().is_none());
    }
}

fn assert_agreement(contents: Contents, width: u32, height: u32) {
    let windows = centre_windows(&contents.draw(width, height));
    let (_, expected) = &windows[0];
    for (name, window) in &windows[1..] {
        let differing = window.iter().zip(expected).filter(|(found, expected)| found != expected).count();
        assert_eq!(differing, 0, "{name} differs from portable: {contents:?}, {width} x {height}");
    }
}

/// The content of a test image.
#[derive(Clone, Copy, Debug)]
enum Contents {
    /// One level everywhere.
    Level(u8),
    /// Black and white squares, the worst case of overshoot.
    Tiles { side: u32 },
    /// Any level.
    Noise { seed: u64 },
    /// 0 or 255 in each sample.
    Extremes { seed: u64 },
}

impl Contents {
    fn draw(self, width: u32, height: u32) -> RgbImage {
        match self {
            Self::Level(level) => RgbImage::from_pixel(width, height, Rgb([level; 3])),
            Self::Tiles { side } => RgbImage::from_fn(width, height, |x, y| {
                // Green is the negative of red and blue, to detect swapped channels.
                if (x / side + y / side).is_multiple_of(2) { Rgb([0, 255, 0]) } else { Rgb([255, 0, 255]) }
            }),
            Self::Noise { seed } => noise(width, height, seed),
            Self::Extremes { seed } => {
                let mut picture = noise(width, height, seed);
                for sample in picture.iter_mut() {
                    *sample = if *sample < 128 { 0 } else { 255 };
                }
                picture
            }
        }
    }
}

fn noise(width: u32, height: u32, seed: u64) -> RgbImage {
    let mut picture = RgbImage::new(width, height);
    ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut picture);
    picture
}

fn contents() -> impl Strategy<Value = Contents> {
    prop_oneof![
        any::<u8>().prop_map(Contents::Level),
        prop_oneof![Just(0), Just(255)].prop_map(Contents::Level),
        (1..9u32).prop_map(|side| Contents::Tiles { side }),
        any::<u64>().prop_map(|seed| Contents::Noise { seed }),
        any::<u64>().prop_map(|seed| Contents::Extremes { seed }),
    ]
}

fn side() -> impl Strategy<Value = u32> {
    prop_oneof![1..40u32, 40..220u32, 220..232u32, 232..2000u32]
}
