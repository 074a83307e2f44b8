//! The packed file beside a checkpoint: a header of one page, then the words of a [`Layout`].
//!
//! | offset | bytes | field, integers little-endian |
//! |---|---|---|
//! | 0 | 8 | `PINCLIP` and a zero |
//! | 8 | 4 | version of this page and of the layout |
//! | 12 | 4 | 0x01020304 in the byte order of the words |
//! | 16 | 4 | numbers in a word of the layers' products |
//! | 20 | 4 | inputs that share a scale, 0 if none do |
//! | 24 | 8 | words |
//! | 32 | 32 | SHA-256 of the checkpoint |
//! | 64 | 32 | SHA-256 of the architecture |
//! | 96 | 8 | the checkpoint's length |
//! | 104 | 12 | when it was changed, seconds (8) and nanoseconds (4) |
//! | 116 | 4 | CRC-32 of the words |
//! | 120 | 4 | CRC-32 of the header before it |
//!
//! A file of another version, of another checkpoint or with a wrong checksum is made anew. It appears under its name when
//! it is whole. Only the time in the header is ever written again, when the checkpoint turns out to have been copied.
#![allow(unsafe_code, reason = "a mapped file is memory that somebody else could change")]

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use memmap2::{Mmap, MmapOptions};
use rayon::iter::ParallelIterator;
use rayon::slice::ParallelSlice;
use sha2::{Digest, Sha256};

use super::buffer::Buffer;
use super::format::{GROUP, Kind};
use super::layout::Layout;
use super::pack::pack;
use super::storage::Storage;
use super::variants::Variant;
use crate::architecture::Architecture;
use crate::engine::weights::{self, Weights, hexadecimal};
use crate::error::Error;
use crate::replace::replace;

const MAGIC: [u8; 8] = *b"PINCLIP\0";

/// To be raised with every change of the header, of a layout, or of what the words mean.
const VERSION: u32 = 1;

/// A page, so that the words begin on one.
const HEADER: usize = 4096;

/// Bytes of the header's fields before its checksum.
const FIELDS: usize = 120;

/// Bytes of a checkpoint's words that one task sums up.
const SUM_CHUNK: usize = 8 * 1024 * 1024;

/// A checkpoint and what is to be packed of it.
pub(super) struct Source<'a> {
    checkpoint: &'a Path,
    architecture: &'a Architecture,
    kind: Kind,
    /// Of the arithmetic, which the packed file's name has in it.
    name: &'a str,
    pub layout: Layout,
}

/// Packed weights, ready to compute with.
pub(super) struct Opened {
    pub storage: Storage,
    /// Of the checkpoint, in lower-case hexadecimal.
    pub sha256: String,
    /// Why they are in private memory and not in a file, if so.
    pub notice: Option<String>,
}

impl<'a> Source<'a> {
    pub(super) fn new(variant: &Variant, checkpoint: &'a Path, architecture: &'a Architecture) -> Self {
        let layout = Layout::new(architecture, variant.kind);
        Self { checkpoint, architecture, kind: variant.kind, name: variant.name, layout }
    }

    /// Where the packed file lies.
    fn path(&self) -> PathBuf {
        self.checkpoint.with_file_name(format!("model.{}.packed", self.name))
    }

    /// The packed weights: from their file if it is there and that of this checkpoint, else packed now, and written so that
    /// the next start finds them. Runs on rayon's current pool.
    ///
    /// # Errors
    ///
    /// If the checkpoint cannot be read or is not one of the architecture. That the packed file cannot be written is none.
    pub(super) fn open(&self) -> Result<Opened, Error> {
        let stamp = Stamp::of(self.checkpoint)?;
        if let Some(found) = self.find(&stamp)? {
            return Ok(found);
        }
        let (words, header, sha256) = self.pack(stamp)?;
        let written = self.write(&header, &words).and_then(|()| map(&self.path()));
        Ok(match written {
            Ok(file) => Opened { storage: Storage::Mapped { file, header: HEADER }, sha256, notice: None },
            Err(error) => {
                let notice =
                    format!("cannot write {}: {error}; the weights stay in private memory", self.path().display());
                Opened { storage: Storage::Owned(words), sha256, notice: Some(notice) }
            }
        })
    }

    /// What the file holds, unless it is to be made anew.
    fn find(&self, stamp: &Stamp) -> Result<Option<Opened>, Error> {
        // Whatever keeps it from being read will keep it from being written, and is told then.
        let Ok(file) = map(&self.path()) else { return Ok(None) };
        let Some(header) = Header::read(&file).filter(|header| header.is_of(self)) else { return Ok(None) };
        if file.len() != HEADER + 4 * self.layout.length || checksum(&file[HEADER..]) != header.words_crc {
            return Ok(None);
        }
        if header.stamp != *stamp {
            // A checkpoint of the same bytes may have come here by copying.
            if weights::digest(self.checkpoint)? != header.checkpoint_sha256 {
                return Ok(None);
            }
            let header = Header { stamp: stamp.clone(), ..header.clone() };
            // Not a loss if it fails: the next start hashes once more.
            let _ =
                File::options().write(true).open(self.path()).and_then(|file| file.write_all_at(&header.encode(), 0));
        }
        let sha256 = hexadecimal(&header.checkpoint_sha256);
        Ok(Some(Opened { storage: Storage::Mapped { file, header: HEADER }, sha256, notice: None }))
    }

