//! What the token endpoint gives out.

use std::fmt;

use serde::Serialize;

/// Tokens of one account, as a token answer carries them. They open nothing but this sandbox; they are hidden in
/// `Debug` all the same, so that a test which searches logs for tokens is not fooled by its own output.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Grant {
    /// Username of the account.
    pub account: String,
    /// Access token.
    pub access_token: String,
    /// Seconds until it expires.
    pub expires_in: u64,
    /// Refresh token; client credentials have none.
    pub refresh_token: Option<String>,
    /// Seconds until the refresh token expires.
    pub refresh_token_expires_in: Option<u64>,
    /// Unix seconds at which the refresh token expires.
    pub refresh_token_expires_at: Option<u64>,
    /// Scopes, separated by spaces.
    pub scope: String,
}

impl fmt::Debug for Grant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Grant")
            .field("account", &self.account)
            .field("access_token", &"[redacted]")
            .field("expires_in", &self.expires_in)
            .field("refresh_token_expires_in", &self.refresh_token_expires_in)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}
