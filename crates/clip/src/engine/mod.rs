//! The model behind a small interface, [`Engine`], which has two implementations:
//!
//! - `fast`: our kernels for x86-64 with AVX2 or AVX-512. Start at `fast/mod.rs`; `fast/variants.rs` lists the kernels.
//! - `reference`: candle-transformers on any processor or GPU, in builds with the feature `candle`.
//!
//! `options` is the caller's choice between them. `weights` reads a checkpoint, and `trust` refuses one that others can write.

mod fast;
pub mod fuzzing;
mod options;
#[cfg(feature = "candle")]
mod reference;
mod tokens;
mod trust;
mod weights;

use std::io::Read;
use std::path::{Path, PathBuf};

pub use options::{DeviceKind, Kernels, Options, Precision, UnknownName};

pub(crate) use weights::{Checkpoint, Weights, hexadecimal};

use crate::architecture::Architecture;
use crate::error::{Error, Inner};
use crate::{DIMENSION, Embedding, PREPROCESSING, Pixels};

pub(crate) const CONFIG_FILE: &str = "config.json";
pub(crate) const WEIGHTS_FILE: &str = "model.safetensors";

/// Largest configuration that is read, in bytes. The published one has 4,186.
const MAX_CONFIG: u64 = 1024 * 1024;

/// The model that made an embedding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    /// The name in the model's `config.json`, or that of its directory.
    pub name: String,
    /// SHA-256 of `model.safetensors`, 64 lower-case hexadecimal digits.
    pub weights_sha256: String,
    /// Precision of the arithmetic: `f32`, `bf16`, or `int8` with the size of its groups.
    pub precision: String,
    /// The code that multiplies matrices. With the same precision, all kernels return the same vectors up to rounding.
    pub kernels: Kernels,
    /// [`PREPROCESSING`](crate::PREPROCESSING).
    pub preprocessing: String,
    /// Length of an embedding.
    pub dimension: usize,
    /// What could be better about the way the model was loaded, in one sentence.
    pub notice: Option<String>,
}

/// What an engine can do within a pass of images, too, see [`Engine::embed_images_with_breaks`].
pub trait TextEngine {
    /// Whether the engine still computes with the weights it was loaded with. False after a process has written to the file
    /// that the weights are mapped from. In that case load the model again, and discard all results since the last time that
    /// this returned true.
    fn is_current(&self) -> bool;

    /// Returns one embedding per text, in order. A text is a result of [`Tokenizer::encode`](crate::Tokenizer::encode).
    ///
    /// # Errors
    ///
    /// [`Inference`](crate::ErrorKind::Inference).
    fn embed_texts(&mut self, texts: &[Vec<u32>]) -> Result<Vec<Embedding>, Error>;
}

/// Called in the breaks of a pass of images, on any thread.
pub type AtBreak<'a> = dyn FnMut(&mut dyn TextEngine) + Send + 'a;

/// A loaded CLIP model. One thread owns it; an engine may keep scratch memory between calls.
pub trait Engine: TextEngine + Send {
    /// Which model this is.
    fn info(&self) -> &ModelInfo;

    /// Returns one embedding per image, in order. The embedding of an image does not depend on the others, up to rounding.
    ///
    /// # Errors
    ///
    /// [`Inference`](crate::ErrorKind::Inference).
    fn embed_images(&mut self, images: &[Pixels]) -> Result<Vec<Embedding>, Error> {
        self.embed_images_with_breaks(images, &mut |_| ())
    }

    /// Like [`embed_images`](Self::embed_images), with breaks in which texts can be embedded that should not wait for the whole
    /// pass: after each layer of the fast kernels, and between batches of eight images of the reference engine. What
    /// `at_break` does changes no embedding of an image.
    ///
    /// # Errors
    ///
    /// [`Inference`](crate::ErrorKind::Inference).
    fn embed_images_with_breaks(
        &mut self,
        images: &[Pixels],
        at_break: &mut AtBreak<'_>,
    ) -> Result<Vec<Embedding>, Error>;
}

