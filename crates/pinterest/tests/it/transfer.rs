//! Failing transfers: each is a typed error, in bounded time and memory.

use std::time::{Duration, Instant};

use pinterest::{ErrorKind, Limits};

use crate::client::{client_with, impatient_client, impatient_limits, token};
use crate::replies::*;
use crate::server::{Reply, Server};

#[tokio::test]
async fn every_misbehaviour_is_a_typed_error() {
    use ErrorKind::*;
    let misbehaviours: [(&str, Misbehaviour, ErrorKind); 16] = [
        ("silence", silence, Transient),
        ("hang_up", hang_up, Transient),
        ("slow_drip", slow_drip, Transient),
        ("slow_drip_of_headers", slow_drip_of_headers, Transient),
        ("truncated", truncated, Transient),
        ("truncated_without_length", truncated_without_length, Transient),
        ("wrong_length", || wrong_length(r#"{"items": []}"#), Transient),
        ("huge_length", huge_length, TooLarge),
        ("endless", endless, TooLarge),
        ("html_502", html_502, Transient),
        ("html_200", || answer("200 OK", &[("content-type", "text/html")], "<html>"), Transient),
        ("gzip", gzip, Protocol),
        ("many_headers", many_headers, Protocol),
        ("huge_header", huge_header, Protocol),
        ("not_http", not_http, Protocol),
        ("redirect_to_metadata", redirect_to_metadata, Refused),
    ];
    for (name, reply, expected) in misbehaviours {
        let server = Server::start(move |_| reply()).await;
        let start = Instant::now();
        let error = impatient_client(&server).boards(&token(), None).await.unwrap_err();
        assert_eq!(error.kind(), expected, "{name}: {error}");
        assert!(error.to_string().starts_with("GET /v5/boards: "), "{name}: {error}");
        assert!(start.elapsed() < Duration::from_secs(10), "{name} took {:?}", start.elapsed());
        assert_eq!(server.received().len(), 1, "{name}: nothing is sent twice");
    }
}

#[tokio::test]
async fn a_slow_body_and_silence_are_distinguished() {
    let server = Server::start(|_| slow_drip()).await;
    let error = impatient_client(&server).boards(&token(), None).await.unwrap_err();
    assert!(error.to_string().contains("bytes per second, the minimum is 4096"), "{error}");
    let server = Server::start(|_| silence()).await;
    let error = impatient_client(&server).boards(&token(), None).await.unwrap_err();
    assert!(error.to_string().contains("the server stopped sending"), "{error}");
}

#[tokio::test]
async fn the_total_time_is_limited() {
    let mut limits = Limits::default();
    limits.api_total = Duration::from_millis(300);
    let server = Server::start(|_| slow_drip()).await;
    let client = client_with(&server, |builder| builder.limits(limits));
    let error = client.boards(&token(), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert!(error.to_string().contains("no complete answer within 300ms"), "{error}");
}

#[tokio::test]
async fn a_page_of_the_maximum_size_is_accepted() {
    for (extra, is_read) in [(0, true), (1, false)] {
        let body = format!("{:<width$}", r#"{"items": []}"#, width = 4096 + extra);
        for reply in [json as fn(_) -> _, |body: String| without_length(&body)] {
            let body = body.clone();
            let server = Server::start(move |_| reply(body.clone())).await;
            let mut limits = impatient_limits();
            limits.page = 4096;
            let result = client_with(&server, |builder| builder.limits(limits)).boards(&token(), None).await;
            match result {
                Ok(_) => assert!(is_read),
                Err(error) => assert_eq!((error.kind(), is_read), (ErrorKind::TooLarge, false), "{error}"),
            }
        }
    }
}

#[tokio::test]
async fn sixty_four_header_lines_are_accepted() {
    for (count, is_read) in [(64, true), (65, false)] {
        let server = Server::start(move |_| headers(count)).await;
        let result = impatient_client(&server).boards(&token(), None).await;
        assert_eq!(result.is_ok(), is_read, "{result:?}");
    }
}

#[tokio::test]
async fn a_refusal_whose_body_is_lost_keeps_its_status() {
    let reply = || Reply::whole(b"HTTP/1.1 404 Not Found\r\ncontent-length: 9999999\r\n\r\n".to_vec());
    let server = Server::start(move |_| reply()).await;
    let error = impatient_client(&server).board(&token(), "1").await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::NotFound, Some(404)));
}
