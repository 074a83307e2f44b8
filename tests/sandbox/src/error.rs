//! The one error this crate returns.

use std::io;
use std::path::Path;

/// Why the sandbox could not start or could not do what a test asked of it.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(#[from] ErrorKind);

#[derive(Debug, thiserror::Error)]
pub(crate) enum ErrorKind {
    #[error("cannot listen on 127.0.0.1:{port}: {source}")]
    Listen { port: u16, source: io::Error },
    #[error("cannot make the certificates: {0}")]
    Certificate(String),
    #[error("cannot write the certificate authority to {path}: {source}")]
    WriteAuthority { path: String, source: io::Error },
    #[error("cannot start the server thread: {0}")]
    Thread(io::Error),
    #[error("invalid configuration: {0}")]
    Configuration(String),
    #[error("no {what} {name:?} in this world")]
    Unknown { what: &'static str, name: String },
}

impl Error {
    /// True where a named account, board, section or pin does not exist.
    pub fn is_unknown(&self) -> bool {
        matches!(self.0, ErrorKind::Unknown { .. })
    }

    pub(crate) fn unknown(what: &'static str, name: impl Into<String>) -> Self {
        Self(ErrorKind::Unknown { what, name: name.into() })
    }

    pub(crate) fn configuration(message: impl Into<String>) -> Self {
        Self(ErrorKind::Configuration(message.into()))
    }

    pub(crate) fn certificate(source: impl std::fmt::Display) -> Self {
        Self(ErrorKind::Certificate(source.to_string()))
    }

    pub(crate) fn write_authority(path: &Path, source: io::Error) -> Self {
        Self(ErrorKind::WriteAuthority { path: path.display().to_string(), source })
    }
}
