//! Vectors that lie as CLIP's do: in a cone, kinds of pictures at cosines of .5 to .8, pictures of a kind closer.

use fastrand::Rng;

/// Numbers of a vector.
const DIMENSION: usize = 512;
/// How far pictures of one kind are from its middle, as a share of the middle's length: their cosines are about .85.
const NOISE: f64 = 0.42;

/// A unit vector.
pub type Vector = Vec<f32>;

/// Kinds of pictures.
pub struct Geometry {
    random: Rng,
    middles: Vec<Vec<f64>>,
}

impl Geometry {
    /// The same for the same seed.
    pub fn new(seed: u64, kinds: usize) -> Self {
        let mut random = Rng::with_seed(seed);
        let common = direction(&mut random);
        let middles = (0..kinds)
            .map(|_| {
                // Cosine with the axis of the cone: two kinds have about its square.
                let cosine = 0.72 + 0.16 * random.f64();
                let own = direction(&mut random);
                let sine = (1.0 - cosine * cosine).sqrt();
                normalised(common.iter().zip(own).map(|(common, own)| cosine * common + sine * own).collect())
            })
            .collect();
        Self { random, middles }
    }

    /// Another picture of a kind.
    pub fn place(&mut self, kind: usize) -> Vector {
        let noise = direction(&mut self.random);
        let picture = self.middles[kind].iter().zip(noise).map(|(middle, noise)| middle + NOISE * noise).collect();
        normalised(picture).into_iter().map(|value| value as f32).collect()
    }
}

fn direction(random: &mut Rng) -> Vec<f64> {
    normalised((0..DIMENSION).map(|_| normal(random)).collect())
}

/// Box and Muller's transform.
fn normal(random: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.f64()).cos()
}

fn normalised(values: Vec<f64>) -> Vec<f64> {
    let norm = values.iter().map(|value| value * value).sum::<f64>().sqrt();
    values.into_iter().map(|value| value / norm).collect()
}
