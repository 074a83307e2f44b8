//! Mountains and their reflection.

use super::canvas::Canvas;
use super::color::{Color, WHITE, rgb};
use super::noise::Noise;
use super::plants::BOUQUETS;
use super::sky::{Sky, golden, noon, overcast, sunset};
use crate::random::Random;

pub(super) fn paint(canvas: &mut Canvas, random: &mut Random) {
    let sky = [noon, noon, golden, sunset, overcast][random.integer(0, 4) as usize]();
    let shore = canvas.height * random.range(0.46, 0.54);
    let clouds = random.range(0.2, 0.7);
    sky.paint(canvas, random, shore, clouds);
    for layer in 0..3 {
        mountains(canvas, random, &sky, shore, layer as f32 / 2.0);
    }
    woods(canvas, random, shore);
    water(canvas, random, &sky, shore);
    pier(canvas, random, shore);
}

fn mountains(canvas: &mut Canvas, random: &mut Random, sky: &Sky, shore: f32, near: f32) {
    let rock = rgb(0x5A_6C_84).vary(random, 10.0).mix(sky.low, 0.5 * (1.0 - near));
    let forest = rgb(0x4C_66_58).vary(random, 10.0);
    let color = rock.mix(forest, near * 0.8);
    let (ridge, detail) = (Noise::new(random), Noise::new(random));
    let unit = canvas.unit;
    let height = unit * (0.36 - 0.22 * near) * random.range(0.9, 1.2);
    let peaks: Vec<(f32, f32)> =
        (0..5).map(|_| (random.range(-0.1, 1.1) * canvas.width, random.range(0.45, 1.0))).collect();
    let top = |x: f32| {
        // The highest of several tents, roughened.
        let tent = |peak: &(f32, f32)| peak.1 - (x - peak.0).abs() / unit * (1.6 - 0.7 * near);
        let rise = peaks.iter().map(tent).fold(0.12, f32::max);
        let rough = 0.09 * ridge.along(x / unit * 70.0) + 0.05 * ridge.along(x / unit * 400.0);
        shore - height * (rise + rough)
    };
    let snow_line = shore - height * random.range(0.55, 0.68);
    canvas.below(top, shore + 1.0, |x, y, depth| {
        let slope = detail.at((x + y * 0.7) / unit * 150.0, (y - x * 0.25) / unit * 110.0);
        let stone = color.times(0.95 + 0.2 * slope);
        let snow = near < 0.9 && y + unit * 0.07 * slope < snow_line;
        let haze = (depth / (height * 1.4)).clamp(0.0, 0.5) * (1.0 - near);
        let base = if snow { WHITE.times(0.9 + 0.09 * slope).mix(sky.low, 0.15) } else { stone };
        base.mix(sky.low, haze)
    });
}

fn woods(canvas: &mut Canvas, random: &mut Random, shore: f32) {
    let green = rgb(0x35_54_40).vary(random, 10.0);
    for _ in 0..70 {
        let x = random.range(-0.02, 1.02) * canvas.width;
        let edge = ((x / canvas.width - 0.5).abs() * 2.0).powi(2);
        let height = canvas.unit * (0.035 + 0.13 * edge) * random.range(0.7, 1.2);
        let color = green.vary(random, 10.0);
        canvas.pine(random, (x, shore + 1.0), height, color);
    }
    canvas.stroke((0.0, shore), (canvas.width, shore), canvas.unit * 0.008, rgb(0x3A_46_38));
}

fn water(canvas: &mut Canvas, random: &mut Random, sky: &Sky, shore: f32) {
    let noise = Noise::new(random);
    let (unit, depth_of_picture) = (canvas.unit, canvas.height - shore);
    let deep = rgb(0x1E_4A_62).vary(random, 10.0);
    let breeze = random.range(0.5, 1.3);
    let wave = move |x: f32, depth: f32| {
        let scale = 300.0 / unit / (0.15 + depth / depth_of_picture);
        noise.at(x * scale * 0.12, depth * scale * 0.8)
    };
    let pale = sky.low.mix(WHITE, 0.2);
    canvas.mirror(
        shore,
        |x, depth| wave(x, depth) * unit * 0.014 * breeze * (0.2 + depth / depth_of_picture),
        |x, depth| {
            let down = depth / depth_of_picture;
            let crest = wave(x, depth);
            if crest > 0.45 { (pale, 0.3 * breeze) } else { (deep, 0.1 + 0.34 * down - 0.06 * crest) }
        },
    );
}

/// A wooden pier with flowers on its posts.
fn pier(canvas: &mut Canvas, random: &mut Random, shore: f32) {
    let middle = canvas.width * random.range(0.38, 0.62);
    let far = shore + (canvas.height - shore) * random.range(0.22, 0.3);
    let wood = rgb(0x9A_7C_5C).vary(random, 12.0);
    let (unit, height) = (canvas.unit, canvas.height);
    let half = |y: f32| unit * (0.06 + 0.22 * ((y - far) / (height - far)));
    let lean = random.range(-0.1, 0.1) * unit;
    let center = |y: f32| middle + lean * ((y - far) / (height - far));
    let corners = [
        (center(far) - half(far), far),
        (center(far) + half(far), far),
        (center(height) + half(height), height),
        (center(height) - half(height), height),
    ];
    let shadow: Vec<_> = corners.iter().map(|p| (p.0 + unit * 0.015, p.1 + unit * 0.02)).collect();
    canvas.fill(&shadow, 0.5, |_, _| rgb(0x10_1C_26));
    canvas.fill(&corners, 1.0, |_, y| {
        // Planks are crosswise, wider in front.
        let depth = ((y - far) / (height - far)).max(0.0).sqrt();
        let plank = depth * 26.0;
        let seam = if plank.rem_euclid(1.0) < 0.12 { 0.6 } else { 1.0 };
        let tone = ((plank as i32 * 7919) & 7) as f32 / 7.0;
        wood.times(seam * (0.88 + 0.18 * tone))
    });
    posts(canvas, random, &[far, far + (height - far) * 0.18, far + (height - far) * 0.5], &center, &half, wood);
}

fn posts(
    canvas: &mut Canvas,
    random: &mut Random,
    places: &[f32],
    center: &impl Fn(f32) -> f32,
    half: &impl Fn(f32) -> f32,
    wood: Color,
) {
    let flowers = random.pick(&BOUQUETS);
    for &y in places {
        let size = half(y) * 0.5;
        for side in [-1.0, 1.0] {
            let x = center(y) + side * half(y);
            canvas.stroke((x, y + size * 0.5), (x, y - size * 1.6), size * 0.28, wood.times(0.72));
            canvas.bouquet(random, (x, y - size * 1.7), size * 0.55, flowers);
        }
    }
    let y = places[0];
    if random.chance(0.6) {
        canvas.arbor(random, (center(y), y + half(y) * 0.1), canvas.unit * 0.3, wood.times(1.2), flowers);
    }
}
