/// The kind of an error, for a program to branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The vector has another number of dimensions than the others.
    Dimension,
    /// The vector contains a NaN or an infinity.
    NotFinite,
    /// All numbers of the vector are 0, so that it has no direction.
    Zero,
}

/// The reason why a vector was refused. The kind is for programs, the message for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct Error(Inner);

impl Error {
    /// The kind of failure.
    pub fn kind(&self) -> ErrorKind {
        match self.0 {
            Inner::Dimension { .. } => ErrorKind::Dimension,
            Inner::NotFinite { .. } => ErrorKind::NotFinite,
            Inner::Zero => ErrorKind::Zero,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Inner {
    #[error("a vector has {found} dimensions, the others have {expected}")]
    Dimension { expected: usize, found: usize },
    #[error("element {position} of a vector is not a finite number")]
    NotFinite { position: usize },
    #[error("a vector of zeros has no direction")]
    Zero,
}

impl From<Inner> for Error {
    fn from(inner: Inner) -> Self {
        Self(inner)
    }
}
