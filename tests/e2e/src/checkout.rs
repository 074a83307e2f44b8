//! The checkout's path, and directories under `target/` that a server can reach.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, bail};

use crate::Result;

/// Root of the checkout these tests were built from.
pub fn checkout() -> &'static Path {
    // Two levels above tests/e2e.
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new("/"))
}

/// The directory `target/NAME`, created if missing, by a path that the server's user can access even if the checkout is
/// in a private home directory (see `tools/runtime-dir`).
pub fn runtime_directory(name: &str) -> Result<PathBuf> {
    script("tools/runtime-dir", &[name])
}

/// Runs a script of the checkout that prints one path.
pub(crate) fn script(path: &str, arguments: &[&str]) -> Result<PathBuf> {
    script_with(path, arguments, &[])
}

/// The same with variables of the environment.
pub(crate) fn script_with(path: &str, arguments: &[&str], variables: &[(&str, &Path)]) -> Result<PathBuf> {
    let output = run(Command::new(checkout().join(path)).args(arguments).envs(variables.iter().copied()))?;
    let line = String::from_utf8(output.stdout).with_context(|| format!("{path} does not print UTF-8"))?;
    Ok(PathBuf::from(line.trim_end()))
}

/// Runs a command. If it fails, its standard error becomes the error.
pub(crate) fn run(command: &mut Command) -> Result<Output> {
    let name = command.get_program().to_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {}", display(&name)))?;
    if !output.status.success() {
        bail!(
            "{} ends with {}: {}{}",
            display(&name),
            output.status,
            String::from_utf8_lossy(&output.stderr),
            String::from_utf8_lossy(&output.stdout),
        );
    }
    Ok(output)
}

fn display(name: &OsStr) -> std::path::Display<'_> {
    Path::new(name).display()
}
