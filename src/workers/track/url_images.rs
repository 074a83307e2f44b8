//! Pictures behind the URLs in users' tables. Whoever may write to such a table writes the URL, so only hosts are asked
//! that the administrator named for this, through the same checks as Pinterest's, and never with a token.

use std::sync::Arc;
use std::time::Duration;

use pinterest::{Client, Endpoints, ErrorKind, FetchedImage, host_of_url, retry};
use tokio::sync::Semaphore;

use super::verdict::Verdict;
use crate::errors::{Failure, Kind};
use crate::workers::embedding::ATTEMPTS;

/// Before a row is tried again whose host the proxy does not allow, or gives no connection to.
const PROXY_PAUSE: Duration = Duration::from_secs(300);

/// Downloads, as many at a time as for an import.
#[derive(Clone)]
pub struct Pictures {
    /// As of the settings that this was made with.
    pub endpoints: Endpoints,
    /// Bytes of an image at most.
    pub limit: usize,
    client: Client,
    downloads: Arc<Semaphore>,
}

impl Pictures {
    /// Ready to download from the endpoints' image hosts.
    ///
    /// # Errors
    /// [`Kind::Config`] where the settings or the certificate authorities are of no use.
    pub fn new(endpoints: Endpoints, limit: usize, downloads: usize) -> Result<Self, Failure> {
        let client = Client::with_image_limit(endpoints.clone(), limit).map_err(|error| {
            Failure::from(error)
                .with_hint("Check pinterest.tracked_image_hosts, pinterest.private_image_hosts and pinterest.ca_file.")
        })?;
        Ok(Pictures { endpoints, limit, client, downloads: Arc::new(Semaphore::new(downloads)) })
    }

    /// The picture, or what its not coming means for the row that was tried `attempts` times.
    pub async fn fetch(&self, url: &str, attempts: i32) -> Result<FetchedImage, Verdict> {
        let host =
            host_of_url(url).map_err(|error| Verdict::Failed(Failure::new(Kind::BadArgument, error.to_string())))?;
        if !self.endpoints.images.contains(&host) {
            let reason = format!("host not allowed: pinterest.tracked_image_hosts does not name {host}");
            return Err(Verdict::Failed(Failure::new(Kind::Forbidden, reason)));
        }
        // Closed never, so this fails never.
        let _slot = self.downloads.acquire().await;
        self.client.fetch_image(url).await.map_err(|error| {
            if let Some(pair) = error.private_host() {
                let reason = format!("{error}; pinterest.private_image_hosts does not name {pair}");
                return Verdict::Failed(Failure::new(Kind::Forbidden, reason));
            }
            match error.kind() {
                // Of one host, perhaps: rows of others go on. No attempt counts, for it may as well be the proxy's failure.
                ErrorKind::ProxyRefused | ErrorKind::ProxyTunnel => {
                    return Verdict::Again { failure: error.into(), after: PROXY_PAUSE, blame: false };
                }
                kind if kind.is_proxy() => return Verdict::Proxy(error.into()),
                _ => {}
            }
            let after = retry::next_delay(attempts.max(1).unsigned_abs(), &error, fastrand::f64());
            match after {
                Some(after) if attempts < ATTEMPTS => Verdict::Again { failure: error.into(), after, blame: true },
                _ => Verdict::Failed(error.into()),
            }
        })
    }
}
