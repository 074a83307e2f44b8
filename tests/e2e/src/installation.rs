//! The staged Postgres installation that clusters run from.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, ensure};

use crate::Result;
use crate::checkout::{run, script};

/// A Postgres installation with the extension, pgvector and `pinterest-embedder` in it.
#[derive(Clone, Debug)]
pub struct Installation {
    bindir: PathBuf,
    library: PathBuf,
    share: PathBuf,
    version: String,
}

impl Installation {
    /// The staged installation (`tools/stage` creates it if missing and prints its pg_config). The variable
    /// `PG_PINTEREST_STAGE` selects another one, such as the benchmark's.
    pub fn staged() -> Result<Self> {
        static STAGED: OnceLock<Installation> = OnceLock::new();
        if let Some(installation) = STAGED.get() {
            return Ok(installation.clone());
        }
        let stage = std::env::var("PG_PINTEREST_STAGE").unwrap_or_else(|_| "stage".into());
        let pg_config = script("tools/stage", &[&stage])?;
        let installation = Self::named_by(&pg_config)?;
        Ok(STAGED.get_or_init(|| installation).clone())
    }

    /// The installation of a pg_config.
    pub fn named_by(pg_config: &Path) -> Result<Self> {
        let version = property(pg_config, "--version")?.to_string_lossy().into_owned();
        let [bindir, library, share] = ["--bindir", "--pkglibdir", "--sharedir"].map(|name| property(pg_config, name));
        Ok(Self { bindir: bindir?, library: library?, share: share?, version })
    }

    /// A copy of the staged installation at `target/NAME`, for tests that change the extension's SQL files. The library
    /// and the embedder are the staged ones.
    pub fn copy(name: &str) -> Result<Self> {
        let staged = Self::staged()?.with_extension()?;
        let copy = Self::named_by(&script("tools/stage", &[name])?)?;
        for entry in fs::read_dir(copy.extension_directory())?.flatten() {
            if entry.file_name().to_string_lossy().starts_with("pg_pinterest") {
                fs::remove_file(entry.path())?;
            }
        }
        for entry in fs::read_dir(staged.extension_directory())?.flatten() {
            if entry.file_name().to_string_lossy().starts_with("pg_pinterest") {
                fs::copy(entry.path(), copy.extension_directory().join(entry.file_name()))?;
            }
        }
        for (original, link) in [(staged.library(), copy.library()), (staged.embedder(), copy.embedder())] {
            if link.symlink_metadata().is_ok() {
                fs::remove_file(&link)?;
            }
            symlink(original, link)?;
        }
        Ok(copy)
    }

    /// Directory of the control and SQL files of extensions.
    pub fn extension_directory(&self) -> PathBuf {
        self.share.join("extension")
    }

    /// Requires that the extension is installed, which `make stage` does.
    pub fn with_extension(self) -> Result<Self> {
        for file in [self.library(), self.embedder()] {
            ensure!(file.exists(), "{} is missing: run `make stage` first", file.display());
        }
        Ok(self)
    }

    /// True if it has this contrib module, as an extension or as a library.
    pub fn has_module(&self, name: &str) -> bool {
        self.extension_directory().join(format!("{name}.control")).exists()
            || self.library.join(format!("{name}.so")).exists()
    }

    /// The extension's library.
    pub fn library(&self) -> PathBuf {
        self.library.join("pg_pinterest.so")
    }

    /// Path of one of its programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bindir.join(name)
    }

    /// `pinterest-embedder`, beside the server's programs.
    pub fn embedder(&self) -> PathBuf {
        self.program("pinterest-embedder")
    }

    /// As `pg_config --version` prints it.
    pub fn version(&self) -> &str {
        &self.version
    }
}

fn property(pg_config: &Path, name: &str) -> Result<PathBuf> {
    let output = run(Command::new(pg_config).arg(name))?;
    let text = String::from_utf8(output.stdout).context("pg_config does not print UTF-8")?;
    Ok(PathBuf::from(text.trim_end()))
}
