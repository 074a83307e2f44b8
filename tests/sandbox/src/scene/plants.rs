//! Leaves, flowers and trees.

use super::canvas::{Canvas, Point};
use super::color::{Color, WHITE, rgb};
use crate::random::Random;

/// Colours of flowers that are often seen together.
pub(super) const BOUQUETS: [[Color; 4]; 5] = [
    [rgb(0xFB_F4_EE), rgb(0xF6_D3_D6), rgb(0xE9_A3_B0), rgb(0xFF_FF_FF)],
    [rgb(0xF7_E7_D2), rgb(0xF2_B8_8C), rgb(0xE0_7A_5F), rgb(0xFF_F3_E0)],
    [rgb(0xE6_DC_F2), rgb(0xB9_9A_D6), rgb(0x8A_66_B5), rgb(0xFF_FF_FF)],
    [rgb(0xFF_F4_C2), rgb(0xF9_D6_5C), rgb(0xF4_A2_3B), rgb(0xFF_FF_FF)],
    [rgb(0xF5_C6_CF), rgb(0xD6_48_6D), rgb(0xA3_1F_45), rgb(0xFF_EC_EE)],
];

impl Canvas {
    /// Leaves heaped within an ellipse: dark below and inside, light on the upper side.
    pub(super) fn foliage(&mut self, random: &mut Random, middle: Point, radii: Point, leaf: f32, color: Color) {
        self.oval(middle, (radii.0 * 0.9, radii.1 * 0.9), color.times(0.62), 0.95);
        let area = radii.0 * radii.1 / (leaf * leaf);
        for _ in 0..(area * 1.6).clamp(12.0, 900.0) as u32 {
            let angle = random.range(0.0, std::f32::consts::TAU);
            let distance = random.range(0.0, 1.0).sqrt();
            let (x, y) = (angle.cos() * distance, angle.sin() * distance);
            let light = 0.92 - 0.34 * y + random.range(-0.16, 0.16);
            let place = (middle.0 + x * radii.0, middle.1 + y * radii.1);
            let size = leaf * random.range(0.5, 1.2);
            self.oval(place, (size, size * random.range(0.55, 0.9)), color.times(light), 0.9);
        }
    }

    /// One flower: petals around a middle.
    pub(super) fn flower(&mut self, random: &mut Random, place: Point, size: f32, color: Color) {
        if size < 3.0 {
            self.disc(place, size, color, 1.0);
            return;
        }
        let turn = random.range(0.0, 1.2);
        for petal in 0..5 {
            let angle = turn + petal as f32 * std::f32::consts::TAU / 5.0;
            let middle = (place.0 + angle.cos() * size * 0.55, place.1 + angle.sin() * size * 0.5);
            let shade = color.times(0.9 + 0.12 * (petal % 2) as f32);
            self.disc(middle, size * 0.52, shade, 0.95);
        }
        self.disc(place, size * 0.3, color.mix(rgb(0xF0_C8_60), 0.5), 0.9);
    }

    /// A bunch of flowers with green between them.
    pub(super) fn bouquet(&mut self, random: &mut Random, middle: Point, radius: f32, colors: &[Color]) {
        let green = rgb(0x5E_7F_4C).vary(random, 14.0);
        self.foliage(random, middle, (radius * 1.15, radius), radius * 0.25, green);
        for _ in 0..18 {
            let angle = random.range(0.0, std::f32::consts::TAU);
            let distance = random.range(0.0, 0.95);
            let place = (middle.0 + angle.cos() * distance * radius, middle.1 + angle.sin() * distance * radius * 0.85);
            let color = random.pick(colors).vary(random, 8.0);
            let size = radius * random.range(0.16, 0.3);
            self.flower(random, place, size, color);
        }
    }

    /// A round tree on a trunk; `foot` is where it stands.
    pub(super) fn tree(&mut self, random: &mut Random, foot: Point, height: f32, color: Color) {
        let trunk = rgb(0x5A_46_36);
        let top = (foot.0, foot.1 - height * 0.55);
        self.taper(foot, top, (height * 0.07, height * 0.035), trunk);
        for _ in 0..7 {
            let middle = (foot.0 + random.range(-0.22, 0.22) * height, foot.1 - height * random.range(0.48, 0.86));
            let radius = height * random.range(0.13, 0.2);
            self.foliage(random, middle, (radius, radius * 0.85), height * 0.028, color);
        }
    }

    /// Grass blades along the foot of the picture.
    pub(super) fn grass(&mut self, random: &mut Random, from: f32, to: f32, count: u32, colors: [Color; 2]) {
        for _ in 0..count {
            let down = random.range(0.0, 1.0);
            let y = from + (to - from) * down;
            let length = self.unit * (0.012 + 0.045 * down);
            let x = random.range(0.0, self.width);
            let lean = random.range(-0.4, 0.4) * length;
            let color = colors[0].mix(colors[1], random.range(0.0, 1.0));
            self.taper((x, y), (x + lean, y - length), (length * 0.12, 0.6), color);
        }
    }

    /// Petals strewn over a strip of ground.
    pub(super) fn petals(&mut self, random: &mut Random, corners: [Point; 4], count: u32, color: Color) {
        let [top_left, top_right, bottom_right, bottom_left] = corners;
        for _ in 0..count {
            let (down, across) = (random.range(0.0, 1.0), random.range(0.0, 1.0));
            let left =
                (top_left.0 + (bottom_left.0 - top_left.0) * down, top_left.1 + (bottom_left.1 - top_left.1) * down);
            let right = top_right.0 + (bottom_right.0 - top_right.0) * down;
            let place = (left.0 + (right - left.0) * across, left.1);
            let size = self.unit * (0.002 + 0.005 * down);
            let color = color.mix(WHITE, random.range(0.0, 0.6));
            self.oval(place, (size * 1.3, size * 0.8), color, 0.9);
        }
    }
}
