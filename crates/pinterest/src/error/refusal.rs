//! The meaning of a refusal: by its HTTP status, then by Pinterest's code, then by its text.

use std::time::Duration;

use serde_json::{Map, Value};

use super::wording::{self, Meaning};
use super::{Error, ErrorKind, Redactor};

/// The kind of request: the same answer means different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// An API endpoint. An invalid request with a bookmark has a stale bookmark.
    Api { with_bookmark: bool },
    /// The token endpoint with an authorization code.
    CodeExchange,
    /// The token endpoint with a refresh token.
    Refresh,
    /// The image host.
    Image,
}

/// Pinterest's error body. Other members are ignored; any other body counts as empty.
#[derive(Debug, Default)]
pub(crate) struct Refusal {
    code: Option<i64>,
    /// Its texts, in this order: message, data (which may contain the real reason), and other names for them.
    texts: Vec<String>,
    /// Whether it is a JSON object.
    is_json: bool,
    /// Whether its content marks it as a failure, whatever the HTTP status.
    is_failure: bool,
}

/// Members with text.
const TEXTS: [&str; 7] = ["message", "data", "message_detail", "error", "error_description", "detail", "errors"];
/// The number of texts that are read, and their greatest depth.
const MOST_TEXTS: usize = 8;
const DEEPEST: usize = 3;

/// Codes of an invalid parameter, a transient fault, and the 401s.
const CODE_INVALID_PARAMETER: i64 = 1;
const CODE_AUTHENTICATION_FAILED: i64 = 2;
const CODE_NOT_AUTHORIZED_FOR: i64 = 3;
const CODE_NOT_AUTHORIZED: i64 = 7;
const CODE_SOMETHING_WENT_WRONG: i64 = 12;
const CODE_NOT_PERMITTED: i64 = 29;
const CODE_INVALID_GRANT: i64 = 283;

impl Refusal {
    /// Reads a body that may be anything.
    pub(crate) fn read(body: &[u8]) -> Self {
        let Ok(Value::Object(members)) = serde_json::from_slice(body) else { return Self::default() };
        let mut refusal = Self { is_json: true, ..Self::default() };
        refusal.take(&members, 0);
        let status = members.get("status").and_then(Value::as_str);
        let coded = members.contains_key("message") && refusal.code.is_some_and(|code| code != 0);
        refusal.is_failure = coded || status.is_some_and(|status| status.eq_ignore_ascii_case("failure"));
        refusal
    }

    fn take(&mut self, members: &Map<String, Value>, depth: usize) {
        self.code = self.code.or_else(|| members.get("code").and_then(code));
        for name in TEXTS {
            if let Some(value) = members.get(name) {
                self.take_text(value, depth);
            }
        }
    }

    fn take_text(&mut self, value: &Value, depth: usize) {
        if self.texts.len() >= MOST_TEXTS || depth > DEEPEST {
            return;
        }
        match value {
            Value::String(text) => self.texts.push(text.clone()),
            Value::Array(values) => values.iter().for_each(|value| self.take_text(value, depth + 1)),
            Value::Object(members) => self.take(members, depth + 1),
            _ => {}
        }
    }

    /// Whether it describes a failure; an answer with status 200 may do so.
    pub(crate) fn is_failure(&self) -> bool {
        self.is_failure
    }

    fn contains(&self, words: &str) -> bool {
        self.texts.iter().any(|text| text.to_ascii_lowercase().contains(words))
    }

    fn meaning(&self) -> Meaning {
        wording::meaning(&self.texts)
    }

    fn mentions_a_rate_limit(&self) -> bool {
        self.wait_in_text().is_some()
            || ["rate limit", "ratelimit", "too many requests"].iter().any(|words| self.contains(words))
    }

    /// The wait in the text of a 400: a hidden rate limit.
    pub(crate) fn wait_in_text(&self) -> Option<Duration> {
        self.texts.iter().find_map(|text| crate::rate_limit::retry_after_in_text(text))
    }

    /// The kind of error.
    pub(crate) fn kind(&self, call: Call, status: u16) -> ErrorKind {
        match status {
            // A failure despite its status.
            200..300 if self.is_failure => return self.kind_of_failure(),
            // Part of an answer, or none.
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
            // Pinterest itself answers in JSON: an HTML page or an empty body comes from a server in between. But an empty
            // 401 may be about the token.
            (400 | 403, _) if !self.is_json => ErrorKind::Transient,
            (400 | 403, _) if self.mentions_a_rate_limit() => ErrorKind::RateLimited,
            (400, Some(CODE_SOMETHING_WENT_WRONG)) => ErrorKind::Transient,
            (400, _) if self.contains("something went wrong") => ErrorKind::Transient,
            (400, _) if with_bookmark => ErrorKind::StaleBookmark,
            (401 | 403, code) => self.kind_of_refused_access(status, code),
            (404 | 410, _) => ErrorKind::NotFound,
            (407 | 408 | 409 | 425, _) => ErrorKind::Transient,
            (429, _) if self.contains("spam") => ErrorKind::SpamHold,
            (429, _) => ErrorKind::RateLimited,
            (_, _) => ErrorKind::BadRequest,
        }
    }

