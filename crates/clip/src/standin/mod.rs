//! A deterministic, untrained CLIP for tests and for machines without the published weights.
//!
//! Its rankings reflect colour and texture, not meaning. The weights are initialised as transformers initialises a CLIP, and
//! then scaled up: in a freshly initialised model the residual stream dominates attention and perceptrons, and all images
//! get similar vectors. Here an image that is squashed instead of cropped, or scaled wrongly, gets a different vector.

mod file;
mod values;

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use crate::architecture::{Architecture, Tower};
use crate::engine::{CONFIG_FILE, WEIGHTS_FILE};
use crate::error::Error;

/// Size of the stand-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// ViT-B/32 exactly, about 600 MB.
    Full,
    /// Few and narrow layers with the same input and output, about 15 MB, for tests.
    Tiny,
}

impl Size {
    fn architecture(self, seed: u64) -> Architecture {
        match self {
            Self::Full => Architecture {
                name: Some(format!("clip-vit-base-patch32-standin-{seed}")),
                text: Tower { hidden: 512, intermediate: 2048, layers: 12, heads: 8 },
                vision: Tower { hidden: 768, intermediate: 3072, layers: 12, heads: 12 },
                patch: 32,
            },
            Self::Tiny => Architecture {
                name: Some(format!("clip-tiny-patch32-standin-{seed}")),
                text: Tower { hidden: 64, intermediate: 128, layers: 2, heads: 1 },
                vision: Tower { hidden: 128, intermediate: 256, layers: 2, heads: 2 },
                patch: 32,
            },
        }
    }
}

/// The model that [`write`] wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The name in `config.json`.
    pub name: String,
    /// SHA-256 of `model.safetensors`, 64 lower-case hexadecimal digits.
    pub weights_sha256: String,
}

/// Writes `config.json` and `model.safetensors` into `directory`, which is created if it does not exist. transformers loads
/// the result with `CLIPModel.from_pretrained`. The same `seed` and `size` give the same bytes on every machine.
///
/// Each file appears under its name when it is complete, the configuration last.
///
/// # Errors
///
/// [`Io`](crate::ErrorKind::Io).
pub fn write(directory: &Path, seed: u64, size: Size) -> Result<Written, Error> {
    let architecture = size.architecture(seed);
    // Regardless of the umask: a directory that its group can write is refused.
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(directory)
        .map_err(|error| Error::writing(directory, error))?;
    let weights_sha256 = file::write_weights(&directory.join(WEIGHTS_FILE), &architecture, seed)?;
    file::write_whole(&directory.join(CONFIG_FILE), &architecture.to_json())?;
    Ok(Written { name: architecture.name.unwrap_or_default(), weights_sha256 })
}
