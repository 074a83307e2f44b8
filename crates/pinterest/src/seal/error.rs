//! Why something could not be sealed or opened.

use std::fmt;

use super::fingerprint::Fingerprint;

/// A failure to read keys or to open what was sealed. Never holds key bytes or plaintext.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealError(Reason);

/// What a [`SealError`] means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SealErrorKind {
    /// The key file is missing, unreadable or not kept safely.
    KeyFile,
    /// The key file's text is no list of keys.
    KeyText,
    /// The bytes are not something that was sealed here, or of a later format.
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

    /// What kind of failure this is; branch on this.
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
                write!(formatter, "sealed bytes have at least {least} bytes, these have {length}")
            }
            Reason::Version { version, algorithm } => {
                write!(
                    formatter,
                    "sealed in format {version} with algorithm {algorithm}; format 1 with algorithm 1 can be opened"
                )
            }
            Reason::UnknownKey { sealed_with, ring } => {
                let ring: Vec<_> = ring.iter().map(ToString::to_string).collect();
                write!(formatter, "sealed with key {sealed_with}, the key ring has {}", ring.join(", "))
            }
            Reason::NotAuthentic { sealed_with } => write!(
                formatter,
                "key {sealed_with} does not open these bytes: they were altered, or belong to another row or generation"
            ),
            Reason::NotText => formatter.write_str("what was sealed is no text"),
        }
    }
}

impl std::error::Error for SealError {}
