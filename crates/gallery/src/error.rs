//! What is wrong with rows.

/// Longest message: a value that stands where it should not may be a picture in hexadecimal.
const LONGEST: usize = 300;

/// The rows cannot be shown. The message names the place, as in `rows[2].because[0]`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

impl Error {
    pub(crate) fn at(place: impl std::fmt::Display, what: impl std::fmt::Display) -> Self {
        let mut message = format!("{place}: {what}");
        if let Some((end, _)) = message.char_indices().nth(LONGEST) {
            message.truncate(end);
            message.push('\u{2026}');
        }
        Error(message)
    }
}
