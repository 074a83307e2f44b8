use std::io;
use std::path::PathBuf;

/// What went wrong, for a program to branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The format of the image is not supported.
    UnsupportedFormat,
    /// The image is an animation.
    Animated,
    /// The image is damaged or truncated.
    Malformed,
    /// The image has more bytes than the limits allow.
    TooLarge,
    /// The image has more pixels than the limits allow.
    TooManyPixels,
    /// The image is wider or higher than the limits allow.
    SideTooLong,
    /// Decoding the image takes more memory than the server has for one image.
    TooMuchMemory,
    /// The text is empty.
    EmptyText,
    /// The text is too long.
    TextTooLong,
    /// The server's model directory lacks a file.
    ModelMissing,
    /// A file of the server's model is damaged or of a kind that it cannot use.
    ModelInvalid,
    /// A file of the server's model cannot be read.
    ModelUnreadable,
    /// Users other than root and the server's user may write a file of the server's model, or its directory.
    ModelUntrusted,
    /// The server's processor cannot compute in the precision, or with the kernels, that the server was started with.
    Unsupported,
    /// The forward pass failed.
    Inference,
    /// The server's queue of requests is full, or it does not answer in time.
    Busy,
    /// The other side violated the protocol, or returned a vector that is not an embedding.
    Protocol,
    /// No server listens at the address, or each one closes the connection. A server that passes requests on sends it if it
    /// reaches none of those behind it.
    Unavailable,
    /// The input crashes the server, also when it is the only one that the server has. Sent by a server that passes requests on
    /// to another process.
    Crashes,
    /// The connection was lost after the request was sent and before its answer. Made by the client, never sent.
    Died,
}

/// The number of each kind in a frame. One is missing, which only a client can detect.
const CODES: [(ErrorKind, u16); 19] = [
    (ErrorKind::UnsupportedFormat, 1),
    (ErrorKind::Animated, 2),
    (ErrorKind::Malformed, 3),
    (ErrorKind::TooLarge, 4),
    (ErrorKind::EmptyText, 5),
    (ErrorKind::TextTooLong, 6),
    (ErrorKind::ModelMissing, 7),
    (ErrorKind::ModelInvalid, 8),
    (ErrorKind::ModelUnreadable, 9),
    (ErrorKind::Inference, 10),
    (ErrorKind::Busy, 11),
    (ErrorKind::Protocol, 12),
    (ErrorKind::Unsupported, 13),
    (ErrorKind::ModelUntrusted, 14),
    (ErrorKind::TooManyPixels, 15),
    (ErrorKind::SideTooLong, 16),
    (ErrorKind::TooMuchMemory, 17),
    (ErrorKind::Crashes, 18),
    (ErrorKind::Unavailable, 19),
];

impl ErrorKind {
    pub(crate) fn code(self) -> Option<u16> {
        CODES.iter().find(|(kind, _)| *kind == self).map(|&(_, code)| code)
    }

    pub(crate) fn from_code(code: u16) -> Option<Self> {
        CODES.iter().find(|(_, other)| *other == code).map(|&(kind, _)| kind)
    }
}

/// The error of this crate. Contains no byte of an image and no word of a text.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<Inner>);

impl Error {
    /// The kind of failure.
    pub fn kind(&self) -> ErrorKind {
        match *self.0 {
            Inner::Described { kind, .. } | Inner::Broken { kind, .. } => kind,
            Inner::ImageTooLarge { .. } => ErrorKind::TooLarge,
            Inner::TextTooLong { .. } => ErrorKind::TextTooLong,
            Inner::Connect { .. } | Inner::Reach { .. } | Inner::Leaving { .. } => ErrorKind::Unavailable,
            Inner::Died { .. } => ErrorKind::Died,
            Inner::NoAnswer { .. } => ErrorKind::Busy,
            _ => ErrorKind::Protocol,
        }
    }

    /// An error of [`Dial::dial`](crate::Dial::dial): the embedder of this name cannot be reached, for this reason.
    pub fn unavailable(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Inner::Reach { name: name.into(), reason: reason.into() }.into()
    }

    /// An answer of another kind than `expected`.
    pub fn wrong_answer(expected: &'static str) -> Self {
        Inner::WrongAnswer { expected }.into()
    }

    /// The connection was lost with the request, and with all others that were in flight: any of them may be the reason.
    pub fn lost_connection(&self) -> bool {
        matches!(*self.0, Inner::Died { .. } | Inner::Broken { .. })
    }

