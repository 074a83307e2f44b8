//! The record that a packed file and its checkpoint were hashed and matched.
//!
//! A write changes a file's ctime, which no program can set. So while device, inode, size and times of both files are the
//! same, hashing their 900 MB again would give the same result. The record is stored beside them, where only users can write
//! it who could also write the weights.

use std::fs::Metadata;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::engine::trust;
use crate::replace::replace;

/// Must be raised with every change of the record.
const VERSION: u32 = 1;

/// Largest record, in bytes.
const MAX_BYTES: u64 = 4096;

/// Identifies a state of a file.
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

    /// Whether the content is the same. Ignores the last change of attributes, since replacing a file's name changes that.
    pub(super) fn has_content_of(&self, other: &Self) -> bool {
        let content = |of: &Self| (of.device, of.inode, of.length, of.modified);
        content(self) == content(other)
    }
}

/// A check.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Record {
    version: u32,
    /// SHA-256 of the packed file's header, in hexadecimal. The header contains all other digests.
    header: String,
    packed: Identity,
    checkpoint: Identity,
}

impl Record {
    pub(super) fn new(header: String, packed: Identity, checkpoint: Identity) -> Self {
        Self { version: VERSION, header, packed, checkpoint }
    }

    /// Reads a record; `None` if it is missing, invalid or untrusted.
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
