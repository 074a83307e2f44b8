//! A warm hall with chandeliers, drapes and round tables.

use super::canvas::{Canvas, Point};
use super::color::{Color, WHITE, gradient, rgb};
use super::noise::Noise;
use super::plants::BOUQUETS;
use super::shapes::arch;
use crate::random::Random;

pub(super) fn paint(canvas: &mut Canvas, random: &mut Random) {
    let (wall, drape) = [
        (rgb(0xD9_B7_84), rgb(0x8E_2F_34)),
        (rgb(0xE6_CF_A6), rgb(0xB9_8A_4A)),
        (rgb(0xC9_9C_70), rgb(0x6E_2B_3E)),
        (rgb(0xDF_C2_9C), rgb(0xF0_E0_C4)),
    ][random.integer(0, 3) as usize];
    let wall = wall.vary(random, 10.0);
    let (ceiling, floor) = (canvas.height * random.range(0.16, 0.22), canvas.height * random.range(0.54, 0.6));
    room(canvas, random, wall, ceiling, floor);
    windows(canvas, random, wall, drape, ceiling, floor);
    let glow = rgb(0xFF_CE_86);
    let middle = canvas.width / 2.0;
    canvas.glow((middle, ceiling * 1.5), canvas.width * 0.9, glow, 0.42);
    let shift = canvas.unit * random.range(-0.04, 0.04);
    let hangs = canvas.height * random.range(0.2, 0.26);
    chandelier(canvas, random, (middle + shift, hangs), canvas.unit * 0.2);
    for side in [-1.0, 1.0] {
        let place = (middle + side * canvas.width * 0.34 + shift, canvas.height * 0.2);
        chandelier(canvas, random, place, canvas.unit * 0.11);
    }
    let flowers = random.pick(&BOUQUETS);
    let cloth = rgb(0xF8_EF_E2).vary(random, 5.0);
    tables(canvas, random, floor, cloth, flowers);
}

fn room(canvas: &mut Canvas, random: &mut Random, wall: Color, ceiling: f32, floor: f32) {
    let (width, height) = (canvas.width, canvas.height);
    canvas.gradient(0.0, ceiling, &[(0.0, wall.times(0.62)), (1.0, wall.times(0.95))]);
    // Coffers converge towards the far wall.
    for beam in -5..=5 {
        let far = width * (0.5 + 0.07 * beam as f32);
        let near = width * (0.5 + 0.2 * beam as f32);
        canvas.taper((near, 0.0), (far, ceiling), (canvas.unit * 0.02, canvas.unit * 0.007), wall.times(0.72));
    }
    for row in 0..4 {
        let y = ceiling * (1.0 - 0.85_f32.powi(row) * 0.95) * 1.3;
        canvas.stroke((0.0, y), (width, y), canvas.unit * 0.009, wall.times(0.76));
    }
    canvas.gradient(ceiling, floor, &[(0.0, wall.times(1.05)), (0.6, wall.times(0.92)), (1.0, wall.times(0.74))]);
    canvas.rectangle((0.0, ceiling), (width, ceiling + canvas.unit * 0.02), rgb(0xF4_DF_B4));
    canvas.rectangle((0.0, floor - canvas.unit * 0.025), (width, floor), wall.times(0.55));
    let wood = rgb(0x7C_4A_28).vary(random, 14.0);
    let noise = Noise::new(random);
    let shine = rgb(0xF2_C4_80);
    canvas.paint((0.0, floor), (width, height), |x, y| {
        let down = (y - floor) / (height - floor);
        // Parquet: boards that widen towards the front.
        let across = (x - width / 2.0) / (0.28 + down);
        let board = (across / (width * 0.045)).floor();
        let grain = noise.at(board * 17.0, down * 60.0);
        let seam = if (across / (width * 0.045)).fract().abs() < 0.05 { 0.8 } else { 1.0 };
        let reflection = (1.0 - ((x / width - 0.5) * 2.4).abs()).max(0.0) * (1.0 - down) * 0.65;
        (wood.times(seam * (0.9 + 0.14 * grain)).mix(shine, reflection), 1.0)
    });
}

