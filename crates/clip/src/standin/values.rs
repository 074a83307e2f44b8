//! The numbers of the stand-in: the same on every machine.
//!
//! Bits come from ChaCha8, keyed by the seed, one stream per tensor. A bell-shaped number is the sum of four 16-bit integers
//! (Irwin-Hall, within 4.5 % of the normal curve everywhere) times one f32 scale: integer additions and a single IEEE
//! multiplication, no logarithm or cosine whose last bit would depend on the platform's mathematics library.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::architecture::{Architecture, Tower};

/// Standard deviation of the mean of a patch filter's colour plane. White noise alone hardly responds to an even colour, as
/// the filters of a trained model do. With this mean the stand-in ranks by colour first and texture second.
const TINT: f64 = 0.01;

/// Factor of linear and patch weights over those of a fresh model, so that attention and perceptrons affect the result.
const ACTIVITY: f64 = 3.5;

/// Standard deviation of every bias.
const BIAS: f64 = 0.05;

/// Standard deviation of layer norm gains around 1.
const GAIN: f64 = 0.2;

/// Channels of each layer norm whose gain is multiplied. Trained models have such outliers, which are hard for reduced
/// precision.
const OUTLIERS: usize = 6;
const OUTLIER_FACTOR: f32 = 6.0;

/// Standard deviation of the embeddings of tokens, positions and patches in a fresh model.
const INITIALIZER_RANGE: f64 = 0.02;

/// In a fresh CLIP e^2.6592 = 1 / 0.07.
const LOGIT_SCALE: f32 = 2.6592;

/// How one tensor is filled.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Recipe {
    Constant(f32),
    /// Around 0 with this standard deviation.
    Bell(f64),
    /// Around 1, with outliers.
    Gain,
    /// Patch filters: around 0, each plane of `area` weights around a separate mean.
    Filters {
        area: usize,
    },
}

/// The numbers of one tensor, in row-major order.
pub(super) struct Values {
    random: ChaCha8Rng,
    recipe: Recipe,
    /// Numbers generated so far.
    position: usize,
    /// Channels of a layer norm that get [`OUTLIER_FACTOR`].
    outliers: Vec<usize>,
    /// Means of the planes of patch filters.
    tints: Vec<f32>,
    bytes: Vec<u8>,
}

impl Values {
    /// For the tensor `name` of `length` numbers; `stream` is its place in [`Architecture::tensors`].
    pub(super) fn new(architecture: &Architecture, name: &str, length: usize, seed: u64, stream: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let mut random = ChaCha8Rng::from_seed(key);
        random.set_stream(stream);
        let mut values = Self {
            random,
            recipe: recipe(architecture, name),
            position: 0,
            outliers: vec![],
            tints: vec![],
            bytes: vec![],
        };
        match values.recipe {
            Recipe::Gain => {
                let mut channel = || (values.random.next_u64() % length as u64) as usize;
                values.outliers = (0..OUTLIERS).map(|_| channel()).collect();
            }
            Recipe::Filters { area } => {
                let mut tints = vec![0.0; length / area];
                values.bell(&mut tints, TINT);
                values.tints = tints;
            }
            Recipe::Constant(_) | Recipe::Bell(_) => {}
        }
        values
    }

    /// Fills `block` with the next numbers.
    pub(super) fn next_block(&mut self, block: &mut [f32]) {
        match self.recipe {
            Recipe::Constant(value) => block.fill(value),
            Recipe::Bell(deviation) => self.bell(block, deviation),
            Recipe::Gain => {
                self.bell(block, GAIN);
                for (channel, gain) in (self.position..).zip(block.iter_mut()) {
                    *gain += 1.0;
                    if self.outliers.contains(&channel) {
                        *gain *= OUTLIER_FACTOR;
                    }
                }
            }
            Recipe::Filters { area } => {
                self.bell(block, ACTIVITY * INITIALIZER_RANGE);
                for (index, weight) in (self.position..).zip(block.iter_mut()) {
                    *weight += self.tints[index / area];
                }
            }
        }
        self.position += block.len();
    }

