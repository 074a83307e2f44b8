//! Requests for embeddings to a running server.

mod dial;
mod link;
mod pending;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout_at};

pub use self::dial::{Dial, Dialling, Stream};

use self::dial::Socket;
use self::link::Link;
use self::pending::Reply;
use crate::Embedded;
use crate::error::{Error, ErrorKind, Inner};
use crate::protocol::{Animations, Info, Member, ModelState, Request, Response};
use crate::vector::checked_thumbnail;

/// A connection to a running `pinterest-embedder`, shared by its clones.
///
/// Any number of requests may be in flight at once: join the futures. Dropping a future abandons its request. Dropping the
/// last clone closes the connection, and the server skips the requests that it has not begun.
///
/// A server that ends in good order, for example after its idle timeout, is not an error: the next request, and a request
/// that it had not begun, are sent again over a new connection. A request that a server held when it died is reported
/// as [`Died`](ErrorKind::Died) and not repeated, because it may be the reason.
///
/// No call has a time limit; wrap it in `tokio::time::timeout`.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

/// An input to embed. Clones share the bytes of an image.
#[derive(Clone)]
pub enum Input {
    /// An encoded image (JPEG, PNG, WebP or GIF) of at most the size that the server was started with, and the treatment
    /// of an animation.
    Image(Bytes, Animations),
    /// The same, of which a thumbnail is made as well.
    ImageWithThumbnail(Bytes, Animations),
    /// A text.
    Text(String),
}

/// The number of servers to which a request is sent if each of them ends without having begun it.
const CONNECTIONS: usize = 5;
/// The time after which a busy server is asked again.
const BUSY_PAUSE: Duration = Duration::from_millis(100);
/// The time after which a server that loads its model is asked again.
const LOADING_PAUSE: Duration = Duration::from_millis(50);

struct Shared {
    dial: Box<dyn Dial>,
    /// Locked during a reconnection, so that all requests share the new connection.
    link: Mutex<Link>,
}

impl Client {
    /// Connects to the Unix socket at `path`, which may be relative to the working directory: a socket's address holds only
    /// about 100 bytes. This and all other methods must be called within a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) if no process listens there.
    pub async fn connect(path: &Path) -> Result<Self, Error> {
        Self::over(Box::new(Socket(path.to_owned()))).await
    }

    /// Connects to a server in the given way.
    ///
    /// # Errors
    ///
    /// Those of `dial`.
    pub async fn over(dial: Box<dyn Dial>) -> Result<Self, Error> {
        let link = Link::open(dial.dial().await?);
        Ok(Self { shared: Arc::new(Shared { dial, link: Mutex::new(link) }) })
    }

    /// The embedding of an input. While the server is busy, the request is repeated for the time of `patience`.
    ///
    /// # Errors
    ///
    /// Every [`ErrorKind`]; [`Busy`](ErrorKind::Busy) if the server is still busy after `patience`.
    pub async fn embed(&self, input: Input, patience: Duration) -> Result<Embedded, Error> {
        let request = match input {
            Input::Image(image, animations) => Request::Image(image, animations),
            Input::ImageWithThumbnail(image, animations) => Request::ImageWithThumbnail(image, animations),
            Input::Text(text) => Request::Text(text),
        };
        match self.ask_patiently(request, patience).await? {
            Response::Embedding { model, vector, animated, thumbnail } => {
                Embedded::checked(vector, model, animated, thumbnail)
            }
            _ => Err(Inner::WrongAnswer { expected: "an embedding" }.into()),
        }
    }

    /// A thumbnail of an encoded image, of an animation its first frame: a JPEG of at most
    /// [`MAX_THUMBNAIL_BYTES`](crate::MAX_THUMBNAIL_BYTES) bytes, whose longest side is `side` pixels, at most
    /// [`MOST_THUMBNAIL_SIDE`](crate::MOST_THUMBNAIL_SIDE), or that of a smaller image; empty if none can be made. The model is not needed for it. For `patience` see [`embed`](Self::embed).
    ///
    /// # Errors
    ///
    /// Every [`ErrorKind`] except those of texts and models.
    pub async fn thumbnail(&self, image: impl Into<Bytes>, side: u16, patience: Duration) -> Result<Bytes, Error> {
        match self.ask_patiently(Request::Thumbnail(image.into(), side), patience).await? {
            Response::Thumbnail(thumbnail) => checked_thumbnail(thumbnail),
            _ => Err(Inner::WrongAnswer { expected: "a thumbnail" }.into()),
        }
    }

