use std::io;
use std::path::PathBuf;

/// What went wrong, for a program to branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The picture is of a format that is not read.
    UnsupportedFormat,
    /// The picture is an animation.
    Animated,
    /// The picture is damaged or cut off.
    Malformed,
    /// The picture has more bytes than the limits allow.
    TooLarge,
    /// The picture has more pixels than the limits allow.
    TooManyPixels,
    /// The picture is wider or higher than the limits allow.
    SideTooLong,
    /// To decode the picture takes more memory than the server has for one.
    TooMuchMemory,
    /// The text is empty.
    EmptyText,
    /// The text is too long.
    TextTooLong,
    /// The server's model directory lacks a file.
    ModelMissing,
    /// A file of the server's model is damaged or not of a kind it can use.
    ModelInvalid,
    /// A file of the server's model cannot be read.
    ModelUnreadable,
    /// Others than root and the server's user may write a file of the server's model, or its directory.
    ModelUntrusted,
    /// The server's processor cannot compute in the precision, or with the kernels, that the server was started with.
    Unsupported,
    /// The forward pass failed.
    Inference,
    /// The server's queue of requests is full, or it does not answer in time.
    Busy,
    /// The other side sent what the protocol does not allow, or an answer that is no embedding.
    Protocol,
    /// Nobody listens at the socket, or who does goes away each time. Made by the client, never sent.
    Unavailable,
    /// The connection was lost after the request was sent and before its answer. Made by the client, never sent.
    Died,
}

impl ErrorKind {
    /// The number that stands for this kind in a frame; `None` for the two that only a client can see.
    pub(crate) fn code(self) -> Option<u16> {
        Some(match self {
            Self::UnsupportedFormat => 1,
            Self::Animated => 2,
            Self::Malformed => 3,
            Self::TooLarge => 4,
            Self::EmptyText => 5,
            Self::TextTooLong => 6,
            Self::ModelMissing => 7,
            Self::ModelInvalid => 8,
            Self::ModelUnreadable => 9,
            Self::Inference => 10,
            Self::Busy => 11,
            Self::Protocol => 12,
            Self::Unsupported => 13,
            Self::ModelUntrusted => 14,
            Self::TooManyPixels => 15,
            Self::SideTooLong => 16,
            Self::TooMuchMemory => 17,
            Self::Unavailable | Self::Died => return None,
        })
    }

    pub(crate) fn from_code(code: u16) -> Option<Self> {
        Some(match code {
            1 => Self::UnsupportedFormat,
            2 => Self::Animated,
            3 => Self::Malformed,
            4 => Self::TooLarge,
            5 => Self::EmptyText,
            6 => Self::TextTooLong,
            7 => Self::ModelMissing,
            8 => Self::ModelInvalid,
            9 => Self::ModelUnreadable,
            10 => Self::Inference,
            11 => Self::Busy,
            12 => Self::Protocol,
            13 => Self::Unsupported,
            14 => Self::ModelUntrusted,
            15 => Self::TooManyPixels,
            16 => Self::SideTooLong,
            17 => Self::TooMuchMemory,
            _ => return None,
        })
    }
}

/// The error of this crate. Holds no byte of a picture and no word of a text.
#[derive(Debug)]
pub struct Error(Box<Inner>);

impl Error {
    /// The kind of failure.
    pub fn kind(&self) -> ErrorKind {
        match *self.0 {
            Inner::Described { kind, .. } => kind,
            Inner::ImageTooLarge { .. } => ErrorKind::TooLarge,
            Inner::TextTooLong { .. } => ErrorKind::TextTooLong,
            Inner::Connect { .. } | Inner::Leaving { .. } => ErrorKind::Unavailable,
            Inner::Died { .. } => ErrorKind::Died,
            Inner::NoAnswer { .. } => ErrorKind::Busy,
            _ => ErrorKind::Protocol,
        }
    }

    /// The picture or text itself is at fault: the same input will fail again.
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

    /// The server has no usable model: every input will fail until someone repairs the model directory or, where it is
    /// [`Unsupported`](ErrorKind::Unsupported), starts the server with another precision.
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

    /// The same request may succeed a little later. After [`Died`](ErrorKind::Died) this very request may be what the
    /// server died of, so count attempts.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind(), ErrorKind::Busy | ErrorKind::Unavailable | ErrorKind::Died)
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
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
    #[error("the picture has {found} bytes, more than the limit of {limit}")]
    ImageTooLarge { found: usize, limit: usize },
    #[error("the text has {found} bytes, more than the limit of {limit}")]
    TextTooLong { found: usize, limit: usize },
    #[error("no embedder answers at {}: {source}", path.display())]
    Connect { path: PathBuf, source: io::Error },
    #[error("{servers} embedders one after another went away without having begun")]
    Leaving { servers: usize },
    #[error("the embedder closed the connection before it answered")]
    Died { source: Option<io::Error> },
    #[error("no answer within {seconds} seconds")]
    NoAnswer { seconds: f64 },

    #[error("a frame starts with {found:02x?}, expected {expected:02x?}")]
    Magic { found: [u8; 4], expected: [u8; 4] },
    #[error("a frame has version {found}, this program speaks version {expected}")]
    Version { found: u8, expected: u8 },
    #[error("a frame has the unknown kind {found:#04x}")]
    FrameKind { found: u8 },
    #[error("a frame's reserved field is {found}, expected 0")]
    Reserved { found: u16 },
    #[error("a frame of kind {kind:#04x} announces {found} bytes, more than the limit of {limit}")]
    FrameTooLarge { kind: u8, found: u32, limit: u32 },
    #[error("a frame of kind {kind:#04x} has {found} bytes, its fields need {needed}")]
    PayloadLength { kind: u8, found: usize, needed: usize },
    #[error("a field of a frame of kind {kind:#04x} is not UTF-8")]
    NotUtf8 { kind: u8 },
    #[error("a field of a frame of kind {kind:#04x} is {found}, expected 0 or 1")]
    Flag { kind: u8, found: u8 },
    #[error("a frame has the unknown model state {found}")]
    ModelStateCode { found: u8 },
    #[error("a frame has the unknown error kind {found}")]
    ErrorCode { found: u16 },
    #[error("a frame of kind {kind:#04x} is no request")]
    NotARequest { kind: u8 },
    #[error("a frame of kind {kind:#04x} is no response")]
    NotAResponse { kind: u8 },
    #[error("number {position} of an embedding is not finite")]
    NotFinite { position: usize },
    #[error("an embedding has norm {norm}, expected 1 within {tolerance}")]
    Norm { norm: f64, tolerance: f64 },
    #[error("the server answered request {id}, which does not wait for an answer")]
    UnknownRequest { id: u64 },
    #[error("the answer to a request for {expected} was of another kind")]
    WrongAnswer { expected: &'static str },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip_and_are_distinct() {
        let kinds: Vec<_> = (0..=u16::MAX).filter_map(ErrorKind::from_code).collect();
        assert_eq!(kinds.len(), 17);
        for kind in kinds {
            assert_eq!(kind.code().and_then(ErrorKind::from_code), Some(kind));
        }
        assert_eq!(ErrorKind::Died.code(), None);
        assert_eq!(ErrorKind::Unavailable.code(), None);
    }
}
