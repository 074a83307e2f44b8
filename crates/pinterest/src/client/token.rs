//! The token endpoint: two requests, and their answers read within the client's limits.

use url::Url;
use zeroize::Zeroize;

use super::Client;
use crate::error::{Call, Error, Redactor};
use crate::oauth::{AppCredentials, TokenAnswer, TokenGrant, code_request, refresh_request};
use crate::secret::Secret;

impl Client {
    /// Exchanges the code of a finished authorization for tokens that can be refreshed without end.
    ///
    /// # Errors
    /// [`crate::ErrorKind::BadCode`] if the code is wrong, used or expired; [`crate::ErrorKind::AppCredentials`] if the
    /// app's id or secret is wrong; a retryable kind if no definite answer came. A code can be used once, so a call for
    /// which [`Error::may_have_been_processed`] is true needs a new consent.
    pub async fn exchange_code(&self, app: &AppCredentials, code: &Secret) -> Result<TokenGrant, Error> {
        let call = async {
            let request = code_request(self.token_endpoint()?, app, code)?;
            self.grant(request, Call::CodeExchange, &Redactor::new([&app.client_secret, code])).await
        };
        call.await.map_err(|error| error.while_doing("POST /v5/oauth/token (authorization_code)"))
    }

    /// Exchanges a refresh token for a new grant. The old token may be invalid afterwards, whatever the outcome.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NeedsReauth`] only if the server definitely refuses this refresh token;
    /// [`crate::ErrorKind::AppCredentials`] if the app's id or secret is wrong. No other failure concerns the account;
    /// if [`Error::may_have_been_processed`] is true, the token may have been rotated.
    pub async fn refresh(&self, app: &AppCredentials, refresh_token: &Secret) -> Result<TokenGrant, Error> {
        let call = async {
            let request = refresh_request(self.token_endpoint()?, app, refresh_token)?;
            self.grant(request, Call::Refresh, &Redactor::new([&app.client_secret, refresh_token])).await
        };
        call.await.map_err(|error| error.while_doing("POST /v5/oauth/token (refresh_token)"))
    }

    fn token_endpoint(&self) -> Result<Url, Error> {
        self.url(&["oauth", "token"])
    }

    async fn grant(&self, request: reqwest::Request, call: Call, redactor: &Redactor<'_>) -> Result<TokenGrant, Error> {
        let mut answered = self.exchange(request, self.limits.token_answer).await?;
        let grant = if answered.is_success() {
            TokenAnswer::read(&answered.body, call == Call::CodeExchange)
        } else {
            Err(self.refusal(call, &answered, redactor))
        };
        answered.body.zeroize();
        grant
    }
}
