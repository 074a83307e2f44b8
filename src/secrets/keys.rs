//! The key ring, which is read for each call that needs it and zeroed afterwards.

use std::cell::RefCell;
use std::rc::Rc;

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode};
use pinterest::seal::{KeyRing, SealError};

use crate::errors::{Failure, Kind};
use crate::postgres::platform;
use crate::secrets::key_command;
use crate::settings;
use crate::store::seal;

/// The key file in the data directory, used if no other source of keys is configured.
const DEFAULT_NAME: &str = "pinterest.key";

thread_local! {
    // The keys that a worker's key command printed: run inside a transaction, it would keep the transaction open for its time.
    static REMEMBERED: RefCell<Option<Rc<KeyRing>>> = const { RefCell::new(None) };
}

/// Runs the key command, if one is configured, and keeps its keys until the next call. For workers, outside a transaction.
pub fn remember() -> Result<(), Failure> {
    let ring = settings::key_command().map(|command| key_command::run(&command)).transpose()?;
    REMEMBERED.replace(ring.map(Rc::new));
    Ok(())
}

/// The keys from the key command, from the configured file, or from the file in the data directory, which is created on first
/// use.
pub fn ring() -> Result<Rc<KeyRing>, Failure> {
    if let Some(ring) = REMEMBERED.with_borrow(Clone::clone) {
        return Ok(ring);
    }
    match (settings::key_command(), settings::key_file()) {
        (Some(_), Some(_)) => {
            Err(Failure::new(Kind::Config, "pinterest.key_command and pinterest.key_file are both set")
                .with_hint("Set only one of the two."))
        }
        (Some(command), None) => key_command::run(&command).map(Rc::new),
        (None, Some(path)) => pinterest::seal::read_key_file(&path).map(Rc::new).map_err(in_file),
        (None, None) => default_file().map(Rc::new),
    }
}

fn in_file(error: SealError) -> Failure {
    Failure::new(Kind::Config, error.to_string())
        .with_hint("The file must be a regular file, owned by the server's user or root, with mode 0600 or 0400.")
}

/// Creates the file only if nothing is sealed yet: otherwise the key was moved, and secrets sealed with a new one would be
/// unreadable once the first is back. Runs as `pinterest_worker`, inside a transaction.
fn default_file() -> Result<KeyRing, Failure> {
    let path = platform::data_directory().join(DEFAULT_NAME);
    // A dangling symbolic link counts as existing.
    if path.symlink_metadata().is_ok() || platform::in_recovery() {
        return pinterest::seal::read_key_file(&path).map_err(in_file);
    }
    let sealed = seal::by_key()?;
    if !sealed.is_empty() {
        let with: Vec<_> = sealed
            .iter()
            .map(|key| format!("{} secrets are sealed with key {}", key.secrets, key.fingerprint))
            .collect();
        return Err(Failure::new(
            Kind::Config,
            format!("key file {} is missing: {}", path.display(), with.join(", ")),
        )
        .with_hint(
            "If the key was moved, set pinterest.key_file to its new path and restart or reload the server; otherwise restore the file.",
        ));
    }
    let ring = pinterest::seal::create_key_file(&path, random::<32>()?).map_err(in_file)?;
    ErrorReport::new(
        PgSqlErrorCode::ERRCODE_WARNING,
        format!("created a key for sealing tokens in the data directory: {}", path.display()),
        "pg_pinterest",
    )
    .set_hint("Base backups of the cluster contain it. Copy the file to another directory, set pinterest.key_file, restart or reload the server, then remove this file.")
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