/// Loads `config.json` and `model.safetensors` from `directory`, in the layout of the transformers library.
///
/// The fast kernels compute on packed weights. These are stored in `model.{precision}.packed` beside the checkpoint if the
/// directory can be written; otherwise they are packed into private memory on every load, and [`ModelInfo::notice`] reports
/// it. The packed file and its checkpoint are checked by their SHA-256 the first time, and again whenever one of them was
/// written or replaced; `model.{precision}.packed.checked` records the check.
///
/// # Errors
///
/// [`ModelUntrusted`](crate::ErrorKind::ModelUntrusted) if users other than root and the user of this process may write a
/// file of the model or its directory,
/// [`ModelMissing`](crate::ErrorKind::ModelMissing) if a file does not exist, [`Io`](crate::ErrorKind::Io) if it cannot
/// be read, [`ModelInvalid`](crate::ErrorKind::ModelInvalid) if it does not belong to such a model,
/// [`Unsupported`](crate::ErrorKind::Unsupported) if the processor or this build has no kernels for the precision.
pub fn load(directory: &Path, options: &Options) -> Result<Box<dyn Engine>, Error> {
    let (architecture, checkpoint) = open(directory)?;
    let variant = variant(&architecture, options)?;
    let info = ModelInfo {
        name: architecture.name.clone().unwrap_or_else(|| directory_name(directory)),
        weights_sha256: String::new(),
        precision: variant.as_ref().map_or(Precision::F32.name(), |variant| variant.name).to_owned(),
        kernels: variant.as_ref().map_or(Kernels::Candle, |variant| variant.kernels),
        preprocessing: PREPROCESSING.to_owned(),
        dimension: DIMENSION,
        notice: None,
    };
    match variant {
        Some(variant) => fast::load(&variant, &checkpoint, &architecture, options.threads, info),
        #[cfg(feature = "candle")]
        None => reference::load(&checkpoint, &architecture, options.device, info),
        #[cfg(not(feature = "candle"))]
        None => Err(Inner::NoCandle.into()),
    }
}

/// Packs the weights of the model in `directory` as [`load`] with the same options would, even if they are packed already.
/// Returns the path of the packed file, or `None` if the engine does not pack weights.
///
/// # Errors
///
/// Those of [`load`], and [`Io`](crate::ErrorKind::Io) if the file cannot be written.
pub fn pack(directory: &Path, options: &Options) -> Result<Option<PathBuf>, Error> {
    let (architecture, checkpoint) = open(directory)?;
    let variant = variant(&architecture, options)?;
    variant.map(|variant| fast::write(&variant, &checkpoint, &architecture)).transpose()
}

/// Whether [`load`] with the same options would find the weights packed and checked; true if the engine does not pack
/// weights. Reads no weights.
///
/// # Errors
///
/// Those of [`load`].
pub fn is_packed(directory: &Path, options: &Options) -> Result<bool, Error> {
    let (architecture, checkpoint) = open(directory)?;
    let variant = variant(&architecture, options)?;
    variant.map_or(Ok(true), |variant| fast::is_packed(&variant, &checkpoint, &architecture))
}

/// Reads all weights of the model in `directory`; also returns the length of their file, in bytes.
pub(crate) fn read_weights(directory: &Path) -> Result<(Weights, u64), Error> {
    let (architecture, path) = open(directory)?;
    let weights = weights::read(&path, &architecture)?;
    let length = std::fs::metadata(&path).map_err(|error| Error::reading(&path, error))?.len();
    Ok((weights, length))
}

/// Opens the weights of the model in `directory`, to read parts of them.
pub(crate) fn checkpoint(directory: &Path) -> Result<(Architecture, Checkpoint), Error> {
    let (architecture, path) = open(directory)?;
    let checkpoint = Checkpoint::open(&path, &architecture)?;
    Ok((architecture, checkpoint))
}

/// Reads the configuration in `directory`; also returns the path of the weights.
fn open(directory: &Path) -> Result<(Architecture, PathBuf), Error> {
    let path = directory.join(CONFIG_FILE);
    let (file, _) = trust::open(&path)?;
    trust::check_directory(directory)?;
    let mut json = Vec::new();
    file.take(MAX_CONFIG).read_to_end(&mut json).map_err(|error| Error::reading(&path, error))?;
    let architecture = Architecture::from_json(&json).map_err(|reason| Inner::Config { path, reason })?;
    Ok((architecture, directory.join(WEIGHTS_FILE)))
}

/// The fast kernels to use; `None` for the reference engine.
fn variant(architecture: &Architecture, options: &Options) -> Result<Option<fast::Variant>, Error> {
    let Options { precision, kernels, device, .. } = *options;
    // candle's own kernels serve every other device, and models of a shape that the fast ones cannot compute.
    let kernels = match device == DeviceKind::Cpu && fast::fits(architecture) {
        true => kernels,
        false => Some(kernels.unwrap_or(Kernels::Candle)),
    };
    Ok(fast::choose(precision, kernels)?)
}

fn directory_name(directory: &Path) -> String {
    directory.file_name().map_or_else(|| "clip".to_owned(), |name| name.to_string_lossy().into_owned())
}
