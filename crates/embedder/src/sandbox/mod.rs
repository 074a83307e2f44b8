//! What the program takes from itself before it reads a stranger's bytes: its right to open files, by Landlock, and most
//! system calls, by seccomp. A fault in a decoder then reaches neither the database's files and keys nor the network,
//! and starts no program.
//!
//! Both are the kernel's. Where it lacks one, the program works all the same and says so: [`Sandbox::gap`].

#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod files;

use std::path::{Path, PathBuf};

use embedder::Sandbox;

/// What a program needs once it is in the sandbox.
pub struct Needs<'a> {
    /// Directory of the model, to read.
    pub model: &'a Path,
    /// Further files to read.
    pub files: &'a [PathBuf],
    /// Directory of a socket that this process made and removes when it ends.
    pub socket_directory: Option<&'a Path>,
    /// A graphics processor computes. Its driver opens devices and libraries at any time.
    pub graphics: bool,
}

/// The files that the sandbox lets be read, as they were when it was entered.
pub struct Territory {
    #[cfg(target_os = "linux")]
    files: files::Territory,
}

impl Territory {
    /// Whether the model's files are still among them. A directory that was made, replaced or linked elsewhere since is not:
    /// only a new process can read it.
    pub fn has_the_model(&self) -> bool {
        #[cfg(target_os = "linux")]
        return self.files.has_the_model();
        #[cfg(not(target_os = "linux"))]
        true
    }
}

/// Enters the sandbox, for good. To be called before there are other threads: threads started later inherit it, those that
/// run do not.
#[cfg(target_os = "linux")]
pub fn enter(needs: &Needs<'_>) -> (Sandbox, Territory) {
    if needs.graphics {
        let gap = "a graphics processor computes, whose driver opens devices and libraries at any time".to_owned();
        let sandbox = Sandbox { gap: Some(gap), ..Sandbox::default() };
        return (sandbox, Territory { files: files::Territory::unbounded(needs.model) });
    }
    let mut sandbox = Sandbox::default();
    let mut gaps = Vec::new();
    let territory = files::Territory::of(needs.model);
    match files::restrict(needs, &territory) {
        Ok(abi) => sandbox.landlock = abi,
        Err(reason) => gaps.push(format!("no Landlock: {reason}")),
    }
    // Without Landlock a right to remove one file would be a right to remove any.
    let removes = needs.socket_directory.is_some() && sandbox.landlock > 0;
    match calls::restrict(removes) {
        Ok(()) => sandbox.seccomp = true,
        Err(reason) => gaps.push(format!("no seccomp filter: {reason}")),
    }
    sandbox.gap = (!gaps.is_empty()).then(|| gaps.join("; "));
    let files = if sandbox.landlock > 0 { territory } else { files::Territory::unbounded(needs.model) };
    (sandbox, Territory { files })
}

/// Other systems have neither.
#[cfg(not(target_os = "linux"))]
pub fn enter(_: &Needs<'_>) -> (Sandbox, Territory) {
    let gap = format!("{} has neither Landlock nor seccomp", std::env::consts::OS);
    (Sandbox { gap: Some(gap), ..Sandbox::default() }, Territory {})
}

/// Gives up opening files and starting threads altogether, in all threads: to be called once the model is loaded, where
/// [`enter`] has limited system calls.
///
/// # Errors
///
/// If the kernel refuses; what [`enter`] did stays in force.
#[cfg(target_os = "linux")]
pub fn seal() -> std::io::Result<()> {
    calls::seal()
}

/// Nothing to give up.
#[cfg(not(target_os = "linux"))]
pub fn seal() -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
