//! Errors of keys and sealed values.

use std::fmt;

use super::fingerprint::Fingerprint;

/// A failure to read keys or to open a sealed value. Never contains key bytes or plaintext.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealError(Reason);

/// The kind of a [`SealError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SealErrorKind {
    /// The key file is missing, unreadable or not safe.
    KeyFile,
    /// The key file's text is not a list of keys.
    KeyText,
    /// The bytes are not a sealed value, or have a later format.
    Format,
    /// Sealed with a key that is not in the ring.
    UnknownKey,
    /// Altered, or moved from another row, purpose, generation or installation.
    NotAuthentic,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    KeyFile { path: String, rule: String },
    KeyText(String),
    TooShort { length: usize, least: usize },
    Version { version: u8, algorithm: u8 },
    UnknownKey { sealed_with: Fingerprint, ring: Vec<Fingerprint> },
    NotAuthentic { sealed_with: Fingerprint },
    NotText,
}

impl SealError {
    pub(super) fn new(reason: Reason) -> Self {
        Self(reason)
    }

    pub(super) fn reason(&self) -> &Reason {
        &self.0
    }

    /// The kind of failure; branch on this.
    pub fn kind(&self) -> SealErrorKind {
        match self.0 {
            Reason::KeyFile { .. } => SealErrorKind::KeyFile,
            Reason::KeyText(_) => SealErrorKind::KeyText,
            Reason::TooShort { .. } | Reason::Version { .. } => SealErrorKind::Format,
            Reason::UnknownKey { .. } => SealErrorKind::UnknownKey,
            Reason::NotAuthentic { .. } | Reason::NotText => SealErrorKind::NotAuthentic,
        }
    }
}

impl fmt::Display for SealError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Reason::KeyFile { path, rule } => write!(formatter, "key file {path}: {rule}"),
            Reason::KeyText(rule) => formatter.write_str(rule),
            Reason::TooShort { length, least } => {
                write!(formatter, "the sealed value has {length} bytes, expected at least {least}")
            }
            Reason::Version { version, algorithm } => {
                write!(
                    formatter,
                    "sealed in format {version} with algorithm {algorithm}; only format 1 with algorithm 1 is supported"
                )
            }
            Reason::UnknownKey { sealed_with, ring } => {
                let ring: Vec<_> = ring.iter().map(ToString::to_string).collect();
                write!(formatter, "sealed with key {sealed_with}, but the keys are {}", ring.join(", "))
            }
            Reason::NotAuthentic { sealed_with } => write!(
                formatter,
                "key {sealed_with} cannot decrypt this value: it was altered, or belongs to another row or generation"
            ),
            Reason::NotText => formatter.write_str("the decrypted value is not valid UTF-8"),
        }
    }
}

impl std::error::Error for SealError {}
