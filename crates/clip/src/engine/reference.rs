//! candle-transformers' CLIP in f32: the reference for the fast kernels, and the engine for GPUs and other processors.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::clip::text_model::{Activation, ClipTextConfig};
use candle_transformers::models::clip::vision_model::ClipVisionConfig;
use candle_transformers::models::clip::{ClipConfig, ClipModel};

use super::weights::{self, Weights};
use super::{AtBreak, DeviceKind, Engine, ModelInfo, TextEngine, tokens};
use crate::architecture::Architecture;
use crate::error::{Error, Inner};
use crate::preprocess::SIDE;
use crate::tokenizer::{CONTEXT_LENGTH, VOCABULARY};
use crate::{DIMENSION, Embedding, Pixels};

/// Inputs of one pass. Eight are half as fast again as one; more gain nothing and take memory.
const BATCH: usize = 8;

struct Reference {
    info: ModelInfo,
    model: ClipModel,
    device: Device,
}

/// Reads the checkpoint at `path` and puts the model on the device.
///
/// # Errors
///
/// Those of [`weights::read`], and [`Unsupported`](crate::ErrorKind::Unsupported) if the device cannot be used.
pub(super) fn load(
    path: &Path,
    architecture: &Architecture,
    device: DeviceKind,
    info: ModelInfo,
) -> Result<Box<dyn Engine>, Error> {
    let device = open(device)?;
    let Weights { mut tensors, sha256 } = weights::read(path, architecture)?;
    let mut placed = HashMap::with_capacity(tensors.len());
    for (name, shape) in architecture.tensors() {
        let values = tensors.remove(&name).unwrap_or_default();
        placed.insert(name, Tensor::from_vec(values, shape, &device).map_err(forward)?);
    }
    // The library makes up a class embedding and a logit scale if they are missing; `weights::read` has refused such a file
    // before.
    let tensors = VarBuilder::from_tensors(placed, DType::F32, &device);
    let model = ClipModel::new(tensors, &configuration(architecture)).map_err(forward)?;
    let info = ModelInfo { weights_sha256: weights::hexadecimal(&sha256), ..info };
    Ok(Box::new(Reference { info, model, device }))
}

/// Opens a device. In a build without the device's feature, candle reports that.
fn open(device: DeviceKind) -> Result<Device, Error> {
    match device {
        DeviceKind::Cpu => Ok(Device::Cpu),
        DeviceKind::Cuda => Device::new_cuda(0),
        DeviceKind::Metal => Device::new_metal(0),
    }
    .map_err(|error| Inner::Device { device: device.name(), source: error.into() }.into())
}

impl Engine for Reference {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn embed_images_with_breaks(
        &mut self,
        images: &[Pixels],
        at_break: &mut AtBreak<'_>,
    ) -> Result<Vec<Embedding>, Error> {
        let mut embeddings = Vec::with_capacity(images.len());
        for (index, batch) in images.chunks(BATCH).enumerate() {
            if index > 0 {
                at_break(self);
            }
            let pixels: Vec<f32> = batch.iter().flat_map(Pixels::as_slice).copied().collect();
            let features = Tensor::from_vec(pixels, (batch.len(), 3, SIDE, SIDE), &self.device)
                .and_then(|pixels| self.model.get_image_features(&pixels));
            embeddings.extend(normalised(features)?);
        }
        Ok(embeddings)
    }
}

impl TextEngine for Reference {
    /// The weights are in memory that no other process can write.
    fn is_current(&self) -> bool {
        true
    }

    fn embed_texts(&mut self, texts: &[Vec<u32>]) -> Result<Vec<Embedding>, Error> {
        let texts = tokens::checked(texts)?;
        // Only texts of one length share a pass: padding a short one costs up to three times its own work.
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|&index| texts[index].len());
        let mut embeddings = Vec::with_capacity(texts.len());
        let of_one_length = order.chunk_by(|&left, &right| texts[left].len() == texts[right].len());
        for batch in of_one_length.flat_map(|alike| alike.chunks(BATCH)) {
            let length = texts[batch[0]].len();
            let tokens: Vec<u32> = batch.iter().flat_map(|&index| texts[index]).copied().collect();
            let features = Tensor::from_vec(tokens, (batch.len(), length), &self.device)
                .and_then(|tokens| self.model.get_text_features(&tokens));
            embeddings.extend(batch.iter().copied().zip(normalised(features)?));
        }
        embeddings.sort_by_key(|&(index, _)| index);
        Ok(embeddings.into_iter().map(|(_, embedding)| embedding).collect())
    }
}

/// The rows of `[n, 512]` features, scaled to unit length.
fn normalised(features: candle_core::Result<Tensor>) -> Result<Vec<Embedding>, Error> {
    let rows = features.and_then(|features| features.to_vec2::<f32>()).map_err(forward)?;
    rows.iter().map(|features| Embedding::normalised(features)).collect()
}

/// After the checks of shapes and tokens, an error of candle is a bug or a lack of memory.
fn forward(error: candle_core::Error) -> Error {
    Inner::Forward(error.into()).into()
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
