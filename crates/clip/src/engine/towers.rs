//! What every implementation of a model gives, and what is done alike with it.

use candle_core::{Device, Tensor};

use super::{Engine, ModelInfo};
use crate::error::{Error, Inner};
use crate::preprocess::SIDE;
use crate::tokenizer::{CONTEXT_LENGTH, END_OF_TEXT, VOCABULARY};
use crate::{Embedding, Pixels};

/// The two towers of a model: candle's tensors in, candle's tensors out.
pub(super) trait Towers: Send {
    /// The features of `[n, 3, 224, 224]` normalised pixels, f32: `[n, 512]`, not of unit length.
    fn images(&self, pixels: &Tensor) -> candle_core::Result<Tensor>;

    /// The features of `[n, length]` tokens, u32, each row with an end mark and nothing but end marks after it: `[n, 512]`,
    /// not of unit length.
    fn texts(&self, tokens: &Tensor) -> candle_core::Result<Tensor>;

    /// Pictures and texts of one pass, beyond which a larger batch gains nothing and costs memory.
    fn at_once(&self) -> (usize, usize);

    /// Whether texts of different lengths cost no more together than alone.
    fn mixes_lengths(&self) -> bool;

    /// Whether the weights are those that were loaded.
    fn is_current(&self) -> bool;
}

/// An engine made of two towers.
pub(super) struct Model<T> {
    pub(super) info: ModelInfo,
    pub(super) towers: T,
    pub(super) device: Device,
}

impl<T: Towers> Model<T> {
    fn normalised(features: &Tensor, into: &mut Vec<Embedding>) -> Result<(), Error> {
        for features in features.to_vec2::<f32>().map_err(Inner::forward)? {
            into.push(Embedding::normalised(&features)?);
        }
        Ok(())
    }
}

impl<T: Towers> Engine for Model<T> {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn is_current(&self) -> bool {
        self.towers.is_current()
    }

    fn embed_images(&mut self, images: &[Pixels]) -> Result<Vec<Embedding>, Error> {
        let mut embeddings = Vec::with_capacity(images.len());
        for batch in images.chunks(self.towers.at_once().0) {
            let mut pixels = Vec::with_capacity(batch.len() * 3 * SIDE * SIDE);
            for image in batch {
                pixels.extend_from_slice(image.as_slice());
            }
            let features = Tensor::from_vec(pixels, (batch.len(), 3, SIDE, SIDE), &self.device)
                .and_then(|pixels| self.towers.images(&pixels))
                .map_err(Inner::forward)?;
            Self::normalised(&features, &mut embeddings)?;
        }
        Ok(embeddings)
    }

    fn embed_texts(&mut self, texts: &[Vec<u32>]) -> Result<Vec<Embedding>, Error> {
        let texts: Vec<&[u32]> = texts.iter().map(|text| checked(text)).collect::<Result<_, _>>()?;
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|&index| texts[index].len());
        let together =
            |&left: &usize, &right: &usize| self.towers.mixes_lengths() || texts[left].len() == texts[right].len();

        let mut embeddings = Vec::with_capacity(texts.len());
        for batch in order.chunk_by(together).flat_map(|alike| alike.chunks(self.towers.at_once().1)) {
            let length = batch.iter().map(|&index| texts[index].len()).max().unwrap_or(0);
            let padded = |&index: &usize| {
                let padding = std::iter::repeat_n(END_OF_TEXT, length - texts[index].len());
                texts[index].iter().copied().chain(padding)
            };
            let tokens: Vec<u32> = batch.iter().flat_map(padded).collect();
            let features = Tensor::from_vec(tokens, (batch.len(), length), &self.device)
                .and_then(|tokens| self.towers.texts(&tokens))
                .map_err(Inner::forward)?;
            Self::normalised(&features, &mut embeddings)?;
        }
        let mut embeddings: Vec<(usize, Embedding)> = order.into_iter().zip(embeddings).collect();
        embeddings.sort_by_key(|&(index, _)| index);
        Ok(embeddings.into_iter().map(|(_, embedding)| embedding).collect())
    }
}

/// The tokens up to the first end mark, it included. Cutting the rest is exact under the causal mask: the features are taken
/// at that mark, which looks at nothing after it.
pub(super) fn until_end(tokens: &[u32]) -> &[u32] {
    let end = tokens.iter().position(|&token| token == END_OF_TEXT);
    &tokens[..end.map_or(tokens.len(), |end| end + 1)]
}

fn checked(tokens: &[u32]) -> Result<&[u32], Error> {
    let refused = |reason: String| -> Error { Inner::Tokens { reason }.into() };
    let tokens = until_end(tokens);
    if tokens.last() != Some(&END_OF_TEXT) {
        return Err(refused(format!("none of the {} tokens is the end mark", tokens.len())));
    }
    if tokens.len() > CONTEXT_LENGTH {
        return Err(refused(format!("{} tokens, more than {CONTEXT_LENGTH}", tokens.len())));
    }
    if let Some(unknown) = tokens.iter().find(|&&token| token as usize >= VOCABULARY) {
        return Err(refused(format!("token {unknown} of a vocabulary of {VOCABULARY}")));
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn a_text_ends_at_its_first_end_mark() {
        assert_eq!(checked(&[49406, 320, 49407, 49407, 0]).unwrap(), [49406, 320, 49407]);
    }

    #[test]
    fn tokens_of_no_text_are_refused() {
        for tokens in [vec![], vec![49406, 320], [vec![320; 77], vec![END_OF_TEXT]].concat(), vec![49_408, END_OF_TEXT]]
        {
            assert_eq!(checked(&tokens).unwrap_err().kind(), ErrorKind::Inference);
        }
    }
}