    /// 401 and 403. Code 3 stands for the app's access, a scope and a restricted feature: the text distinguishes them.
    fn kind_of_refused_access(&self, status: u16, code: Option<i64>) -> ErrorKind {
        match (self.meaning(), status, code) {
            // A valid token gets a more specific code.
            (_, 401, Some(CODE_AUTHENTICATION_FAILED)) if self.meaning() != Meaning::AppAccess => {
                ErrorKind::Unauthorized
            }
            (Meaning::AppAccess, _, _) => ErrorKind::AppAccess,
            (Meaning::MissingScope, _, _) => ErrorKind::MissingScope,
            (Meaning::Restricted, _, _) => ErrorKind::Restricted,
            (Meaning::Unknown, _, Some(CODE_NOT_AUTHORIZED_FOR)) => ErrorKind::NotPermitted,
            (Meaning::Unknown, 401, Some(CODE_NOT_AUTHORIZED | CODE_NOT_PERMITTED)) => ErrorKind::Forbidden,
            (Meaning::Unknown, 401, _) => ErrorKind::Unauthorized,
            (Meaning::Unknown, _, _) => ErrorKind::Forbidden,
        }
    }

    fn kind_of_failure(&self) -> ErrorKind {
        match self.meaning() {
            _ if self.is_listing_limit() => ErrorKind::ListingLimit,
            _ if self.contains("spam") => ErrorKind::SpamHold,
            _ if self.mentions_a_rate_limit() => ErrorKind::RateLimited,
            Meaning::AppAccess => ErrorKind::AppAccess,
            Meaning::MissingScope => ErrorKind::MissingScope,
            _ if matches!(
                self.code,
                Some(CODE_AUTHENTICATION_FAILED | CODE_NOT_AUTHORIZED_FOR | CODE_NOT_PERMITTED)
            ) =>
            {
                self.kind_of_refused_access(401, self.code)
            }
            _ => ErrorKind::Transient,
        }
    }

    /// At the token endpoint only known answers are definite. A refresh token is refused by code 283 alone, "The
    /// authorization grant is invalid". Nothing else may disconnect an account: a 400 with a code has been seen for
    /// maintenance and for an exceeded limit. An authorization code can also be an invalid parameter.
    fn kind_for_token(&self, status: u16, refused: ErrorKind) -> ErrorKind {
        match (status, self.code) {
            (400, _) if self.wait_in_text().is_some() => ErrorKind::RateLimited,
            (429, _) if self.contains("spam") => ErrorKind::SpamHold,
            (429, _) => ErrorKind::RateLimited,
            (400 | 401, _) if self.contains("invalid application id") => ErrorKind::AppCredentials,
            (400 | 401 | 403, code) if code != Some(CODE_INVALID_GRANT) && self.meaning() == Meaning::AppAccess => {
                ErrorKind::AppAccess
            }
            (400, Some(CODE_SOMETHING_WENT_WRONG)) => ErrorKind::Transient,
            (400, _) if self.contains("something went wrong") => ErrorKind::Transient,
            (400 | 401, Some(CODE_INVALID_GRANT)) => refused,
            (400, Some(CODE_INVALID_PARAMETER)) if refused == ErrorKind::BadCode => refused,
            (401, Some(CODE_AUTHENTICATION_FAILED)) => ErrorKind::AppCredentials,
            _ => ErrorKind::Transient,
        }
    }

    /// "Pagination beyond 100.000 pins are not allowed": its status is not documented, so the text decides.
    fn is_listing_limit(&self) -> bool {
        self.contains("pagination beyond")
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
        for text in self.texts.iter().take(2) {
            let text = redactor.clean(text);
            if !text.is_empty() {
                detail.push_str(&format!(": {text}"));
            }
        }
        let error = Error::new(self.kind(call, status), detail).with_status(status).with_code(self.code);
        // After a gateway's 5xx the server behind it may have processed the request.
        if status >= 500 { error.outcome_unknown() } else { error }
    }
}

