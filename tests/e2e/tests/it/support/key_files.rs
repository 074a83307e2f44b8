//! Key files with obviously artificial keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::ServerFile;

use crate::support::prelude::*;

/// The line of a key file for a key number.
pub fn key(number: u8) -> String {
    STANDARD.encode([number; 32])
}

/// A key file with these keys, the first one active.
pub fn key_file(keys: &[u8]) -> Result<ServerFile> {
    ServerFile::new(".key", ring(keys).as_bytes())
}

/// The text of a key file.
pub fn ring(keys: &[u8]) -> String {
    keys.iter().map(|number| key(*number) + "\n").collect()
}
