//! The failure of an image, a text or a model, as it is sent and printed.

use std::error::Error;
use std::fmt;

use embedder::ErrorKind;

/// A kind and one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub kind: ErrorKind,
    pub message: String,
}

impl Failure {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl Error for Failure {}

impl From<clip::Error> for Failure {
    fn from(error: clip::Error) -> Self {
        let kind = match error.kind() {
            clip::ErrorKind::UnsupportedFormat => ErrorKind::UnsupportedFormat,
            clip::ErrorKind::Animated => ErrorKind::Animated,
            clip::ErrorKind::Malformed => ErrorKind::Malformed,
            clip::ErrorKind::TooLarge => ErrorKind::TooLarge,
            clip::ErrorKind::TooManyPixels => ErrorKind::TooManyPixels,
            clip::ErrorKind::SideTooLong => ErrorKind::SideTooLong,
            clip::ErrorKind::TooMuchMemory => ErrorKind::TooMuchMemory,
            clip::ErrorKind::EmptyText => ErrorKind::EmptyText,
            clip::ErrorKind::ModelMissing => ErrorKind::ModelMissing,
            clip::ErrorKind::ModelInvalid => ErrorKind::ModelInvalid,
            clip::ErrorKind::ModelUntrusted => ErrorKind::ModelUntrusted,
            clip::ErrorKind::Unsupported => ErrorKind::Unsupported,
            clip::ErrorKind::Io => ErrorKind::ModelUnreadable,
            _ => ErrorKind::Inference,
        };
        Self::new(kind, with_causes(&error))
    }
}

/// The message and those of its causes, on one line.
fn with_causes(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !message.ends_with(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        cause = error.source();
    }
    message.replace(['\n', '\r'], " ")
}
