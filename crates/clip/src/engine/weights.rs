//! Reads `model.safetensors` in one pass: every byte is hashed as it is read and copied to its tensor. [`Checkpoint`] reads
//! parts of tensors instead.
//!
//! The file is read and not mapped: a bad page of a mapped file kills the process, and a file that is overwritten would change
//! the results of a running model. No tensor is in memory twice.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use sha2::{Digest, Sha256};

use super::trust;
use crate::architecture::Architecture;
use crate::error::{Error, Inner};

pub(crate) struct Weights {
    /// The numbers of each tensor by name. Each has the shape of the architecture.
    pub tensors: HashMap<String, Vec<f32>>,
    /// Of the whole file.
    pub sha256: [u8; 32],
}

/// Largest header, in bytes. That of the published checkpoint has about 50 kB.
const MAX_HEADER: u64 = 16 * 1024 * 1024;

/// Bytes read at a time.
const CHUNK: usize = 1024 * 1024;

pub(super) fn read(path: &Path, architecture: &Architecture) -> Result<Weights, Error> {
    let (file, metadata) = trust::open(path)?;
    read_from(file, metadata.len(), path, architecture)
}

/// Like [`read`], for an open file of `length` bytes; errors contain `path`.
pub(super) fn read_from(
    file: impl Read,
    length: u64,
    path: &Path,
    architecture: &Architecture,
) -> Result<Weights, Error> {
    let mut source = Hashed { file, hash: Sha256::new() };
    let reading = |error| reading(path, length, error);
    let (header, _) = read_header(&mut source, length, path, architecture)?;
    let expected = architecture.tensors();
    let expected: HashSet<&str> = expected.iter().map(|(name, _)| name.as_str()).collect();

    let mut tensors = HashMap::with_capacity(expected.len());
    let mut chunk = vec![0; CHUNK];
    for name in header.offset_keys() {
        let info = header.info(&name).expect("a listed tensor has an entry");
        if expected.contains(name.as_str()) {
            let values = read_floats(&mut source, info, &mut chunk).map_err(reading)?;
            tensors.insert(name, values);
        } else {
            // Older files of transformers contain other tensors, such as position indices, which only count in the hash.
            skip(&mut source, info, &mut chunk).map_err(reading)?;
        }
    }
    Ok(Weights { tensors, sha256: source.finish() })
}

/// Reads the header of a file of `length` bytes, and checks it against the architecture and the length. Also returns the
/// position of the first tensor.
fn read_header(
    source: &mut impl Read,
    length: u64,
    path: &Path,
    architecture: &Architecture,
) -> Result<(Metadata, u64), Error> {
    let invalid = |reason: String| -> Error { Inner::Weights { path: path.to_path_buf(), reason }.into() };
    let reading = |error| reading(path, length, error);
    let mut header_length = [0; 8];
    source.read_exact(&mut header_length).map_err(reading)?;
    let header_length = u64::from_le_bytes(header_length);
    if header_length > MAX_HEADER.min(length) {
        return Err(invalid(format!(
            "not a safetensors file: the header would have {header_length} of {length} bytes"
        )));
    }
    let mut header = vec![0; header_length as usize];
    source.read_exact(&mut header).map_err(reading)?;
    // Checks that the tensors follow one another without a gap and that each has the size of its shape.
    let header: Metadata = serde_json::from_slice(&header).map_err(|error| invalid(error.to_string()))?;
    // The offsets are untrusted, and their sum may overflow.
    let start = 8 + header_length;
    let promised = start.saturating_add(header.data_len() as u64);
    if promised != length {
        return Err(invalid(format!("file has {length} bytes, its header requires {promised}")));
    }
    for (name, shape) in architecture.tensors() {
        check(&header, &name, &shape).map_err(invalid)?;
    }
    Ok((header, start))
}

/// The error of a failed read of a file of `length` bytes.
fn reading(path: &Path, length: u64, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            Inner::Weights { path: path.to_path_buf(), reason: format!("file ends after {length} bytes") }.into()
        }
        _ => Error::reading(path, error),
    }
}

/// An open checkpoint, of which parts are read.
pub(crate) struct Checkpoint {
    file: File,
    length: u64,
    path: PathBuf,
    header: Metadata,
    start: u64,
}

impl Checkpoint {
    pub(super) fn open(path: &Path, architecture: &Architecture) -> Result<Self, Error> {
        let (mut file, metadata) = trust::open(path)?;
        let length = metadata.len();
        let (header, start) = read_header(&mut file, length, path, architecture)?;
        Ok(Self { file, length, path: path.to_path_buf(), header, start })
    }

    /// The numbers of a tensor of the architecture at these places of its row-major order; fewer if it ends before.
    pub(crate) fn numbers(&self, name: &str, places: Range<usize>) -> Result<Vec<f32>, Error> {
        let Some(info) = self.header.info(name) else { return Ok(vec![]) };
        let count = byte_length(info) / 4;
        let (first, end) = (places.start.min(count), places.end.min(count));
        let mut bytes = vec![0; 4 * end.saturating_sub(first)];
        let position = self.start + (info.data_offsets.0 + 4 * first) as u64;
        self.file.read_exact_at(&mut bytes, position).map_err(|error| reading(&self.path, self.length, error))?;
        let (words, _) = bytes.as_chunks::<4>();
        Ok(words.iter().map(|&word| f32::from_le_bytes(word)).collect())
    }
}

/// SHA-256 of the whole file.
pub(super) fn digest(path: &Path) -> Result<[u8; 32], Error> {
    let reading = |error| Error::reading(path, error);
    let mut hash = Sha256::new();
    let (mut file, _) = trust::open(path)?;
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk).map_err(reading)? {
            0 => break,
            read => hash.update(&chunk[..read]),
        }
    }
    Ok(hash.finalize().into())
}

/// 64 lower-case hexadecimal digits.
pub(crate) fn hexadecimal(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn check(header: &Metadata, name: &str, shape: &[usize]) -> Result<(), String> {
    let info = header.info(name).ok_or_else(|| format!("tensor {name} is missing"))?;
    if info.shape != shape {
        return Err(format!("tensor {name} has shape {:?}, expected {shape:?}", info.shape));
    }
    if info.dtype != Dtype::F32 {
        return Err(format!("tensor {name} is {:?}, expected F32", info.dtype));
    }
    Ok(())
}

fn byte_length(info: &TensorInfo) -> usize {
    info.data_offsets.1 - info.data_offsets.0
}

fn read_floats(source: &mut Hashed<impl Read>, info: &TensorInfo, chunk: &mut [u8]) -> io::Result<Vec<f32>> {
    let mut left = byte_length(info);
    let mut values = Vec::with_capacity(left / 4);
    while left > 0 {
        let part = &mut chunk[..left.min(CHUNK)];
        source.read_exact(part)?;
        let (words, _) = part.as_chunks::<4>();
        values.extend(words.iter().map(|&word| f32::from_le_bytes(word)));
        left -= part.len();
    }
    Ok(values)
}

fn skip(source: &mut Hashed<impl Read>, info: &TensorInfo, chunk: &mut [u8]) -> io::Result<()> {
    let mut left = byte_length(info);
    while left > 0 {
        let part = &mut chunk[..left.min(CHUNK)];
        source.read_exact(part)?;
        left -= part.len();
    }
    Ok(())
}

struct Hashed<R> {
    file: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.hash.update(&buffer[..read]);
        Ok(read)
    }
}

impl<R> Hashed<R> {
    fn finish(self) -> [u8; 32] {
        self.hash.finalize().into()
    }
}
