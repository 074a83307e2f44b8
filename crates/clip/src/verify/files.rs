//! The files of a model directory.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value};

use crate::engine;
use crate::error::Error;
use crate::tokenizer::{Tokenizer, VOCABULARY};

/// SHA-256 of the published `model.safetensors` that `pgvector_setup/clip-weights` downloads.
pub const PUBLISHED_SHA256: &str = "99d28a652e6ec46629ab7047a0ac82c69b1fe11e0ce672c43af65d3a9a3fc05d";

/// The weights file, read as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// Its length.
    pub bytes: u64,
    /// Tensors of the architecture in it.
    pub tensors: usize,
    /// 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// A tensor with a number that is not finite, or of which all numbers are zero, and what is wrong with it.
    pub damage: Option<String>,
}

/// Reads all weights of the model in `directory`; takes memory of their size.
///
/// # Errors
///
/// Those of [`load`](crate::load).
pub fn files(directory: &Path) -> Result<Files, Error> {
    let (weights, bytes) = engine::read_weights(directory)?;
    let mut damage = None;
    let mut names: Vec<_> = weights.tensors.keys().collect();
    names.sort_unstable();
    for name in names {
        let numbers = &weights.tensors[name];
        let bad = numbers.iter().filter(|number| !number.is_finite()).count();
        if bad > 0 {
            damage = Some(format!("{bad} of {} numbers of tensor {name} are not finite", numbers.len()));
        } else if name.ends_with(".weight") && numbers.iter().all(|&number| number == 0.0) {
            damage = Some(format!("all numbers of tensor {name} are 0"));
        }
        if damage.is_some() {
            break;
        }
    }
    Ok(Files { bytes, tensors: weights.tensors.len(), sha256: engine::hexadecimal(&weights.sha256), damage })
}

/// The vocabulary in a directory. The program contains CLIP's own and does not read it; another one tells that the directory
/// is of another model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vocabulary {
    /// The directory contains none.
    Absent,
    /// It is CLIP's.
    Same {
        /// The file's name.
        file: &'static str,
    },
    /// It is another one.
    Other {
        /// The file's name.
        file: &'static str,
        /// What differs, in one sentence.
        difference: String,
    },
}

/// Longest vocabulary that is read, in bytes; CLIP's `tokenizer.json` has 2.2 MB.
const LONGEST: u64 = 32 * 1024 * 1024;

/// Words that are one token each, to compare.
const WORDS: [&str; 8] = ["hello", "world", "photo", "cat", "dog", "barn", "beach", "wedding"];

/// Compares the vocabulary in `directory`, if there is one, with that of the program.
pub fn vocabulary(directory: &Path, tokenizer: &Tokenizer) -> Vocabulary {
    for file in ["vocab.json", "tokenizer.json"] {
        let path = directory.join(file);
        if !path.exists() {
            continue;
        }
        return match read(&path).and_then(|vocabulary| compare(&vocabulary, tokenizer)) {
            Ok(()) => Vocabulary::Same { file },
            Err(difference) => Vocabulary::Other { file, difference },
        };
    }
    Vocabulary::Absent
}

/// The entries of a `vocab.json`, or of the model in a `tokenizer.json`.
fn read(path: &Path) -> Result<Map<String, Value>, String> {
    let mut json = Vec::new();
    let file = File::open(path).map_err(|error| format!("it cannot be read: {error}"))?;
    file.take(LONGEST).read_to_end(&mut json).map_err(|error| format!("it cannot be read: {error}"))?;
    let value: Value = serde_json::from_slice(&json).map_err(|error| format!("it is not JSON: {error}"))?;
    let inner = value.pointer("/model/vocab").unwrap_or(&value);
    inner.as_object().cloned().ok_or_else(|| "it contains no vocabulary".to_owned())
}

fn compare(vocabulary: &Map<String, Value>, tokenizer: &Tokenizer) -> Result<(), String> {
    if vocabulary.len() != VOCABULARY {
        return Err(format!("it has {} entries, CLIP's has {VOCABULARY}", vocabulary.len()));
    }
    for word in WORDS {
        let tokens = tokenizer.encode(word).map_err(|error| error.to_string())?;
        let entry = format!("{word}</w>");
        let found = vocabulary.get(&entry).and_then(Value::as_u64);
        if found != tokens.get(1).map(|&token| u64::from(token)) {
            let found = found.map_or_else(|| "absent".to_owned(), |number| format!("number {number}"));
            return Err(format!("its entry {entry} is {found}, in CLIP's it is number {}", tokens[1]));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standin::{self, Size};

    /// A vocabulary with the words in their places.
    fn clips(tokenizer: &Tokenizer) -> Map<String, Value> {
        let words = WORDS.map(|word| (format!("{word}</w>"), u64::from(tokenizer.encode(word).unwrap()[1])));
        let others = (0..VOCABULARY - WORDS.len()).map(|number| (format!("{number}-"), number as u64));
        words.into_iter().chain(others).map(|(entry, number)| (entry, number.into())).collect()
    }

    #[test]
    fn another_vocabulary_is_recognised() {
        let (directory, tokenizer) = (tempfile::tempdir().unwrap(), Tokenizer::new());
        let found = || vocabulary(directory.path(), &tokenizer);
        let write = |file: &str, value: Value| std::fs::write(directory.path().join(file), value.to_string()).unwrap();
        assert_eq!(found(), Vocabulary::Absent);

        let right = clips(&tokenizer);
        write("tokenizer.json", serde_json::json!({"model": {"vocab": right}}));
        assert_eq!(found(), Vocabulary::Same { file: "tokenizer.json" });
        write("vocab.json", right.clone().into());
        assert_eq!(found(), Vocabulary::Same { file: "vocab.json" });

        let mut moved = right.clone();
        moved.insert("barn</w>".to_owned(), 7.into());
        let mut longer = right;
        longer.insert("more".to_owned(), 7.into());
        for (wrong, reason) in [
            (moved.into(), "its entry barn</w> is number 7"),
            (longer.into(), "it has 49409 entries"),
            (serde_json::json!(["a"]), "it contains no vocabulary"),
        ] {
            write("vocab.json", wrong);
            let Vocabulary::Other { difference, .. } = found() else { panic!("{reason}") };
            assert!(difference.starts_with(reason), "{difference}");
        }
    }

    #[test]
    fn damage_is_found_in_any_tensor() {
        let directory = tempfile::tempdir().unwrap();
        let written = standin::write(directory.path(), 3, Size::Tiny).unwrap();
        let whole = files(directory.path()).unwrap();
        assert_eq!((whole.sha256, whole.damage), (written.weights_sha256, None));

        let path = directory.path().join("model.safetensors");
        let mut bytes = std::fs::read(&path).unwrap();
        assert_eq!(whole.bytes, bytes.len() as u64);
        let last = bytes.len() - 4;
        bytes[last..].copy_from_slice(&f32::INFINITY.to_le_bytes());
        std::fs::write(&path, bytes).unwrap();
        let damage = files(directory.path()).unwrap().damage.unwrap();
        assert!(damage.starts_with("1 of ") && damage.ends_with("are not finite"), "{damage}");
    }
}
