//! Faults that answer in place of the sandbox, and faults that change its answers.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Map, Value};

use super::Fault;
use crate::server::answer::{Answer, Payload, Refusal};
use crate::server::route::Route;

const HTML: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n\
    <body><center><h1>502 Bad Gateway</h1></center></body>\r\n</html>\r\n";
const LOGIN_PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Log in</title></head><body><form></form></body></html>\n";
const ACCESS_DENIED: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
    <Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";

/// The CDN's answer for files that do not exist.
pub(crate) fn access_denied() -> Answer {
    Answer::bytes(403, "application/xml", ACCESS_DENIED)
}

pub(crate) fn not_found(route: &Route) -> Refusal {
    match route {
        Route::Board { .. } | Route::BoardPins { .. } | Route::Sections { .. } => {
            Refusal::new(404, 40, "Board not found.")
        }
        Route::SectionPins { .. } => Refusal::new(404, 2031, "Board section not found."),
        Route::Pin { .. } => Refusal::new(404, 50, "Pin not found."),
        Route::UserAccount => Refusal::new(404, 30, "User not found."),
        _ => Refusal::new(404, 404, "Not found."),
    }
}

/// The answer of a fault in place of the real one.
pub(crate) fn instead(fault: &Fault, route: &Route, host: &str, path: &str) -> Option<Answer> {
    let refusal = match fault {
        Fault::AuthenticationFailed => Refusal::authentication_failed(),
        Fault::MissingScope => Refusal::missing_scope(&["boards:read", "pins:read"]),
        Fault::AppWithoutAccess => {
            Refusal::new(401, 3, "Your application consumer type is not supported, please contact support.")
        }
        Fault::RestrictedFeature => Refusal::new(401, 3, "Sorry! This is a restricted feature."),
        Fault::InvalidGrant => Refusal::invalid_grant(),
        Fault::InvalidApplication => Refusal { data: Some("Invalid Application ID"), ..Refusal::invalid_grant() },
        Fault::TwoFactorRequired => Refusal::new(401, 1201, "Two-factor authentication required."),
        Fault::InvalidParameter => Refusal::invalid_parameter("bookmark"),
        Fault::SomethingWentWrong => Refusal::new(400, 12, "Something went wrong on our end. Sorry about that."),
        Fault::RetryAfterText { seconds } => {
            Refusal::new(400, 1, format!("Too many requests. Retry after {seconds} seconds"))
        }
        Fault::Forbidden => Refusal::forbidden(),
        Fault::NotFound => not_found(route),
        Fault::Conflict => Refusal::new(409, 409, "Could not get board section: conflict."),
        Fault::Spam => Refusal::new(429, 8, "You've been blocked because we detected spam. Try again later."),
        Fault::ListingWall => Refusal::new(400, 1, "Pagination beyond 100.000 pins are not allowed"),
        Fault::ServerError { status } => Refusal::new(*status, 12, "Internal server error."),
        Fault::RateLimited { retry_after, reset } => {
            return Some(rate_limited(retry_after.as_deref(), *reset));
        }
        Fault::Status { status, code, message, headers } => {
            let answer = Answer::from(Refusal::new(*status, *code, message));
            let with_header = |answer: Answer, (name, value): (&String, &String)| answer.header(name, value);
            return Some(headers.iter().fold(answer, with_header));
        }
        Fault::JsonAnswer { status, body } => return Some(Answer::json(*status, body.clone())),
        Fault::EmptyAnswer { status } => {
            return Some(Answer { status: *status, headers: Vec::new(), body: Payload::Empty });
        }
        Fault::HtmlAnswer { status } => return Some(Answer::bytes(*status, "text/html", LOGIN_PAGE)),
        Fault::Html502 => return Some(Answer::bytes(502, "text/html", HTML)),
        Fault::Html200 => return Some(Answer::bytes(200, "text/html", LOGIN_PAGE)),
        Fault::CdnForbidden => return Some(access_denied()),
        Fault::Redirect { status, location } => return Some(Answer::redirect(*status, location)),
        Fault::Redirect600xTo564x => {
            let rest = path.strip_prefix("/600x/")?;
            return Some(Answer::redirect(301, &format!("https://{host}/564x/{rest}")));
        }
        _ => return None,
    };
    Some(refusal.into())
}

