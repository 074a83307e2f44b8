//! The crate's error: an opaque type with a kind, and a message without bodies and secrets.

mod kind;
mod redact;
mod refusal;
mod transport;
mod wording;

use std::fmt;
use std::time::Duration;

pub use kind::ErrorKind;
pub(crate) use redact::Redactor;
pub(crate) use refusal::{Call, Refusal};
pub(crate) use transport::from_reqwest;

use crate::net::PrivateHost;

/// Why a call failed.
///
/// Contains no response body and no source error, which could print URLs and bodies. A server's message is kept, shortened
/// and without anything that looks like a token.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    detail: String,
    action: Option<&'static str>,
    status: Option<u16>,
    code: Option<i64>,
    request_id: Option<String>,
    retry_after: Option<Duration>,
    by_pace: bool,
    may_have_been_processed: bool,
    private_host: Option<PrivateHost>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            detail: detail.into(),
            action: None,
            status: None,
            code: None,
            request_id: None,
            retry_after: None,
            by_pace: false,
            may_have_been_processed: false,
            private_host: None,
        }))
    }

    /// Names the call, as `GET /v5/boards/{board_id}/pins`.
    pub(crate) fn while_doing(mut self, action: &'static str) -> Self {
        self.0.action.get_or_insert(action);
        self
    }

    /// Appends to the message.
    pub(crate) fn with_note(mut self, note: &str) -> Self {
        self.0.detail.push_str(note);
        self
    }

    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    pub(crate) fn with_code(mut self, code: Option<i64>) -> Self {
        self.0.code = code;
        self
    }

    pub(crate) fn with_request_id(mut self, request_id: Option<String>) -> Self {
        self.0.request_id = self.0.request_id.or(request_id);
        self
    }

    pub(crate) fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.0.retry_after = retry_after;
        self
    }

    /// Records the pair that would have allowed the address.
    pub(crate) fn with_private_host(mut self, private_host: Option<PrivateHost>) -> Self {
        self.0.private_host = private_host;
        self
    }

    /// Marks that requests were too fast, although the budget is not used up.
    pub(crate) fn by_pace(mut self, by_pace: bool) -> Self {
        self.0.by_pace = by_pace;
        self
    }

    /// Marks that the request was sent and no complete answer was received.
    pub(crate) fn outcome_unknown(mut self) -> Self {
        self.0.may_have_been_processed = true;
        self
    }

    /// The kind of failure; branch on this.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same call may succeed later without any change on our side. See [`crate::retry`] for when.
    pub fn is_retryable(&self) -> bool {
        self.0.kind.is_retryable()
    }

    /// The wait that the server requested, from one second to 24 hours.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether requests were too fast for a policy of a few seconds; the budget may not be used up.
    pub fn is_about_pace(&self) -> bool {
        self.0.by_pace
    }

    /// The HTTP status, if an answer was received.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// Pinterest's own error code. Not unique: branch on [`Error::kind`].
    pub fn code(&self) -> Option<i64> {
        self.0.code
    }

    /// Pinterest's id of the request (`x-pinterest-rid`), to quote in a report.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// Whether the URL is unusable: fetching it again is useless, but another URL of the same image may work.
    pub fn rules_out_url(&self) -> bool {
        use ErrorKind::{Forbidden, NotFound, Protocol, Refused, TooLarge};
        matches!(self.0.kind, Refused | Forbidden | NotFound | TooLarge | Protocol)
    }

    /// If the host's addresses are in an internal network: the pair for [`crate::Endpoints::private_images`] that allows the
    /// first of them.
    pub fn private_host(&self) -> Option<&PrivateHost> {
        self.0.private_host.as_ref()
    }

    /// Whether the server may have processed the request although no complete answer was received.
    ///
    /// After a token refresh the refresh token may then have been rotated.
    pub fn may_have_been_processed(&self) -> bool {
        self.0.may_have_been_processed
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(action) = self.0.action {
            write!(formatter, "{action}: ")?;
        }
        formatter.write_str(&self.0.detail)?;
        if let Some(request_id) = &self.0.request_id {
            write!(formatter, " (request id {request_id})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.to_string())
            .field("status", &self.0.status)
            .field("code", &self.0.code)
            .field("retry_after", &self.0.retry_after)
            .finish()
    }
}

impl std::error::Error for Error {}