    /// The image or text itself is invalid: the same input will fail again.
    pub fn is_input(&self) -> bool {
        matches!(
            self.kind(),
            ErrorKind::UnsupportedFormat
                | ErrorKind::Animated
                | ErrorKind::Malformed
                | ErrorKind::TooLarge
                | ErrorKind::TooManyPixels
                | ErrorKind::SideTooLong
                | ErrorKind::TooMuchMemory
                | ErrorKind::EmptyText
                | ErrorKind::TextTooLong
        )
    }

    /// The server has no usable model: every input will fail until the model directory is repaired or, if the kind is
    /// [`Unsupported`](ErrorKind::Unsupported), the server is started with another precision.
    pub fn is_model(&self) -> bool {
        matches!(
            self.kind(),
            ErrorKind::ModelMissing
                | ErrorKind::ModelInvalid
                | ErrorKind::ModelUnreadable
                | ErrorKind::ModelUntrusted
                | ErrorKind::Unsupported
        )
    }

    /// The same request may succeed a little later. After [`Died`](ErrorKind::Died) this request may have crashed the
    /// server, so count attempts.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind(), ErrorKind::Busy | ErrorKind::Unavailable | ErrorKind::Died)
    }
}

impl From<Inner> for Error {
    fn from(inner: Inner) -> Self {
        Self(Box::new(inner))
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Inner {
    #[error("{message}")]
    Described { kind: ErrorKind, message: String },
    #[error("{message}")]
    Broken { kind: ErrorKind, message: String },
    #[error("image has {found} bytes, more than the limit of {limit}")]
    ImageTooLarge { found: usize, limit: usize },
    #[error("text has {found} bytes, more than the limit of {limit}")]
    TextTooLong { found: usize, limit: usize },
    #[error("could not connect to the embedder at \"{}\": {source}", path.display())]
    Connect { path: PathBuf, source: io::Error },
    #[error("could not connect to the embedder {name}: {reason}")]
    Reach { name: String, reason: String },
    #[error("{servers} embedders in a row closed the connection before they began the request")]
    Leaving { servers: usize },
    #[error("the embedder closed the connection before it answered")]
    Died { source: Option<io::Error> },
    #[error("no answer within {seconds} seconds")]
    NoAnswer { seconds: f64 },

    #[error("frame starts with {found:02x?}, expected {expected:02x?}")]
    Magic { found: [u8; 4], expected: [u8; 4] },
    #[error("frame has version {found}, expected {expected}")]
    Version { found: u8, expected: u8 },
    #[error("frame has unknown kind {found:#04x}")]
    FrameKind { found: u8 },
    #[error("reserved field of a frame is {found}, expected 0")]
    Reserved { found: u16 },
    #[error("frame of kind {kind:#04x} has {found} bytes, more than the limit of {limit}")]
    FrameTooLarge { kind: u8, found: u32, limit: u32 },
    #[error("frame of kind {kind:#04x} has {found} bytes, but its fields need {needed}")]
    PayloadLength { kind: u8, found: usize, needed: usize },
    #[error("field of a frame of kind {kind:#04x} is not UTF-8")]
    NotUtf8 { kind: u8 },
    #[error("field of a frame of kind {kind:#04x} is {found}, expected 0 or 1")]
    Flag { kind: u8, found: u8 },
    #[error("frame has unknown model state {found}")]
    ModelStateCode { found: u8 },
    #[error("frame has unknown state of an embedder {found}")]
    MemberStateCode { found: u8 },
    #[error("frame has unknown error kind {found}")]
    ErrorCode { found: u16 },
    #[error("frame of kind {kind:#04x} is not a request")]
    NotARequest { kind: u8 },
    #[error("frame of kind {kind:#04x} is not a response")]
    NotAResponse { kind: u8 },
    #[error("element {position} of the embedding is not finite")]
    NotFinite { position: usize },
    #[error("embedding has norm {norm}, expected 1 within {tolerance}")]
    Norm { norm: f64, tolerance: f64 },
    #[error("the thumbnail is not a JPEG, or too large")]
    NoThumbnail,
    #[error("embedder answered request {id}, which is not pending")]
    UnknownRequest { id: u64 },
    #[error("expected {expected} as the answer, got another kind of frame")]
    WrongAnswer { expected: &'static str },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip_and_are_distinct() {
        let kinds: Vec<_> = (0..=u16::MAX).filter_map(ErrorKind::from_code).collect();
        assert_eq!(kinds.len(), CODES.len());
        for kind in kinds {
            assert_eq!(kind.code().and_then(ErrorKind::from_code), Some(kind));
        }
        assert_eq!(ErrorKind::Died.code(), None);
    }
}