fn windows(canvas: &mut Canvas, random: &mut Random, wall: Color, drape: Color, ceiling: f32, floor: f32) {
    let night = random.chance(0.5);
    let outside = if night {
        [(0.0, rgb(0x1E_27_4A)), (1.0, rgb(0x4A_4A_70))]
    } else {
        [(0.0, rgb(0xF4_EE_DC)), (1.0, rgb(0xDC_E6_E2))]
    };
    let count = random.integer(3, 5);
    let (foot, height) = (floor - canvas.unit * 0.05, (floor - ceiling) * 0.82);
    let half = (canvas.width / count as f32 * 0.26).min(height * 0.35);
    for number in 0..count {
        let middle = canvas.width * (number as f32 + 0.5) / count as f32;
        let top = foot - height;
        canvas.fill(&arch(middle, foot, half * 1.16, height + half * 0.16), 1.0, |_, _| wall.times(1.2));
        let (from, span) = (top, height);
        canvas.fill(&arch(middle, foot, half, height), 1.0, |_, y| gradient(&outside, (y - from) / span));
        let bar = canvas.unit * 0.006;
        for x in [middle - half * 0.36, middle + half * 0.36] {
            canvas.stroke((x, top + half * 0.2), (x, foot), bar, wall.times(1.1));
        }
        for pane in 1..5 {
            let y = foot - height * 0.2 * pane as f32;
            canvas.stroke((middle - half, y), (middle + half, y), bar, wall.times(1.1));
        }
        for side in [-1.0, 1.0] {
            curtain(canvas, (middle + side * half * 1.1, top - half * 0.1), foot, half, side, drape);
        }
    }
}

/// Gathered in the middle, falling in folds.
fn curtain(canvas: &mut Canvas, top: Point, foot: f32, half: f32, side: f32, color: Color) {
    let tie = top.1 + (foot - top.1) * 0.6;
    let shape = [
        (top.0 + side * half * 0.35, top.1),
        (top.0 - side * half * 0.85, top.1),
        (top.0 - side * half * 0.3, tie - half * 0.7),
        (top.0 + side * half * 0.08, tie),
        (top.0 - side * half * 0.12, foot),
        (top.0 + side * half * 0.35, foot),
    ];
    canvas.fill(&shape, 1.0, |x, y| {
        let pull = (y - tie) / (foot - top.1);
        let fold = ((x - top.0) / half * 22.0 + pull * side * 4.0).sin();
        color.times(0.9 + 0.22 * fold)
    });
    canvas.oval((top.0 + side * half * 0.2, tie), (half * 0.2, half * 0.06), rgb(0xE2_BE_6C), 1.0);
}

fn chandelier(canvas: &mut Canvas, random: &mut Random, middle: Point, size: f32) {
    let gold = rgb(0xC8_9A_4C);
    let light = rgb(0xFF_D9_94);
    canvas.stroke((middle.0, 0.0), middle, size * 0.03, gold.times(0.7));
    canvas.glow(middle, size * 3.4, light, 0.6);
    for tier in 0..3 {
        let (radius, y) = (size * (1.0 - 0.27 * tier as f32), middle.1 - size * (0.28 * tier as f32 - 0.15));
        let arms = 12 - 2 * tier;
        canvas.oval((middle.0, y), (radius, radius * 0.2), gold.times(0.75), 0.9);
        canvas.oval((middle.0, y - size * 0.012), (radius * 0.94, radius * 0.16), light.mix(gold, 0.25), 0.9);
        for arm in 0..arms {
            let angle = arm as f32 * std::f32::consts::TAU / arms as f32 + 0.3 * tier as f32;
            let place = (middle.0 + angle.cos() * radius, y + angle.sin() * radius * 0.2);
            canvas.taper((place.0, place.1), (place.0, place.1 - size * 0.13), (size * 0.028, size * 0.02), WHITE);
            let flame = (place.0, place.1 - size * 0.17);
            canvas.glow(flame, size * 0.24, light, 0.95);
            canvas.oval(flame, (size * 0.022, size * 0.045), WHITE, 1.0);
            let drop = size * random.range(0.06, 0.14);
            canvas.taper(place, (place.0, place.1 + drop), (size * 0.024, 1.0), rgb(0xFF_F4_DC));
        }
    }
    canvas.disc((middle.0, middle.1 + size * 0.42), size * 0.07, rgb(0xFF_F4_DC), 0.95);
}

fn tables(canvas: &mut Canvas, random: &mut Random, floor: f32, cloth: Color, flowers: &[Color]) {
    let gold = rgb(0xC7_9E_58);
    let rows = 3;
    for row in 0..rows {
        let near = row as f32 / (rows - 1) as f32;
        let radius = canvas.unit * (0.1 + 0.13 * near * near);
        let y = floor + canvas.unit * 0.03 + (canvas.height - floor) * (0.06 + 0.58 * near * near);
        let spread = canvas.width * (0.3 + 0.1 * near);
        let offsets: &[f32] = if row == 1 { &[-1.0, 1.0] } else { &[-1.05, 0.0, 1.05] };
        // Space for the dance floor.
        for offset in offsets.iter().filter(|offset| row != 2 || **offset != 0.0) {
            let middle = (canvas.width / 2.0 + offset * spread, y);
            for seat in [-1.25, -0.7, 0.7, 1.25] {
                canvas.chair((middle.0 + seat * radius, middle.1 + radius * 0.7), radius * 1.35, gold);
            }
            canvas.round_table(random, middle, radius, cloth, flowers);
        }
    }
}
