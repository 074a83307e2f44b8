//! The stand-in's files.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use sha2::{Digest, Sha256};

use super::values::Values;
use crate::architecture::Architecture;
use crate::error::Error;
use crate::replace::replace;

/// Numbers that are generated and written at a time.
const BLOCK: usize = 64 * 1024;

/// Writes the tensors of `architecture` as safetensors; returns the file's SHA-256 in hexadecimal.
pub(super) fn write_weights(path: &Path, architecture: &Architecture, seed: u64) -> Result<String, Error> {
    replace(path, |file| {
        let mut file = Hashed { file, hash: Sha256::new() };
        let tensors = architecture.tensors();
        file.write_all(&header(&tensors)?)?;
        let mut numbers = vec![0.0; BLOCK];
        let mut bytes = Vec::with_capacity(4 * BLOCK);
        for (stream, (name, shape)) in (0..).zip(&tensors) {
            let mut left: usize = shape.iter().product();
            let mut values = Values::new(architecture, name, left, seed, stream);
            while left > 0 {
                let block = &mut numbers[..left.min(BLOCK)];
                values.next_block(block);
                bytes.clear();
                bytes.extend(block.iter().flat_map(|number| number.to_le_bytes()));
                file.write_all(&bytes)?;
                left -= block.len();
            }
        }
        Ok(format!("{:x}", file.hash.finalize()))
    })
    .map_err(|error| Error::writing(path, error))
}

/// Writes `contents` to `path`.
pub(super) fn write_whole(path: &Path, contents: &[u8]) -> Result<(), Error> {
    replace(path, |file| file.write_all(contents)).map_err(|error| Error::writing(path, error))
}

/// The length of the header and the header, padded to eight bytes so that the tensors are aligned.
fn header(tensors: &[(String, Vec<usize>)]) -> io::Result<Vec<u8>> {
    let mut offset = 0;
    let entries = tensors.iter().map(|(name, shape)| {
        let start = offset;
        offset += 4 * shape.iter().product::<usize>();
        let info = TensorInfo { dtype: Dtype::F32, shape: shape.clone(), data_offsets: (start, offset) };
        (name.clone(), info)
    });
    // transformers refuses a file without this entry.
    let about = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let metadata = Metadata::new(Some(about), entries.collect()).map_err(io::Error::other)?;
    let mut json = serde_json::to_vec(&metadata)?;
    json.resize(json.len().next_multiple_of(8), b' ');
    let mut header = (json.len() as u64).to_le_bytes().to_vec();
    header.append(&mut json);
    Ok(header)
}

struct Hashed<'a> {
    file: &'a mut BufWriter<File>,
    hash: Sha256,
}

impl Hashed<'_> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.file.write_all(bytes)
    }
}
