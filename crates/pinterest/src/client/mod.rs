//! The client: builds requests, sends each once, and reads the answers within limits.

mod answer;
mod body;
mod builder;
mod encoding;
mod exchange;
mod image;
mod limits;
mod observer;
mod proxied;
mod resources;
mod token;

use std::sync::Arc;
use std::time::SystemTime;

use url::Url;

pub use answer::Answer;
pub use builder::ClientBuilder;
pub(crate) use exchange::{refusal, request_id};
pub use image::FetchedImage;
pub use limits::{DEFAULT_IMAGE_LIMIT, Limits};
pub use observer::{Exchange, Observer};

use self::proxied::Proxied;
use crate::error::Error;
use crate::net::Endpoints;

/// A client for Pinterest's API v5.
///
/// Its connections belong to the tokio runtime that it is used on, so create one client per runtime. Every call ends within
/// the [`Limits`] and may be dropped at any time. Nothing is retried, and only images follow redirects. A clone shares the
/// connections.
#[derive(Clone)]
pub struct Client {
    /// For hosts that are reached without a proxy.
    direct: reqwest::Client,
    /// For all other hosts, if a proxy is configured.
    proxied: Option<Arc<Proxied>>,
    /// `https://{api}/v5/`
    base: Url,
    endpoints: Endpoints,
    limits: Limits,
    clock: fn() -> SystemTime,
    observer: Option<Arc<dyn Observer>>,
    is_retry: bool,
}

impl Client {
    /// A client with the default limits. Reads the platform's certificate store and the CA file, so create it once.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] if the CA file is invalid, no authority is trusted, or a configured IP literal is
    /// neither public nor loopback.
    pub fn new(endpoints: Endpoints) -> Result<Self, Error> {
        Self::builder(endpoints).build()
    }

    /// A client that refuses images of more bytes than this.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn with_image_limit(endpoints: Endpoints, image: usize) -> Result<Self, Error> {
        Self::builder(endpoints).limits(Limits { image, ..Limits::default() }).build()
    }

    /// A client with other limits, another name lookup or another clock.
    pub fn builder(endpoints: Endpoints) -> ClientBuilder {
        ClientBuilder::new(endpoints)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Client").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}
