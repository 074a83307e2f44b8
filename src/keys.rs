//! The key ring, read for the one call that needs it and zeroed after.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode};
use pinterest::seal::{KeyRing, SealError};

use crate::errors::{Failure, Kind};
use crate::{platform, settings};

/// Where a key is made when none is configured.
const DEFAULT_NAME: &str = "pinterest.key";

/// Reads the configured key file, or the one in the data directory, which is made on first use.
pub fn ring() -> Result<KeyRing, Failure> {
    let trouble = |error: SealError| {
        Failure::new(Kind::Config, error.to_string())
            .with_hint("The file must be a regular one, owned by the server's user or root, with mode 0600 or 0400.")
    };
    if let Some(path) = settings::key_file() {
        return pinterest::seal::read_key_file(&path).map_err(trouble);
    }
    let path = platform::data_directory().join(DEFAULT_NAME);
    if path.exists() || platform::in_recovery() {
        return pinterest::seal::read_key_file(&path).map_err(trouble);
    }
    let ring = pinterest::seal::create_key_file(&path, random::<32>()?).map_err(trouble)?;
    ErrorReport::new(
        PgSqlErrorCode::ERRCODE_WARNING,
        format!("made a key for sealing tokens in the data directory: {}", path.display()),
        "pg_pinterest",
    )
    .set_hint("Base backups of the cluster contain it. Move it elsewhere and set pinterest.key_file.")
    .report(PgLogLevel::WARNING);
    Ok(ring)
}

/// `N` bytes from the server's random source.
pub fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    // SAFETY: writes N bytes into an array of N bytes.
    if unsafe { pgrx::pg_sys::pg_strong_random(bytes.as_mut_ptr().cast(), N) } {
        Ok(bytes)
    } else {
        Err(Failure::new(Kind::Internal, "the server's random source failed"))
    }
}
