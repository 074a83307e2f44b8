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
//! | 96 | 32 | SHA-256 of the SHA-256 of every 8 MiB of the words |
//! | 128 | 32 | SHA-256 of the header before it |
//!
//! A file of another version, of another checkpoint or with a wrong digest is replaced. A file gets its name once it is
//! complete, and is never modified. File and checkpoint are hashed the first time, and later identified by their metadata: see
//! [`Record`]. Files that others may write are refused.
#![allow(unsafe_code, reason = "another process could change a mapped file")]

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use memmap2::{Mmap, MmapOptions};
use rayon::iter::ParallelIterator;
use rayon::slice::ParallelSlice;
use sha2::{Digest, Sha256};

use super::buffer::Buffer;
use super::format::{GROUP, Kind};
use super::layout::Layout;
use super::pack::pack;
use super::record::{Identity, Record};
use super::storage::{Mapped, Storage};
use super::variants::Variant;
use crate::architecture::Architecture;
use crate::engine::trust;
use crate::engine::weights::{self, Weights, hexadecimal};
use crate::error::{Error, ErrorKind, Inner};
use crate::replace::replace;

const MAGIC: [u8; 8] = *b"PINCLIP\0";

/// Must be raised with every change of the header, of a layout, or of the meaning of the words.
const VERSION: u32 = 2;

/// Bytes of the header: a page, so that the words are aligned to one.
const HEADER: usize = 4096;

/// Bytes of the header's fields before its digest.
const FIELDS: usize = 128;

/// Bytes of a SHA-256.
const DIGEST: usize = 32;

/// Bytes of the words that one task hashes.
const HASH_CHUNK: usize = 8 * 1024 * 1024;

/// A checkpoint and the layout to pack it in.
pub(super) struct Source<'a> {
    checkpoint: &'a Path,
    architecture: &'a Architecture,
    kind: Kind,
    /// Name of the arithmetic, part of the packed file's name.
    name: &'a str,
    pub layout: Layout,
}

/// Packed weights, ready for use.
pub(super) struct Opened {
    pub storage: Storage,
    /// Of the checkpoint, in lower-case hexadecimal.
    pub sha256: String,
    /// If they are in private memory and not in a file, the reason.
    pub notice: Option<String>,
}

/// A packed file that may match.
struct Found {
    file: File,
    /// Its identity when it was opened.
    identity: Identity,
    header: Header,
}

/// The result of packing a checkpoint.
struct Packed {
    words: Buffer<u32>,
    header: Header,
    /// Identity of the checkpoint when it was read.
    checkpoint: Identity,
}

impl<'a> Source<'a> {
    pub(super) fn new(variant: &Variant, checkpoint: &'a Path, architecture: &'a Architecture) -> Self {
        let layout = Layout::new(architecture, variant.kind);
        Self { checkpoint, architecture, kind: variant.kind, name: variant.name, layout }
    }

    /// Path of the packed file.
    fn path(&self) -> PathBuf {
        self.checkpoint.with_file_name(format!("model.{}.packed", self.name))
    }

    /// Path of the record that the packed file was checked.
    fn record_path(&self) -> PathBuf {
        self.checkpoint.with_file_name(format!("model.{}.packed.checked", self.name))
    }

    /// Opens the packed file if it exists and belongs to this checkpoint. Otherwise packs the weights, and writes the file for
    /// the next start if possible. Runs on rayon's current pool.
    ///
    /// # Errors
    ///
    /// If the checkpoint cannot be read or does not belong to the architecture, or if others may write it or the packed file.
    /// Failing to write the packed file is not an error.
    pub(super) fn open(&self) -> Result<Opened, Error> {
        if let Some(found) = self.find(None)? {
            return Ok(found);
        }
        let Packed { words, header, checkpoint } = self.pack()?;
        let sha256 = hexadecimal(&header.checkpoint_sha256);
        let path = self.path();
        let reason = match self.write(&header, &words) {
            Ok(()) => match self.find(Some((&checkpoint, header.checkpoint_sha256)))? {
                Some(found) => return Ok(found),
                None => format!("\"{}\" was replaced by another process", path.display()),
            },
            // The cause is not reported, since a server has given up the right to write. `pinterest-embedder pack` reports it.
            Err(_) => format!("could not write \"{}\"", path.display()),
        };
        let notice = Some(format!("{reason}; the weights are in private memory"));
        Ok(Opened { storage: Storage::Owned(words), sha256, notice })
    }

