//! The words of a packed model, in private memory or mapped from a file.

use std::fs::File;
use std::ops::Deref;

use memmap2::Mmap;

use super::buffer::Buffer;
use super::record::Identity;

/// Read-only words.
pub(super) enum Storage {
    /// Packed by this process.
    Owned(Buffer<u32>),
    /// Mapped from a file.
    Mapped(Mapped),
}

/// The words of a file, after its header.
pub(super) struct Mapped {
    /// The whole file.
    bytes: Mmap,
    /// Bytes of the header, a whole number of pages.
    header: usize,
    file: File,
    identity: Identity,
}

impl Mapped {
    /// `identity` is that of the file when it was mapped.
    pub(super) fn new(bytes: Mmap, header: usize, file: File, identity: Identity) -> Self {
        Self { bytes, header, file, identity }
    }

    /// The identity of the file when it was opened.
    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The bytes of the words.
    pub(super) fn words(&self) -> &[u8] {
        &self.bytes[self.header..]
    }

    /// Whether the file still has the content it was opened with.
    pub(super) fn is_current(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| Identity::of(&metadata).has_content_of(&self.identity))
    }
}

impl Storage {
    /// Whether the words are still those that were checked.
    pub(super) fn is_current(&self) -> bool {
        match self {
            Self::Owned(_) => true,
            Self::Mapped(mapped) => mapped.is_current(),
        }
    }
}

impl Deref for Storage {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        match self {
            Self::Owned(words) => words,
            Self::Mapped(mapped) => bytemuck::cast_slice(mapped.words()),
        }
    }
}
