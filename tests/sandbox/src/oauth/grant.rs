//! The answer of the token endpoint.

use std::fmt;

use serde::Serialize;

/// Tokens of one account. They are valid in this sandbox only, but `Debug` hides them: a test that searches logs for
/// tokens must not find its own output.
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
