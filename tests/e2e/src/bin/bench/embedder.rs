//! The embedder without Postgres and network.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::ensure;
use e2e::{Installation, Model, Result};
use sandbox::scene::{Family, draw};

use crate::figure;

/// Images per run: enough to make the start of a batch negligible.
const PICTURES: usize = 48;

/// Measures images per second at the size of a pin's original and at the size that the import prefers.
pub fn measure(installation: &Installation, model: &Model) -> Result<()> {
    for (width, height) in [(1200, 1800), (600, 900)] {
        let directory = tempfile::tempdir()?;
        let files: Vec<PathBuf> = (0..PICTURES)
            .map(|number| {
                let family = Family::ALL[number % Family::ALL.len()];
                let path = directory.path().join(format!("{number}.jpg"));
                draw(family, number as u64, width, height).save(&path)?;
                Ok(path)
            })
            .collect::<Result<_>>()?;
        // The difference between many images and one excludes the time to start and to load the weights.
        let one = run(installation, model, &files[..1])?;
        let all = run(installation, model, &files)?;
        let rate = (PICTURES - 1) as f64 / all.saturating_sub(one).as_secs_f64();
        figure(&format!("embedder alone, {width}x{height} JPEG"), format!("{rate:.1} images/s"));
        if (width, height) == (600, 900) {
            figure("  one picture from the shell, start included", format!("{:.2} s", one.as_secs_f64()));
        }
    }
    Ok(())
}

fn run(installation: &Installation, model: &Model, files: &[PathBuf]) -> Result<Duration> {
    let began = Instant::now();
    let status = Command::new(installation.embedder())
        .arg("embed")
        .arg("--model")
        .arg(model.directory())
        .args(files)
        .stdout(Stdio::null())
        .status()?;
    ensure!(status.success(), "pinterest-embedder embed ended with {status}");
    Ok(began.elapsed())
}
