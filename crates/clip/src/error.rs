use std::io;
use std::path::{Path, PathBuf};

/// What went wrong, for a program to branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes are no JPEG, PNG, WebP or GIF, or one of a kind that is not read.
    UnsupportedFormat,
    /// The picture is an animation.
    Animated,
    /// The picture is damaged or cut off.
    Malformed,
    /// More bytes than the limits allow.
    TooLarge,
    /// More pixels than the limits allow.
    TooManyPixels,
    /// More pixels a side than the limits allow.
    SideTooLong,
    /// To decode it takes more memory than the limits allow.
    TooMuchMemory,
    /// The text holds nothing but white space.
    EmptyText,
    /// A file of the model does not exist.
    ModelMissing,
    /// A file of the model is damaged, or not that of a CLIP with 512 dimensions and 224-pixel input.
    ModelInvalid,
    /// Others than root and the user of this process may write a file of the model, or its directory.
    ModelUntrusted,
    /// A file of the model could not be read or written.
    Io,
    /// The machine cannot compute in the precision or on the device that was asked for.
    Unsupported,
    /// The forward pass failed, or its result is no direction.
    Inference,
}

/// Why a picture, a text or a model was refused. The kind is for programs, the message for people.
#[derive(Debug)]
pub struct Error(Box<Inner>);

impl Error {
    /// The kind of failure.
    pub fn kind(&self) -> ErrorKind {
        match *self.0 {
            Inner::UnknownFormat
            | Inner::OtherFormat { .. }
            | Inner::NoPicture { .. }
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
            Inner::Unsupported { .. } | Inner::NoKernels { .. } | Inner::Device { .. } => ErrorKind::Unsupported,
            Inner::Tokens { .. } | Inner::WrongLength { .. } | Inner::NoDirection { .. } | Inner::Forward(_) => {
                ErrorKind::Inference
            }
        }
    }
}

impl Error {
    /// Reading `path` failed.
    pub(crate) fn reading(path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::NotFound => Inner::FileMissing { path },
            _ => Inner::Io { path, source },
        }
        .into()
    }

    /// Writing `path` failed.
    pub(crate) fn writing(path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        Inner::Io { path, source }.into()
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
    #[error("the picture is not JPEG, PNG, WebP or GIF")]
    UnknownFormat,
    #[error("{name} is not supported")]
    OtherFormat { name: &'static str },
    #[error("the bytes are no image, but {what}")]
    NoPicture { what: &'static str },
    #[error("{format} of a kind that is not read: {what}")]
    UnsupportedVariant { format: &'static str, what: String },
    #[error("the {format} is an animation")]
    Animated { format: &'static str },
    #[error("the {format} is cut off after {bytes} bytes")]
    Truncated { format: &'static str, bytes: usize },
    #[error("the {format} is damaged: {reason}")]
    Undecodable { format: &'static str, reason: String },
    #[error("the picture has {found} bytes, more than the limit of {limit}")]
    TooManyBytes { found: usize, limit: usize },
    #[error("the picture has {width} x {height} = {} pixels, more than the limit of {limit}", u64::from(*width) * u64::from(*height))]
    TooManyPixels { width: u32, height: u32, limit: u64 },
    #[error("the picture is {width} x {height}, more than the limit of {limit} a side")]
    SideTooLong { width: u32, height: u32, limit: u32 },
    #[error("to decode the picture takes {needed} bytes of memory, more than the limit of {limit}")]
    TooMuchMemory { needed: u64, limit: u64 },
    #[error("the text is empty")]
    EmptyText,
    #[error("no such model file: {}", path.display())]
    FileMissing { path: PathBuf },
    #[error("{}: {reason}", path.display())]
    Config { path: PathBuf, reason: String },
    #[error("{}: {reason}", path.display())]
    Weights { path: PathBuf, reason: String },
    #[error("{}: {reason}", path.display())]
    Untrusted { path: PathBuf, reason: String },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("precision {precision} needs {needed}, which this processor lacks")]
    Unsupported { precision: &'static str, needed: &'static str },
    #[error("there are no {kernels} kernels for precision {precision} on {machine}")]
    NoKernels { precision: &'static str, kernels: &'static str, machine: &'static str },
    #[error("cannot use the device {device}")]
    Device { device: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("{reason}")]
    Tokens { reason: String },
    #[error("the model gave {found} numbers, expected {expected}")]
    WrongLength { expected: usize, found: usize },
    #[error("the model gave a vector without direction (norm {norm})")]
    NoDirection { norm: f64 },
    #[error("the forward pass failed")]
    Forward(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Inner {
    /// candle refused an operation: after the checks of shapes and tokens, a bug or a lack of memory.
    pub(crate) fn forward(error: candle_core::Error) -> Self {
        Self::Forward(error.into())
    }
}