    fn bell(&mut self, block: &mut [f32], deviation: f64) {
        // The sum of four uniform integers from 0 to 65535 has mean 131070 and variance 4 (65536^2 - 1) / 12.
        let scale = (deviation * f64::sqrt(3.0 / (65_536.0 * 65_536.0 - 1.0))) as f32;
        self.bytes.resize(8 * block.len(), 0);
        self.random.fill_bytes(&mut self.bytes);
        let (words, _) = self.bytes.as_chunks::<8>();
        for (value, word) in block.iter_mut().zip(words) {
            let (halves, _) = word.as_chunks::<2>();
            let sum: i32 = halves.iter().map(|&half| i32::from(u16::from_le_bytes(half))).sum();
            // At most 18 bits: exact in f32.
            *value = (sum - 131_070) as f32 * scale;
        }
    }
}

/// The deviations are those of transformers' `CLIPPreTrainedModel._init_weights`, times [`ACTIVITY`].
fn recipe(architecture: &Architecture, name: &str) -> Recipe {
    let tower: &Tower = if name.starts_with("text") { &architecture.text } else { &architecture.vision };
    let hidden = tower.hidden as f64;
    let depth = 2.0 * tower.layers as f64;
    let weight = |deviation: f64| Recipe::Bell(ACTIVITY * deviation);

    if name == "logit_scale" {
        return Recipe::Constant(LOGIT_SCALE);
    }
    let Some(module) = name.strip_suffix(".weight") else {
        // A bias, or the class embedding.
        return Recipe::Bell(if name.ends_with("class_embedding") { 1.0 / hidden.sqrt() } else { BIAS });
    };
    match module.rsplit('.').next().unwrap_or(module) {
        "q_proj" | "k_proj" | "v_proj" | "fc2" => weight(1.0 / (hidden * depth).sqrt()),
        "fc1" => weight(1.0 / (2.0 * hidden).sqrt()),
        "out_proj" | "visual_projection" | "text_projection" => weight(1.0 / hidden.sqrt()),
        "patch_embedding" => Recipe::Filters { area: architecture.patch.pow(2) },
        "token_embedding" | "position_embedding" => Recipe::Bell(INITIALIZER_RANGE),
        // layer_norm1, layer_norm2, pre_layrnorm, post_layernorm, final_layer_norm
        _ => Recipe::Gain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standin::Size;

    fn numbers(name: &str, length: usize, block: usize) -> Vec<f32> {
        let mut values = Values::new(&Size::Tiny.architecture(7), name, length, 7, 3);
        let mut numbers = vec![0.0; length];
        for block in numbers.chunks_mut(block) {
            values.next_block(block);
        }
        numbers
    }

    #[test]
    fn bits_are_the_same_on_every_machine() {
        let bits: Vec<u32> = numbers("visual_projection.weight", 4, 4).iter().map(|value| value.to_bits()).collect();
        assert_eq!(bits, EXPECTED_BITS);
    }

    /// 0.1875, 0.3041, 0.3683, 0.0336.
    const EXPECTED_BITS: [u32; 4] = [1_044_383_440, 1_050_392_124, 1_052_544_892, 1_024_052_935];

    #[test]
    fn blocks_do_not_change_the_numbers() {
        for name in ["text_model.final_layer_norm.weight", "visual_projection.weight"] {
            assert_eq!(numbers(name, 512, 512), numbers(name, 512, 64));
        }
    }

    #[test]
    fn deviation_is_the_one_asked_for() {
        let numbers = numbers("text_model.embeddings.token_embedding.weight", 100_000, 1_000);
        let variance = numbers.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>() / 1e5;
        let deviation = variance.sqrt();
        assert!((deviation / INITIALIZER_RANGE - 1.0).abs() < 0.01, "{deviation}");
    }

    #[test]
    fn a_norm_has_outliers() {
        let gains = numbers("vision_model.pre_layrnorm.weight", 128, 128);
        let outliers = gains.iter().filter(|gain| **gain > 3.0).count();
        assert!((1..=OUTLIERS).contains(&outliers), "{outliers}");
    }
}
