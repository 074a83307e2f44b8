//! Images: from a URL that a stranger wrote to bytes that nobody has looked at yet.

use http::header::{ACCEPT, HeaderValue, LOCATION};
use reqwest::{Method, Request};
use sha2::{Digest, Sha256};
use url::Url;

use super::exchange::within;
use super::{Client, body};
use crate::error::{Call, Error, ErrorKind, Redactor, Refusal};
use crate::net::{admit_redirect, admit_url};
use crate::{rate_limit, retry};

const ACTION: &str = "GET image";

/// A size may be sent on to its older name (`600x` to `564x`), which may be sent on once more; beyond that it is a loop.
const MAX_REDIRECTS: usize = 2;

/// The bytes of an image as they came. What they are is for the decoder to find out: neither the URL's extension nor
/// the Content-Type is to be believed.
#[derive(Clone)]
pub struct FetchedImage {
    /// The bytes, never empty.
    pub bytes: Vec<u8>,
    /// SHA-256 of the bytes: what decides whether two images are equal.
    pub sha256: [u8; 32],
}

impl std::fmt::Debug for FetchedImage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("FetchedImage").field("length", &self.bytes.len()).finish_non_exhaustive()
    }
}

impl Client {
    /// Fetches an image from a configured image host, without credentials and following at most two redirects, each
    /// through the same checks.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`], [`ErrorKind::Forbidden`], [`ErrorKind::NotFound`], [`ErrorKind::TooLarge`],
    /// [`ErrorKind::Protocol`]: this URL will not do, try the image's next one ([`Error::rules_out_url`]).
    /// Retryable kinds: the host or the way to it has trouble, back off.
    pub async fn fetch_image(&self, url: &str) -> Result<FetchedImage, Error> {
        let fetch = async {
            let mut url = admit_url(url, &self.endpoints.images)?;
            for _ in 0..=MAX_REDIRECTS {
                match self.fetch_once(url).await? {
                    Fetched::Image(image) => return Ok(image),
                    Fetched::Redirect(target) => url = target,
                }
            }
            Err(Error::new(ErrorKind::Refused, format!("the image was redirected more than {MAX_REDIRECTS} times")))
        };
        within(self.limits.image_total, fetch).await.map_err(|error| error.while_doing(ACTION))
    }

    async fn fetch_once(&self, url: Url) -> Result<Fetched, Error> {
        let mut request = Request::new(Method::GET, url.clone());
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("image/*"));
        let response = self.send(request).await?;
        let status = response.status().as_u16();
        if matches!(status, 301 | 302 | 303 | 307 | 308) {
            let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            let location = location.ok_or_else(|| {
                Error::new(ErrorKind::Refused, "the image was redirected to nowhere").with_status(status)
            })?;
            let target =
                admit_redirect(&url, location, &self.endpoints.images).map_err(|error| error.with_status(status))?;
            return Ok(Fetched::Redirect(target));
        }
        if status != 200 {
            // The body is the CDN's XML or HTML and says nothing the status does not.
            let wait = rate_limit::retry_after(response.headers(), (self.clock)()).map(retry::clamp_retry_after);
            let error = Refusal::default().into_error(Call::Image, status, &Redactor::default());
            let wait = wait.filter(|_| error.is_retryable());
            return Err(error.with_retry_after(wait));
        }
        let bytes =
            body::read(response, self.limits.image, &self.limits).await.map_err(|error| error.with_status(status))?;
        if bytes.is_empty() {
            return Err(Error::new(ErrorKind::Protocol, "the image has no bytes").with_status(status));
        }
        let sha256 = Sha256::digest(&bytes).into();
        Ok(Fetched::Image(FetchedImage { bytes, sha256 }))
    }
}

enum Fetched {
    Image(FetchedImage),
    Redirect(Url),
}
