//! Images at the URLs in users' tables. Every role that may write to such a table chooses the URL, so requests go only to hosts
//! that the administrator allows, with the same checks as for Pinterest's images, and never with a token.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pinterest::{Client, Endpoints, ErrorKind, FetchedImage, host_of_url, retry};
use tokio::sync::Semaphore;

use super::unembedded::Unembedded;
use crate::errors::{Failure, Kind};
use crate::statistics::{self, Source};
use crate::workers::embedding::ATTEMPTS;

/// Before a row is tried again if the proxy refuses its host or cannot connect to it.
const PROXY_PAUSE: Duration = Duration::from_secs(300);

/// Downloads, as many at the same time as for an import.
#[derive(Clone)]
pub struct UrlImages {
    /// The allowed hosts.
    pub endpoints: Endpoints,
    /// The size limit of an image, in bytes.
    pub limit: usize,
    client: Client,
    downloads: Arc<Semaphore>,
}

impl UrlImages {
    /// Downloads from the endpoints' image hosts.
    ///
    /// # Errors
    /// [`Kind::Config`] if a setting or the certificate authorities cannot be used.
    pub fn new(endpoints: Endpoints, limit: usize, downloads: usize) -> Result<Self, Failure> {
        let client = statistics::requests::client_of_images(endpoints.clone(), limit).map_err(|error| {
            Failure::from(error)
                .with_hint("Check pinterest.tracked_image_hosts, pinterest.private_image_hosts and pinterest.ca_file.")
        })?;
        Ok(UrlImages { endpoints, limit, client, downloads: Arc::new(Semaphore::new(downloads)) })
    }

    /// The image for a row that was tried `attempts` times.
    ///
    /// # Errors
    /// What the failure means for the row.
    pub async fn fetch(&self, url: &str, attempts: i32) -> Result<FetchedImage, Unembedded> {
        let host =
            host_of_url(url).map_err(|error| Unembedded::Failed(Failure::new(Kind::BadArgument, error.to_string())))?;
        if !self.endpoints.images.contains(&host) {
            let reason = format!("host not allowed: pinterest.tracked_image_hosts does not name {host}");
            return Err(Unembedded::Failed(Failure::new(Kind::Forbidden, reason)));
        }
        // The semaphore is never closed, so this cannot fail.
        let _slot = self.downloads.acquire().await;
        let client = if attempts > 1 { self.client.as_retry() } else { self.client.clone() };
        let began = Instant::now();
        let fetched = client.fetch_image(url).await;
        if let Ok(image) = &fetched {
            statistics::downloaded(Source::Tracked, image.bytes.len(), began.elapsed());
        }
        fetched.map_err(|error| {
            if let Some(pair) = error.private_host() {
                let reason = format!("{error}; pinterest.private_image_hosts does not name {pair}");
                return Unembedded::Failed(Failure::new(Kind::Forbidden, reason));
            }
            match error.kind() {
                // This may concern one host: rows with other hosts continue. The attempt does not count, because the proxy may be
                // at fault.
                ErrorKind::ProxyRefused | ErrorKind::ProxyTunnel => {
                    return Unembedded::Again { failure: error.into(), after: PROXY_PAUSE, blame: false };
                }
                kind if kind.is_proxy() => return Unembedded::Proxy(error.into()),
                _ => {}
            }
            let after = retry::next_delay(attempts.max(1).unsigned_abs(), &error, fastrand::f64());
            match after {
                Some(after) if attempts < ATTEMPTS => Unembedded::Again { failure: error.into(), after, blame: true },
                _ => Unembedded::Failed(error.into()),
            }
        })
    }
}
