//! Trunks in the mist, moss, beams of light.

use super::canvas::Canvas;
use super::color::{Color, rgb};
use super::noise::Noise;
use super::plants::BOUQUETS;
use crate::random::Random;

pub(super) fn paint(canvas: &mut Canvas, random: &mut Random) {
    let mist = [rgb(0xC4_D8_B4), rgb(0xD8_DC_B0), rgb(0xB4_CC_C0)][random.integer(0, 2) as usize].vary(random, 10.0);
    let green = rgb(0x3C_60_36).vary(random, 12.0);
    let ground = canvas.height * random.range(0.6, 0.68);
    background(canvas, random, mist, green, ground);
    let light = (canvas.width * random.range(0.3, 0.7), canvas.height * 0.3);
    canvas.glow(light, canvas.unit * 0.75, rgb(0xFB_F6_CE), 0.75);
    let layers = 4;
    for layer in 0..layers {
        let near = layer as f32 / (layers - 1) as f32;
        if layer == 1 {
            floor(canvas, random, green, mist, ground);
        }
        trunks(canvas, random, near, mist, ground);
        if layer == 2 {
            beams(canvas, random, light);
            aisle(canvas, random, light.0, ground);
        }
    }
    crown(canvas, random, green);
    ferns(canvas, random, green, ground);
}

fn background(canvas: &mut Canvas, random: &mut Random, mist: Color, green: Color, ground: f32) {
    let noise = Noise::new(random);
    let (width, unit) = (canvas.width, canvas.unit);
    canvas.paint((0.0, 0.0), (width, ground + 2.0), |x, y| {
        let leaves = noise.at(x / unit * 120.0, y / unit * 120.0);
        let high = 1.0 - y / ground;
        (mist.mix(green.times(1.2), (0.1 + 0.5 * high + 0.28 * leaves).clamp(0.0, 0.9)), 1.0)
    });
}

fn floor(canvas: &mut Canvas, random: &mut Random, green: Color, mist: Color, ground: f32) {
    let noise = Noise::new(random);
    let brown = rgb(0x5A_46_2E).vary(random, 10.0);
    let (unit, height) = (canvas.unit, canvas.height);
    canvas.below(
        |x| ground - unit * 0.02 * noise.along(x / unit * 50.0),
        height,
        |x, y, depth| {
            let down = (depth / (height - ground)).clamp(0.0, 1.0);
            let scale = 300.0 / unit / (0.3 + down);
            let moss = noise.at(x * scale * 0.5, y * scale * 0.8);
            let leaf = noise.at(x * scale * 2.0, y * scale * 2.4);
            let base = brown.mix(green.times(1.1), (0.5 + 0.6 * moss).clamp(0.0, 1.0));
            base.times(0.85 + 0.2 * leaf).mix(mist, 0.45 * (1.0 - down).powi(3))
        },
    );
}

fn trunks(canvas: &mut Canvas, random: &mut Random, near: f32, mist: Color, ground: f32) {
    let bark = rgb(0x42_34_28).vary(random, 8.0).mix(mist, 0.72 * (1.0 - near));
    let count = [14, 9, 6, 3][(near * 3.0) as usize];
    let noise = Noise::new(random);
    for number in 0..count {
        let mut place = (number as f32 + random.range(0.15, 0.85)) / count as f32;
        if near > 0.5 {
            // The middle has no near trees.
            place = if place < 0.5 { place * 0.5 } else { 1.0 - (1.0 - place) * 0.5 };
        }
        let x = place * canvas.width;
        let thick = canvas.unit * (0.018 + 0.085 * near * near) * random.range(0.75, 1.25);
        let foot =
            ground + (canvas.height - ground) * (0.02 + 0.42 * near * near) + random.range(0.0, 0.04) * canvas.unit;
        let lean = random.range(-0.03, 0.03) * canvas.unit;
        let shape = [
            (x - thick * 0.9, foot),
            (x - thick * 0.5, foot - thick * 1.6),
            (x - thick * 0.38 + lean, 0.0),
            (x + thick * 0.38 + lean, 0.0),
            (x + thick * 0.5, foot - thick * 1.6),
            (x + thick * 0.9, foot),
        ];
        let unit = canvas.unit;
        canvas.fill(&shape, 1.0, |px, y| {
            let round = ((px - x) / thick).clamp(-1.0, 1.0);
            let furrow = noise.at(px / unit * 420.0, y / unit * 60.0);
            bark.times(1.0 - 0.35 * round + 0.16 * furrow * near)
        });
    }
}

