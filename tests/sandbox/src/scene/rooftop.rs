//! A roof over the city at dusk.

use super::canvas::Canvas;
use super::color::{Color, WHITE, rgb};
use super::noise::Noise;
use super::plants::BOUQUETS;
use super::sky::Sky;
use crate::random::Random;

pub(super) fn paint(canvas: &mut Canvas, random: &mut Random) {
    let sky = dusk(random);
    let horizon = canvas.height * random.range(0.52, 0.58);
    let clouds = random.range(0.1, 0.55);
    sky.paint(canvas, random, horizon, clouds);
    let glow = (canvas.width * random.range(0.2, 0.8), horizon);
    canvas.glow(glow, canvas.unit * 0.8, sky.sun, 0.55);
    for layer in 0..3 {
        skyline(canvas, random, &sky, horizon, layer as f32 / 2.0);
    }
    let deck = canvas.height * random.range(0.64, 0.7);
    terrace(canvas, random, deck, sky.low);
    railing(canvas, deck);
    lounge(canvas, random, deck);
    lights(canvas, random, deck);
}

fn dusk(random: &mut Random) -> Sky {
    let (high, low, cloud) = [
        (rgb(0x1E_24_52), rgb(0xF2_8C_5E), rgb(0xC8_6A_78)),
        (rgb(0x2B_23_58), rgb(0xE8_78_86), rgb(0xB4_5E_8E)),
        (rgb(0x14_22_44), rgb(0x8E_86_B8), rgb(0x5E_60_98)),
        (rgb(0x26_34_66), rgb(0xF6_B0_72), rgb(0xD8_86_72)),
    ][random.integer(0, 3) as usize];
    Sky { high: high.vary(random, 10.0), low: low.vary(random, 12.0), cloud, sun: rgb(0xFF_C0_80) }
}

/// `near` from 0, far and hazy, to 1.
fn skyline(canvas: &mut Canvas, random: &mut Random, sky: &Sky, horizon: f32, near: f32) {
    let color = rgb(0x1A_1C_34).mix(sky.low.times(0.7), 0.6 * (1.0 - near)).vary(random, 6.0);
    let bottom = canvas.height * 0.75;
    let mut left = -canvas.unit * random.range(0.0, 0.1);
    while left < canvas.width {
        let width = canvas.unit * random.range(0.07, 0.15);
        let tall = if random.chance(0.22) { 1.7 } else { 1.0 };
        let top =
            horizon - canvas.unit * tall * (random.range(0.06, 0.2) + 0.1 * (1.0 - near)) + canvas.unit * 0.1 * near;
        let tone = color.vary(random, 5.0);
        canvas.rectangle((left, top), (left + width, bottom), tone);
        if tall > 1.0 && random.chance(0.5) {
            let mast = left + width / 2.0;
            canvas.taper((mast, top), (mast, top - canvas.unit * 0.11), (canvas.unit * 0.012, 1.0), tone);
            canvas.disc((mast, top - canvas.unit * 0.11), canvas.unit * 0.004, rgb(0xFF_50_40), 1.0);
        }
        windows(canvas, random, (left, top), (left + width, bottom), near);
        left += width + canvas.unit * random.range(0.0, 0.02);
    }
}

fn windows(canvas: &mut Canvas, random: &mut Random, from: (f32, f32), to: (f32, f32), near: f32) {
    let cell = canvas.unit * (0.011 + 0.008 * near);
    let lit = random.range(0.2, 0.55);
    let mut y = from.1 + cell;
    while y < to.1 {
        let mut x = from.0 + cell * 0.7;
        while x + cell * 0.6 < to.0 {
            if random.chance(f64::from(lit)) {
                let color = if random.chance(0.85) { rgb(0xFF_D2_86) } else { rgb(0xC8_E0_FF) };
                let color = color.times(random.range(0.55, 1.0));
                let (left, top) = (x.max(0.0), y);
                canvas.paint((left, top), (x + cell * 0.5, y + cell * 0.62), |_, _| (color, 0.45 + 0.5 * near));
            }
            x += cell;
        }
        y += cell * 1.35;
    }
}

fn terrace(canvas: &mut Canvas, random: &mut Random, deck: f32, light: Color) {
    let wood = rgb(0x6A_4C_3C).vary(random, 12.0);
    let noise = Noise::new(random);
    let (width, height) = (canvas.width, canvas.height);
    canvas.paint((0.0, deck), (width, height), |x, y| {
        let down = (y - deck) / (height - deck);
        let across = (x - width / 2.0) / (0.35 + down) / (width * 0.07);
        let grain = noise.at(across.floor() * 23.0, down * 50.0);
        let seam = if across.rem_euclid(1.0) < 0.06 { 0.55 } else { 1.0 };
        let shine = (1.0 - down) * 0.3;
        (wood.times(seam * (0.85 + 0.16 * grain)).mix(light, shine), 1.0)
    });
}

