//! From a refusing answer to its meaning: the HTTP status first, then Pinterest's code, then the text.

use std::time::Duration;

use serde::Deserialize;

use super::{Error, ErrorKind, Redactor};
use crate::lenient::lenient;

/// What was asked, as the same answer means different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// An API endpoint; a bookmark makes an invalid request a stale one.
    Api { with_bookmark: bool },
    /// The token endpoint with an authorization code.
    CodeExchange,
    /// The token endpoint with a refresh token.
    Refresh,
    /// The image host.
    Image,
}

/// Pinterest's error body. Other members are ignored; a body that is none of this is an empty one.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Refusal {
    #[serde(default, deserialize_with = "lenient")]
    code: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    message: Option<String>,
    /// At the token endpoint this may hold the true reason.
    #[serde(default, deserialize_with = "lenient")]
    data: Option<String>,
    #[serde(skip)]
    is_json: bool,
}

/// Codes of an invalid parameter, a transient fault, and of the 401s.
const CODE_INVALID_PARAMETER: i64 = 1;
const CODE_AUTHENTICATION_FAILED: i64 = 2;
const CODE_MISSING_SCOPE: i64 = 3;
const CODE_NOT_AUTHORIZED: i64 = 7;
const CODE_SOMETHING_WENT_WRONG: i64 = 12;
const CODE_NOT_PERMITTED: i64 = 29;
const CODE_INVALID_GRANT: i64 = 283;

impl Refusal {
    /// Reads a body that may be anything.
    pub(crate) fn read(body: &[u8]) -> Self {
        match serde_json::from_slice::<Self>(body) {
            Ok(refusal) => Self { is_json: true, ..refusal },
            Err(_) => Self::default(),
        }
    }

    fn says(&self, words: &str) -> bool {
        [&self.message, &self.data].into_iter().flatten().any(|text| text.to_ascii_lowercase().contains(words))
    }

    /// The hidden rate limit, told in the text of a 400.
    pub(crate) fn wait_in_text(&self) -> Option<Duration> {
        crate::rate_limit::retry_after_in_text(self.message.as_deref()?)
    }

    /// What this answer means.
    pub(crate) fn kind(&self, call: Call, status: u16) -> ErrorKind {
        match status {
            // A part of an answer, or none, where a whole one was asked for.
            ..300 => return ErrorKind::Protocol,
            300..400 => return ErrorKind::Refused,
            500.. => return ErrorKind::Transient,
            _ => {}
        }
        match call {
            Call::Api { with_bookmark } => self.kind_for_api(status, with_bookmark),
            Call::CodeExchange => self.kind_for_token(status, ErrorKind::BadCode),
            Call::Refresh => self.kind_for_token(status, ErrorKind::NeedsReauth),
            Call::Image => match status {
                404 | 410 => ErrorKind::NotFound,
                408 => ErrorKind::Transient,
                429 => ErrorKind::RateLimited,
                _ => ErrorKind::Forbidden,
            },
        }
    }

    fn kind_for_api(&self, status: u16, with_bookmark: bool) -> ErrorKind {
        if self.is_listing_limit() {
            return ErrorKind::ListingLimit;
        }
        match (status, self.code) {
            (400, _) if self.wait_in_text().is_some() => ErrorKind::RateLimited,
            (400, Some(CODE_SOMETHING_WENT_WRONG)) => ErrorKind::Transient,
            (400, _) if self.says("something went wrong") => ErrorKind::Transient,
            (400, _) if !self.is_json => ErrorKind::Transient,
            (400, _) if with_bookmark => ErrorKind::StaleBookmark,
            (401, Some(CODE_MISSING_SCOPE)) => ErrorKind::MissingScope,
            (401, Some(CODE_NOT_AUTHORIZED | CODE_NOT_PERMITTED)) => ErrorKind::Forbidden,
            (401, _) => ErrorKind::Unauthorized,
            (403, _) => ErrorKind::Forbidden,
            (404 | 410, _) => ErrorKind::NotFound,
            (408 | 409, _) => ErrorKind::Transient,
            (429, _) if self.says("spam") => ErrorKind::SpamHold,
            (429, _) => ErrorKind::RateLimited,
            (_, _) => ErrorKind::BadRequest,
        }
    }

    /// At the token endpoint only known answers are definite, and of a refresh token just one: code 283, "The authorization
    /// grant is invalid". Anything else must not cost an account its connection: a 400 with a code has been seen for
    /// maintenance and for an exceeded limit. An authorization code can also be an invalid parameter.
    fn kind_for_token(&self, status: u16, refused: ErrorKind) -> ErrorKind {
        match (status, self.code) {
            (400, _) if self.wait_in_text().is_some() => ErrorKind::RateLimited,
            (429, _) if self.says("spam") => ErrorKind::SpamHold,
            (429, _) => ErrorKind::RateLimited,
            (400 | 401, _) if self.says("invalid application id") => ErrorKind::AppCredentials,
            (400, Some(CODE_SOMETHING_WENT_WRONG)) => ErrorKind::Transient,
            (400, _) if self.says("something went wrong") => ErrorKind::Transient,
            (400 | 401, Some(CODE_INVALID_GRANT)) => refused,
            (400, Some(CODE_INVALID_PARAMETER)) if refused == ErrorKind::BadCode => refused,
            (401, Some(CODE_AUTHENTICATION_FAILED)) => ErrorKind::AppCredentials,
            _ => ErrorKind::Transient,
        }
    }

    /// "Pagination beyond 100.000 pins are not allowed": the status is not recorded anywhere, so the text decides.
    fn is_listing_limit(&self) -> bool {
        self.says("pagination beyond")
    }

