//! The kinds of failure a caller decides by.

/// What a failed call means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The refresh token is definitely no longer accepted: the person has to consent again.
    /// Counts only if nobody else refreshed the account meanwhile; that is the caller's to check.
    NeedsReauth,
    /// The authorization code is wrong, used or expired: start the consent again.
    BadCode,
    /// The access token was not accepted (401 on an API call): refresh once, repeat once.
    Unauthorized,
    /// The token lacks a scope the call needs: a refresh cannot help.
    MissingScope,
    /// Pinterest has not granted the app access to its API yet, or has withdrawn it: a fault of no account.
    AppAccess,
    /// What was asked for is open to some apps only: the rest of the API answers.
    Restricted,
    /// Refused as not authorized without a word on what is missing: the app's access, a scope, or else.
    NotPermitted,
    /// The app's id or secret is wrong: a fault of the app, not of any account.
    AppCredentials,
    /// The account may not see this, or (for an image) this URL is not to be had.
    Forbidden,
    /// There is no such board, pin, section, user or image.
    NotFound,
    /// A quota is used up; [`crate::Error::retry_after`] says for how long where the server said so.
    RateLimited,
    /// The account or app is held back as spam: stop for hours.
    SpamHold,
    /// One listing ends at 100,000 pins: complete up to the limit, no ground to call the rest removed.
    ListingLimit,
    /// A request with a bookmark was refused as invalid: start this listing over once.
    StaleBookmark,
    /// The request itself is invalid.
    BadRequest,
    /// A listing sent a bookmark it had sent before, or never ends.
    RepeatedBookmark,
    /// 5xx, a time-out, a connection broken off, an answer that is no JSON: the same call may work later.
    Transient,
    /// The name did not resolve or no connection came about: nothing was sent.
    Unreachable,
    /// The TLS handshake failed, most often for want of a trusted certificate: nothing was sent.
    Tls,
    /// The proxy cannot be reached, or is no proxy: nothing was sent, and nothing is known of the site.
    Proxy,
    /// The proxy can be reached, and gave no connection to the host that lasts. The proxy or the host is at fault, which
    /// cannot be told: nothing was sent, and other hosts may be reached.
    ProxyTunnel,
    /// The proxy wants a user and password, or others than it was given; or their file is not as it has to be.
    ProxyCredentials,
    /// The proxy's rules forbid the host or port.
    ProxyRefused,
    /// Our own rules forbid the host, the address, the scheme or the redirect.
    Refused,
    /// The answer is larger than its cap.
    TooLarge,
    /// An answer that is well-formed but makes no sense.
    Protocol,
    /// A setting, a file or an argument is wrong: no request was made.
    Config,
}

impl ErrorKind {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::RateLimited | Self::SpamHold | Self::Transient | Self::Unreachable | Self::Tls)
            || self.is_proxy()
    }

    /// Whether a refusal by Pinterest itself shows that the app is let in: it is about what was asked for.
    pub fn shows_access(self) -> bool {
        use ErrorKind::{BadRequest, Forbidden, ListingLimit, MissingScope, NotFound, StaleBookmark};
        matches!(self, BadRequest | Forbidden | ListingLimit | MissingScope | NotFound | StaleBookmark)
    }

    /// Whether it may be about the proxy, which has to be put right, and so about nothing that was asked for.
    pub fn is_proxy(self) -> bool {
        matches!(self, Self::Proxy | Self::ProxyTunnel | Self::ProxyCredentials | Self::ProxyRefused)
    }
}