/// A code, also as text or with a zero fraction.
fn code(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number
            .as_i64()
            .or_else(|| number.as_f64().filter(|code| code.fract() == 0.0 && code.abs() < 1e9).map(|code| code as i64)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
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
            (API, 401, 3, "Your application consumer type is not supported, please contact support.", AppAccess),
            (API, 403, 29, "YOUR APPLICATION CONSUMER-TYPE IS NOT SUPPORTED", AppAccess),
            (API, 401, 2, "consumer type not supported", AppAccess),
            (API, 401, 3, "Authorization failed.", NotPermitted),
            (API, 401, 3, "", NotPermitted),
            (API, 401, 3, "Sorry! This is a restricted feature.", Restricted),
            (API, 403, 29, "Missing required scope: boards:read_secret", MissingScope),
            (API, 401, 2, "Authentication failed: the token has no scope", Unauthorized),
            (API, 403, 8, "You have exceeded your rate limit. Try again later.", RateLimited),
            (API, 400, 8, "You have exceeded your rate limit. Try again later.", RateLimited),
            (API, 200, 8, "You have exceeded your rate limit. Try again later.", RateLimited),
            (API, 200, 12, "Something went wrong on our end", Transient),
            (API, 200, 3, "Your application consumer type is not supported", AppAccess),
            (API, 200, 2, "Authentication failed.", Unauthorized),
            (API, 201, 99, "Blocked for spam", SpamHold),
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
            (API, 204, 0, "", Transient),
        ] {
            assert_eq!(kind(call, status, &body(code, message)), expected, "{call:?} {status} {code} {message}");
        }
        assert_eq!(kind(API, 401, "<html>"), Unauthorized);
        assert_eq!(kind(API, 401, ""), Unauthorized);
        assert_eq!(kind(API, 403, "<html>"), Transient);
        assert_eq!(kind(API, 403, ""), Transient);
        assert_eq!(kind(API, 429, ""), RateLimited);
        assert_eq!(kind(API, 204, ""), Protocol);
        assert_eq!(kind(API, 200, r#"{"code": 0, "message": "ok"}"#), Protocol);
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
            (401, 3, "Your application consumer type is not supported, please contact support.", AppAccess, AppAccess),
            (401, 283, "The authorization grant of the application is not approved", BadCode, NeedsReauth),
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
    fn the_real_reason_may_be_in_data() {
        let body =
            r#"{"code": 283, "message": "The authorization grant is invalid", "data": "Invalid Application ID"}"#;
        assert_eq!(kind(Call::Refresh, 401, body), ErrorKind::AppCredentials);
    }

    #[test]
    fn the_text_may_be_anywhere_and_the_code_be_text() {
        use ErrorKind::*;
        let words = "Your application consumer type is not supported";
        for body in [
            format!(r#"{{"code": "3", "message": "{words}"}}"#),
            format!(r#"{{"code": 3.0, "message": "Authorization failed.", "data": "{words}"}}"#),
            format!(r#"{{"code": 3, "message": null, "data": {{"reason": 1, "message": "{words}"}}}}"#),
            format!(r#"{{"code": 3, "message": {{"detail": "{words}"}}}}"#),
            format!(r#"{{"code": 3, "message": "", "message_detail": ["{words}"]}}"#),
            format!(r#"{{"error": {{"code": 3, "message": "{words}"}}}}"#),
            format!(r#"{{"message": "{words}"}}"#),
        ] {
            assert_eq!(kind(API, 401, &body), AppAccess, "{body}");
        }
        for (body, expected) in [
            (r#"{"code": "2", "message": "Authentication failed."}"#, Unauthorized),
            (r#"{"code": "3", "message": "Authorization failed."}"#, NotPermitted),
            (r#"{"code": " 29 "}"#, Forbidden),
            (r#"{"code": "three"}"#, Unauthorized),
            (r#"{"code": [3]}"#, Unauthorized),
            ("[]", Unauthorized),
        ] {
            assert_eq!(kind(API, 401, body), expected, "{body}");
        }
        assert_eq!(kind(Call::Refresh, 401, r#"{"code": "283", "message": "x"}"#), NeedsReauth);
        assert_eq!(kind(API, 403, r#"{"code": 7.5, "message": null}"#), Forbidden);
    }

    #[test]
    fn a_deep_or_long_body_is_cut() {
        let deep = format!(r#"{{"code": 3, "message": {}"consumer type"{}}}"#, "[".repeat(60), "]".repeat(60));
        assert_eq!(kind(API, 401, &deep), ErrorKind::NotPermitted);
        let many = format!(r#"{{"code": 3, "message": [{}"consumer type"]}}"#, r#""x", "#.repeat(1_000));
        assert_eq!(Refusal::read(many.as_bytes()).texts.len(), MOST_TEXTS);
    }

    #[test]
    fn only_a_5xx_leaves_the_outcome_open() {
        for (status, expected) in [(401, false), (429, false), (500, true), (502, true)] {
            let error = Refusal::default().into_error(Call::Refresh, status, &Redactor::default());
            assert_eq!(error.may_have_been_processed(), expected, "{status}");
        }
    }
}
