//! Converts errors of the HTTP library: the reason is kept, URLs and bodies are dropped.

use std::error::Error as StdError;
use std::io;

use super::{Error, ErrorKind, Redactor};
use crate::net::RefusedAddress;

/// Converts the error of a request without a complete answer.
pub(crate) fn from_reqwest(error: reqwest::Error) -> Error {
    // The URL contains the bookmark; the caller names the action.
    let error = error.without_url();
    if error.is_builder() {
        return Error::new(ErrorKind::Config, "could not build the request from these arguments");
    }
    let causes = sources(&error);
    if let Some(refused) = causes.iter().find_map(|cause| cause.downcast_ref::<RefusedAddress>()) {
        return Error::new(ErrorKind::Refused, refused.to_string()).with_private_host(refused.private_host());
    }
    if let Some(tls) = causes.iter().find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
        let failure =
            Error::new(ErrorKind::Tls, format!("TLS failed: {}", Redactor::default().clean(&tls.to_string())));
        return if error.is_connect() { failure } else { failure.outcome_unknown() };
    }
    if error.is_connect() {
        let detail = if error.is_timeout() {
            "connection timed out".to_owned()
        } else {
            format!("could not connect: {}", innermost(&causes))
        };
        return Error::new(ErrorKind::Unreachable, detail);
    }
    if error.is_timeout() {
        return Error::new(ErrorKind::Transient, "the server stopped sending before its answer was complete")
            .outcome_unknown();
    }
    let malformed = causes.iter().any(|cause| cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse));
    if malformed {
        return Error::new(
            ErrorKind::Protocol,
            "the answer is not a valid HTTP/1.1 response, or its headers exceed the limits",
        )
        .outcome_unknown();
    }
    Error::new(ErrorKind::Transient, format!("connection lost: {}", innermost(&causes))).outcome_unknown()
}

/// The chain of causes. `io::Error::source` skips the error that it wraps, which is added here.
fn sources<'a>(error: &'a (dyn StdError + 'static)) -> Vec<&'a (dyn StdError + 'static)> {
    let mut chain = vec![error];
    let mut current = error;
    while let Some(next) = wrapped(current).or_else(|| current.source()) {
        chain.push(next);
        current = next;
    }
    chain
}

fn wrapped<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    let inner = error.downcast_ref::<io::Error>()?.get_ref()?;
    Some(inner as &(dyn StdError + 'static))
}

fn innermost(causes: &[&(dyn StdError + 'static)]) -> String {
    let text = causes.last().map(ToString::to_string).unwrap_or_default();
    Redactor::default().clean(&text)
}
