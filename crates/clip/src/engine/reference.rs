//! candle-transformers' CLIP in f32: right to the last digit everywhere, and where a graphics processor is used.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::clip::text_model::{Activation, ClipTextConfig};
use candle_transformers::models::clip::vision_model::ClipVisionConfig;
use candle_transformers::models::clip::{ClipConfig, ClipModel};

use super::towers::Towers;
use super::weights::{self, Weights};
use crate::DIMENSION;
use crate::architecture::Architecture;
use crate::error::{Error, Inner};
use crate::preprocess::SIDE;
use crate::tokenizer::{CONTEXT_LENGTH, VOCABULARY};

pub(super) struct Reference {
    model: ClipModel,
}

impl Reference {
    /// Puts the model together on `device`; also gives the SHA-256 of the checkpoint.
    pub(super) fn load(path: &Path, architecture: &Architecture, device: &Device) -> Result<(Self, [u8; 32]), Error> {
        let Weights { mut tensors, sha256 } = weights::read(path, architecture)?;
        let mut placed = HashMap::with_capacity(tensors.len());
        for (name, shape) in architecture.tensors() {
            let values = tensors.remove(&name).unwrap_or_default();
            placed.insert(name, Tensor::from_vec(values, shape, device).map_err(Inner::forward)?);
        }
        // The library makes up a class embedding and a logit scale where it finds none; `weights::read` has refused such a
        // file before it comes to that.
        let tensors = VarBuilder::from_tensors(placed, DType::F32, device);
        let model = ClipModel::new(tensors, &configuration(architecture)).map_err(Inner::forward)?;
        Ok((Self { model }, sha256))
    }
}

impl Towers for Reference {
    fn images(&self, pixels: &Tensor) -> candle_core::Result<Tensor> {
        self.model.get_image_features(pixels)
    }

    fn texts(&self, tokens: &Tensor) -> candle_core::Result<Tensor> {
        self.model.get_text_features(tokens)
    }

    /// Eight give this engine half as much again as one; more gives nothing and costs memory.
    fn at_once(&self) -> (usize, usize) {
        (8, 8)
    }

    /// Padding a short text costs up to three times its own work.
    fn mixes_lengths(&self) -> bool {
        false
    }

    /// They are in memory of their own.
    fn is_current(&self) -> bool {
        true
    }
}

fn configuration(architecture: &Architecture) -> ClipConfig {
    let Architecture { text, vision, patch, .. } = architecture;
    ClipConfig {
        text_config: ClipTextConfig {
            vocab_size: VOCABULARY,
            embed_dim: text.hidden,
            activation: Activation::QuickGelu,
            intermediate_size: text.intermediate,
            max_position_embeddings: CONTEXT_LENGTH,
            pad_with: None,
            num_hidden_layers: text.layers,
            num_attention_heads: text.heads,
            projection_dim: DIMENSION,
        },
        vision_config: ClipVisionConfig {
            embed_dim: vision.hidden,
            activation: Activation::QuickGelu,
            intermediate_size: vision.intermediate,
            num_hidden_layers: vision.layers,
            num_attention_heads: vision.heads,
            projection_dim: DIMENSION,
            num_channels: 3,
            image_size: SIDE,
            patch_size: *patch,
        },
        // Scales similarities in training; features do not depend on it.
        logit_scale_init_value: 2.6592,
        image_size: SIDE,
    }
}
