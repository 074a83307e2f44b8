//! The crate's error: one opaque type, a kind a program can branch on, a message without bodies or secrets.

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

/// What went wrong with one call.
///
/// Holds no response body and no source error: those of the libraries below may print URLs and bodies. A server's own
/// message is kept, shortened and with everything that looks like a token taken out.
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

    /// Names what was being done, as `GET /v5/boards/{board_id}/pins`.
    pub(crate) fn while_doing(mut self, action: &'static str) -> Self {
        self.0.action.get_or_insert(action);
        self
    }

    /// Adds to what is said.
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

    /// Notes the pair that would have let the address through.
    pub(crate) fn with_private_host(mut self, private_host: Option<PrivateHost>) -> Self {
        self.0.private_host = private_host;
        self
    }

    /// Marks that requests came too fast, and that the budget is not spent.
    pub(crate) fn by_pace(mut self, by_pace: bool) -> Self {
        self.0.by_pace = by_pace;
        self
    }

    /// Marks that the request went out and no whole answer came back.
    pub(crate) fn outcome_unknown(mut self) -> Self {
        self.0.may_have_been_processed = true;
        self
    }

    /// What kind of failure this is; branch on this.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same call may succeed later without anybody changing anything. See [`crate::retry`] for when.
    pub fn is_retryable(&self) -> bool {
        self.0.kind.is_retryable()
    }

    /// How long the server asked to be left alone, within one second and 24 hours.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether requests came too fast for a policy of a few seconds, which says nothing of the budget.
    pub fn is_about_pace(&self) -> bool {
        self.0.by_pace
    }

    /// The HTTP status, where an answer came.
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

    /// Whether the URL itself is ruled out, so that fetching it again is no use and another URL of the same image may do.
    pub fn rules_out_url(&self) -> bool {
        use ErrorKind::{Forbidden, NotFound, Protocol, Refused, TooLarge};
        matches!(self.0.kind, Refused | Forbidden | NotFound | TooLarge | Protocol)
    }

    /// Where the host's addresses lie in an internal network: the pair in [`crate::Endpoints::private_images`] that lets
    /// the first of them be contacted.
    pub fn private_host(&self) -> Option<&PrivateHost> {
        self.0.private_host.as_ref()
    }

    /// Whether the server may have acted on the request although its answer did not arrive whole.
    ///
    /// For a token refresh this is the uncertain outcome: the refresh token may have been rotated.
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