    /// Whether [`open`](Self::open) would find the packed file, checked earlier.
    pub(super) fn is_packed(&self) -> Result<bool, Error> {
        let Some(found) = self.look()? else { return Ok(false) };
        let (_, metadata) = trust::open(self.checkpoint)?;
        Ok(self.is_recorded(&found.header, &found.identity, &Identity::of(&metadata)))
    }

    /// Maps and checks the packed file; `None` if it must be written again. `read` is the identity and hash of the checkpoint if it
    /// was just read.
    fn find(&self, read: Option<(&Identity, [u8; 32])>) -> Result<Option<Opened>, Error> {
        let Some(Found { file, identity, header }) = self.look()? else { return Ok(None) };
        let Ok(bytes) = map(&file) else { return Ok(None) };
        let mapped = Mapped::new(bytes, HEADER, file, identity);
        if mapped.words().len() != 4 * self.layout.length {
            return Ok(None);
        }
        let checkpoint = Identity::of(&trust::open(self.checkpoint)?.1);
        let sha256 = hexadecimal(&header.checkpoint_sha256);
        let mut notice = None;
        if !self.is_recorded(&header, mapped.identity(), &checkpoint) {
            let found = match read {
                Some((identity, sha256)) if *identity == checkpoint => sha256,
                _ => weights::digest(self.checkpoint)?,
            };
            if found != header.checkpoint_sha256 || digest(mapped.words()) != header.words_sha256 {
                return Ok(None);
            }
            // Neither file may have changed while it was hashed.
            if !mapped.is_current() || Identity::of(&trust::open(self.checkpoint)?.1) != checkpoint {
                return Ok(None);
            }
            let record = Record::new(header.digest(), mapped.identity().clone(), checkpoint);
            if record.write(&self.record_path()).is_err() {
                notice = Some(format!(
                    "\"{}\" and its checkpoint are hashed at every start, since the check could not be recorded in their \
                     directory; run pinterest-embedder pack as its owner",
                    self.path().display()
                ));
            }
        }
        Ok(Some(Opened { storage: Storage::Mapped(mapped), sha256, notice }))
    }

    fn is_recorded(&self, header: &Header, packed: &Identity, checkpoint: &Identity) -> bool {
        let expected = Record::new(header.digest(), packed.clone(), checkpoint.clone());
        Record::read(&self.record_path()).is_some_and(|record| record == expected)
    }

    /// Opens the packed file if it has this version, length and architecture.
    fn look(&self) -> Result<Option<Found>, Error> {
        let path = self.path();
        let (mut file, metadata) = match trust::open(&path) {
            Ok(opened) => opened,
            Err(error) if error.kind() == ErrorKind::ModelUntrusted => return Err(error),
            // The same cause will prevent writing it, and is reported then.
            Err(_) => return Ok(None),
        };
        let mut header = [0; FIELDS + DIGEST];
        let length = (HEADER + 4 * self.layout.length) as u64;
        if !metadata.is_file() || metadata.len() != length || file.read_exact(&mut header).is_err() {
            return Ok(None);
        }
        let header = Header::read(&header).filter(|header| header.is_of(self));
        Ok(header.map(|header| Found { file, identity: Identity::of(&metadata), header }))
    }

