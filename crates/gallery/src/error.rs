//! Errors in rows.

/// Characters of the longest message: an unexpected value in it may be a picture in hexadecimal.
const LONGEST: usize = 300;

/// The kind of an error, for a program to branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The rows cannot be shown.
    Malformed,
    /// The memory for them or for the page cannot be allocated.
    OutOfMemory,
}

/// The rows cannot be shown. The message names the place, as in `rows[2].because[0]`, or the requested memory.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

impl Error {
    /// The kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub(crate) fn at(place: impl std::fmt::Display, what: impl std::fmt::Display) -> Self {
        let mut message = format!("{place}: {what}");
        if let Some((end, _)) = message.char_indices().nth(LONGEST) {
            message.truncate(end);
            message.push('\u{2026}');
        }
        Error { kind: ErrorKind::Malformed, message }
    }

    pub(crate) fn out_of_memory(bytes: usize) -> Self {
        Error { kind: ErrorKind::OutOfMemory, message: format!("could not allocate {bytes} bytes for the page") }
    }
}
