//! The token endpoint, through the OAuth library but over our own capped exchange.

use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;

use http::header::AUTHORIZATION;
use oauth2::basic::{BasicClient, BasicErrorResponse, BasicTokenResponse};
use oauth2::{
    AsyncHttpClient, AuthType, AuthorizationCode, ClientId, ClientSecret, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, RedirectUrl, RefreshToken, RequestTokenError, TokenUrl,
};
use zeroize::Zeroize;

use super::Client;
use crate::error::{Call, Error, ErrorKind, Redactor};
use crate::oauth::{AppCredentials, TokenAnswer, TokenGrant};
use crate::secret::Secret;

/// The library's client, with a token endpoint and nothing else.
type OAuthClient = BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

const ACTION_CODE: &str = "POST /v5/oauth/token (authorization_code)";
const ACTION_REFRESH: &str = "POST /v5/oauth/token (refresh_token)";

impl Client {
    /// Exchanges the code of a finished authorization for tokens that can be refreshed without end.
    ///
    /// # Errors
    /// [`ErrorKind::BadCode`] if the code is wrong, used or expired; [`ErrorKind::AppCredentials`] if the app's id or
    /// secret is; a retryable kind if nothing definite came back. A code can be used once, so a call whose
    /// [`Error::may_have_been_processed`] holds needs a new consent.
    pub async fn exchange_code(&self, app: &AppCredentials, code: &Secret) -> Result<TokenGrant, Error> {
        let oauth = self.oauth_client(app).map_err(|error| error.while_doing(ACTION_CODE))?;
        let redirect = RedirectUrl::new(app.redirect_uri.clone()).map_err(|_| {
            Error::new(ErrorKind::Config, "the app's redirect URI is not a URL").while_doing(ACTION_CODE)
        })?;
        let oauth = oauth.set_redirect_uri(redirect);
        let redactor = Redactor::new([&app.client_secret, code]);
        let http = TokenExchange::new(self, Call::CodeExchange, &redactor);
        let request = oauth
            .exchange_code(AuthorizationCode::new(code.expose().to_owned()))
            // Apps older than September 2025 get a refresh token that ends for good without it.
            .add_extra_param("continuous_refresh", "true")
            .request_async(&http);
        let outcome = request.await;
        http.finish(outcome).map_err(|error| error.while_doing(ACTION_CODE))
    }

    /// Exchanges a refresh token for a new grant. The old token may be dead afterwards, whatever came back.
    ///
    /// # Errors
    /// [`ErrorKind::NeedsReauth`] only if the server definitely refuses this refresh token;
    /// [`ErrorKind::AppCredentials`] if the app's id or secret is wrong. Any other failure says nothing about the
    /// account; where [`Error::may_have_been_processed`] holds the token may have been rotated.
    pub async fn refresh(&self, app: &AppCredentials, refresh_token: &Secret) -> Result<TokenGrant, Error> {
        let oauth = self.oauth_client(app).map_err(|error| error.while_doing(ACTION_REFRESH))?;
        let redactor = Redactor::new([&app.client_secret, refresh_token]);
        let http = TokenExchange::new(self, Call::Refresh, &redactor);
        let token = RefreshToken::new(refresh_token.expose().to_owned());
        let request = oauth.exchange_refresh_token(&token).request_async(&http);
        let outcome = request.await;
        token.into_secret().zeroize();
        http.finish(outcome).map_err(|error| error.while_doing(ACTION_REFRESH))
    }

    fn oauth_client(&self, app: &AppCredentials) -> Result<OAuthClient, Error> {
        let url = self
            .base
            .join("oauth/token")
            .map_err(|_| Error::new(ErrorKind::Config, "the API host is no host of a URL"))?;
        Ok(BasicClient::new(ClientId::new(app.client_id.clone()))
            .set_client_secret(ClientSecret::new(app.client_secret.expose().to_owned()))
            .set_auth_type(AuthType::BasicAuth)
            .set_token_uri(TokenUrl::from_url(url)))
    }
}

/// The library's way to the network, and all it learns of the answer is whether there was one. Refusals are sorted out
/// before it sees them. A grant is read here: the library knows no `refresh_token_expires_in`, has unsigned lifetimes,
/// prints the body in its errors, and drops it unzeroed.
struct TokenExchange<'a> {
    client: &'a Client,
    call: Call,
    redactor: &'a Redactor<'a>,
    granted: OnceLock<TokenGrant>,
}

/// What the library reads in place of a grant.
const STAND_IN: &[u8] = br#"{"access_token": "read elsewhere", "token_type": "bearer"}"#;

impl<'a> TokenExchange<'a> {
    fn new(client: &'a Client, call: Call, redactor: &'a Redactor<'a>) -> Self {
        Self { client, call, redactor, granted: OnceLock::new() }
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Error> {
        let mut request = reqwest::Request::try_from(request).map_err(|_| unbuildable())?;
        if let Some(value) = request.headers_mut().get_mut(AUTHORIZATION) {
            value.set_sensitive(true);
        }
        let mut answered = self.client.exchange(request, self.client.limits.token_answer).await?;
        let granted = if answered.is_success() {
            TokenAnswer::read(&answered.body, self.call == Call::CodeExchange)
        } else {
            Err(self.client.refusal(self.call, &answered, self.redactor))
        };
        answered.body.zeroize();
        // One request is made, so nothing is there yet.
        let _ = self.granted.set(granted?);
        Ok(HttpResponse::new(STAND_IN.to_vec()))
    }

    /// What came of the request, whatever the library made of it.
    fn finish(
        self,
        outcome: Result<BasicTokenResponse, RequestTokenError<Error, BasicErrorResponse>>,
    ) -> Result<TokenGrant, Error> {
        if let Err(RequestTokenError::Request(error)) = outcome {
            return Err(error);
        }
        self.granted.into_inner().ok_or_else(unbuildable)
    }
}

impl<'c> AsyncHttpClient<'c> for TokenExchange<'_> {
    type Error = Error;
    // Boxed, because the library's own implementation for closures cannot be proved `Send`.
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Error>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

fn unbuildable() -> Error {
    Error::new(ErrorKind::Config, "the token request cannot be built from these arguments")
}
