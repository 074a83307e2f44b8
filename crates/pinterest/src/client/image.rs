//! Fetches images from untrusted URLs.

use http::header::{ACCEPT, HeaderValue, LOCATION};
use reqwest::{Method, Request};
use sha2::{Digest, Sha256};
use url::Url;

use super::exchange::within;
use super::observer::Record;
use super::{Client, body, encoding};
use crate::error::{Call, Error, ErrorKind, Redactor, Refusal};
use crate::net::{admit_redirect, admit_url};
use crate::{rate_limit, retry};

const ACTION: &str = "GET image";

/// A size may redirect to its older name (`600x` to `564x`), which may redirect once more; more redirects are a loop.
const MAX_REDIRECTS: usize = 2;

/// The bytes of an image as they were received. The decoder determines their format: neither the URL's extension nor the
/// Content-Type is reliable.
#[derive(Clone)]
pub struct FetchedImage {
    /// The bytes, never empty.
    pub bytes: Vec<u8>,
    /// SHA-256 of the bytes: images with the same hash are equal.
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
    /// [`ErrorKind::Protocol`]: this URL cannot be used, try the image's next one ([`Error::rules_out_url`]).
    /// Retryable kinds: the host or the network has trouble, retry later.
    pub async fn fetch_image(&self, url: &str) -> Result<FetchedImage, Error> {
        let mut record = None;
        let fetch = async {
            let mut url = admit_url(url, &self.endpoints.images)?;
            for _ in 0..=MAX_REDIRECTS {
                let fetched = self.fetch_once(url, &mut record).await?;
                self.end(record.take());
                match fetched {
                    Fetched::Image(image) => return Ok(image),
                    Fetched::Redirect(target) => url = target,
                }
            }
            Err(Error::new(ErrorKind::Refused, format!("the image was redirected more than {MAX_REDIRECTS} times")))
        };
        let fetched = within(self.limits.image_total, fetch).await.map_err(|error| error.while_doing(ACTION));
        self.end(record);
        fetched
    }

    /// One request, which is under way as long as `record` is not complete.
    async fn fetch_once(&self, url: Url, record: &mut Option<Record>) -> Result<Fetched, Error> {
        let mut request = Request::new(Method::GET, url.clone());
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("image/*"));
        *record = self.begin(&url);
        let response = self.send(request).await?;
        let status = response.status().as_u16();
        if let Some(record) = record {
            record.answered(status);
            record.is_complete = status != 200;
        }
        if matches!(status, 301 | 302 | 303 | 307 | 308) {
            let location = response.headers().get(LOCATION).ok_or_else(|| {
                Error::new(ErrorKind::Refused, "the redirect of the image has no target").with_status(status)
            })?;
            let target = admit_redirect(&url, location.as_bytes(), &self.endpoints.images)
                .map_err(|error| error.with_status(status))?;
            let (from, to) = (self.host_of(&url), self.host_of(&target));
            if from != to && to.is_some_and(|host| self.endpoints.is_private(host)) {
                let detail = "the image was redirected to an internal network by another host";
                return Err(Error::new(ErrorKind::Refused, detail).with_status(status));
            }
            return Ok(Fetched::Redirect(target));
        }
        if status != 200 {
            // The body is the CDN's XML or HTML and adds nothing to the status.
            let wait = rate_limit::retry_after(response.headers(), (self.clock)()).map(retry::clamp_retry_after);
            let error = Refusal::default().into_error(Call::Image, status, &Redactor::default());
            let wait = wait.filter(|_| error.is_retryable());
            return Err(error.with_retry_after(wait));
        }
        let codings = encoding::of(response.headers());
        let mut unrecorded = 0;
        let received = record.as_mut().map_or(&mut unrecorded, |record| &mut record.bytes);
        let body = body::read(response, self.limits.image, &self.limits, received).await;
        if let Some(record) = record {
            record.is_complete = body.is_ok();
        }
        let bytes = body
            .and_then(|bytes| encoding::undo(bytes, &codings, self.limits.image))
            .map_err(|error| error.with_status(status))?;
        let useless = if bytes.is_empty() {
            "the image is empty"
        } else if is_html(&bytes) {
            "the answer is an HTML page and not an image"
        } else {
            let sha256 = Sha256::digest(&bytes).into();
            return Ok(Fetched::Image(FetchedImage { bytes, sha256 }));
        };
        Err(Error::new(ErrorKind::Protocol, useless).with_status(status))
    }
}

/// Whether the bytes start like an HTML page, after a byte order mark, blanks and comments. Some object stores send a page
/// with status 200 instead of an error or a login.
fn is_html(bytes: &[u8]) -> bool {
    let mut rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    while let Some(comment) = rest.strip_prefix(b"<!--") {
        let Some(end) = comment.windows(3).position(|window| window == b"-->") else { return false };
        rest = comment[end + 3..].trim_ascii_start();
    }
    let begins = |word: &[u8]| rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    [&b"<!doctype html"[..], b"<html", b"<head", b"<body", b"<script"].into_iter().any(begins)
}

enum Fetched {
    Image(FetchedImage),
    Redirect(Url),
}
