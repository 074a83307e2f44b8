//! Draws images of a few places. Those of one place share colours and texture only.

use image::{Rgb, RgbImage};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Beach,
    Barn,
    Ballroom,
    Garden,
    Rooftop,
}

pub const FAMILIES: [Family; 5] = [Family::Beach, Family::Barn, Family::Ballroom, Family::Garden, Family::Rooftop];

/// One image of `family`; its size, horizon, hues and details depend on `seed`.
pub fn draw(family: Family, seed: u64) -> RgbImage {
    let mut random = Random(ChaCha8Rng::seed_from_u64(seed));
    let (width, height) = (random.between(240, 420), random.between(300, 560));
    let horizon = height * random.between(35, 60) / 100;
    let shift = random.between(0, 40) as i32 - 20;
    let period = random.between(9, 14);
    let details: Vec<(u32, u32, u32)> =
        (0..60).map(|_| (random.between(0, width), random.between(0, height), random.between(2, 9))).collect();
    let detail = |x: u32, y: u32| {
        details.iter().any(|&(left, top, radius)| x.abs_diff(left).pow(2) + y.abs_diff(top).pow(2) < radius.pow(2))
    };
    RgbImage::from_fn(width, height, |x, y| {
        let above = y < horizon;
        let colour = match family {
            Family::Beach if above => [130, 190, 240],
            Family::Beach if y < horizon + height / 8 => [40, 130, 170],
            Family::Beach => [225, 200, 150],
            Family::Barn if x % period == 0 => [60, 30, 15],
            Family::Barn => [140, 75, 40],
            Family::Ballroom if detail(x, y) => [255, 245, 200],
            Family::Ballroom if above => [120, 85, 30],
            Family::Ballroom => [80, 20, 30],
            Family::Garden if detail(x, y) => [230, 120, 170],
            Family::Garden if (x / 5 + y / 5) % 2 == 0 => [50, 120, 40],
            Family::Garden => [80, 150, 60],
            Family::Rooftop if above => [20, 25, 70],
            Family::Rooftop if x % 20 < 7 && y % 16 < 7 => [250, 220, 120],
            Family::Rooftop => [45, 45, 55],
        };
        let grain = random.between(0, 20) as i32 - 10;
        Rgb(colour.map(|level| (level + shift + grain).clamp(0, 255) as u8))
    })
}

struct Random(ChaCha8Rng);

impl Random {
    fn between(&mut self, from: u32, to: u32) -> u32 {
        from + self.0.next_u32() % (to - from)
    }
}
