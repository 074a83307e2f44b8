//! The model behind a small interface.

mod options;
mod reference;
mod weights;

use std::path::Path;

pub use options::{Kernels, Options, Precision, UnknownName};
use reference::Reference;

use crate::architecture::Architecture;
use crate::error::{Error, Inner};
use crate::{Embedding, Pixels};

pub(crate) const CONFIG_FILE: &str = "config.json";
pub(crate) const WEIGHTS_FILE: &str = "model.safetensors";

/// Which model an embedding came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    /// The name in the model's `config.json`, or that of its directory.
    pub name: String,
    /// SHA-256 of `model.safetensors`, 64 lower-case hexadecimal digits.
    pub weights_sha256: String,
    /// Precision of the arithmetic: `f32`, `bf16`, or `int8` with the size of its groups.
    pub precision: String,
    /// Which code multiplies matrices. The same precision gives the same vectors up to rounding on each.
    pub kernels: Kernels,
    /// [`PREPROCESSING`](crate::PREPROCESSING).
    pub preprocessing: String,
    /// Length of an embedding.
    pub dimension: usize,
}

/// A loaded CLIP model. Owned by one thread; an engine may keep scratch memory between calls.
pub trait Engine: Send {
    /// Which model this is.
    fn info(&self) -> &ModelInfo;

    /// One embedding per picture, in order. A batch gives what its members give alone, up to rounding.
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
/// be read, [`ModelInvalid`](crate::ErrorKind::ModelInvalid) if it is not that of such a model,
/// [`Unsupported`](crate::ErrorKind::Unsupported) if the processor has no kernels for the precision.
pub fn load(directory: &Path, options: &Options) -> Result<Box<dyn Engine>, Error> {
    let path = directory.join(CONFIG_FILE);
    let json = std::fs::read(&path).map_err(|error| Error::reading(&path, error))?;
    let architecture = Architecture::from_json(&json).map_err(|reason| Inner::Config { path, reason })?;
    let name = architecture.name.clone().unwrap_or_else(|| directory_name(directory));
    if !matches!(options.precision, Precision::Auto | Precision::F32) {
        return Err(Inner::Unsupported { precision: options.precision.name(), needed: "kernels of its own" }.into());
    }
    let engine = Reference::load(name, &directory.join(WEIGHTS_FILE), &architecture)?;
    Ok(Box::new(engine))
}

fn directory_name(directory: &Path) -> String {
    directory.file_name().map_or_else(|| "clip".to_owned(), |name| name.to_string_lossy().into_owned())
}
