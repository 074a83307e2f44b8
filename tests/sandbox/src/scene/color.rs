//! Colours, in sRGB, 0 to 255 per channel.

use crate::random::Random;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Color {
    pub(super) red: f32,
    pub(super) green: f32,
    pub(super) blue: f32,
}

/// `0xRRGGBB`.
pub(super) const fn rgb(hex: u32) -> Color {
    Color { red: ((hex >> 16) & 0xFF) as f32, green: ((hex >> 8) & 0xFF) as f32, blue: (hex & 0xFF) as f32 }
}

pub(super) const WHITE: Color = rgb(0xFF_FF_FF);
pub(super) const BLACK: Color = rgb(0x00_00_00);

impl Color {
    /// This colour at 0, the other at 1.
    pub(super) fn mix(self, other: Self, share: f32) -> Self {
        Self {
            red: self.red + (other.red - self.red) * share,
            green: self.green + (other.green - self.green) * share,
            blue: self.blue + (other.blue - self.blue) * share,
        }
    }

    /// Brighter above 1, darker below.
    pub(super) fn times(self, factor: f32) -> Self {
        Self { red: self.red * factor, green: self.green * factor, blue: self.blue * factor }
    }

    /// Moved a little in hue and brightness, by up to `amount` per channel.
    pub(super) fn vary(self, random: &mut Random, amount: f32) -> Self {
        let all = random.range(-amount, amount);
        let mut channel = |value: f32| (value + all + random.range(-amount, amount) / 2.0).clamp(0.0, 255.0);
        Self { red: channel(self.red), green: channel(self.green), blue: channel(self.blue) }
    }
}

/// Interpolates between colours at ascending positions in 0..=1.
pub(super) fn gradient(stops: &[(f32, Color)], place: f32) -> Color {
    let mut before = stops[0];
    for &stop in stops {
        if place <= stop.0 {
            let width = stop.0 - before.0;
            let share = if width > 0.0 { (place - before.0) / width } else { 1.0 };
            return before.1.mix(stop.1, share.clamp(0.0, 1.0));
        }
        before = stop;
    }
    before.1
}
