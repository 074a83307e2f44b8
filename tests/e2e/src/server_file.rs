//! Files that a test writes for the server before it starts.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use tempfile::NamedTempFile;

use crate::Result;
use crate::server_user::ServerUser;

/// A temporary file of the server's user, mode 0600, removed when dropped.
#[derive(Debug)]
pub struct ServerFile(NamedTempFile);

impl ServerFile {
    /// Creates a file whose name ends with `suffix`.
    pub fn new(suffix: &str, contents: &[u8]) -> Result<Self> {
        let mut file = tempfile::Builder::new()
            .prefix("pg_pinterest-")
            .suffix(suffix)
            .tempfile()
            .context("cannot make a temporary file")?;
        file.write_all(contents).context("cannot write a temporary file")?;
        ServerUser::get()?.own(file.path())?;
        Ok(Self(file))
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The path as a setting's value.
    pub fn setting(&self) -> String {
        self.path().display().to_string()
    }

    /// Replaces the content.
    pub fn write(&self, contents: &[u8]) -> Result<()> {
        fs::write(self.path(), contents).with_context(|| format!("cannot write {}", self.path().display()))
    }
}