    /// The answer to a request, which is repeated while the server is busy.
    async fn ask_patiently(&self, request: Request, patience: Duration) -> Result<Response, Error> {
        let deadline = Instant::now() + patience;
        loop {
            match self.ask(request.clone()).await {
                Err(error) if error.kind() == ErrorKind::Busy && Instant::now() < deadline => sleep(BUSY_PAUSE).await,
                answer => return answer,
            }
        }
    }

    /// [`embed`](Self::embed) for an image, without patience.
    ///
    /// # Errors
    ///
    /// Every [`ErrorKind`] except those of texts.
    pub async fn embed_image(&self, image: impl Into<Bytes>, animations: Animations) -> Result<Embedded, Error> {
        self.embed(Input::Image(image.into(), animations), Duration::ZERO).await
    }

    /// [`embed`](Self::embed) for a text, without patience.
    ///
    /// # Errors
    ///
    /// Every [`ErrorKind`] except those of images.
    pub async fn embed_text(&self, text: impl Into<String>) -> Result<Embedded, Error> {
        self.embed(Input::Text(text.into()), Duration::ZERO).await
    }

    /// The state of the server. It answers at once, also while it loads the model.
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

    /// The embedders behind the server, with their states; none if it computes itself.
    ///
    /// # Errors
    ///
    /// Those of [`info`](Self::info).
    pub async fn embedders(&self) -> Result<Vec<Member>, Error> {
        match self.ask(Request::Embedders).await? {
            Response::Embedders(members) => Ok(members),
            _ => Err(Inner::WrongAnswer { expected: "embedders" }.into()),
        }
    }

    /// The answer to a request, for a server that passes requests on. Embeddings and thumbnails have been checked; an answer that is an error is
    /// that error.
    ///
    /// # Errors
    ///
    /// Every [`ErrorKind`].
    pub async fn pass(&self, request: Request) -> Result<Response, Error> {
        let response = self.ask(request).await?;
        match &response {
            Response::Embedding { model, vector, animated, thumbnail } => {
                Embedded::checked(vector.clone(), *model, *animated, thumbnail.clone())?;
            }
            Response::Thumbnail(thumbnail) => {
                checked_thumbnail(thumbnail.clone())?;
            }
            _ => {}
        }
        Ok(response)
    }

    /// The state of the server when it has loaded its model or failed to load it. If it is still loading after `patience`,
    /// the state then, with [`ModelState::Loading`].
    ///
    /// # Errors
    ///
    /// Those of [`info`](Self::info); [`Busy`](ErrorKind::Busy) if no answer comes within `patience`.
    pub async fn ready(&self, patience: Duration) -> Result<Info, Error> {
        let deadline = Instant::now() + patience;
        let mut loading = None;
        loop {
            let Ok(answer) = timeout_at(deadline, self.info()).await else {
                return loading.ok_or_else(|| Inner::NoAnswer { seconds: patience.as_secs_f64() }.into());
            };
            let info = answer?;
            if info.model != ModelState::Loading {
                return Ok(info);
            }
            loading = Some(info);
            sleep(LOADING_PAUSE).await;
        }
    }

    async fn ask(&self, request: Request) -> Result<Response, Error> {
        for _ in 0..CONNECTIONS {
            match self.link().await?.ask(request.clone()).await {
                Reply::Answered(Response::Error { kind, message }) => {
                    return Err(Inner::Described { kind, message }.into());
                }
                Reply::Answered(response) => return Ok(response),
                Reply::Failed(error) => return Err(error),
                Reply::NotTaken => {}
            }
        }
        Err(Inner::Leaving { servers: CONNECTIONS }.into())
    }

    /// The connection, or a new one if it is closed.
    async fn link(&self) -> Result<Link, Error> {
        let mut link = self.shared.link.lock().await;
        if link.is_closed() {
            *link = Link::open(self.shared.dial.dial().await?);
        }
        Ok(link.clone())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Client").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