    fn pack(&self) -> Result<Packed, Error> {
        let before = Identity::of(&trust::open(self.checkpoint)?.1);
        let Weights { tensors, sha256 } = weights::read(self.checkpoint, self.architecture)?;
        let checkpoint = Identity::of(&trust::open(self.checkpoint)?.1);
        if checkpoint != before {
            let reason = "file was changed while it was read".to_owned();
            return Err(Inner::Weights { path: self.checkpoint.to_path_buf(), reason }.into());
        }
        let words = pack(&self.layout, &tensors);
        let header = Header {
            kind: self.kind as u32,
            group: group(self.kind),
            words: words.len() as u64,
            checkpoint_sha256: sha256,
            architecture_sha256: fingerprint(self.architecture),
            words_sha256: digest(bytemuck::cast_slice(&words)),
        };
        Ok(Packed { words, header, checkpoint })
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

/// Packs a checkpoint and writes the file, even if it exists; returns its path.
///
/// # Errors
///
/// Those of [`Source::open`], and if the file cannot be written.
pub(in super::super) fn write(
    variant: &Variant,
    checkpoint: &Path,
    architecture: &Architecture,
) -> Result<PathBuf, Error> {
    let source = Source::new(variant, checkpoint, architecture);
    let Packed { words, header, checkpoint } = source.pack()?;
    let path = source.path();
    source.write(&header, &words).map_err(|error| Error::writing(&path, error))?;
    // Hashes the written words, and records the check.
    source.find(Some((&checkpoint, header.checkpoint_sha256)))?;
    Ok(path)
}

/// Whether a load would find the weights packed and checked.
///
/// # Errors
///
/// If others may write a file of the model, or one cannot be read.
pub(in super::super) fn is_packed(
    variant: &Variant,
    checkpoint: &Path,
    architecture: &Architecture,
) -> Result<bool, Error> {
    Source::new(variant, checkpoint, architecture).is_packed()
}

/// Reads the header of a packed file and encodes it again; `None` if it is not one. For the fuzz targets.
pub(in super::super) fn rewrite_header(file: &[u8]) -> Option<Vec<u8>> {
    Header::read(file).map(|header| header.encode())
}

/// Maps a whole file and reads all its pages at once.
fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the file is not written after it has its name, and an engine is not used again if a process has written it
    // nevertheless. Truncating it ends this process with SIGBUS, which harms no other.
    unsafe { MmapOptions::new().populate().map(file) }
}

/// SHA-256 of the SHA-256 of every [`HASH_CHUNK`] bytes, computed by several threads.
fn digest(bytes: &[u8]) -> [u8; 32] {
    let parts: Vec<[u8; 32]> = bytes.par_chunks(HASH_CHUNK).map(|part| Sha256::digest(part).into()).collect();
    Sha256::digest(parts.as_flattened()).into()
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

#[derive(Clone, Debug, PartialEq, Eq)]
struct Header {
    kind: u32,
    group: u32,
    words: u64,
    checkpoint_sha256: [u8; 32],
    architecture_sha256: [u8; 32],
    words_sha256: [u8; 32],
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
        bytes.extend(self.words_sha256);
        debug_assert_eq!(bytes.len(), FIELDS);
        let digest: [u8; 32] = Sha256::digest(&bytes).into();
        bytes.extend(digest);
        bytes
    }

    /// SHA-256 of the encoded header, in hexadecimal.
    fn digest(&self) -> String {
        hexadecimal(&Sha256::digest(self.encode()).into())
    }

    /// Decodes the header of a file of this version and byte order; `None` if it is invalid.
    fn read(bytes: &[u8]) -> Option<Self> {
        let (fields, mut rest) = bytes.split_at_checked(FIELDS)?;
        if take(&mut rest)? != <[u8; DIGEST]>::from(Sha256::digest(fields)) {
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
            words_sha256: take(&mut rest)?,
        })
    }
}

fn take<const COUNT: usize>(rest: &mut &[u8]) -> Option<[u8; COUNT]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(*taken)
}
