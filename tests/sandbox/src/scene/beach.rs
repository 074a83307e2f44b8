//! A ceremony by the sea.

use super::canvas::Canvas;
use super::color::{Color, WHITE, gradient, rgb};
use super::noise::Noise;
use super::plants::BOUQUETS;
use super::sky::{Sky, golden, noon, sunset};
use crate::random::Random;

pub(super) fn paint(canvas: &mut Canvas, random: &mut Random) {
    let sky = [noon, noon, golden, sunset][random.integer(0, 3) as usize]();
    let horizon = canvas.height * random.range(0.3, 0.44);
    let shore = horizon + canvas.height * random.range(0.14, 0.2);
    sky.paint(canvas, random, horizon, random.clone().range(0.2, 0.75));
    let sun = canvas.width * random.range(0.15, 0.85);
    let height = horizon * random.range(0.45, 0.82);
    sky.sun(canvas, (sun, height), canvas.unit * 0.035);
    sea(canvas, random, &sky, horizon, shore, sun);
    sand(canvas, random, shore);
    let middle = canvas.width * random.range(0.42, 0.58);
    let flowers = random.pick(&BOUQUETS);
    let wood = rgb(0xB9_8F_63).vary(random, 16.0);
    let far = shore + canvas.height * 0.1;
    let (width, unit) = (canvas.width, canvas.unit);
    let aisle = [
        (middle - unit * 0.06, far),
        (middle + unit * 0.06, far),
        (middle + unit * 0.2, canvas.height),
        (middle - unit * 0.2, canvas.height),
    ];
    canvas.petals(random, aisle, 420, flowers[1]);
    let arbor = unit * random.range(0.4, 0.52);
    canvas.arbor(random, (middle, far), arbor, wood, flowers);
    if random.chance(0.75) {
        canvas.chairs(middle, far + unit * 0.1, canvas.height * 0.98, 4, WHITE.times(0.97));
    }
    if random.chance(0.6) {
        let left = random.chance(0.5);
        let foot = if left { width * 0.03 } else { width * 0.97 };
        palm(canvas, random, (foot, canvas.height * 0.92), if left { 1.0 } else { -1.0 });
    }
}

fn sea(canvas: &mut Canvas, random: &mut Random, sky: &Sky, horizon: f32, shore: f32, sun: f32) {
    let deep = rgb(0x1F_6E_9C).vary(random, 14.0).mix(sky.high, 0.2);
    let shallow = rgb(0x6F_CC_C4).vary(random, 14.0).mix(sky.low, 0.2);
    let noise = Noise::new(random);
    let (width, unit, depth) = (canvas.width, canvas.unit, shore - horizon);
    let stops = [(0.0, deep.mix(sky.low, 0.35)), (0.25, deep), (1.0, shallow)];
    canvas.paint((0.0, horizon), (width, shore + unit * 0.06), |x, y| {
        let down = (y - horizon) / depth;
        let scale = 240.0 / unit / (0.25 + down);
        let wave = noise.at(x * scale * 0.18, (y - horizon) * scale * 0.9);
        let water = gradient(&stops, down).times(1.0 + 0.13 * wave);
        // The sun's path glitters, wider towards the shore.
        let away = (x - sun).abs() / (unit * (0.04 + 0.16 * down));
        let glitter = (wave - 0.1).max(0.0) * (1.2 - away).max(0.0);
        (water.mix(sky.sun, (glitter * 0.9).min(0.85)), 1.0)
    });
}

fn sand(canvas: &mut Canvas, random: &mut Random, shore: f32) {
    let dry = rgb(0xE9_D3_A8).vary(random, 10.0);
    let wet = rgb(0xB0_92_6C).vary(random, 8.0);
    let (noise, edge) = (Noise::new(random), Noise::new(random));
    let (unit, height) = (canvas.unit, canvas.height);
    let scale = 520.0 / unit;
    let line = |x: f32| shore + unit * (0.018 * (x / unit * 5.0).sin() + 0.02 * edge.along(x / unit * 60.0));
    canvas.below(
        |x| line(x) - unit * 0.03,
        height,
        |x, y, depth| {
            let foam = depth / (unit * 0.03);
            let bubbles = noise.at(x * scale * 0.3, y * scale * 0.5) * 0.35;
            if foam + bubbles < 1.0 {
                return WHITE.times(0.9 + 0.08 * bubbles);
            }
            let dryness = ((depth - unit * 0.03) / (unit * 0.09)).clamp(0.0, 1.0);
            let dunes = noise.at(x * scale * 0.14, y * scale * 0.4);
            let speck = noise.at(x * scale, y * scale);
            wet.mix(dry, dryness).times(1.0 + 0.06 * dunes + 0.04 * speck)
        },
    );
}

/// `lean` is 1 for a palm that leans to the right, −1 to the left.
fn palm(canvas: &mut Canvas, random: &mut Random, foot: (f32, f32), lean: f32) {
    let height = canvas.height * random.range(0.62, 0.78);
    let bark = rgb(0x7A_60_48);
    let mut from = foot;
    for step in 1..=14 {
        let up = step as f32 / 14.0;
        let to = (foot.0 + lean * canvas.unit * 0.16 * up * up, foot.1 - height * up);
        canvas.taper(
            from,
            to,
            (canvas.unit * (0.034 - 0.018 * up), canvas.unit * (0.03 - 0.018 * up)),
            bark.times(0.85 + 0.2 * (step % 2) as f32),
        );
        from = to;
    }
    let green = rgb(0x3F_7A_4A).vary(random, 16.0);
    for frond in 0..11 {
        let angle = -0.5 + frond as f32 * std::f32::consts::TAU / 11.0 + random.range(-0.2, 0.2);
        leaf(canvas, from, angle, canvas.unit * random.range(0.26, 0.34), green.times(random.range(0.7, 1.15)));
    }
}

/// A palm leaf: a drooping rib with blades on both sides.
fn leaf(canvas: &mut Canvas, from: (f32, f32), angle: f32, length: f32, color: Color) {
    let mut before = from;
    for step in 1..=12 {
        let out = step as f32 / 12.0;
        let place = (
            from.0 + angle.cos() * length * out,
            from.1 + angle.sin() * length * 0.55 * out + length * 0.5 * out * out,
        );
        let blade = length * 0.24 * (1.0 - out * 0.75);
        for side in [-1.0, 1.0] {
            let tip = (place.0 + angle.cos() * blade * 0.5 + side * blade * 0.25, place.1 + blade * 0.75);
            canvas.taper(place, tip, (length * 0.03, 1.0), color.times(1.0 + 0.12 * side));
        }
        canvas.stroke(before, place, length * 0.022, color.times(0.8));
        before = place;
    }
}
