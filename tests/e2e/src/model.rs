//! Models: real weights if available, else stand-ins with random weights, which the embedder makes once from a seed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::Result;
use crate::checkout::{run, runtime_directory};
use crate::installation::Installation;

/// Seed of the stand-ins: all tests use the same vectors.
const SEED: &str = "1";
/// Seed of the stand-in with other weights.
const OTHER_SEED: &str = "2";

/// Directory of a tiny, fast model with 512-dimensional output, for tests.
pub fn tiny_stand_in(installation: &Installation) -> Result<PathBuf> {
    stand_in(installation, "stand-in-tiny", SEED, &["--tiny"])
}

/// Directory of another tiny model, whose vectors are not comparable with those of [`tiny_stand_in`].
pub fn other_tiny_stand_in(installation: &Installation) -> Result<PathBuf> {
    stand_in(installation, "stand-in-tiny-other", OTHER_SEED, &["--tiny"])
}

/// Directory of a model of CLIP ViT-B/32's full size, for the demo and the benchmark without the real weights.
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

/// A model directory, and whether its weights are trained.
pub struct Model {
    directory: PathBuf,
    trained: bool,
}

impl Model {
    /// The weights in `$CLIP_MODEL_DIR`, else those that `pgvector_setup/clip-weights
    /// target/models/clip-vit-base-patch32` downloaded, else a stand-in.
    /// Packs the weights if possible: a server's user without write access would pack them at each start.
    pub fn find(installation: &Installation) -> Result<Self> {
        let directory = Self::look(installation)?;
        let embedder = |command: &str| {
            let mut program = std::process::Command::new(installation.embedder());
            program.args([command, "--model"]).arg(&directory).output().context("cannot run pinterest-embedder")
        };
        embedder("pack")?;
        let info = embedder("info")?;
        ensure!(info.status.success(), "{}: {}", directory.display(), String::from_utf8_lossy(&info.stderr));
        let trained = !String::from_utf8_lossy(&info.stdout).contains("untrained weights");
        Ok(Self { directory, trained })
    }

    fn look(installation: &Installation) -> Result<PathBuf> {
        if let Some(directory) = std::env::var_os("CLIP_MODEL_DIR").filter(|value| !value.is_empty()) {
            let directory = PathBuf::from(directory);
            ensure!(is_model(&directory), "CLIP_MODEL_DIR: no model in {}", directory.display());
            return Ok(directory);
        }
        let downloaded = runtime_directory("models")?.join("clip-vit-base-patch32");
        if is_model(&downloaded) {
            return Ok(downloaded);
        }
        full_stand_in(installation)
    }

    /// The model's directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A notice about rankings with untrained weights.
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
