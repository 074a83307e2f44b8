//! Ownership and mode of a model's files. Who can write them decides what every image is taken for, so a file that other
//! users can write is refused.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::geteuid;

use crate::error::{Error, Inner};

/// Refuses a directory that others than its owner may write, or whose owner is neither root nor the user of this process.
pub(super) fn check_directory(path: &Path) -> Result<(), Error> {
    let metadata = fs::metadata(path).map_err(|error| Error::reading(path, error))?;
    check(path, &metadata)
}

/// Opens a file for reading, unless others may write the file or its directory, with links resolved.
pub(super) fn open(path: &Path) -> Result<(File, Metadata), Error> {
    let reading = |error: io::Error| Error::reading(path, error);
    let file = File::open(path).map_err(reading)?;
    let metadata = file.metadata().map_err(reading)?;
    check(path, &metadata)?;
    if let Some(directory) = path.canonicalize().map_err(reading)?.parent() {
        check_directory(directory)?;
    }
    Ok((file, metadata))
}

fn check(path: &Path, metadata: &Metadata) -> Result<(), Error> {
    let (mode, owner, user) = (metadata.mode() & 0o7777, metadata.uid(), geteuid().as_raw());
    let untrusted = |reason| Err(Inner::Untrusted { path: path.to_path_buf(), reason }.into());
    if mode & 0o022 != 0 {
        return untrusted(format!("must not be writable by group or others (mode {mode:04o})"));
    }
    if ![0, user].contains(&owner) {
        return untrusted(format!("must be owned by root or user {user}, but is owned by user {owner}"));
    }
    Ok(())
}
