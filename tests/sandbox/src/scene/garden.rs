//! Hedges and flowers along a path.

use super::canvas::Canvas;
use super::color::{Color, WHITE, rgb};
use super::noise::Noise;
use super::plants::BOUQUETS;
use super::shapes::arch;
use super::sky::{noon, overcast};
use crate::random::Random;

pub(super) fn paint(canvas: &mut Canvas, random: &mut Random) {
    let sky = if random.chance(0.7) { noon() } else { overcast() };
    let horizon = canvas.height * random.range(0.34, 0.42);
    let clouds = random.range(0.3, 0.8);
    sky.paint(canvas, random, horizon, clouds);
    let green = rgb(0x6C_A0_44).vary(random, 16.0);
    trees(canvas, random, horizon, green);
    back_hedge(canvas, random, horizon, green);
    lawn(canvas, random, horizon, green);
    let middle = canvas.width * random.range(0.42, 0.58);
    path(canvas, random, middle, horizon);
    let flowers = random.pick(&BOUQUETS);
    hedges(canvas, random, middle, horizon, green, flowers);
    gate(canvas, random, middle, horizon + canvas.height * 0.06, green, flowers);
}

fn trees(canvas: &mut Canvas, random: &mut Random, horizon: f32, green: Color) {
    for layer in 0..2 {
        let near = layer as f32;
        let color = green.mix(rgb(0xB8_D4_C0), 0.5 - 0.4 * near).times(0.92);
        let count = 6;
        for number in 0..count {
            let x = canvas.width * (number as f32 + random.range(0.1, 0.9)) / count as f32;
            let foot = horizon + canvas.unit * 0.04 * near;
            let height = canvas.unit * random.range(0.3, 0.46);
            let color = color.vary(random, 14.0);
            canvas.tree(random, (x, foot), height, color);
        }
    }
}

/// Closes the view between the trunks.
fn back_hedge(canvas: &mut Canvas, random: &mut Random, horizon: f32, green: Color) {
    let noise = Noise::new(random);
    let unit = canvas.unit;
    let dark = green.times(0.58);
    let top = |x: f32| horizon - unit * (0.1 + 0.012 * noise.along(x / unit * 300.0));
    canvas.below(top, horizon + 2.0, |x, y, depth| {
        let light = (1.25 - depth / unit * 3.5).max(0.75);
        dark.times(light * (1.0 + 0.25 * noise.at(x / unit * 620.0, y / unit * 620.0)))
    });
}

fn lawn(canvas: &mut Canvas, random: &mut Random, horizon: f32, green: Color) {
    let noise = Noise::new(random);
    let (unit, height) = (canvas.unit, canvas.height);
    let light = green.mix(rgb(0xC8_DC_6E), 0.45);
    canvas.below(
        |_| horizon,
        height,
        |x, y, depth| {
            let down = depth / (height - horizon);
            let scale = 500.0 / unit / (0.35 + down);
            // Mowing stripes.
            let stripe = if ((x / unit - 0.5) / (0.3 + down) * 9.0).rem_euclid(2.0) < 1.0 { 1.05 } else { 0.96 };
            light.mix(green, down).times(stripe * (1.0 + 0.08 * noise.at(x * scale, y * scale)))
        },
    );
}

fn path(canvas: &mut Canvas, random: &mut Random, middle: f32, horizon: f32) {
    let stone = [rgb(0xD9_CC_B4), rgb(0xC7_BD_B0), rgb(0xE0_CE_AE)][random.integer(0, 2) as usize].vary(random, 8.0);
    let noise = Noise::new(random);
    let (unit, height) = (canvas.unit, canvas.height);
    let bend = random.range(-0.12, 0.12) * unit;
    let steps = 24;
    let side = |sign: f32| {
        (0..=steps).map(move |step| {
            let down = step as f32 / steps as f32;
            let y = horizon + (height - horizon) * down;
            let half = unit * (0.035 + 0.2 * down * down + 0.06 * down);
            (middle + bend * (down * 3.2).sin() + sign * half, y)
        })
    };
    let corners: Vec<_> = side(-1.0).chain(side(1.0).rev()).collect();
    canvas.fill(&corners, 1.0, |x, y| {
        let down = (y - horizon) / (height - horizon);
        let scale = 900.0 / unit / (0.35 + down);
        stone.times(1.0 + 0.12 * noise.at(x * scale, y * scale * 1.6))
    });
}

fn hedges(canvas: &mut Canvas, random: &mut Random, middle: f32, horizon: f32, green: Color, flowers: &[Color]) {
    let rows = 7;
    for row in 0..rows {
        let near = row as f32 / (rows - 1) as f32;
        let down = near * near;
        let y = horizon + canvas.unit * 0.05 + (canvas.height - horizon) * 0.86 * down;
        let size = canvas.unit * (0.06 + 0.15 * down);
        let away = canvas.unit * (0.1 + 0.3 * down) + size * 0.3;
        for side in [-1.0, 1.0] {
            let hedge = green.times(0.66).vary(random, 10.0);
            for block in 0..3 {
                let x = middle + side * (away + size * (0.9 + 1.3 * block as f32));
                canvas.foliage(random, (x, y - size * 0.35), (size * 0.85, size * 0.8), size * 0.075, hedge);
            }
            bed(canvas, random, (middle + side * away, y + size * 0.35), size, flowers);
        }
    }
}

fn bed(canvas: &mut Canvas, random: &mut Random, place: (f32, f32), size: f32, flowers: &[Color]) {
    let green = rgb(0x57_8A_42).vary(random, 10.0);
    canvas.foliage(random, place, (size * 0.8, size * 0.36), size * 0.07, green);
    for _ in 0..34 {
        let x = place.0 + size * 0.8 * random.range(-1.0, 1.0);
        let y = place.1 - size * random.range(-0.25, 0.42);
        let color = random.pick(flowers).vary(random, 10.0);
        let bloom = size * random.range(0.05, 0.1);
        canvas.flower(random, (x, y), bloom, color);
    }
}

/// A rose arch over the path.
fn gate(canvas: &mut Canvas, random: &mut Random, middle: f32, foot: f32, green: Color, flowers: &[Color]) {
    let height = canvas.unit * random.range(0.42, 0.5);
    let points = arch(middle, foot, height * 0.34, height);
    canvas.path(&points, height * 0.035, WHITE.times(0.95));
    for (number, point) in points.iter().enumerate() {
        let radius = height * random.range(0.045, 0.075);
        let color = green.times(0.75).vary(random, 12.0);
        canvas.foliage(random, *point, (radius, radius), radius * 0.24, color);
        if number % 2 == 0 {
            for _ in 0..9 {
                let place = (point.0 + radius * random.range(-1.1, 1.1), point.1 + radius * random.range(-1.1, 1.1));
                let color = random.pick(flowers).vary(random, 8.0);
                let bloom = radius * random.range(0.22, 0.4);
                canvas.flower(random, place, bloom, color);
            }
        }
    }
    for side in [-1.0, 1.0] {
        for rise in 0..5 {
            let place = (middle + side * height * 0.34, foot - height * 0.13 * rise as f32);
            let radius = height * 0.06;
            canvas.bouquet(random, place, radius, flowers);
        }
    }
}
