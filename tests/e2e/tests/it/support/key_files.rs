//! Key files for tests: readable keys that cannot be mistaken for real ones.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::ServerFile;

use crate::support::prelude::*;

/// A key as a line of a key file, the same for the same number.
pub fn key(number: u8) -> String {
    STANDARD.encode([number; 32])
}

/// A key file with these keys, the first one active.
pub fn key_file(keys: &[u8]) -> Result<ServerFile> {
    ServerFile::new(".key", ring(keys).as_bytes())
}

/// The text of such a file.
pub fn ring(keys: &[u8]) -> String {
    keys.iter().map(|number| key(*number) + "\n").collect()
}
