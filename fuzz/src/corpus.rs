//! Corpora as files, and mutations of their inputs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Fixtures of other tests that are also inputs of a target; `tools/fuzz` uses the same.
const FIXTURES: [(&str, &str); 1] = [("picture", "../tests/fixtures/containers")];

/// The committed inputs of a target, by name.
///
/// # Errors
/// If a directory or a file in it cannot be read.
pub fn read(name: &str) -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fixtures = FIXTURES.iter().filter(|(target, _)| *target == name).map(|(_, directory)| here.join(directory));
    let mut paths = Vec::new();
    for directory in std::iter::once(here.join("corpus").join(name)).chain(fixtures) {
        for entry in fs::read_dir(directory)? {
            paths.push(entry?.path());
        }
    }
    paths.sort();
    paths.into_iter().map(|path| fs::read(&path).map(|bytes| (path, bytes))).collect()
}

/// Maximum length of a mutated input, in bytes.
const LONGEST: usize = 64 * 1024;

/// Text with a meaning to one of the parsers.
const WORDS: [&[u8]; 24] = [
    b"\0",
    b"\\u0000",
    b"\\ud800",
    b"null",
    b"true",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b"\"",
    b"\\",
    b"{}",
    b"[]",
    b"[[[[[[[[",
    b",",
    b"\n",
    b"@@",
    b"pina_",
    b"https://",
    b"..",
    b"%00",
    b"\xff",
    b"\xe2\x80\xa8",
    b" ",
    b"@",
];

/// An input with up to six changes, some with parts of other inputs.
///
/// # Panics
/// If `inputs` is empty.
pub fn mutate(inputs: &[Vec<u8>], random: &mut fastrand::Rng) -> Vec<u8> {
    let pick = |random: &mut fastrand::Rng| &inputs[random.usize(..inputs.len())];
    let mut input = pick(random).clone();
    for _ in 0..random.usize(1..=6) {
        let at = random.usize(..=input.len());
        let end = at + random.usize(..=(input.len() - at).min(32));
        match random.u8(..8) {
            0 if at < input.len() => input[at] ^= 1 << random.u8(..8),
            1 if at < input.len() => input[at] = random.u8(..),
            2 => drop(input.drain(at..end)),
            3 => drop(input.splice(at..end, random.choice(WORDS).unwrap_or_default().iter().copied())),
            4 => drop(input.splice(at..at, random.choice(WORDS).unwrap_or_default().iter().copied())),
            5 => {
                let piece = input[at..end].to_vec();
                let again = random.usize(1..=8);
                drop(input.splice(at..at, piece.repeat(again)));
            }
            6 => {
                let other = pick(random);
                let from = random.usize(..=other.len());
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            _ => input.truncate(input.len() - random.usize(..=input.len().min(8))),
        }
        input.truncate(LONGEST);
    }
    input
}
