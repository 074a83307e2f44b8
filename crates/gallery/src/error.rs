//! What is wrong with rows.

/// Longest message: a value that stands where it should not may be a picture in hexadecimal.
const LONGEST: usize = 300;

/// What went wrong, for a program to branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The rows cannot be shown.
    Malformed,
    /// There is not the memory that they, or the page, would take.
    OutOfMemory,
}

/// The rows cannot be shown. The message names the place, as in `rows[2].because[0]`, or the memory that was asked for.
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
        Error { kind: ErrorKind::OutOfMemory, message: format!("the page needs {bytes} bytes that cannot be had") }
    }
}
