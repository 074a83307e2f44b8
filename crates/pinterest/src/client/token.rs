//! The token endpoint, through the OAuth library but over our own capped exchange.

use std::future::Future;
use std::pin::Pin;

use http::header::AUTHORIZATION;
use oauth2::basic::{BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse};
use oauth2::{
    AsyncHttpClient, AuthType, AuthorizationCode, ClientId, ClientSecret, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, RedirectUrl, RefreshToken, RequestTokenError, StandardRevocableToken, TokenUrl,
};
use zeroize::Zeroize;

use super::Client;
use crate::error::{Call, Error, ErrorKind, Redactor};
use crate::oauth::{AppCredentials, TokenAnswer, TokenGrant};
use crate::secret::Secret;

/// The library's client with Pinterest's token answer. Its own error answers are never used: ours are sorted out
/// before it sees them.
type OAuthClient<HasTokenUrl = EndpointNotSet> = oauth2::Client<
    BasicErrorResponse,
    TokenAnswer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    HasTokenUrl,
>;

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
        let http = TokenExchange { client: self, call: Call::CodeExchange, redactor: &redactor };
        let request = oauth
            .exchange_code(AuthorizationCode::new(code.expose().to_owned()))
            // Apps older than September 2025 get a refresh token that ends for good without it.
            .add_extra_param("continuous_refresh", "true")
            .request_async(&http);
        grant(request).await.map_err(|error| error.while_doing(ACTION_CODE))
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
        let http = TokenExchange { client: self, call: Call::Refresh, redactor: &redactor };
        let token = RefreshToken::new(refresh_token.expose().to_owned());
        let request = oauth.exchange_refresh_token(&token).request_async(&http);
        let granted = grant(request).await.map_err(|error| error.while_doing(ACTION_REFRESH));
        token.into_secret().zeroize();
        granted
    }

    fn oauth_client(&self, app: &AppCredentials) -> Result<OAuthClient<EndpointSet>, Error> {
        let url = self
            .base
            .join("oauth/token")
            .map_err(|_| Error::new(ErrorKind::Config, "the API host is no host of a URL"))?;
        Ok(<OAuthClient>::new(ClientId::new(app.client_id.clone()))
            .set_client_secret(ClientSecret::new(app.client_secret.expose().to_owned()))
            .set_auth_type(AuthType::BasicAuth)
            .set_token_uri(TokenUrl::from_url(url)))
    }
}

/// The library's way to the network: our exchange, and of its answers only the successes. Everything else is an error
/// here already, so that neither the library's idea of error bodies nor the `Debug` of its errors, which holds the
/// body, comes into play.
struct TokenExchange<'a> {
    client: &'a Client,
    call: Call,
    redactor: &'a Redactor<'a>,
}

impl TokenExchange<'_> {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Error> {
        let mut request = reqwest::Request::try_from(request)
            .map_err(|_| Error::new(ErrorKind::Config, "the token request cannot be built from these arguments"))?;
        if let Some(value) = request.headers_mut().get_mut(AUTHORIZATION) {
            value.set_sensitive(true);
        }
        let mut answered = self.client.exchange(request, self.client.limits.token_answer).await?;
        if !answered.is_success() {
            let error = self.client.refusal(self.call, &answered, self.redactor);
            answered.body.zeroize();
            return Err(error);
        }
        // Status and headers stay here: the library takes 200 and one Content-Type only.
        Ok(HttpResponse::new(answered.body))
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

/// Waits for the answer and takes it apart at once: the library's error may hold the token.
async fn grant<F>(request: F) -> Result<TokenGrant, Error>
where
    F: Future<Output = Result<TokenAnswer, RequestTokenError<Error, BasicErrorResponse>>>,
{
    match request.await {
        Ok(answer) => answer.into_grant(),
        Err(RequestTokenError::Request(error)) => Err(error),
        Err(RequestTokenError::Parse(error, mut body)) => {
            body.zeroize();
            Err(TokenAnswer::unreadable(&error.path().to_string()))
        }
        Err(RequestTokenError::ServerResponse(_) | RequestTokenError::Other(_)) => Err(TokenAnswer::unreadable("")),
    }
}
