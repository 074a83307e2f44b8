//! Reads `model.safetensors` in one pass: every byte is hashed as it is read and copied to its tensor.
//!
//! The file is read and not mapped: a bad page of a mapped file kills the process, and a file that is overwritten would change
//! the results of a running model. No tensor is in memory twice.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read};
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use sha2::{Digest, Sha256};

use super::trust;
use crate::architecture::Architecture;
use crate::error::{Error, Inner};

pub(super) struct Weights {
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
    let invalid = |reason: String| -> Error { Inner::Weights { path: path.to_path_buf(), reason }.into() };
    let mut source = Hashed { file, hash: Sha256::new() };
    let reading = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => invalid(format!("file ends after {length} bytes")),
        _ => Error::reading(path, error),
    };

    let mut header_length = [0; 8];
    source.fill(&mut header_length).map_err(reading)?;
    let header_length = u64::from_le_bytes(header_length);
    if header_length > MAX_HEADER.min(length) {
        return Err(invalid(format!(
            "not a safetensors file: the header would have {header_length} of {length} bytes"
        )));
    }
    let mut header = vec![0; header_length as usize];
    source.fill(&mut header).map_err(reading)?;
    // Checks that the tensors follow one another without a gap and that each has the size of its shape.
    let header: Metadata = serde_json::from_slice(&header).map_err(|error| invalid(error.to_string()))?;
    // The offsets are untrusted, and their sum may overflow.
    let promised = (8 + header_length).saturating_add(header.data_len() as u64);
    if promised != length {
        return Err(invalid(format!("file has {length} bytes, its header requires {promised}")));
    }

    let expected = architecture.tensors();
    for (name, shape) in &expected {
        check(&header, name, shape).map_err(invalid)?;
    }
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
pub(super) fn hexadecimal(digest: &[u8; 32]) -> String {
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
        source.fill(part)?;
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
        source.fill(part)?;
        left -= part.len();
    }
    Ok(())
}

struct Hashed<R> {
    file: R,
    hash: Sha256,
}

impl<R: Read> Hashed<R> {
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact(buffer)?;
        self.hash.update(buffer);
        Ok(())
    }

    fn finish(self) -> [u8; 32] {
        self.hash.finalize().into()
    }
}