fn rate_limited(retry_after: Option<&str>, reset: Option<u64>) -> Answer {
    let mut answer = Answer::from(Refusal::rate_limited());
    if let Some(value) = retry_after {
        answer = answer.header("retry-after", value);
    }
    if let Some(seconds) = reset {
        answer = answer
            .header("x-ratelimit-remaining", 0)
            .header("x-ratelimit-reset", seconds)
            .header("x-envoy-ratelimited", "true");
    }
    answer
}

fn edit_item(item: &mut Value, ids: &[String], set: &Map<String, Value>, gone: &[String]) {
    let Some(members) = item.as_object_mut() else { return };
    let is_meant = |id: &Value| ids.iter().any(|wanted| id.as_str() == Some(wanted));
    if ids.is_empty() || members.get("id").is_some_and(is_meant) {
        gone.iter().for_each(|name| drop(members.remove(name)));
        members.extend(set.clone());
    }
}

/// Applies a fault to an answer of any kind.
pub(crate) fn change(answer: &mut Answer, fault: &Fault) {
    match fault {
        Fault::WithoutRefreshToken => {
            remove(answer, &["refresh_token", "refresh_token_expires_in", "refresh_token_expires_at"])
        }
        Fault::WithoutScope => remove(answer, &["scope"]),
        Fault::EditJson { set, remove: gone } => {
            remove(answer, gone);
            if let Payload::Json(body) = &mut answer.body {
                for (name, value) in set {
                    body[name.as_str()] = value.clone();
                }
            }
        }
        Fault::Headers { set } => {
            answer.headers.retain(|(name, _)| !set.contains_key(name));
            for (name, lines) in set {
                answer.headers.extend(lines.iter().map(|line| (name.clone(), line.clone())));
            }
        }
        Fault::EditItems { ids, set, remove } => {
            if let Payload::Json(body) = &mut answer.body {
                match body.get_mut("items").and_then(Value::as_array_mut) {
                    Some(items) => items.iter_mut().for_each(|item| edit_item(item, ids, set, remove)),
                    None => edit_item(body, ids, set, remove),
                }
            }
        }
        Fault::TruncatedBody => {
            let (content_type, bytes) = parts(answer);
            let bytes = bytes.slice(..bytes.len() / 2);
            answer.body = Payload::Bytes { content_type, bytes };
        }
        Fault::GzipBomb { mebibytes } => {
            let (content_type, _) = parts(answer);
            answer.body = Payload::Bytes { content_type, bytes: gzip_bomb(*mebibytes) };
            answer.headers.push(("content-encoding".into(), "gzip".into()));
        }
        Fault::WrongContentType { value } => {
            let (_, bytes) = parts(answer);
            answer.body = Payload::Bytes { content_type: value.clone(), bytes };
        }
        Fault::ManyHeaders { count } => {
            // A header map panics beyond 32,768 names.
            let headers = (0..(*count).min(20_000)).map(|n| (format!("x-filler-{n}"), "x".into()));
            answer.headers.extend(headers);
        }
        Fault::HugeHeader { bytes } => {
            let value = "x".repeat(*bytes as usize);
            answer.headers.push(("x-filler".into(), value));
        }
        _ => {}
    }
}

fn remove(answer: &mut Answer, names: &[impl AsRef<str>]) {
    if let Payload::Json(serde_json::Value::Object(fields)) = &mut answer.body {
        for name in names {
            fields.remove(name.as_ref());
        }
    }
}

/// The body as it would be sent.
fn parts(answer: &Answer) -> (String, Bytes) {
    match &answer.body {
        Payload::Json(value) => ("application/json".into(), value.to_string().into()),
        Payload::Bytes { content_type, bytes } => (content_type.clone(), bytes.clone()),
        Payload::Empty => ("text/plain".into(), Bytes::new()),
    }
}

fn gzip_bomb(mebibytes: u32) -> Bytes {
    let mebibyte = vec![b' '; 1 << 20];
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let written = (0..mebibytes).try_for_each(|_| encoder.write_all(&mebibyte));
    match written.and_then(|()| encoder.finish()) {
        Ok(bytes) => bytes.into(),
        Err(error) => unreachable!("this is a bug: writing to memory failed: {error}"),
    }
}
