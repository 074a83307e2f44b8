//! Images drawn by code: families of places that look clearly different. Within a family, each seed has its image.

mod ballroom;
mod barn;
mod beach;
mod canvas;
mod color;
mod furniture;
mod garden;
mod noise;
mod plants;
mod shapes;
mod sky;

use std::fmt;
use std::str::FromStr;

use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::random::{Random, mix};
use canvas::Canvas;

/// The scene of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Sky, sea with foam, sand, an arch.
    Beach,
    /// A red barn in a field.
    Barn,
    /// A warm hall: chandeliers, drapes, round tables.
    Ballroom,
    /// Hedges and flowers along a path.
    Garden,
}

impl Family {
    /// All families.
    pub const ALL: [Self; 4] = [Self::Beach, Self::Barn, Self::Ballroom, Self::Garden];

    /// Name in lower case, which [`FromStr`] accepts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Beach => "beach",
            Self::Barn => "barn",
            Self::Ballroom => "ballroom",
            Self::Garden => "garden",
        }
    }

    /// The approximate main colour of its images.
    pub(crate) fn tint(self) -> [u8; 3] {
        match self {
            Self::Beach => [158, 190, 196],
            Self::Barn => [140, 110, 80],
            Self::Ballroom => [120, 72, 40],
            Self::Garden => [96, 140, 72],
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The name of a family is unknown.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown family of images {0:?}")]
pub struct UnknownFamily(String);

impl FromStr for Family {
    type Err = UnknownFamily;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|family| family.name() == name).ok_or_else(|| UnknownFamily(name.to_string()))
    }
}

/// Draws an image, the same for the same arguments.
///
/// The sides must not be 0. Scenes fit any aspect ratio and look best at 2:3.
pub fn draw(family: Family, seed: u64, width: u32, height: u32) -> RgbImage {
    // Painting at half size is four times as fast. Large images are viewed scaled down, and the grain hides the
    // enlargement.
    let halves = width.min(height) > LARGE;
    let mut canvas =
        if halves { Canvas::new(width.div_ceil(2), height.div_ceil(2)) } else { Canvas::new(width, height) };
    let seed = mix(&[seed, family as u64]);
    let random = &mut Random::new(seed);
    match family {
        Family::Beach => beach::paint(&mut canvas, random),
        Family::Barn => barn::paint(&mut canvas, random),
        Family::Ballroom => ballroom::paint(&mut canvas, random),
        Family::Garden => garden::paint(&mut canvas, random),
    }
    if halves {
        canvas = canvas.enlarge(width, height);
    }
    canvas.finish(seed, GRAIN, VIGNETTE);
    canvas.into_image()
}

/// Shorter side, in pixels, above which an image is painted at half its size.
const LARGE: u32 = 900;
/// Strength of the film grain, out of 256.
const GRAIN: f32 = 3.0;
/// Darkening of the corners, from 0 to 1.
const VIGNETTE: f32 = 0.22;
