//! The time to find the themes of a board, and to rank by them: `cargo run --release -p taste --example speed`.

use std::time::{Duration, Instant};

use taste::{DEFAULT_DIVERSITY, SupportRule, Taste, ThemeOptions, Vectors, recommend, supports, themes};

const DIMENSION: usize = 512;
const ROUNDS: usize = 30;

fn main() {
    for images in [50, 100, 200, 300, 500, 1000, 3000] {
        let board = pictures(images, 6);
        let found = themes(&board, None, &ThemeOptions::default(), &mut || {});
        let time = shortest(|| drop(themes(&board, None, &ThemeOptions::default(), &mut || {})));
        println!("themes of {images} images: {} in {:.2} ms", found.len(), time.as_secs_f64() * 1e3);
    }
    for candidates in [100, 400, 800] {
        let board = pictures(300, 6);
        let taste = Taste { themes: themes(&board, None, &ThemeOptions::default(), &mut || {}), against: Vec::new() };
        let candidates = pictures(candidates, 24);
        let time = shortest(|| drop(recommend(&taste, &candidates, 10, DEFAULT_DIVERSITY, &mut || {})));
        println!("10 of {} candidates in {:.2} ms", candidates.len(), time.as_secs_f64() * 1e3);
        let (rule, chosen) = (SupportRule::default(), vec![50; taste.themes.len()]);
        let time = shortest(|| drop(supports(&taste.themes, &candidates, &chosen, &rule, &mut || {})));
        println!("  which of {} themes they serve in {:.2} ms", taste.themes.len(), time.as_secs_f64() * 1e3);
    }
}

/// The shortest of several rounds: other load can only lengthen a round.
fn shortest(mut work: impl FnMut()) -> Duration {
    let time = |_| {
        let begun = Instant::now();
        work();
        begun.elapsed()
    };
    (0..ROUNDS).map(time).min().expect("there are rounds")
}

/// Pictures of some families, with cosines of about 0.5 between them and 0.8 within.
fn pictures(count: usize, families: usize) -> Vectors {
    let mut random = fastrand::Rng::with_seed(families as u64);
    let mut noise = || -> Vec<f32> { (0..DIMENSION).map(|_| random.f32() + random.f32() - 1.0).collect() };
    let common = noise();
    let families: Vec<Vec<f32>> = (0..families).map(|_| noise()).collect();
    let mut pictures = Vectors::with_capacity(DIMENSION, count);
    for picture in 0..count {
        let parts = common.iter().zip(&families[picture % families.len()]).zip(noise());
        let values: Vec<f32> = parts.map(|((common, family), own)| 0.7 * common + 0.55 * family + 0.45 * own).collect();
        pictures.push(&values).expect("a picture has a direction");
    }
    pictures
}
