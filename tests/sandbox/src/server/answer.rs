//! Answers before they are sent.

use bytes::Bytes;
use serde_json::{Value, json};

/// An answer that faults can still change.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Payload,
}

#[derive(Clone, Debug)]
pub(crate) enum Payload {
    Json(Value),
    Bytes { content_type: String, bytes: Bytes },
    Empty,
}

impl Answer {
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body: Payload::Json(body) }
    }

    pub(crate) fn bytes(status: u16, content_type: &str, bytes: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Payload::Bytes { content_type: content_type.to_string(), bytes: bytes.into() },
        }
    }

    pub(crate) fn redirect(status: u16, location: &str) -> Self {
        Self { status, headers: vec![("location".into(), location.into())], body: Payload::Empty }
    }

    #[must_use]
    pub(crate) fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_string(), value.to_string()));
        self
    }
}

/// An error answer: status, Pinterest's own code, and a message.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: i64,
    pub(crate) message: String,
    pub(crate) data: Option<&'static str>,
}

impl Refusal {
    pub(crate) fn new(status: u16, code: i64, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), data: None }
    }

    pub(crate) fn authentication_failed() -> Self {
        Self::new(401, 2, "Authentication failed.")
    }

    pub(crate) fn missing_scope(scopes: &[&str]) -> Self {
        let message = format!("Missing required scope: {}", scopes.join(","));
        Self::new(401, 3, message)
    }

    pub(crate) fn invalid_grant() -> Self {
        Self::new(401, 283, "The authorization grant is invalid")
    }

    pub(crate) fn invalid_parameter(name: &str) -> Self {
        Self::new(400, 1, format!("Invalid request: {name} is missing or invalid"))
    }

    pub(crate) fn forbidden() -> Self {
        Self::new(403, 29, "You are not permitted to access that resource.")
    }

    pub(crate) fn rate_limited() -> Self {
        Self::new(429, 8, "You have exceeded your rate limit. Try again later.")
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let mut body = json!({
            "code": refusal.code,
            "message": refusal.message,
            "status": "failure",
        });
        if let Some(data) = refusal.data {
            body["data"] = json!(data);
        }
        Self::json(refusal.status, body)
    }
}
