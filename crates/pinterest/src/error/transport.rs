//! From an error of the HTTP library to ours, keeping what went wrong and dropping what it may carry.

use std::error::Error as StdError;
use std::io;

use super::{Error, ErrorKind, Redactor};
use crate::net::RefusedAddress;

/// Converts an error of a request that got no answer, or only part of one.
pub(crate) fn from_reqwest(error: reqwest::Error) -> Error {
    // The URL holds the bookmark; the action named by the caller says enough.
    let error = error.without_url();
    if error.is_builder() {
        return Error::new(ErrorKind::Config, "the request cannot be built from these arguments");
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
            "connecting took too long".to_owned()
        } else {
            format!("no connection: {}", innermost(&causes))
        };
        return Error::new(ErrorKind::Unreachable, detail);
    }
    if error.is_timeout() {
        return Error::new(ErrorKind::Transient, "the server stopped sending before its answer was complete")
            .outcome_unknown();
    }
    let malformed = causes.iter().any(|cause| cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse));
    if malformed {
        return Error::new(ErrorKind::Protocol, "the answer is no HTTP/1.1, or its headers exceed their limits")
            .outcome_unknown();
    }
    Error::new(ErrorKind::Transient, format!("the connection broke off: {}", innermost(&causes))).outcome_unknown()
}

/// The chain of causes. `io::Error` hides the error it wraps from `source`, so it is opened by hand.
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
