//! Skies: colours of an hour of the day, clouds, a sun.

use super::canvas::{Canvas, Point};
use super::color::{Color, WHITE, rgb};
use super::noise::Noise;
use crate::random::Random;

/// An hour of the day.
pub(super) struct Sky {
    /// Overhead.
    pub(super) high: Color,
    /// At the horizon.
    pub(super) low: Color,
    /// Of clouds.
    pub(super) cloud: Color,
    /// Of the sun and what it touches.
    pub(super) sun: Color,
}

pub(super) fn noon() -> Sky {
    Sky { high: rgb(0x4F_95_D6), low: rgb(0xCF_E6_F4), cloud: WHITE, sun: rgb(0xFF_FB_E6) }
}

pub(super) fn golden() -> Sky {
    Sky { high: rgb(0x86_A9_CE), low: rgb(0xFC_DD_AE), cloud: rgb(0xFF_EC_D2), sun: rgb(0xFF_EE_B8) }
}

pub(super) fn sunset() -> Sky {
    Sky { high: rgb(0x6C_7F_B8), low: rgb(0xFD_B7_88), cloud: rgb(0xF7_A8_9C), sun: rgb(0xFF_E3_A6) }
}

pub(super) fn overcast() -> Sky {
    Sky { high: rgb(0xA9_BD_CC), low: rgb(0xE4_E9_EA), cloud: rgb(0xF4_F6_F6), sun: rgb(0xFA_FA_F2) }
}

impl Sky {
    /// Paints it down to the horizon.
    pub(super) fn paint(&self, canvas: &mut Canvas, random: &mut Random, horizon: f32, clouds: f32) {
        let middle = self.high.mix(self.low, 0.55);
        canvas.gradient(0.0, horizon + 1.0, &[(0.0, self.high), (0.6, middle), (1.0, self.low)]);
        if clouds <= 0.0 {
            return;
        }
        let noise = Noise::new(random);
        let cover = random.range(-0.15, 0.25) + clouds - 0.5;
        let (width, unit) = (canvas.width, canvas.unit);
        canvas.paint((0.0, 0.0), (width, horizon), |x, y| {
            // Clouds lie flatter and closer together towards the horizon.
            let nearness = 1.0 - y / horizon;
            let scale = 70.0 / unit * (1.6 - nearness);
            let density = noise.at(x * scale, y * scale * 2.6) + cover;
            (self.cloud, (density * 0.9).clamp(0.0, 0.8) * (0.35 + 0.65 * nearness))
        });
    }

    /// A sun with its halo.
    pub(super) fn sun(&self, canvas: &mut Canvas, place: Point, size: f32) {
        canvas.glow(place, size * 9.0, self.sun, 0.55);
        canvas.glow(place, size * 3.0, self.sun, 0.7);
        canvas.disc(place, size, self.sun.mix(WHITE, 0.6), 0.95);
    }
}
