//! candle-transformers' CLIP on the CPU in f32: right to the last digit everywhere, fast nowhere in particular.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::clip::text_model::{Activation, ClipTextConfig};
use candle_transformers::models::clip::vision_model::ClipVisionConfig;
use candle_transformers::models::clip::{ClipConfig, ClipModel};

use super::weights::{self, Weights};
use super::{Engine, Kernels, ModelInfo};
use crate::architecture::Architecture;
use crate::error::{Error, Inner};
use crate::preprocess::SIDE;
use crate::tokenizer::{CONTEXT_LENGTH, END_OF_TEXT, VOCABULARY};
use crate::{DIMENSION, Embedding, PREPROCESSING, Pixels};

/// Inputs of one pass. Eight give this engine half as much again as one; more gives nothing and costs memory.
const BATCH: usize = 8;

pub(super) struct Reference {
    info: ModelInfo,
    model: ClipModel,
}

impl Reference {
    pub(super) fn load(name: String, path: &Path, architecture: &Architecture) -> Result<Self, Error> {
        let Weights { tensors, sha256 } = weights::read(path, architecture)?;
        // The library makes up a class embedding and a logit scale where it finds none; `weights::read` has refused such a
        // file before it comes to that.
        let tensors = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
        let model = ClipModel::new(tensors, &configuration(architecture)).map_err(Inner::forward)?;
        let info = ModelInfo {
            name,
            weights_sha256: sha256,
            precision: "f32".to_owned(),
            kernels: Kernels::Candle,
            preprocessing: PREPROCESSING.to_owned(),
            dimension: DIMENSION,
        };
        Ok(Self { info, model })
    }

    fn image_batch(&self, images: &[Pixels]) -> candle_core::Result<Vec<Vec<f32>>> {
        let values: Vec<f32> = images.iter().flat_map(|image| image.as_slice()).copied().collect();
        let input = Tensor::from_vec(values, (images.len(), 3, SIDE, SIDE), &Device::Cpu)?;
        self.model.get_image_features(&input)?.to_vec2()
    }

    /// `texts` are of one length.
    fn text_batch(&self, texts: &[&[u32]]) -> candle_core::Result<Vec<Vec<f32>>> {
        let input = Tensor::from_vec(texts.concat(), (texts.len(), texts[0].len()), &Device::Cpu)?;
        self.model.get_text_features(&input)?.to_vec2()
    }
}

impl Engine for Reference {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn embed_images(&mut self, images: &[Pixels]) -> Result<Vec<Embedding>, Error> {
        let mut embeddings = Vec::with_capacity(images.len());
        for batch in images.chunks(BATCH) {
            for features in self.image_batch(batch).map_err(Inner::forward)? {
                embeddings.push(Embedding::normalised(&features)?);
            }
        }
        Ok(embeddings)
    }

    fn embed_texts(&mut self, texts: &[Vec<u32>]) -> Result<Vec<Embedding>, Error> {
        let texts: Vec<&[u32]> = texts.iter().map(|text| until_end(text)).collect::<Result<_, _>>()?;
        // One pass takes texts of one length: padding a short text costs up to three times its own work.
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|&index| texts[index].len());

        let mut embeddings: Vec<(usize, Embedding)> = Vec::with_capacity(texts.len());
        for alike in order.chunk_by(|&left, &right| texts[left].len() == texts[right].len()) {
            for batch in alike.chunks(BATCH) {
                let tokens: Vec<&[u32]> = batch.iter().map(|&index| texts[index]).collect();
                let features = self.text_batch(&tokens).map_err(Inner::forward)?;
                for (&index, features) in batch.iter().zip(features) {
                    embeddings.push((index, Embedding::normalised(&features)?));
                }
            }
        }
        embeddings.sort_by_key(|&(index, _)| index);
        Ok(embeddings.into_iter().map(|(_, embedding)| embedding).collect())
    }
}

/// The tokens up to the first end mark, where the features are taken. Cutting the rest is exact under the causal mask, and
/// leaves the mark as the one largest id, which is what the library looks for.
fn until_end(tokens: &[u32]) -> Result<&[u32], Error> {
    let refused = |reason: String| -> Error { Inner::Tokens { reason }.into() };
    let end = tokens
        .iter()
        .position(|&token| token == END_OF_TEXT)
        .ok_or_else(|| refused(format!("none of the {} tokens is the end mark", tokens.len())))?;
    let tokens = &tokens[..=end];
    if tokens.len() > CONTEXT_LENGTH {
        return Err(refused(format!("{} tokens, more than {CONTEXT_LENGTH}", tokens.len())));
    }
    if let Some(unknown) = tokens.iter().find(|&&token| token as usize >= VOCABULARY) {
        return Err(refused(format!("token {unknown} of a vocabulary of {VOCABULARY}")));
    }
    Ok(tokens)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn a_text_ends_at_its_first_end_mark() {
        assert_eq!(until_end(&[49406, 320, 49407, 49407, 0]).unwrap(), [49406, 320, 49407]);
    }

    #[test]
    fn tokens_of_no_text_are_refused() {
        for tokens in [vec![], vec![49406, 320], [vec![320; 77], vec![END_OF_TEXT]].concat(), vec![49_408, END_OF_TEXT]]
        {
            assert_eq!(until_end(&tokens).unwrap_err().kind(), ErrorKind::Inference);
        }
    }
}
