//! The kinds of failure that a caller distinguishes.

/// What a failed call means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The refresh token is definitely refused: the user must consent again. Only if no other process refreshed the account
    /// meanwhile; the caller must check that.
    NeedsReauth,
    /// The authorization code is wrong, used or expired: start the consent again.
    BadCode,
    /// The access token was refused (401 on an API call): refresh once, repeat once.
    Unauthorized,
    /// The token lacks a scope that the call needs: a refresh does not help.
    MissingScope,
    /// Pinterest has not granted the app access to its API yet, or has withdrawn it. No account is at fault.
    AppAccess,
    /// The feature is open to some apps only: the rest of the API works.
    Restricted,
    /// Refused as not authorized, without a reason: the app's access, a scope, or something else is missing.
    NotPermitted,
    /// The app's id or secret is wrong. No account is at fault.
    AppCredentials,
    /// The account may not see this, or (for an image) the host refuses this URL.
    Forbidden,
    /// The board, pin, section, user or image does not exist.
    NotFound,
    /// A quota is used up; [`crate::Error::retry_after`] is the wait, if the server gave one.
    RateLimited,
    /// The account or app is blocked as spam: pause for hours.
    SpamHold,
    /// Pinterest ends a listing at 100,000 pins: it is complete up to there, and the other pins are not gone.
    ListingLimit,
    /// A request with a bookmark was refused as invalid: restart the listing, once.
    StaleBookmark,
    /// The request itself is invalid.
    BadRequest,
    /// A listing repeated an earlier bookmark, or never ends.
    RepeatedBookmark,
    /// 5xx, a timeout, a lost connection, an answer that is not JSON: the same call may work later.
    Transient,
    /// The name was not resolved or the connection failed: nothing was sent.
    Unreachable,
    /// The TLS handshake failed, usually because the certificate is not trusted: nothing was sent.
    Tls,
    /// The proxy cannot be reached, or is not a proxy: nothing was sent, and the site may be reachable.
    Proxy,
    /// The proxy can be reached, but its connection to the host failed. Either of them may be at fault: nothing was sent, and
    /// other hosts may be reachable.
    ProxyTunnel,
    /// The proxy requires a user and password, or refuses the given ones; or their file is invalid.
    ProxyCredentials,
    /// The proxy's rules forbid the host or port.
    ProxyRefused,
    /// Our own rules forbid the host, the address, the scheme or the redirect.
    Refused,
    /// The answer is larger than its limit.
    TooLarge,
    /// The answer is well-formed but invalid.
    Protocol,
    /// A setting, a file or an argument is wrong: no request was sent.
    Config,
}

impl ErrorKind {
    /// Whether the same call may succeed later without any change on our side.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::RateLimited | Self::SpamHold | Self::Transient | Self::Unreachable | Self::Tls)
            || self.is_proxy()
    }

    /// Whether Pinterest's refusal shows that the app has access: the refusal is about the requested object.
    pub fn shows_access(self) -> bool {
        use ErrorKind::{BadRequest, Forbidden, ListingLimit, MissingScope, NotFound, StaleBookmark};
        matches!(self, BadRequest | Forbidden | ListingLimit | MissingScope | NotFound | StaleBookmark)
    }

    /// Whether the proxy may be at fault, and so not the requested object.
    pub fn is_proxy(self) -> bool {
        matches!(self, Self::Proxy | Self::ProxyTunnel | Self::ProxyCredentials | Self::ProxyRefused)
    }
}
