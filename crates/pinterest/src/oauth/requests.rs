//! The authorize page and the two requests to the token endpoint, built by the library `oauth2`.
//!
//! The library sends nothing and reads no answer: it would accept an answer of any size, quote an answer that it cannot
//! parse in its error, and free the tokens without zeroing them. [`super::TokenAnswer`] reads the answer.

use std::cell::RefCell;
use std::fmt;

use http::header::AUTHORIZATION;
use oauth2::basic::BasicClient;
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, RedirectUrl, RefreshToken, Scope, SyncHttpClient, TokenUrl,
};
use url::Url;
use zeroize::Zeroize;

use super::AppCredentials;
use crate::error::{Error, ErrorKind};
use crate::{Endpoints, Secret};

/// The library's client with a token endpoint and nothing else.
type TokenClient = BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// The page a person opens to let the app read their boards (RFC 6749, section 4.1.1).
///
/// `state` comes back unchanged in the redirect: single use, short-lived, see [`crate::oauth_state`]. Pinterest takes
/// exactly the five parameters of the standard, with commas between the scopes.
///
/// # Errors
/// [`ErrorKind::Config`] if the host or the redirect URI cannot be part of a URL.
pub fn authorize_url(
    endpoints: &Endpoints,
    client_id: &str,
    redirect_uri: &str,
    scopes: &[&str],
    state: &Secret,
) -> Result<String, Error> {
    let page = AuthUrl::new(format!("https://{}/oauth/", endpoints.authorize))
        .map_err(|_| config("the host of the authorize page is not a valid host of a URL"))?;
    let client = BasicClient::new(ClientId::new(client_id.to_owned()))
        .set_auth_uri(page)
        .set_redirect_uri(redirect_url(redirect_uri)?);
    let request = client.authorize_url(|| CsrfToken::new(state.expose().to_owned()));
    let (url, _) = request.add_scope(Scope::new(scopes.join(","))).url();
    Ok(url.into())
}

/// The request that exchanges a code for tokens (RFC 6749, section 4.1.3).
///
/// # Errors
/// [`ErrorKind::Config`] if it cannot be built from these arguments.
pub(crate) fn code_request(endpoint: Url, app: &AppCredentials, code: &Secret) -> Result<reqwest::Request, Error> {
    let client = token_client(endpoint, app).set_redirect_uri(redirect_url(&app.redirect_uri)?);
    let outbox = Outbox::default();
    let request = client
        .exchange_code(AuthorizationCode::new(code.expose().to_owned()))
        // Apps older than September 2025 get a refresh token that cannot be renewed without it.
        .add_extra_param("continuous_refresh", "true");
    let _ = request.request(&outbox);
    outbox.into_request()
}

/// The request that exchanges a refresh token for new tokens (RFC 6749, section 6).
///
/// # Errors
/// [`ErrorKind::Config`] if it cannot be built from these arguments.
pub(crate) fn refresh_request(endpoint: Url, app: &AppCredentials, token: &Secret) -> Result<reqwest::Request, Error> {
    let token = RefreshToken::new(token.expose().to_owned());
    let outbox = Outbox::default();
    let _ = token_client(endpoint, app).exchange_refresh_token(&token).request(&outbox);
    token.into_secret().zeroize();
    outbox.into_request()
}

fn token_client(endpoint: Url, app: &AppCredentials) -> TokenClient {
    BasicClient::new(ClientId::new(app.client_id.clone()))
        .set_client_secret(ClientSecret::new(app.client_secret.expose().to_owned()))
        .set_auth_type(AuthType::BasicAuth)
        .set_token_uri(TokenUrl::from_url(endpoint))
}

fn redirect_url(text: &str) -> Result<RedirectUrl, Error> {
    RedirectUrl::new(text.to_owned()).map_err(|_| config("the app's redirect URI is not a URL"))
}

/// The library's HTTP client: it keeps the request instead of sending it. The error ends the library's call.
#[derive(Default)]
struct Outbox(RefCell<Option<HttpRequest>>);

impl SyncHttpClient for Outbox {
    type Error = fmt::Error;

    fn call(&self, request: HttpRequest) -> Result<HttpResponse, fmt::Error> {
        self.0.replace(Some(request));
        Err(fmt::Error)
    }
}

impl Outbox {
    fn into_request(self) -> Result<reqwest::Request, Error> {
        let request = self.0.into_inner().and_then(|request| reqwest::Request::try_from(request).ok());
        let mut request = request.ok_or_else(|| config("the token request cannot be built from these arguments"))?;
        if let Some(credentials) = request.headers_mut().get_mut(AUTHORIZATION) {
            credentials.set_sensitive(true);
        }
        Ok(request)
    }
}

fn config(detail: &str) -> Error {
    Error::new(ErrorKind::Config, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authorize_page_gets_exactly_five_parameters() {
        let endpoints = Endpoints { authorize: "localhost:8443".parse().unwrap(), ..Endpoints::default() };
        let redirect = "http://localhost:8085/?a=b&c";
        let scopes = ["boards:read", "pins:read"];
        let text = authorize_url(&endpoints, "123", redirect, &scopes, &Secret::new("s-_&t")).unwrap();
        let url = Url::parse(&text).unwrap();
        assert_eq!((url.host_str(), url.port(), url.path()), (Some("localhost"), Some(8443), "/oauth/"));
        let mut pairs: Vec<_> = url.query_pairs().into_owned().collect();
        pairs.sort();
        let expected = [
            ("client_id", "123"),
            ("redirect_uri", redirect),
            ("response_type", "code"),
            ("scope", "boards:read,pins:read"),
            ("state", "s-_&t"),
        ];
        assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn pinterests_own_page_has_no_port() {
        let text = authorize_url(&Endpoints::default(), "1", "https://a/", &[], &Secret::new("s")).unwrap();
        assert!(text.starts_with("https://www.pinterest.com/oauth/?response_type=code&client_id=1&"), "{text}");
    }
}