fn beams(canvas: &mut Canvas, random: &mut Random, from: (f32, f32)) {
    let light = rgb(0xFF_FA_D4);
    for beam in 0..6 {
        let angle = 0.35 + 0.26 * beam as f32 + random.range(-0.08, 0.08);
        let length = canvas.height * 0.85;
        let spread = random.range(0.03, 0.06);
        let end = |turn: f32| {
            (from.0 + (angle + turn).cos() * length, from.1 - canvas.unit * 0.2 + (angle + turn).sin() * length)
        };
        let start = (from.0, from.1 - canvas.unit * 0.2);
        canvas.fill(&[start, end(-spread), end(spread)], random.range(0.1, 0.2), |_, _| light);
    }
}

/// A path between lanterns, an arbor at its end.
fn aisle(canvas: &mut Canvas, random: &mut Random, middle: f32, ground: f32) {
    let (unit, height) = (canvas.unit, canvas.height);
    let far = ground + (height - ground) * 0.16;
    let flowers = random.pick(&BOUQUETS);
    let corners = [
        (middle - unit * 0.05, far),
        (middle + unit * 0.05, far),
        (middle + unit * 0.2, height),
        (middle - unit * 0.2, height),
    ];
    canvas.fill(&corners, 0.55, |_, _| rgb(0xA0_84_5C));
    canvas.petals(random, corners, 380, flowers[0]);
    if random.chance(0.75) {
        let wood = rgb(0x8E_70_50);
        let arbor = unit * random.range(0.28, 0.36);
        canvas.arbor(random, (middle, far), arbor, wood, flowers);
    }
    for step in 0..4 {
        let down = (step as f32 + 1.0) / 4.5;
        let y = far + (height - far) * down * down;
        for side in [-1.0, 1.0] {
            let x = middle + side * unit * (0.08 + 0.17 * down * down);
            let size = unit * (0.012 + 0.026 * down);
            canvas.rectangle((x - size * 0.6, y - size * 2.2), (x + size * 0.6, y), rgb(0x2C_26_20));
            canvas.rectangle((x - size * 0.42, y - size * 1.9), (x + size * 0.42, y - size * 0.3), rgb(0xFF_D8_88));
            canvas.glow((x, y - size), size * 4.5, rgb(0xFF_C8_70), 0.6);
        }
    }
}

fn crown(canvas: &mut Canvas, random: &mut Random, green: Color) {
    for _ in 0..22 {
        let place = (random.range(-0.05, 1.05) * canvas.width, random.range(-0.06, 0.1) * canvas.height);
        let radius = canvas.unit * random.range(0.07, 0.14);
        let color = green.times(random.range(0.7, 1.25));
        canvas.foliage(random, place, (radius * 1.3, radius * 0.8), radius * 0.13, color);
    }
}

fn ferns(canvas: &mut Canvas, random: &mut Random, green: Color, ground: f32) {
    for _ in 0..46 {
        let down = random.range(0.05, 1.0);
        let side = if random.chance(0.5) { random.range(0.0, 0.32) } else { random.range(0.68, 1.0) };
        let root = (side * canvas.width, ground + (canvas.height - ground) * down);
        let length = canvas.unit * (0.03 + 0.1 * down);
        let color = green.mix(rgb(0x86_B0_4A), random.range(0.1, 0.7));
        for frond in 0..7 {
            let angle = -2.7 + 0.38 * frond as f32 + random.range(-0.15, 0.15);
            let tip = (root.0 + angle.cos() * length, root.1 + angle.sin() * length * 0.8);
            canvas.taper(root, tip, (length * 0.09, 0.8), color.times(random.range(0.75, 1.1)));
        }
    }
}
