//! From request to answer: counts the request, applies the faults, calls the endpoint, sends the answer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Request, Response};

use super::answer::{Answer, Payload, Refusal};
use super::connection::Reset;
use super::delivery::{self, Body, Delivery};
use super::query::Query;
use super::route::Route;
use crate::faults::Fault;
use crate::faults::{answers, pictures};
use crate::random::mix;
use crate::state::State;
use crate::{api, cdn, control, oauth, requests};

/// Limit of a request's body, in bytes.
const MAX_BODY: usize = 1 << 20;

/// The connection is to end without an answer.
#[derive(Debug)]
pub(super) struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the connection was reset by a fault")
    }
}

impl std::error::Error for Cut {}

/// A parsed request.
struct Call {
    route: Route,
    method: String,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

pub(super) async fn respond(
    state: Arc<State>,
    reset: Reset,
    request: Request<Incoming>,
) -> Result<Response<Body>, Cut> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
        return Ok(send(&state, Refusal::invalid_parameter("body").into(), Delivery::Whole, reset));
    };
    let call = Call {
        route: Route::parse(head.uri.path()),
        method: head.method.to_string(),
        path: head.uri.path().to_string(),
        query: head.uri.query().unwrap_or_default().to_string(),
        headers: head.headers,
        body: body.to_bytes().to_vec(),
    };
    if call.route == Route::Control {
        let order = control::Order {
            method: &call.method,
            path: &call.path,
            query: &Query::parse(call.query.as_bytes()),
            content_type: text(&call.headers, CONTENT_TYPE),
            body: &call.body,
        };
        let answer = control::answer(&state, &order);
        return Ok(send(&state, answer, Delivery::Whole, reset));
    }
    state.requests.arrived(call.route.kind());
    let faults = state.faults.strike(call.route.kind(), &call.path);
    let result = answer(&state, &call, &faults).await;
    state.requests.answered(logged(&call, &result));
    match result {
        Ok(answer) => Ok(send(&state, answer, delivery_of(&faults), reset)),
        Err(Cut) => {
            reset.demand();
            Err(Cut)
        }
    }
}

/// The answer with all faults but those of delivery.
async fn answer(state: &State, call: &Call, faults: &[Fault]) -> Result<Answer, Cut> {
    for fault in faults {
        match fault {
            Fault::Hold { gate } => state.faults.pass_gate(gate).await,
            Fault::ResetBeforeHeaders => return Err(Cut),
            _ => {}
        }
    }
    let config = state.config();
    let latency = if call.route.kind().is_picture() { config.image_latency } else { config.latency };
    tokio::time::sleep(latency).await;
    let host = text(&call.headers, HOST).unwrap_or("localhost");
    let instead = faults.iter().find_map(|fault| answers::instead(fault, &call.route, host, &call.path));
    let mut answer = match instead {
        Some(answer) => answer,
        None => handle(state, call, faults).await,
    };
    for fault in faults {
        answers::change(&mut answer, fault);
        pictures::change(&mut answer, fault, call.route.kind());
    }
    for fault in faults {
        match fault {
            Fault::Delay { milliseconds } => {
                tokio::time::sleep(Duration::from_millis(*milliseconds)).await;
            }
            Fault::LostAnswer => return Err(Cut),
            _ => {}
        }
    }
    Ok(answer)
}

async fn handle(state: &State, call: &Call, faults: &[Fault]) -> Answer {
    if call.route != Route::Unknown && call.method != call.route.method() {
        return Refusal::new(405, 405, "Method not allowed.").into();
    }
    let query = Query::parse(call.query.as_bytes());
    let authorization = text(&call.headers, AUTHORIZATION);
    match &call.route {
        Route::Authorize => {
            let consents = !faults.contains(&Fault::ConsentDenied);
            oauth::authorize::answer(state, &query, consents)
        }
        Route::Token | Route::Revoke => {
            let form = Query::parse(&call.body);
            if call.route == Route::Token {
                let rotates = !faults.contains(&Fault::WithoutRefreshToken);
                oauth::token::answer(state, authorization, &form, rotates)
            } else {
                oauth::token::revoke(state, authorization, &form)
            }
        }
        Route::Image | Route::VideoCover => cdn::answer(state, &call.path, pictures::other_format(faults)).await,
        Route::Control | Route::Unknown => Refusal::new(404, 404, "Not found.").into(),
        route => {
            let host = text(&call.headers, HOST).unwrap_or("localhost");
            let call = api::Call {
                route,
                path: &call.path,
                query: &query,
                authorization,
                host,
                tweaks: api::Tweaks::from_faults(faults),
            };
            api::answer(state, &call)
        }
    }
}

fn delivery_of(faults: &[Fault]) -> Delivery {
    let mut deliveries = faults.iter().rev().filter_map(|fault| match fault {
        Fault::SlowBody { bytes_per_second } => Some(Delivery::Slow { bytes_per_second: *bytes_per_second }),
        Fault::EndlessBody => Some(Delivery::Endless),
        Fault::WrongContentLength { difference } => Some(Delivery::WrongLength { difference: *difference }),
        Fault::ResetAfterHeaders => Some(Delivery::ResetHalfway),
        _ => None,
    });
    deliveries.next().unwrap_or_default()
}

fn send(state: &State, answer: Answer, delivery: Delivery, reset: Reset) -> Response<Body> {
    let number = state.next_request_number();
    let request_id = mix(&[state.config().seed, 50, number]) % 10_000_000_000_000_000;
    let answer = answer.header("x-pinterest-rid", format!("{request_id:016}"));
    build(&answer, delivery, reset.clone()).unwrap_or_else(|error| {
        // Only a fault can set a header that is invalid in HTTP.
        let message = format!("The sandbox could not send this fault: {error}");
        let plain = Answer::from(Refusal::new(500, 500, message));
        build(&plain, Delivery::Whole, reset)
            .unwrap_or_else(|error| unreachable!("this is a bug: a plain answer was refused: {error}"))
    })
}

fn build(answer: &Answer, delivery: Delivery, reset: Reset) -> Result<Response<Body>, hyper::http::Error> {
    let (content_type, bytes) = match &answer.body {
        Payload::Json(value) => (Some("application/json"), value.to_string().into()),
        Payload::Bytes { content_type, bytes } => (Some(content_type.as_str()), bytes.clone()),
        Payload::Empty => (None, bytes::Bytes::new()),
    };
    let (body, length) = delivery::body(bytes, delivery, reset);
    let mut response = Response::builder().status(answer.status);
    if let Some(content_type) = content_type {
        response = response.header("content-type", content_type);
    }
    if let Some(length) = length {
        response = response.header("content-length", length);
    }
    for (name, value) in &answer.headers {
        let name = HeaderName::try_from(name.as_str())?;
        response = response.header(name, HeaderValue::from_bytes(value.as_bytes())?);
    }
    response.body(body)
}

fn logged(call: &Call, result: &Result<Answer, Cut>) -> requests::Request {
    let grant_type =
        (call.route == Route::Token).then(|| Query::parse(&call.body).get("grant_type").map(str::to_string)).flatten();
    requests::Request {
        kind: call.route.kind(),
        method: call.method.clone(),
        path: call.path.clone(),
        query: call.query.clone(),
        authorization: call.headers.contains_key(AUTHORIZATION),
        user_agent: text(&call.headers, USER_AGENT).map(str::to_string),
        grant_type,
        status: result.as_ref().ok().map(|answer| answer.status),
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}