    /// The error for this answer, its message cleaned.
    pub(crate) fn into_error(self, call: Call, status: u16, redactor: &Redactor<'_>) -> Error {
        let mut detail = match call {
            Call::Image => format!("the image host answered {status}"),
            _ => format!("Pinterest answered {status}"),
        };
        if let Some(code) = self.code {
            detail.push_str(&format!(", code {code}"));
        }
        for text in [&self.message, &self.data].into_iter().flatten() {
            let text = redactor.clean(text);
            if !text.is_empty() {
                detail.push_str(&format!(": {text}"));
            }
        }
        let error = Error::new(self.kind(call, status), detail).with_status(status).with_code(self.code);
        // A gateway's 5xx says nothing about what happened behind it.
        if status >= 500 { error.outcome_unknown() } else { error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const API: Call = Call::Api { with_bookmark: false };
    const NEXT_PAGE: Call = Call::Api { with_bookmark: true };

    fn kind(call: Call, status: u16, body: &str) -> ErrorKind {
        Refusal::read(body.as_bytes()).kind(call, status)
    }

    fn body(code: i64, message: &str) -> String {
        format!(r#"{{"status": "failure", "code": {code}, "message": "{message}", "endpoint_name": "x"}}"#)
    }

    #[test]
    fn api_answers() {
        use ErrorKind::*;
        for (call, status, code, message, expected) in [
            (API, 400, 1, "Invalid parameter", BadRequest),
            (NEXT_PAGE, 400, 1, "Invalid bookmark", StaleBookmark),
            (NEXT_PAGE, 400, 12, "", Transient),
            (API, 400, 99, "Sorry! Something went wrong on our end", Transient),
            (API, 400, 8, "Retry after 30 seconds", RateLimited),
            (API, 401, 2, "Authentication failed.", Unauthorized),
            (API, 401, 3, "Authorization failed. Missing: ['boards:read']", MissingScope),
            (API, 401, 7, "", Forbidden),
            (API, 401, 29, "", Forbidden),
            (API, 401, 999, "", Unauthorized),
            (API, 403, 29, "", Forbidden),
            (API, 404, 40, "Board not found", NotFound),
            (API, 404, 30, "User not found", NotFound),
            (API, 409, 409, "", Transient),
            (API, 429, 30, "", RateLimited),
            (API, 429, 8, "Blocked for SPAM", SpamHold),
            (API, 418, 1, "", BadRequest),
            (API, 500, 2, "", Transient),
            (NEXT_PAGE, 400, 1, "Pagination beyond 100.000 pins are not allowed", ListingLimit),
            (NEXT_PAGE, 403, 1, "Pagination beyond 100,000 pins are not allowed", ListingLimit),
            (API, 302, 1, "", Refused),
            (API, 204, 1, "", Protocol),
        ] {
            assert_eq!(kind(call, status, &body(code, message)), expected, "{call:?} {status} {code} {message}");
        }
        assert_eq!(kind(API, 401, "<html>"), Unauthorized);
        assert_eq!(kind(API, 502, "<html>"), Transient);
        assert_eq!(kind(NEXT_PAGE, 400, "<html>"), Transient);
    }

    #[test]
    fn token_answers() {
        use ErrorKind::*;
        for (status, code, message, exchange, refresh) in [
            (401, 283, "The authorization grant is invalid", BadCode, NeedsReauth),
            (401, 2, "Authentication failed.", AppCredentials, AppCredentials),
            (401, 283, "Invalid Application ID", AppCredentials, AppCredentials),
            (400, 283, "The authorization grant is invalid", BadCode, NeedsReauth),
            (400, 1, "Bad code", BadCode, Transient),
            (400, 99, "Down for maintenance", Transient, Transient),
            (400, 8, "You have exceeded your rate limit. Try again later.", Transient, Transient),
            (401, 999, "", Transient, Transient),
            (400, 12, "", Transient, Transient),
            (401, 1201, "Two-factor authentication required.", Transient, Transient),
            (403, 7, "", Transient, Transient),
            (404, 404, "", Transient, Transient),
            (429, 8, "", RateLimited, RateLimited),
            (503, 283, "", Transient, Transient),
        ] {
            let body = body(code, message);
            assert_eq!(kind(Call::CodeExchange, status, &body), exchange, "{status} {code} {message}");
            assert_eq!(kind(Call::Refresh, status, &body), refresh, "{status} {code} {message}");
        }
        for html in ["<html>502</html>", "", "[]", "null"] {
            assert_eq!(kind(Call::Refresh, 401, html), Transient, "{html}");
            assert_eq!(kind(Call::Refresh, 400, html), Transient, "{html}");
        }
    }

    #[test]
    fn the_true_reason_may_stand_in_data() {
        let body =
            r#"{"code": 283, "message": "The authorization grant is invalid", "data": "Invalid Application ID"}"#;
        assert_eq!(kind(Call::Refresh, 401, body), ErrorKind::AppCredentials);
    }

    #[test]
    fn odd_types_do_not_hide_the_rest() {
        let refusal = Refusal::read(br#"{"code": "7", "message": {"a": 1}, "data": ["x"]}"#);
        assert_eq!(refusal.code, None);
        assert!(refusal.is_json);
        assert_eq!(kind(API, 403, r#"{"code": 7.5, "message": null}"#), ErrorKind::Forbidden);
    }

    #[test]
    fn only_a_gateway_leaves_the_outcome_open() {
        for (status, expected) in [(401, false), (429, false), (500, true), (502, true)] {
            let error = Refusal::default().into_error(Call::Refresh, status, &Redactor::default());
            assert_eq!(error.may_have_been_processed(), expected, "{status}");
        }
    }
}
