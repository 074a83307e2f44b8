//! Content and size of an image, derived from its key.

use super::World;
use super::identity::PictureKey;
use super::pin::{family, salt, slot};
use crate::config::ImageRules;
use crate::faults::PictureFormat;
use crate::random::mix;
use crate::scene::Family;

/// An uploaded image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Picture {
    pub(crate) family: Family,
    pub(crate) seed: u64,
    pub(crate) width: u32,
    /// Even, so that it can be halved.
    pub(crate) height: u32,
    pub(crate) format: PictureFormat,
}

/// Width of uploaded images, the largest that is served.
pub(crate) const WIDTH: u32 = 1200;

/// Heights at [`WIDTH`]: two thirds are 2:3, which Pinterest recommends; the others 4:5, 3:4, 1:1, 9:16 and 3:2.
const HEIGHTS: [u32; 15] = [1800, 1800, 1800, 1800, 1800, 1800, 1800, 1800, 1800, 1800, 1500, 1600, 1200, 2134, 800];

impl Picture {
    pub(crate) fn derive(world: &World, key: PictureKey, rules: &ImageRules) -> Self {
        let pin = key.pin;
        let family = family(world, pin);
        let own = mix(&[world.seed, 40, u64::from(pin.board), pin.serial, u64::from(key.item)]);
        if let Some(pool) = rules.pool {
            return Self::pooled(family, own % u64::from(pool));
        }
        let mix = &world.home(pin).spec.formats;
        let place = slot(world.seed, salt::FORMAT, pin);
        let format = if place < mix.png {
            PictureFormat::Png
        } else if place < mix.png + mix.webp {
            PictureFormat::Webp
        } else {
            PictureFormat::Jpeg
        };
        Self { family, seed: own, width: WIDTH, height: HEIGHTS[(own >> 8) as usize % HEIGHTS.len()], format }
    }

    /// An image of the pool for benchmarks, 2:3 and JPEG.
    pub(crate) fn pooled(family: Family, seed: u64) -> Self {
        Self { family, seed, width: WIDTH, height: 1800, format: PictureFormat::Jpeg }
    }

    /// A frame of a video: 9:16 and JPEG.
    pub(crate) fn video_frame(self) -> Self {
        Self { width: 720, height: 1280, format: PictureFormat::Jpeg, ..self }
    }
}