    fn pack(&self, stamp: Stamp) -> Result<(Buffer<u32>, Header, String), Error> {
        let Weights { tensors, sha256 } = weights::read(self.checkpoint, self.architecture)?;
        let words = pack(&self.layout, &tensors);
        let header = Header {
            kind: self.kind as u32,
            group: group(self.kind),
            words: words.len() as u64,
            checkpoint_sha256: sha256,
            architecture_sha256: fingerprint(self.architecture),
            stamp,
            words_crc: checksum(bytemuck::cast_slice(&words)),
        };
        Ok((words, header, hexadecimal(&sha256)))
    }

    fn write(&self, header: &Header, words: &[u32]) -> io::Result<()> {
        replace(&self.path(), |file| {
            let mut page = header.encode();
            page.resize(HEADER, 0);
            file.write_all(&page)?;
            file.write_all(bytemuck::cast_slice(words))
        })
    }
}

/// Packs a checkpoint and writes the file, whether or not there is one; returns its path.
///
/// # Errors
///
/// As [`Source::open`], and if the file cannot be written.
pub(in super::super) fn write(
    variant: &Variant,
    checkpoint: &Path,
    architecture: &Architecture,
) -> Result<PathBuf, Error> {
    let source = Source::new(variant, checkpoint, architecture);
    let (words, header, _) = source.pack(Stamp::of(checkpoint)?)?;
    let path = source.path();
    source.write(&header, &words).map_err(|error| Error::writing(&path, error))?;
    Ok(path)
}

/// The header of a packed file, if it is one, as it would be written again. For the fuzz targets.
pub(in super::super) fn rewrite_header(file: &[u8]) -> Option<Vec<u8>> {
    Header::read(file).map(|header| header.encode())
}

/// Maps a file whole, its pages brought in at once rather than one fault at a time.
fn map(path: &Path) -> io::Result<Mmap> {
    let file = File::open(path)?;
    // SAFETY: nobody changes the file after it has its name, but for fields of the header that nobody reads again. Who
    // cuts it off under a running program ends that program with SIGBUS, and no other.
    unsafe { MmapOptions::new().populate().map(&file) }
}

/// CRC-32 of all bytes, summed up in parts.
fn checksum(bytes: &[u8]) -> u32 {
    let parts: Vec<crc32fast::Hasher> = bytes
        .par_chunks(SUM_CHUNK)
        .map(|part| {
            let mut hasher = crc32fast::Hasher::new();
            hasher.update(part);
            hasher
        })
        .collect();
    let mut whole = crc32fast::Hasher::new();
    for part in &parts {
        whole.combine(part);
    }
    whole.finalize()
}

fn fingerprint(architecture: &Architecture) -> [u8; 32] {
    let nameless = Architecture { name: None, ..architecture.clone() };
    Sha256::digest(nameless.to_json()).into()
}

fn group(kind: Kind) -> u32 {
    match kind {
        Kind::Int8 => GROUP as u32,
        Kind::F32 | Kind::Bf16 => 0,
    }
}

/// What tells that a checkpoint has not been replaced, without reading 600 MB of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    seconds: i64,
    nanoseconds: u32,
}

impl Stamp {
    fn of(checkpoint: &Path) -> Result<Self, Error> {
        let metadata = fs::metadata(checkpoint).map_err(|error| Error::reading(checkpoint, error))?;
        Ok(Self { length: metadata.len(), seconds: metadata.mtime(), nanoseconds: metadata.mtime_nsec() as u32 })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Header {
    kind: u32,
    group: u32,
    words: u64,
    checkpoint_sha256: [u8; 32],
    architecture_sha256: [u8; 32],
    stamp: Stamp,
    words_crc: u32,
}

impl Header {
    fn is_of(&self, source: &Source<'_>) -> bool {
        self.kind == source.kind as u32
            && self.group == group(source.kind)
            && self.words == source.layout.length as u64
            && self.architecture_sha256 == fingerprint(source.architecture)
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(0x0102_0304_u32.to_ne_bytes());
        bytes.extend(self.kind.to_le_bytes());
        bytes.extend(self.group.to_le_bytes());
        bytes.extend(self.words.to_le_bytes());
        bytes.extend(self.checkpoint_sha256);
        bytes.extend(self.architecture_sha256);
        bytes.extend(self.stamp.length.to_le_bytes());
        bytes.extend(self.stamp.seconds.to_le_bytes());
        bytes.extend(self.stamp.nanoseconds.to_le_bytes());
        bytes.extend(self.words_crc.to_le_bytes());
        debug_assert_eq!(bytes.len(), FIELDS);
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    /// The header of a file of this version and byte order, if its checksum is right.
    fn read(file: &[u8]) -> Option<Self> {
        let fields = file.get(..FIELDS)?;
        let sum = u32::from_le_bytes(file.get(FIELDS..FIELDS + 4)?.try_into().ok()?);
        if crc32fast::hash(fields) != sum {
            return None;
        }
        let mut rest = fields;
        if take(&mut rest)? != MAGIC
            || u32::from_le_bytes(take(&mut rest)?) != VERSION
            || u32::from_ne_bytes(take(&mut rest)?) != 0x0102_0304
        {
            return None;
        }
        Some(Self {
            kind: u32::from_le_bytes(take(&mut rest)?),
            group: u32::from_le_bytes(take(&mut rest)?),
            words: u64::from_le_bytes(take(&mut rest)?),
            checkpoint_sha256: take(&mut rest)?,
            architecture_sha256: take(&mut rest)?,
            stamp: Stamp {
                length: u64::from_le_bytes(take(&mut rest)?),
                seconds: i64::from_le_bytes(take(&mut rest)?),
                nanoseconds: u32::from_le_bytes(take(&mut rest)?),
            },
            words_crc: u32::from_le_bytes(take(&mut rest)?),
        })
    }
}

fn take<const COUNT: usize>(rest: &mut &[u8]) -> Option<[u8; COUNT]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(*taken)
}
