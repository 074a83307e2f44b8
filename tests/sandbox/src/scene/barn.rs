//! A red barn in a field.

use super::canvas::{Canvas, Point};
use super::color::{Color, WHITE, rgb};
use super::noise::Noise;
use super::plants::BOUQUETS;
use super::sky::{golden, noon, overcast, sunset};
use crate::random::Random;

pub(super) fn paint(canvas: &mut Canvas, random: &mut Random) {
    let sky = [noon, golden, golden, sunset, overcast][random.integer(0, 4) as usize]();
    let horizon = canvas.height * random.range(0.5, 0.58);
    let clouds = random.range(0.3, 0.9);
    sky.paint(canvas, random, horizon, clouds);
    far_trees(canvas, random, horizon, sky.low);
    field(canvas, random, horizon);
    let middle = canvas.width * random.range(0.36, 0.64);
    let size = canvas.unit * random.range(0.5, 0.64);
    let foot = horizon + canvas.height * random.range(0.08, 0.13);
    let red = rgb(0xA3_30_26).vary(random, 18.0);
    barn(canvas, random, (middle, foot), size, red);
    fence(canvas, random, foot + canvas.unit * 0.06, middle, size);
    for _ in 0..random.integer(2, 5) {
        let y = foot + (canvas.height - foot) * random.range(0.3, 0.8);
        let x = canvas.width * if random.chance(0.5) { random.range(0.03, 0.25) } else { random.range(0.75, 0.97) };
        bale(canvas, random, (x, y), canvas.unit * 0.16 * (y / canvas.height));
    }
    let high = foot - size * 0.8;
    for line in 0..random.integer(2, 3) {
        let drop = canvas.unit * (0.06 + 0.11 * line as f32);
        let bulb = canvas.unit * 0.007;
        canvas.string_lights(
            (-10.0, high + drop),
            (middle - size * 0.2, high - drop * 0.3),
            canvas.unit * 0.1,
            14,
            bulb,
        );
        let right = canvas.width + 10.0;
        canvas.string_lights(
            (middle + size * 0.2, high - drop * 0.3),
            (right, high + drop * 1.2),
            canvas.unit * 0.09,
            14,
            bulb,
        );
    }
    let flowers = random.pick(&BOUQUETS);
    wild_flowers(canvas, random, foot + (canvas.height - foot) * 0.55, flowers);
}

fn far_trees(canvas: &mut Canvas, random: &mut Random, horizon: f32, haze: Color) {
    let unit = canvas.unit;
    for layer in 0..2 {
        let noise = Noise::new(random);
        let near = layer as f32;
        let color = rgb(0x55_70_4A).vary(random, 12.0).mix(haze, 0.55 - 0.35 * near);
        let top = horizon - unit * (0.07 - 0.03 * near);
        let line = |x: f32| top - unit * (0.035 * noise.along(x / unit * 90.0) + 0.012 * noise.along(x / unit * 600.0));
        canvas.below(line, horizon + unit * 0.03, |x, y, _| {
            color.times(1.0 + 0.12 * noise.at(x / unit * 500.0, y / unit * 500.0))
        });
    }
}

fn field(canvas: &mut Canvas, random: &mut Random, horizon: f32) {
    let far = [rgb(0xC9_BC_6A), rgb(0x9D_B2_5E), rgb(0xD8_B8_63)][random.integer(0, 2) as usize].vary(random, 12.0);
    let near = [rgb(0x6B_84_3A), rgb(0x8A_7C_38), rgb(0x5C_7C_3C)][random.integer(0, 2) as usize].vary(random, 12.0);
    let noise = Noise::new(random);
    let (unit, height) = (canvas.unit, canvas.height);
    canvas.below(
        |x| horizon + unit * 0.012 * noise.along(x / unit * 40.0),
        height,
        |x, y, depth| {
            let down = depth / (height - horizon);
            let scale = 420.0 / unit / (0.3 + down);
            let tuft = noise.at(x * scale * 0.8, y * scale * 0.35);
            far.mix(near, down.clamp(0.0, 1.0)).times(1.0 + 0.14 * tuft)
        },
    );
    let blades = [near.times(0.75), far.times(0.95)];
    canvas.grass(random, horizon + (height - horizon) * 0.35, height * 1.03, 2600, blades);
}

/// The gable end is in front, the long side on the right.
fn barn(canvas: &mut Canvas, random: &mut Random, foot: Point, size: f32, red: Color) {
    let (half, wall, ridge) = (size * 0.36, size * 0.5, size * 0.95);
    let (left, right, eaves) = (foot.0 - half, foot.0 + half, foot.1 - wall);
    let break_height = foot.1 - wall - (ridge - wall) * 0.62;
    let away = size * 0.62 * if random.chance(0.5) { 1.0 } else { -1.0 };
    let (near, far) = if away > 0.0 { (right, right + away) } else { (left, left + away) };
    let lift = size * 0.06;
    canvas.oval((foot.0 + away * 0.3, foot.1 + size * 0.01), (size * 0.85, size * 0.05), rgb(0x20_24_10), 0.45);
    let side = [(near, foot.1), (far, foot.1 - lift), (far, eaves - lift * 0.3), (near, eaves)];
    boards(canvas, &side, red.times(0.72), size);
    let top = foot.1 - ridge;
    let roof = rgb(0x55_55_5C).vary(random, 14.0);
    let slant = away * 0.92;
    let inner = if away > 0.0 { 0.66 } else { -0.66 };
    let fold = (foot.0 + half * inner, break_height);
    canvas.polygon(
        &[(near, eaves), (far, eaves - lift * 0.3), (fold.0 + slant, break_height - lift * 0.2), fold],
        roof.times(0.85),
    );
    canvas.polygon(
        &[fold, (fold.0 + slant, break_height - lift * 0.2), (foot.0 + slant * 0.96, top), (foot.0, top)],
        roof.times(1.15),
    );
    let gable = [
        (left, foot.1),
        (left, eaves),
        (foot.0 - half * 0.66, break_height),
        (foot.0, top),
        (foot.0 + half * 0.66, break_height),
        (right, eaves),
        (right, foot.1),
    ];
    boards(canvas, &gable, red, size);
    let trim = WHITE.times(0.93);
    canvas.path(&gable[1..6], size * 0.028, trim);
    for x in [left, right] {
        canvas.stroke((x, eaves), (x, foot.1), size * 0.02, trim);
    }
    doors(canvas, foot, size, red, trim);
    loft(canvas, (foot.0, break_height + size * 0.06), size, trim);
}

