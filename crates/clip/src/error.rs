use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

/// What went wrong, for a program to branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes are not a JPEG, PNG, WebP or GIF, or of a variant that is not supported.
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
    /// Decoding the image takes more memory than the limits allow.
    TooMuchMemory,
    /// The text contains only white space.
    EmptyText,
    /// A file of the model does not exist.
    ModelMissing,
    /// A file of the model is damaged, or does not belong to a CLIP with 512 dimensions and 224-pixel input.
    ModelInvalid,
    /// Users other than root and the user of this process may write a file of the model, or its directory.
    ModelUntrusted,
    /// A file of the model could not be read or written.
    Io,
    /// The machine or this build cannot compute in the requested precision or on the requested device.
    Unsupported,
    /// The forward pass failed, or its result cannot be normalised.
    Inference,
}

/// Why an image, a text or a model was refused. The kind is for programs, the message for people.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<Inner>);

impl Error {
    /// The kind of failure.
    pub fn kind(&self) -> ErrorKind {
        match *self.0 {
            Inner::UnknownFormat
            | Inner::OtherFormat { .. }
            | Inner::NoImage { .. }
            | Inner::UnsupportedVariant { .. } => ErrorKind::UnsupportedFormat,
            Inner::Animated { .. } => ErrorKind::Animated,
            Inner::Truncated { .. } | Inner::Undecodable { .. } => ErrorKind::Malformed,
            Inner::TooManyBytes { .. } => ErrorKind::TooLarge,
            Inner::TooManyPixels { .. } => ErrorKind::TooManyPixels,
            Inner::SideTooLong { .. } => ErrorKind::SideTooLong,
            Inner::TooMuchMemory { .. } => ErrorKind::TooMuchMemory,
            Inner::EmptyText => ErrorKind::EmptyText,
            Inner::FileMissing { .. } => ErrorKind::ModelMissing,
            Inner::Config { .. } | Inner::Weights { .. } => ErrorKind::ModelInvalid,
            Inner::Untrusted { .. } => ErrorKind::ModelUntrusted,
            Inner::Io { .. } => ErrorKind::Io,
            Inner::Unsupported { .. } | Inner::NoKernels { .. } | Inner::NoCandle | Inner::Device { .. } => {
                ErrorKind::Unsupported
            }
            Inner::Tokens { .. } | Inner::WrongLength { .. } | Inner::NoDirection { .. } | Inner::Forward(_) => {
                ErrorKind::Inference
            }
        }
    }

    /// Reading `path` failed.
    pub(crate) fn reading(path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::NotFound => Inner::FileMissing { path },
            _ => Inner::Io { action: "read", path, source },
        }
        .into()
    }

    /// Writing `path` failed.
    pub(crate) fn writing(path: &Path, source: io::Error) -> Self {
        Inner::Io { action: "write", path: path.to_path_buf(), source }.into()
    }

    /// An image is not a valid file of its format.
    pub(crate) fn damaged(format: &'static str, reason: impl Display) -> Self {
        Inner::Undecodable { format, reason: reason.to_string() }.into()
    }

    /// An image ends before its pixels do.
    pub(crate) fn truncated(format: &'static str, bytes: &[u8]) -> Self {
        Inner::Truncated { format, bytes: bytes.len() }.into()
    }
}

impl From<Inner> for Error {
    fn from(inner: Inner) -> Self {
        Self(Box::new(inner))
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Inner {
    #[error("image is not a JPEG, PNG, WebP or GIF")]
    UnknownFormat,
    #[error("{name} is not supported")]
    OtherFormat { name: &'static str },
    #[error("data is {what}, not an image")]
    NoImage { what: &'static str },
    #[error("unsupported kind of {format}: {what}")]
    UnsupportedVariant { format: &'static str, what: String },
    #[error("{format} is animated")]
    Animated { format: &'static str },
    #[error("{format} is truncated after {bytes} bytes")]
    Truncated { format: &'static str, bytes: usize },
    #[error("{format} is damaged: {reason}")]
    Undecodable { format: &'static str, reason: String },
    #[error("image has {found} bytes, more than the limit of {limit}")]
    TooManyBytes { found: usize, limit: usize },
    #[error("image has {width} x {height} = {} pixels, more than the limit of {limit}", u64::from(*width) * u64::from(*height))]
    TooManyPixels { width: u32, height: u32, limit: u64 },
    #[error("image has {width} x {height} pixels, more than the limit of {limit} per side")]
    SideTooLong { width: u32, height: u32, limit: u32 },
    #[error("decoding the image takes {needed} bytes of memory, more than the limit of {limit}")]
    TooMuchMemory { needed: u64, limit: u64 },
    #[error("text is empty")]
    EmptyText,
    #[error("model file \"{}\" does not exist", path.display())]
    FileMissing { path: PathBuf },
    #[error("invalid model configuration \"{}\": {reason}", path.display())]
    Config { path: PathBuf, reason: String },
    #[error("invalid model weights \"{}\": {reason}", path.display())]
    Weights { path: PathBuf, reason: String },
    #[error("model file \"{}\" {reason}", path.display())]
    Untrusted { path: PathBuf, reason: String },
    #[error("could not {action} \"{}\": {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("precision {precision} requires {needed}, which this processor does not have")]
    Unsupported { precision: &'static str, needed: &'static str },
    #[error("no {kernels} kernels for precision {precision} on {machine}")]
    NoKernels { precision: &'static str, kernels: &'static str, machine: &'static str },
    #[cfg_attr(feature = "candle", allow(dead_code, reason = "the reference engine is there"))]
    #[error("this build does not contain candle, which this processor or model requires")]
    NoCandle,
    #[cfg_attr(not(feature = "candle"), allow(dead_code, reason = "only candle opens devices"))]
    #[error("cannot use device {device}")]
    Device { device: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("{reason}")]
    Tokens { reason: String },
    #[error("model returned {found} numbers, expected {expected}")]
    WrongLength { expected: usize, found: usize },
    #[error("model returned a vector of norm {norm}, which cannot be normalised")]
    NoDirection { norm: f64 },
    #[error("forward pass failed")]
    Forward(#[source] Box<dyn std::error::Error + Send + Sync>),
}
