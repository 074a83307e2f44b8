//! The record of a check: a packed file and its checkpoint were hashed whole and found right, and which files they were.
//!
//! A write changes a file's ctime, which no program can set. So as long as device, inode, size and times of both files are
//! the same, reading 900 MB again would find the same. The record lies beside them, where only those can write
//! who could write the weights themselves.

use std::fs::Metadata;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::engine::trust;
use crate::replace::replace;

/// To be raised with every change of what is recorded.
const VERSION: u32 = 1;

/// Longer ones are no record.
const MAX_BYTES: u64 = 4096;

/// What tells one state of a file from another.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    length: u64,
    /// Seconds and nanoseconds since 1970.
    modified: (i64, i64),
    /// The same, of the last change of content or attributes.
    changed: (i64, i64),
}

impl Identity {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether these are the same content: a file that lost its name to a newer one has changed in its attributes alone.
    pub(super) fn has_content_of(&self, other: &Self) -> bool {
        let content = |of: &Self| (of.device, of.inode, of.length, of.modified);
        content(self) == content(other)
    }
}

/// What was checked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Record {
    version: u32,
    /// SHA-256 of the packed file's header, in hexadecimal, which holds the digests of all else.
    header: String,
    packed: Identity,
    checkpoint: Identity,
}

impl Record {
    pub(super) fn new(header: String, packed: Identity, checkpoint: Identity) -> Self {
        Self { version: VERSION, header, packed, checkpoint }
    }

    /// The record in that file; `None` where there is none, or none that is to be trusted.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let (file, _) = trust::open(path).ok()?;
        let mut text = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }

    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let text = serde_json::to_vec(self)?;
        replace(path, |file| file.write_all(&text))
    }
}
