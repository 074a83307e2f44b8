//! Furniture of weddings: chairs, tables, arches, lights.

use super::canvas::{Canvas, Point};
use super::color::{Color, WHITE, rgb};
use super::shapes::hanging;
use crate::random::Random;

impl Canvas {
    /// A chair seen from behind; `foot` is the middle between its feet.
    pub(super) fn chair(&mut self, foot: Point, height: f32, color: Color) {
        let (half, leg) = (height * 0.24, height * 0.045);
        let (seat, top) = (foot.1 - height * 0.45, foot.1 - height);
        let shade = color.times(0.82);
        for side in [-1.0, 1.0] {
            self.stroke((foot.0 + side * half, foot.1), (foot.0 + side * half, top), leg, shade);
        }
        self.rectangle((foot.0 - half, seat - height * 0.05), (foot.0 + half, seat + height * 0.04), color);
        for slat in 0..3 {
            let y = top + height * (0.05 + 0.15 * slat as f32);
            self.stroke((foot.0 - half, y), (foot.0 + half, y), leg * 1.3, color);
        }
    }

    /// Rows of chairs on both sides of an aisle, from `far` to `near` (y of their feet).
    pub(super) fn chairs(&mut self, middle: f32, far: f32, near: f32, rows: u32, color: Color) {
        for row in 0..rows {
            let depth = row as f32 / (rows - 1).max(1) as f32;
            let nearness = depth * depth;
            let y = far + (near - far) * nearness;
            let size = self.unit * (0.05 + 0.13 * nearness);
            let aisle = self.unit * (0.07 + 0.13 * nearness);
            for seat in 0..4 {
                let away = aisle + size * 0.62 * seat as f32;
                for side in [-1.0, 1.0] {
                    self.chair((middle + side * away, y), size, color);
                }
            }
        }
    }

    /// A wooden arch with cloth and flowers; `foot` is the middle between its posts.
    pub(super) fn arbor(&mut self, random: &mut Random, foot: Point, height: f32, wood: Color, flowers: &[Color]) {
        let (half, post) = (height * 0.36, height * 0.035);
        let top = foot.1 - height;
        for side in [-1.0, 1.0] {
            let x = foot.0 + side * half;
            self.stroke((x, foot.1), (x, top), post, wood);
            // Cloth falls in folds, narrower where it is tied.
            for fold in 0..5 {
                let inward = side * post * (0.6 + 1.15 * fold as f32);
                let color = WHITE.times(0.9 + 0.03 * (fold % 3) as f32);
                let points = [
                    (x - inward * 1.5, top + post),
                    (x - inward * 0.8, top + height * 0.5),
                    (x - inward * 1.1, foot.1),
                ];
                self.path(&points, post * 1.2, color);
            }
        }
        self.stroke((foot.0 - half * 1.12, top), (foot.0 + half * 1.12, top), post * 1.2, wood.times(0.92));
        for swag in hanging((foot.0 - half, top), (foot.0 + half, top), height * 0.1, 9).windows(2) {
            self.stroke(swag[0], swag[1], post * 1.8, WHITE.times(0.96));
        }
        self.bouquet(random, (foot.0 - half * 0.85, top + height * 0.04), height * 0.14, flowers);
        self.bouquet(random, (foot.0 + half * 0.9, top + height * 0.02), height * 0.1, flowers);
        self.bouquet(random, (foot.0 - half * 0.2, top - height * 0.01), height * 0.09, flowers);
        self.bouquet(random, (foot.0 + half, foot.1 - height * 0.04), height * 0.08, flowers);
    }

    /// A round table with a cloth to the floor; `middle` is the middle of its top.
    pub(super) fn round_table(
        &mut self,
        random: &mut Random,
        middle: Point,
        radius: f32,
        cloth: Color,
        flowers: &[Color],
    ) {
        let (flat, drop) = (radius * 0.32, radius * 0.75);
        self.oval((middle.0, middle.1 + drop), (radius * 1.12, flat * 1.2), rgb(0x14_0C_08), 0.4);
        let skirt = [
            (middle.0 - radius, middle.1),
            (middle.0 - radius * 0.94, middle.1 + drop),
            (middle.0 - radius * 0.5, middle.1 + drop + flat * 0.85),
            (middle.0 + radius * 0.5, middle.1 + drop + flat * 0.85),
            (middle.0 + radius * 0.94, middle.1 + drop),
            (middle.0 + radius, middle.1),
        ];
        self.fill(&skirt, 1.0, |x, _| {
            let fold = ((x - middle.0) / radius * 17.0).sin();
            cloth.times(0.72 + 0.07 * fold)
        });
        self.oval(middle, (radius, flat), cloth, 1.0);
        for place in 0..7 {
            let angle = place as f32 * std::f32::consts::TAU / 7.0;
            let plate = (middle.0 + angle.cos() * radius * 0.7, middle.1 + angle.sin() * flat * 0.7);
            self.oval(plate, (radius * 0.13, flat * 0.16), cloth.times(0.86), 1.0);
            self.oval(plate, (radius * 0.09, flat * 0.11), WHITE, 0.8);
        }
        let vase = radius * 0.28;
        self.stroke((middle.0, middle.1), (middle.0, middle.1 - vase * 1.4), radius * 0.07, rgb(0xC9_B0_7A));
        self.bouquet(random, (middle.0, middle.1 - vase * 1.9), radius * 0.34, flowers);
        for side in [-0.4, 0.45] {
            let candle = (middle.0 + side * radius, middle.1 - radius * 0.08);
            self.rectangle(
                (candle.0 - radius * 0.02, candle.1 - radius * 0.1),
                (candle.0 + radius * 0.02, candle.1 + radius * 0.06),
                WHITE,
            );
            self.glow((candle.0, candle.1 - radius * 0.14), radius * 0.3, rgb(0xFF_D0_80), 0.7);
        }
    }

    /// Bulbs on a line that hangs between two points.
    pub(super) fn string_lights(&mut self, from: Point, to: Point, sag: f32, bulbs: usize, size: f32) {
        let points = hanging(from, to, sag, bulbs);
        self.path(&points, (size * 0.22).max(1.0), rgb(0x2A_22_1E));
        for &point in &points {
            let bulb = (point.0, point.1 + size * 0.9);
            self.glow(bulb, size * 5.0, rgb(0xFF_C8_6A), 0.55);
            self.disc(bulb, size, rgb(0xFF_EE_C0), 1.0);
        }
    }
}