fn boards(canvas: &mut Canvas, corners: &[Point], color: Color, size: f32) {
    let width = size * 0.028;
    canvas.fill(corners, 1.0, |x, _| {
        let place = x / width;
        let seam = if place.fract() < 0.14 { 0.8 } else { 1.0 };
        let board = ((place as i32 * 7919) & 15) as f32 / 15.0;
        color.times(seam * (0.93 + 0.12 * board))
    });
}

fn doors(canvas: &mut Canvas, foot: Point, size: f32, red: Color, trim: Color) {
    let (half, high) = (size * 0.17, size * 0.34);
    let (from, to) = ((foot.0 - half, foot.1 - high), (foot.0 + half, foot.1));
    // Open doors: warm light inside.
    canvas.rectangle(from, to, rgb(0x3A_22_14));
    canvas.glow((foot.0, foot.1 - high * 0.4), high * 1.1, rgb(0xFF_C8_70), 0.95);
    for row in 0..2 {
        let y = foot.1 - high * (0.62 + 0.2 * row as f32);
        canvas.string_lights((from.0, y), (to.0, y), high * 0.1, 9, size * 0.006);
    }
    for side in [-1.0, 1.0] {
        let (inner, outer) = (foot.0 + side * half, foot.0 + side * half * 2.0);
        canvas.rectangle((inner.min(outer), from.1), (inner.max(outer), to.1), red.times(1.12));
        let line = size * 0.014;
        let frame = [(inner, from.1), (outer, from.1), (outer, to.1), (inner, to.1), (inner, from.1), (outer, to.1)];
        canvas.path(&frame, line, trim);
        canvas.stroke((outer, from.1), (inner, to.1), line, trim);
    }
}

fn loft(canvas: &mut Canvas, middle: Point, size: f32, trim: Color) {
    let half = size * 0.06;
    let (from, to) = ((middle.0 - half, middle.1 - half), (middle.0 + half, middle.1 + half * 1.2));
    canvas.rectangle(from, to, rgb(0xF6_C8_78));
    let frame = [from, (to.0, from.1), to, (from.0, to.1), from, to];
    canvas.path(&frame, size * 0.012, trim);
    canvas.stroke((to.0, from.1), (from.0, to.1), size * 0.012, trim);
}

fn fence(canvas: &mut Canvas, random: &mut Random, foot: f32, middle: f32, size: f32) {
    let wood = if random.chance(0.5) { WHITE.times(0.92) } else { rgb(0x7C_66_50) };
    let (post, height) = (canvas.unit * 0.012, canvas.unit * 0.075);
    let posts = (canvas.width / (canvas.unit * 0.1)) as u32 + 1;
    for number in 0..posts {
        let x = number as f32 * canvas.unit * 0.1 + post;
        // The path to the barn is free.
        if (x - middle).abs() < size * 0.34 {
            continue;
        }
        canvas.stroke((x, foot), (x, foot - height), post, wood);
        for rail in [0.35, 0.75] {
            let y = foot - height * rail;
            canvas.stroke((x - canvas.unit * 0.05, y), (x + canvas.unit * 0.05, y), post * 0.7, wood.times(0.9));
        }
    }
}

fn bale(canvas: &mut Canvas, random: &mut Random, foot: Point, size: f32) {
    let straw = rgb(0xD4_AE_5E).vary(random, 12.0);
    let middle = (foot.0, foot.1 - size * 0.5);
    canvas.oval((foot.0 + size * 0.1, foot.1), (size * 0.8, size * 0.1), rgb(0x2A_24_10), 0.4);
    canvas.rectangle((middle.0, middle.1 - size * 0.5), (middle.0 + size * 0.5, foot.1), straw.times(0.78));
    canvas.disc((middle.0 + size * 0.5, middle.1), size * 0.5, straw.times(0.78), 1.0);
    canvas.disc(middle, size * 0.5, straw, 1.0);
    for ring in 1..5 {
        let radius = size * 0.5 * (1.0 - 0.2 * ring as f32);
        let shade = straw.times(if ring % 2 == 0 { 1.06 } else { 0.85 });
        canvas.disc(middle, radius, shade, 0.9);
    }
}

fn wild_flowers(canvas: &mut Canvas, random: &mut Random, from: f32, colors: &[Color]) {
    for _ in 0..170 {
        let down = random.range(0.0, 1.0);
        let place = (random.range(0.0, canvas.width), from + (canvas.height - from) * down);
        let size = canvas.unit * (0.005 + 0.012 * down);
        canvas.stroke(place, (place.0, place.1 + size * 4.0), size * 0.3, rgb(0x4E_6B_34));
        let color = random.pick(colors).vary(random, 8.0);
        canvas.flower(random, place, size, color);
    }
}
