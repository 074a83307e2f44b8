//! Models to embed with: real weights where there are any, else stand-ins, untrained weights derived from a seed and
//! made once by the embedder itself.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::Result;
use crate::checkout::{run, runtime_directory};
use crate::installation::Installation;

/// Seed of the stand-ins, so that all tests look at the same vectors.
const SEED: &str = "1";
/// Seed of the one that differs from them in its weights alone.
const OTHER_SEED: &str = "2";

/// Directory of a tiny model with 512-dimensional output, for tests: loads in no time, embeds in milliseconds.
pub fn tiny_stand_in(installation: &Installation) -> Result<PathBuf> {
    stand_in(installation, "stand-in-tiny", SEED, &["--tiny"])
}

/// Directory of another tiny model, whose vectors have no common distance with those of [`tiny_stand_in`].
pub fn other_tiny_stand_in(installation: &Installation) -> Result<PathBuf> {
    stand_in(installation, "stand-in-tiny-other", OTHER_SEED, &["--tiny"])
}

/// Directory of a model of CLIP ViT-B/32's full size, for the demo and the benchmark where the real weights are absent.
pub fn full_stand_in(installation: &Installation) -> Result<PathBuf> {
    stand_in(installation, "stand-in", SEED, &[])
}

fn stand_in(installation: &Installation, name: &str, seed: &str, arguments: &[&str]) -> Result<PathBuf> {
    let models = runtime_directory("models")?;
    let directory = models.join(name);
    let lock = File::create(models.join(format!("{name}.lock"))).context("cannot lock the model directory")?;
    lock.lock().context("cannot lock the model directory")?;
    if directory.join("model.safetensors").exists() {
        return Ok(directory);
    }
    let unfinished = models.join(format!("{name}.new"));
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).context("cannot remove an unfinished model")?;
    }
    let mut init = std::process::Command::new(installation.embedder());
    init.arg("init-model").arg(&unfinished).args(["--seed", seed]).args(arguments);
    run(&mut init)?;
    fs::rename(&unfinished, &directory).context("cannot put the model in place")?;
    Ok(directory)
}

/// A model directory, and whether its weights know anything.
pub struct Model {
    directory: PathBuf,
    trained: bool,
}

impl Model {
    /// The weights in `$CLIP_MODEL_DIR`, else those that `pgvector_setup/clip-weights
    /// target/models/clip-vit-base-patch32` brought, else a stand-in.
    /// Its weights are packed where that can be: the server's user may not be able to, and would pack them at each start.
    pub fn find(installation: &Installation) -> Result<Self> {
        let model = Self::look(installation)?;
        let mut pack = std::process::Command::new(installation.embedder());
        pack.arg("pack").arg("--model").arg(&model.directory).output().context("cannot run pinterest-embedder")?;
        Ok(model)
    }

    fn look(installation: &Installation) -> Result<Self> {
        if let Some(directory) = std::env::var_os("CLIP_MODEL_DIR").filter(|value| !value.is_empty()) {
            let directory = PathBuf::from(directory);
            ensure!(is_model(&directory), "CLIP_MODEL_DIR: no model in {}", directory.display());
            return Ok(Self { directory, trained: true });
        }
        let downloaded = runtime_directory("models")?.join("clip-vit-base-patch32");
        if is_model(&downloaded) {
            return Ok(Self { directory: downloaded, trained: true });
        }
        Ok(Self { directory: full_stand_in(installation)?, trained: false })
    }

    /// Where it lies.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What to know about rankings made with it.
    pub fn notice(&self) -> Option<&'static str> {
        (!self.trained).then_some(
            "These are untrained stand-in weights: the ranking reflects colour and texture, not meaning \
             (pgvector_setup/clip-weights brings the real ones).",
        )
    }
}

fn is_model(directory: &Path) -> bool {
    ["config.json", "model.safetensors"].iter().all(|file| directory.join(file).is_file())
}
