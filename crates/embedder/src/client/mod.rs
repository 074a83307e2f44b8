//! Asking a server for embeddings.

mod link;
mod pending;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Mutex;

use self::link::{Link, Outcome};
use crate::Embedded;
#[cfg(doc)]
use crate::ErrorKind;
use crate::error::{Error, Inner};
use crate::protocol::{Animations, Info, Request, Response};

/// A connection to a running `pinterest-embedder`, shared by its clones.
///
/// Any number of requests may be in flight at once: join the futures. Dropping a future gives its request up. Dropping the
/// last clone closes the connection, and the server skips what it had not begun.
///
/// A server that goes away in good order, as one does after its idle timeout, is not an error: the next request, or one it
/// had not taken, is sent again over a new connection. A request lost with a server that died holding it is reported
/// as [`Died`](ErrorKind::Died) and not repeated, for it may be the reason.
///
/// No call has a time limit of its own; wrap it in `tokio::time::timeout`.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

/// Servers in a row that a request is sent to while each goes away without having taken it; more is a fault elsewhere.
const CONNECTIONS: usize = 5;

struct Shared {
    path: PathBuf,
    /// Locked over a reconnection, so that all who need one share it.
    link: Mutex<Link>,
}

impl Client {
    /// Connects to the Unix socket at `path`, which may be relative to the working directory: a socket's address holds only
    /// about 100 bytes. Must be called, as every other method, within a tokio runtime with I/O enabled.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) if nobody listens there.
    pub async fn connect(path: &Path) -> Result<Self, Error> {
        let link = Link::open(path).await?;
        Ok(Self { shared: Arc::new(Shared { path: path.to_owned(), link: Mutex::new(link) }) })
    }

    /// The embedding of an encoded picture (JPEG, PNG, WebP or GIF) of at most the size that `serve` was told.
    ///
    /// # Errors
    ///
    /// Every [`ErrorKind`] but those of texts.
    pub async fn embed_image(&self, image: impl Into<Bytes>, animations: Animations) -> Result<Embedded, Error> {
        self.embed(Request::Image(image.into(), animations)).await
    }

    /// The embedding of a text.
    ///
    /// # Errors
    ///
    /// Every [`ErrorKind`] but those of pictures.
    pub async fn embed_text(&self, text: impl Into<String>) -> Result<Embedded, Error> {
        self.embed(Request::Text(text.into())).await
    }

    /// The state of the server. Answered at once, also while the model is being loaded.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable), [`Died`](ErrorKind::Died), [`Protocol`](ErrorKind::Protocol).
    pub async fn info(&self) -> Result<Info, Error> {
        match self.ask(Request::Info).await? {
            Response::Info(info) => Ok(*info),
            _ => Err(Inner::WrongAnswer { expected: "info" }.into()),
        }
    }

    async fn embed(&self, request: Request) -> Result<Embedded, Error> {
        match self.ask(request).await? {
            Response::Embedding { model, vector, animated } => Embedded::checked(vector, model, animated),
            _ => Err(Inner::WrongAnswer { expected: "an embedding" }.into()),
        }
    }

    async fn ask(&self, request: Request) -> Result<Response, Error> {
        for _ in 0..CONNECTIONS {
            match self.link().await?.ask(request.clone()).await {
                Outcome::Answered(Response::Error { kind, message }) => {
                    return Err(Inner::Described { kind, message }.into());
                }
                Outcome::Answered(response) => return Ok(response),
                Outcome::Failed(error) => return Err(error),
                Outcome::NotTaken => {}
            }
        }
        Err(Inner::Leaving { servers: CONNECTIONS }.into())
    }

    /// The connection, or a new one if it is closed.
    async fn link(&self) -> Result<Link, Error> {
        let mut link = self.shared.link.lock().await;
        if link.is_closed() {
            *link = Link::open(&self.shared.path).await?;
        }
        Ok(link.clone())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Client").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
