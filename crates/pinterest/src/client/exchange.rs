//! Sends one request and reads one answer, with every check in between.

use std::future::Future;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use reqwest::{Request, Response};
use url::Url;

use super::{Client, body, encoding};
use crate::error::{Call, Error, ErrorKind, Redactor, Refusal, from_reqwest};
use crate::net::{AddressRule, Host};
use crate::{RateLimit, rate_limit, retry};

/// A whole answer.
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answered {
    /// Version 5.28 of the API describes 201 beside 200 for the token endpoint; the other endpoints send 200.
    pub(super) fn is_success(&self) -> bool {
        matches!(self.status, 200 | 201)
    }
}

impl Client {
    /// Sends a request and checks the address that answered. The body is not read yet.
    pub(super) async fn send(&self, request: Request) -> Result<Response, Error> {
        let host = self
            .host_of(request.url())
            .ok_or_else(|| Error::new(ErrorKind::Refused, "the request is for a host that is not configured"))?;
        let way = self.proxied.as_ref().filter(|_| !self.endpoints.is_direct(host));
        let (response, rule) = match way {
            Some(proxied) => (proxied.send(request, host).await?, AddressRule::Proxy),
            None => {
                let response = self.direct.execute(request).await.map_err(from_reqwest)?;
                (response, self.endpoints.address_rule(host))
            }
        };
        // Names and literals were checked before; this checks the address that was really contacted.
        match response.remote_addr() {
            Some(peer) if rule.permits(peer.ip()) => {}
            Some(peer) => {
                return Err(refused(format!("the answer came from {}, which is not an allowed address", peer.ip())));
            }
            None => return Err(refused("the peer's address is unknown".to_owned())),
        }
        Ok(response)
    }

    /// Checks that the proxy opens a connection to the API's host, or to the first image host that it is used for. Returns
    /// that host, or `None` if no proxy is used. No request is sent through the connection.
    ///
    /// # Errors
    /// [`ErrorKind::Proxy`], [`ErrorKind::ProxyTunnel`], [`ErrorKind::ProxyCredentials`], [`ErrorKind::ProxyRefused`],
    /// [`ErrorKind::Unreachable`].
    pub async fn ask_proxy(&self) -> Result<Option<Host>, Error> {
        let Some(proxied) = &self.proxied else { return Ok(None) };
        let mut hosts = std::iter::once(&self.endpoints.api).chain(&self.endpoints.images);
        let Some(host) = hosts.find(|host| !self.endpoints.is_direct(host)) else { return Ok(None) };
        proxied.ask(host).await.map(|()| Some(host.clone()))
    }

    /// Sends a request and reads its answer: up to `cap` bytes of a success, up to the limit of a token answer otherwise.
    pub(super) async fn exchange(&self, request: Request, cap: usize) -> Result<Answered, Error> {
        let mut record = self.begin(request.url());
        let mut unrecorded = 0;
        let answered = within(self.limits.api_total, async {
            let response = self.send(request).await?;
            if let Some(record) = &mut record {
                record.answered(response.status().as_u16());
            }
            let received = record.as_mut().map_or(&mut unrecorded, |record| &mut record.bytes);
            // An encoding was not requested and is not decoded: it is a decompression bomb or a mistake.
            if !encoding::of(response.headers()).is_empty() {
                let detail = "the answer is compressed, which is not supported";
                return Err(Error::new(ErrorKind::Protocol, detail)
                    .with_status(response.status().as_u16())
                    .outcome_unknown());
            }
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let mut answered = Answered { status, headers, body: Vec::new() };
            if answered.is_success() {
                let request_id = self.request_id(&answered.headers, &Redactor::default());
                answered.body = body::read(response, cap, &self.limits, received)
                    .await
                    .map_err(|error| error.with_status(status).with_request_id(request_id))?;
            } else if !response.status().is_redirection() {
                // A refusal without its body still has its status.
                let cap = cap.min(self.limits.token_answer);
                answered.body = body::read(response, cap, &self.limits, received).await.unwrap_or_default();
            }
            Ok(answered)
        })
        .await;
        if let Some(record) = &mut record {
            record.is_complete = answered.is_ok();
        }
        self.end(record);
        answered
    }

    /// The error for an answer that is not a success.
    pub(super) fn refusal(&self, call: Call, answered: &Answered, redactor: &Redactor<'_>) -> Error {
        refusal(call, answered.status, &answered.headers, &answered.body, (self.clock)(), redactor)
    }

    pub(super) fn rate_limit(&self, headers: &HeaderMap) -> RateLimit {
        RateLimit::from_headers(headers, (self.clock)())
    }

    pub(super) fn request_id(&self, headers: &HeaderMap, redactor: &Redactor<'_>) -> Option<String> {
        request_id(headers, redactor)
    }

    /// The configured host of a URL.
    pub(super) fn host_of(&self, url: &Url) -> Option<&Host> {
        let (name, port) = (url.host_str()?, url.port_or_known_default()?);
        std::iter::once(&self.endpoints.api)
            .chain(&self.endpoints.images)
            .find(|host| host.name() == name && host.port() == port)
    }
}

/// The error for an answer that is not a success, received at `now`.
pub(crate) fn refusal(
    call: Call,
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    now: SystemTime,
    redactor: &Redactor<'_>,
) -> Error {
    let refusal = Refusal::read(body);
    let kind = refusal.kind(call, status);
    let rate = match kind {
        ErrorKind::RateLimited => RateLimit::from_headers(headers, now),
        _ => RateLimit::default(),
    };
    let (reset, by_pace) = rate.wait();
    let wait = rate_limit::retry_after(headers, now).or_else(|| refusal.wait_in_text()).or(reset);
    let wait = wait.filter(|_| kind.is_retryable()).map(retry::clamp_retry_after);
    refusal
        .into_error(call, status, redactor)
        .with_retry_after(wait)
        .by_pace(by_pace && wait.is_some_and(|wait| wait <= rate_limit::LONGEST_PACE))
        .with_request_id(request_id(headers, redactor))
}

/// Pinterest's id of the request, cleaned like every text from a server.
pub(crate) fn request_id(headers: &HeaderMap, redactor: &Redactor<'_>) -> Option<String> {
    Some(redactor.clean(headers.get("x-pinterest-rid")?.to_str().ok()?)).filter(|id| !id.is_empty())
}

/// Bounds a whole call.
pub(super) async fn within<T>(limit: Duration, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match tokio::time::timeout(limit, call).await {
        Ok(result) => result,
        Err(_) => {
            Err(Error::new(ErrorKind::Transient, format!("no complete answer within {limit:?}")).outcome_unknown())
        }
    }
}

fn refused(detail: String) -> Error {
    Error::new(ErrorKind::Refused, detail).outcome_unknown()
}
