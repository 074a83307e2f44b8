//! The model behind a small interface.

mod fast;
pub mod fuzzing;
mod options;
mod reference;
mod towers;
mod trust;
mod weights;

use std::io::Read;
use std::path::{Path, PathBuf};

use candle_core::Device;
use fast::Fast;
pub use options::{DeviceKind, Kernels, Options, Precision, UnknownName};
use reference::Reference;
use towers::Model;

use crate::architecture::Architecture;
use crate::error::{Error, Inner};
use crate::{DIMENSION, Embedding, PREPROCESSING, Pixels};

pub(crate) const CONFIG_FILE: &str = "config.json";
pub(crate) const WEIGHTS_FILE: &str = "model.safetensors";

/// Bytes of a configuration: the published one has 4,186.
const MAX_CONFIG: u64 = 1024 * 1024;

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
    /// What could be better about how the model was loaded, in one sentence.
    pub notice: Option<String>,
}

/// A loaded CLIP model. Owned by one thread; an engine may keep scratch memory between calls.
pub trait Engine: Send {
    /// Which model this is.
    fn info(&self) -> &ModelInfo;

    /// Whether it still computes with the weights it was loaded with: false once somebody has written the file that they
    /// are mapped from. Then load the model again, and discard all results since the last time that this was true.
    fn is_current(&self) -> bool;

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
/// The fast kernels compute on weights packed once: into `model.{precision}.packed` beside the checkpoint if the directory
/// can be written, else into private memory on every load, of which [`ModelInfo::notice`] tells. The packed file is checked
/// against its SHA-256, and the checkpoint against that which it was packed from, when they are met first, and again whenever
/// either is another file to the system or was written; `model.{precision}.packed.checked` tells.
///
/// # Errors
///
/// [`ModelUntrusted`](crate::ErrorKind::ModelUntrusted) if others than root and the user of this process may write a file of
/// the model or its directory,
/// [`ModelMissing`](crate::ErrorKind::ModelMissing) if a file does not exist, [`Io`](crate::ErrorKind::Io) if it cannot
/// be read, [`ModelInvalid`](crate::ErrorKind::ModelInvalid) if it is not that of such a model,
/// [`Unsupported`](crate::ErrorKind::Unsupported) if the processor has no kernels for the precision.
pub fn load(directory: &Path, options: &Options) -> Result<Box<dyn Engine>, Error> {
    let (architecture, checkpoint) = open(directory)?;
    let variant = variant(&architecture, options)?;
    let info = |variant: Option<&fast::Variant>, weights_sha256, notice| ModelInfo {
        name: architecture.name.clone().unwrap_or_else(|| directory_name(directory)),
        weights_sha256,
        precision: variant.map_or(Precision::F32.name(), |variant| variant.name).to_owned(),
        kernels: variant.map_or(Kernels::Candle, |variant| variant.kernels),
        preprocessing: PREPROCESSING.to_owned(),
        dimension: DIMENSION,
        notice,
    };
    Ok(match variant {
        Some(variant) => {
            let fast::Loaded { towers, sha256, notice } =
                Fast::load(&variant, &checkpoint, &architecture, options.threads)?;
            Box::new(Model { info: info(Some(&variant), sha256, notice), towers, device: Device::Cpu })
        }
        None => {
            let device = options.device.open()?;
            let (towers, sha256) = Reference::load(&checkpoint, &architecture, &device)?;
            Box::new(Model { info: info(None, weights::hexadecimal(&sha256), None), towers, device })
        }
    })
}

/// Packs the weights of the model in `directory` as [`load`] with the same options would, whether or not they are packed
/// already, and returns the path of the file; `None` if that engine packs none.
///
/// # Errors
///
/// Those of [`load`], and [`Io`](crate::ErrorKind::Io) if the file cannot be written.
pub fn pack(directory: &Path, options: &Options) -> Result<Option<PathBuf>, Error> {
    let (architecture, checkpoint) = open(directory)?;
    let variant = variant(&architecture, options)?;
    variant.map(|variant| fast::write(&variant, &checkpoint, &architecture)).transpose()
}

/// Whether [`load`] with the same options would find the weights packed and checked; true if that engine packs none. Takes
/// no time.
///
/// # Errors
///
/// Those of [`load`].
pub fn is_packed(directory: &Path, options: &Options) -> Result<bool, Error> {
    let (architecture, checkpoint) = open(directory)?;
    let variant = variant(&architecture, options)?;
    variant.map_or(Ok(true), |variant| fast::is_packed(&variant, &checkpoint, &architecture))
}

/// What `directory` says of its model, and where its weights are.
fn open(directory: &Path) -> Result<(Architecture, PathBuf), Error> {
    let path = directory.join(CONFIG_FILE);
    let (file, _) = trust::open(&path)?;
    trust::check_directory(directory)?;
    let mut json = Vec::new();
    file.take(MAX_CONFIG).read_to_end(&mut json).map_err(|error| Error::reading(&path, error))?;
    let architecture = Architecture::from_json(&json).map_err(|reason| Inner::Config { path, reason })?;
    Ok((architecture, directory.join(WEIGHTS_FILE)))
}

/// The fast kernels to use, if any.
fn variant(architecture: &Architecture, options: &Options) -> Result<Option<fast::Variant>, Error> {
    let Options { precision, kernels, device, .. } = *options;
    // candle's own kernels serve every other device, and models of a shape the fast ones do not know.
    let kernels = match device == DeviceKind::Cpu && fast::fits(architecture) {
        true => kernels,
        false => Some(kernels.unwrap_or(Kernels::Candle)),
    };
    Ok(fast::choose(precision, kernels)?)
}

fn directory_name(directory: &Path) -> String {
    directory.file_name().map_or_else(|| "clip".to_owned(), |name| name.to_string_lossy().into_owned())
}
