//! Vectors distributed as CLIP's: in a cone, with cosines of .5 to .8 between kinds of images and more within a kind.

use fastrand::Rng;

/// Dimension of a vector.
const DIMENSION: usize = 512;
/// Distance of an image from the middle of its kind, relative to the middle's length: cosines are about .85.
const NOISE: f64 = 0.42;

/// A unit vector.
pub type Vector = Vec<f32>;

/// Kinds of images.
pub struct Geometry {
    random: Rng,
    middles: Vec<Vec<f64>>,
}

impl Geometry {
    /// Draws `kinds` kinds from a seed.
    pub fn new(seed: u64, kinds: usize) -> Self {
        let mut random = Rng::with_seed(seed);
        let common = direction(&mut random);
        let middles = (0..kinds)
            .map(|_| {
                // Cosine with the axis of the cone. The cosine of two kinds is about its square.
                let cosine = 0.72 + 0.16 * random.f64();
                let own = direction(&mut random);
                let sine = (1.0 - cosine * cosine).sqrt();
                normalised(common.iter().zip(own).map(|(common, own)| cosine * common + sine * own).collect())
            })
            .collect();
        Self { random, middles }
    }

    /// Draws an image of a kind.
    pub fn place(&mut self, kind: usize) -> Vector {
        let noise = direction(&mut self.random);
        let picture = self.middles[kind].iter().zip(noise).map(|(middle, noise)| middle + NOISE * noise).collect();
        normalised(picture).into_iter().map(|value| value as f32).collect()
    }
}

fn direction(random: &mut Rng) -> Vec<f64> {
    normalised((0..DIMENSION).map(|_| normal(random)).collect())
}

/// A normally distributed number by the Box-Muller transform.
fn normal(random: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.f64()).cos()
}

fn normalised(values: Vec<f64>) -> Vec<f64> {
    let norm = values.iter().map(|value| value * value).sum::<f64>().sqrt();
    values.into_iter().map(|value| value / norm).collect()
}
