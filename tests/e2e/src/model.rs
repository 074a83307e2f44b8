//! Stand-in models: untrained weights derived from a seed, made once by the embedder itself.

use std::fs::{self, File};
use std::path::PathBuf;

use anyhow::Context;

use crate::Result;
use crate::checkout::{run, runtime_directory};
use crate::installation::Installation;

/// Seed of the stand-ins, so that all tests look at the same vectors.
const SEED: &str = "1";

/// Directory of a tiny model with 512-dimensional output, for tests: loads in no time, embeds in milliseconds.
pub fn tiny_stand_in(installation: &Installation) -> Result<PathBuf> {
    stand_in(installation, "stand-in-tiny", &["--tiny"])
}

/// Directory of a model of CLIP ViT-B/32's full size, for the demo and the benchmark where the real weights are absent.
pub fn full_stand_in(installation: &Installation) -> Result<PathBuf> {
    stand_in(installation, "stand-in", &[])
}

fn stand_in(installation: &Installation, name: &str, arguments: &[&str]) -> Result<PathBuf> {
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
    init.arg("init-model").arg(&unfinished).args(["--seed", SEED]).args(arguments);
    run(&mut init)?;
    fs::rename(&unfinished, &directory).context("cannot put the model in place")?;
    Ok(directory)
}
