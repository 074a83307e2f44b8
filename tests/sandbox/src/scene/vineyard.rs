//! Rows of vines on hills, a villa, cypresses.

use super::canvas::{Canvas, Point};
use super::color::{Color, rgb};
use super::noise::Noise;
use super::shapes::arch;
use super::sky::{golden, noon, sunset};
use crate::random::Random;

pub(super) fn paint(canvas: &mut Canvas, random: &mut Random) {
    let sky = [golden, golden, noon, sunset][random.integer(0, 3) as usize]();
    let horizon = canvas.height * random.range(0.34, 0.42);
    let clouds = random.range(0.2, 0.7);
    sky.paint(canvas, random, horizon, clouds);
    let sun = (canvas.width * random.range(0.2, 0.8), horizon * random.range(0.55, 0.8));
    sky.sun(canvas, sun, canvas.unit * 0.03);
    let green = [rgb(0x8E_A0_3C), rgb(0xA8_9A_3A), rgb(0x7A_98_40)][random.integer(0, 2) as usize].vary(random, 12.0);
    hills(canvas, random, horizon, green, sky.low);
    let crest = horizon + canvas.height * 0.12;
    let hill = canvas.width * random.range(0.2, 0.8);
    let size = canvas.unit * random.range(0.26, 0.34);
    villa(canvas, random, (hill, crest - canvas.unit * 0.02), size);
    rows(canvas, random, crest, green);
}

fn hills(canvas: &mut Canvas, random: &mut Random, horizon: f32, green: Color, haze: Color) {
    let unit = canvas.unit;
    let bottom = horizon + canvas.height * 0.12 + unit * 0.06;
    for layer in 0..4 {
        let near = layer as f32 / 3.0;
        let noise = Noise::new(random);
        let color = green.vary(random, 12.0).mix(haze.mix(rgb(0x8E_A2_C0), 0.4), 0.75 * (1.0 - near));
        let top = horizon + unit * (0.14 * near - 0.04);
        let stripes = random.range(50.0, 90.0) * if random.chance(0.5) { 1.0 } else { -1.0 };
        canvas.below(
            |x| top - unit * 0.06 * noise.along(x / unit * 26.0),
            bottom,
            |x, y, _| {
                // Far vineyards are fine stripes.
                let stripe = ((x + y * 0.8 * stripes.signum()) / unit * stripes).sin();
                color.times(1.0 + 0.07 * stripe * near)
            },
        );
    }
}

fn villa(canvas: &mut Canvas, random: &mut Random, foot: Point, size: f32) {
    let plaster = rgb(0xE8_CD_A0).vary(random, 10.0);
    let tile = rgb(0xB4_62_40).vary(random, 12.0);
    let cypress = rgb(0x3C_5A_36).vary(random, 8.0);
    for x in [-0.78, -0.62, 0.66, 0.84, 1.0] {
        let height = size * random.range(0.55, 0.95);
        canvas.cypress(random, (foot.0 + x * size, foot.1 + size * 0.03), height, cypress);
    }
    house(canvas, (foot.0, foot.1), (size, size * 0.34), plaster, tile);
    house(canvas, (foot.0 - size * 0.22, foot.1), (size * 0.36, size * 0.56), plaster.times(1.05), tile.times(1.06));
    for column in 0..6 {
        let x = foot.0 + size * (-0.02 + 0.085 * column as f32);
        canvas.polygon(&arch(x, foot.1, size * 0.028, size * 0.17), rgb(0x5E_44_34));
    }
    for row in 0..2 {
        for column in 0..2 {
            let window = (foot.0 - size * (0.28 - 0.13 * column as f32), foot.1 - size * (0.26 + 0.16 * row as f32));
            canvas.rectangle(
                (window.0 - size * 0.02, window.1 - size * 0.04),
                (window.0 + size * 0.02, window.1 + size * 0.03),
                rgb(0x4E_4A_42),
            );
        }
    }
}

fn house(canvas: &mut Canvas, foot: Point, (width, height): (f32, f32), plaster: Color, tile: Color) {
    let (left, right, top) = (foot.0 - width / 2.0, foot.0 + width / 2.0, foot.1 - height);
    let light = |x: f32, _: f32| plaster.times(0.86 + 0.16 * ((x - left) / width));
    canvas.fill(&[(left, foot.1), (left, top), (right, top), (right, foot.1)], 1.0, light);
    let eaves = width * 0.05;
    let ridge = top - height.min(width) * 0.3;
    canvas.polygon(
        &[(left - eaves, top), (left + width * 0.16, ridge), (right - width * 0.16, ridge), (right + eaves, top)],
        tile,
    );
}

/// Rows that converge behind the crest: bands of leaves with earth between them.
fn rows(canvas: &mut Canvas, random: &mut Random, crest: f32, green: Color) {
    let (noise, edge) = (Noise::new(random), Noise::new(random));
    let earth = rgb(0xB0_86_58).vary(random, 12.0);
    let grass = green.mix(rgb(0xB8_B0_60), 0.4);
    let (unit, height) = (canvas.unit, canvas.height);
    let vanishing = (canvas.width * random.range(0.3, 0.7), crest - unit * 0.1);
    let spacing = random.range(0.2, 0.27);
    canvas.below(
        |x| crest - unit * 0.025 * edge.along(x / unit * 24.0),
        height,
        |x, y, _| {
            let depth = (y - vanishing.1) / (height - vanishing.1);
            let across = (x - vanishing.0) / unit / depth.max(0.02) / spacing;
            let place = across.rem_euclid(1.0);
            let scale = 260.0 / unit / (0.2 + depth);
            let leaves = noise.at(x * scale, y * scale);
            if (place - 0.5).abs() < 0.24 + 0.05 * leaves {
                return earth.mix(grass, (0.35 + 0.4 * leaves).clamp(0.0, 1.0)).times(0.95);
            }
            // A row is lit from one side.
            let lit = if place < 0.5 { 1.08 } else { 0.7 };
            green.times(lit * (0.86 + 0.3 * leaves))
        },
    );
    leaves(canvas, random, vanishing, crest, spacing, green);
}

/// Single leaves and grapes on the near rows.
fn leaves(canvas: &mut Canvas, random: &mut Random, vanishing: Point, crest: f32, spacing: f32, green: Color) {
    let grape = rgb(0x5A_2E_5E).vary(random, 10.0);
    for row in -6..=6 {
        for step in 0..34 {
            let depth = 0.22 + 0.8 * (step as f32 / 34.0).powi(2);
            let y = vanishing.1 + (canvas.height - vanishing.1) * depth;
            let x = vanishing.0 + row as f32 * spacing * canvas.unit * depth;
            let off_screen = x < -canvas.unit * 0.1 || x > canvas.width + canvas.unit * 0.1;
            if y < crest + canvas.unit * 0.03 || off_screen {
                continue;
            }
            let radius = canvas.unit * 0.055 * depth;
            let color = green.vary(random, 12.0);
            canvas.foliage(random, (x, y - radius * 1.3), (radius * 1.1, radius * 1.4), radius * 0.2, color);
            if depth > 0.5 && random.chance(0.4) {
                let bunch = (x + radius * random.range(-0.7, 0.7), y - radius * 0.6);
                for berry in 0..7 {
                    let place =
                        (bunch.0 + radius * 0.1 * (berry % 3) as f32, bunch.1 + radius * 0.12 * (berry / 3) as f32);
                    canvas.disc(place, radius * 0.09, grape.times(random.range(0.8, 1.4)), 1.0);
                }
            }
        }
    }
}
