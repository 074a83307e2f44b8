//! The words of a packed model, in memory of our own or mapped from a file.

use std::ops::Deref;

use memmap2::Mmap;

use super::buffer::Buffer;

/// Read-only words.
pub(super) enum Storage {
    /// Packed by this process.
    Owned(Buffer<u32>),
    /// A file's, after its header.
    Mapped {
        /// The whole file.
        file: Mmap,
        /// Bytes of the header, a whole number of pages.
        header: usize,
    },
}

impl Deref for Storage {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        match self {
            Self::Owned(words) => words,
            Self::Mapped { file, header } => bytemuck::cast_slice(&file[*header..]),
        }
    }
}
