//! The sandbox that the program enters before it reads untrusted bytes: Landlock takes away the right to open files, and
//! seccomp most system calls. A compromised decoder then cannot reach the database's files and keys or the network, or start
//! a program.
//!
//! Both are features of the kernel. If it lacks one, the program works without it and reports that in [`Sandbox::gap`].

#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod files;

use std::path::{Path, PathBuf};

use embedder::Sandbox;

#[cfg(target_os = "linux")]
pub use self::files::ReadableFiles;

/// Rights that the program needs in the sandbox.
pub struct Needs<'a> {
    /// Directory of the model, for reading.
    pub model: &'a Path,
    /// Further files, for reading.
    pub files: &'a [PathBuf],
    /// Directory of a socket that this process created and removes when it ends.
    pub socket_directory: Option<&'a Path>,
    /// A GPU computes. Its driver opens devices and libraries at any time.
    pub graphics: bool,
}

/// Without a sandbox, all files stay readable.
#[cfg(not(target_os = "linux"))]
pub struct ReadableFiles;

#[cfg(not(target_os = "linux"))]
impl ReadableFiles {
    pub fn include_the_model(&self) -> bool {
        true
    }
}

/// Enters the sandbox permanently. Must be called before other threads start: only threads started later inherit it.
#[cfg(target_os = "linux")]
pub fn enter(needs: &Needs<'_>) -> (Sandbox, ReadableFiles) {
    if needs.graphics {
        let gap = "the GPU driver opens devices and libraries at any time".to_owned();
        let sandbox = Sandbox { gap: Some(gap), ..Sandbox::default() };
        return (sandbox, ReadableFiles::unbounded(needs.model));
    }
    let mut sandbox = Sandbox::default();
    let mut gaps = Vec::new();
    let readable = ReadableFiles::of(needs.model);
    match files::restrict(needs, &readable) {
        Ok(abi) => sandbox.landlock = abi,
        Err(reason) => gaps.push(format!("no Landlock: {reason}")),
    }
    // Without Landlock, the right to remove one file would be the right to remove any.
    let removes = needs.socket_directory.is_some() && sandbox.landlock > 0;
    match calls::restrict(removes) {
        Ok(()) => sandbox.seccomp = true,
        Err(reason) => gaps.push(format!("no seccomp filter: {reason}")),
    }
    sandbox.gap = (!gaps.is_empty()).then(|| gaps.join("; "));
    let readable = if sandbox.landlock > 0 { readable } else { ReadableFiles::unbounded(needs.model) };
    (sandbox, readable)
}

/// Other systems have neither.
#[cfg(not(target_os = "linux"))]
pub fn enter(_: &Needs<'_>) -> (Sandbox, ReadableFiles) {
    let gap = format!("{} has neither Landlock nor seccomp", std::env::consts::OS);
    (Sandbox { gap: Some(gap), ..Sandbox::default() }, ReadableFiles)
}

/// Gives up opening files and starting threads, in all threads. Called once the model is loaded, if [`enter`] has limited
/// system calls.
///
/// # Errors
///
/// If the kernel refuses; the limits of [`enter`] stay in force.
#[cfg(target_os = "linux")]
pub fn seal() -> std::io::Result<()> {
    calls::seal()
}

/// Not supported.
#[cfg(not(target_os = "linux"))]
pub fn seal() -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
