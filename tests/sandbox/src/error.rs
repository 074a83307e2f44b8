//! The error of this crate.

use std::io;
use std::path::Path;

/// Why the sandbox could not start or could not execute a command of a test.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(#[from] ErrorKind);

#[derive(Debug, thiserror::Error)]
pub(crate) enum ErrorKind {
    #[error("could not listen on 127.0.0.1:{port}: {source}")]
    Listen { port: u16, source: io::Error },
    #[error("could not make the certificates: {0}")]
    Certificate(String),
    #[error("could not write the certificate authority to \"{path}\": {source}")]
    WriteAuthority { path: String, source: io::Error },
    #[error("could not start the server thread: {0}")]
    Thread(io::Error),
    #[error("invalid configuration: {0}")]
    Configuration(String),
    #[error("{what} {name:?} does not exist")]
    Unknown { what: &'static str, name: String },
}

impl Error {
    /// Whether a named account, board, section or pin does not exist.
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
