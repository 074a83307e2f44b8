//! Private readers of untrusted bytes, for the fuzz targets in `fuzz/` of the repository. Nothing else may use them: they
//! change with the code.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use url::Url;

use crate::client;
use crate::error::{Call, Error, Redactor};
use crate::model::{Board, Pin, Section, UserAccount, read_account, read_item, read_page};
use crate::net::AddressRule;
use crate::{Host, Page, RateLimit, Secret, TokenGrant, app_secrets, net, oauth, rate_limit};

/// The body of a page of boards.
pub fn boards(body: &[u8]) -> Result<Page<Board>, Error> {
    read_page(body)
}

/// The body of a page of sections.
pub fn sections(body: &[u8]) -> Result<Page<Section>, Error> {
    read_page(body)
}

/// The body of a page of pins.
pub fn pins(body: &[u8]) -> Result<Page<Pin>, Error> {
    read_page(body)
}

/// The body of a board.
pub fn board(body: &[u8]) -> Result<Board, Error> {
    read_item(body)
}

/// The body of a section.
pub fn section(body: &[u8]) -> Result<Section, Error> {
    read_item(body)
}

/// The body of a pin.
pub fn pin(body: &[u8]) -> Result<Pin, Error> {
    read_item(body)
}

/// The body of the account.
pub fn account(body: &[u8]) -> Result<UserAccount, Error> {
    read_account(body)
}

/// The body of a successful answer of the token endpoint.
pub fn grant(body: &[u8]) -> Result<TokenGrant, Error> {
    oauth::TokenAnswer::read(body, false)
}

/// The number of kinds of requests: an API call, one with a bookmark, a code exchange, a refresh, an image.
pub const CALLS: usize = 5;

/// The error for an answer that is not a success, to the kind of request with this number below [`CALLS`].
pub fn refusal(
    call: usize,
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    now: SystemTime,
    secrets: &[&Secret],
) -> Error {
    let call = match call {
        0 => Call::Api { with_bookmark: false },
        1 => Call::Api { with_bookmark: true },
        2 => Call::CodeExchange,
        3 => Call::Refresh,
        _ => Call::Image,
    };
    client::refusal(call, status, headers, body, now, &Redactor::new(secrets.iter().copied()))
}

/// The headers of any answer: the quota, `Retry-After`, the request's id.
pub fn headers(headers: &HeaderMap, now: SystemTime) -> (RateLimit, Option<Duration>, Option<String>) {
    let request_id = client::request_id(headers, &Redactor::default());
    (RateLimit::from_headers(headers, now), rate_limit::retry_after(headers, now), request_id)
}

/// A server's text, cleaned.
pub fn redact(text: &str, secrets: &[&Secret]) -> String {
    Redactor::new(secrets.iter().copied()).clean(text)
}

/// The text of a file of app secrets.
pub fn app_secret(text: &str, client_id: &str) -> Result<Option<Secret>, String> {
    Ok(app_secrets::find(text, client_id)?.map(|line| line.secret))
}

/// The URL of an image.
pub fn admit_url(text: &str, allowed: &[Host]) -> Result<Url, Error> {
    net::admit_url(text, allowed)
}

/// The target of an image's redirect.
pub fn admit_redirect(from: &Url, location: &[u8], allowed: &[Host]) -> Result<Url, Error> {
    net::admit_redirect(from, location, allowed)
}

/// Whether an address may be contacted for a host that is not a loopback name.
pub fn is_public(address: IpAddr) -> bool {
    AddressRule::Public.permits(address)
}
