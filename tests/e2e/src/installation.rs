//! The staged Postgres installation that clusters run from.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::{Context, ensure};

use crate::Result;
use crate::checkout::{run, script, script_with};

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
        Self::named_by(&script("tools/stage", &[name])?)?.fill()
    }

    /// The installation for tests with Citus: the server that the variable `CITUS_PG_CONFIG` names, staged with this
    /// extension, otherwise the staged one. `Err` in the result: why there is none.
    pub fn with_citus() -> Result<std::result::Result<Self, String>> {
        // Once: servers run from it while other tests start.
        static FOUND: Mutex<Option<std::result::Result<Installation, String>>> = Mutex::new(None);
        let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
        if found.is_none() {
            *found = Some(Self::find_citus()?);
        }
        found.clone().context("nothing was found")
    }

    fn find_citus() -> Result<std::result::Result<Self, String>> {
        let staged = Self::staged()?;
        let found = match std::env::var_os("CITUS_PG_CONFIG").filter(|value| !value.is_empty()) {
            None => staged.clone(),
            Some(pg_config) => {
                let path = Path::new(&pg_config);
                let server = Self::named_by(path)?;
                if server.major() != staged.major() {
                    return Ok(Err(format!("Citus is in {}, and the build is for {}", server.version, staged.version)));
                }
                Self::named_by(&script_with("tools/stage", &["stage-citus"], &[("PG_CONFIG", path)])?)?.fill()?
            }
        };
        if !found.has_module("citus") {
            let hint = "CITUS_PG_CONFIG can name the pg_config of a server that has it";
            return Ok(Err(format!("{} has no Citus ({hint})", found.version)));
        }
        Ok(Ok(found))
    }

    /// The major version, as `pg_config --version` writes it.
    fn major(&self) -> String {
        self.version.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect()
    }

    /// Puts the staged extension into a copy of a server; library and embedder are links to the staged ones.
    fn fill(self) -> Result<Self> {
        let copy = self;
        let staged = Self::staged()?.with_extension()?;
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