fn railing(canvas: &mut Canvas, deck: f32) {
    let (metal, top) = (rgb(0x20_20_2A), deck - canvas.unit * 0.1);
    let posts = 9;
    for post in 0..=posts {
        let x = canvas.width * post as f32 / posts as f32;
        canvas.stroke((x, deck), (x, top), canvas.unit * 0.007, metal);
    }
    canvas.stroke((0.0, top), (canvas.width, top), canvas.unit * 0.014, metal);
    canvas.stroke((0.0, deck), (canvas.width, deck), canvas.unit * 0.012, metal);
    let width = canvas.width;
    canvas.paint((0.0, top), (width, deck), |_, _| (rgb(0xB8_C8_E8), 0.08));
}

/// A long table with candles, planters at the sides.
fn lounge(canvas: &mut Canvas, random: &mut Random, deck: f32) {
    let middle = canvas.width * random.range(0.44, 0.56);
    let (far, near) = (deck + canvas.unit * 0.06, canvas.height * 0.97);
    let cloth = WHITE.times(0.9).mix(rgb(0xFF_C8_90), 0.18);
    let corners = [
        (middle - canvas.unit * 0.07, far),
        (middle + canvas.unit * 0.07, far),
        (middle + canvas.unit * 0.2, near),
        (middle - canvas.unit * 0.2, near),
    ];
    let flowers = random.pick(&BOUQUETS);
    for side in [-1.0, 1.0] {
        for seat in 0..5 {
            let down = (seat as f32 + 0.5) / 5.0;
            let x = middle + side * canvas.unit * (0.11 + 0.16 * down * down);
            let y = far + (near - far) * down * down + canvas.unit * 0.06;
            canvas.chair((x, y), canvas.unit * (0.09 + 0.13 * down), rgb(0x3A_34_3C));
        }
    }
    canvas.polygon(&corners, cloth);
    for place in 0..6 {
        let down = (place as f32 + 0.6) / 6.5;
        let spot = (middle, far + (near - far) * down * down);
        let size = canvas.unit * (0.02 + 0.035 * down);
        if place % 2 == 0 {
            canvas.bouquet(random, spot, size, flowers);
        }
        for side in [-1.0, 1.0] {
            let candle = (spot.0 + side * size * 1.7, spot.1);
            canvas.rectangle((candle.0 - size * 0.1, candle.1 - size * 0.7), (candle.0 + size * 0.1, candle.1), WHITE);
            canvas.glow((candle.0, candle.1 - size * 0.8), size * 2.0, rgb(0xFF_C0_60), 0.8);
        }
    }
    for side in [0.06, 0.94] {
        let (x, y) = (canvas.width * side, deck + canvas.unit * 0.1);
        let pot = canvas.unit * 0.06;
        canvas.polygon(
            &[(x - pot, y), (x + pot, y), (x + pot * 0.75, y + pot * 1.7), (x - pot * 0.75, y + pot * 1.7)],
            rgb(0x3C_38_40),
        );
        let green = rgb(0x3E_5E_46).vary(random, 10.0);
        canvas.foliage(random, (x, y - pot * 1.2), (pot * 1.2, pot * 1.7), pot * 0.16, green);
    }
}

fn lights(canvas: &mut Canvas, random: &mut Random, deck: f32) {
    let (width, unit) = (canvas.width, canvas.unit);
    let lines = random.integer(4, 6);
    let pole = deck - unit * 0.55;
    for x in [width * 0.02, width * 0.98] {
        canvas.stroke((x, deck + unit * 0.08), (x, pole), unit * 0.012, rgb(0x22_20_28));
    }
    for line in 0..lines {
        let share = line as f32 / lines as f32;
        let (left, right) = ((width * 0.02, pole + unit * 0.05 * share), (width * 0.98, pole + unit * 0.05 * share));
        let up = unit * (0.5 * share);
        let sag = unit * (0.07 + 0.05 * random.range(0.0, 1.0));
        let bulbs = 16 + 3 * line as usize;
        canvas.string_lights(
            (left.0 - up * 0.3, left.1 - up),
            (right.0 + up * 0.3, right.1 - up),
            sag,
            bulbs,
            unit * (0.006 + 0.005 * share),
        );
    }
}
