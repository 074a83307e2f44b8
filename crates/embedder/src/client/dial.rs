//! How a client reaches its server.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

use crate::error::{Error, Inner};

/// A connection's two directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection that is being opened.
pub type Dialling<'a> = Pin<Box<dyn Future<Output = Result<Box<dyn Stream>, Error>> + Send + 'a>>;

/// Opens connections to one server.
pub trait Dial: Send + Sync {
    /// Opens a connection; [`Unavailable`](crate::ErrorKind::Unavailable) if that fails. For an error see [`Error::unavailable`].
    fn dial(&self) -> Dialling<'_>;
}

/// A Unix socket.
pub(super) struct Socket(pub(super) PathBuf);

impl Dial for Socket {
    fn dial(&self) -> Dialling<'_> {
        Box::pin(async {
            match UnixStream::connect(&self.0).await {
                Ok(stream) => Ok(Box::new(stream) as Box<dyn Stream>),
                Err(source) => Err(Inner::Connect { path: self.0.clone(), source }.into()),
            }
        })
    }
}
