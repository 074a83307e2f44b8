//! Images: allowed URLs and redirects, and the treatment of answers.

use std::time::Duration;

use pinterest::{Client, Error, ErrorKind};

use crate::client::{client, client_with, impatient_client, impatient_limits};
use crate::replies::*;
use crate::server::Server;

async fn fetch(client: &Client, server: &Server, path: &str) -> Result<Vec<u8>, Error> {
    Ok(client.fetch_image(&format!("https://localhost:{}{path}", server.port)).await?.bytes)
}

#[tokio::test]
async fn an_image_is_fetched_without_credentials() {
    let server = Server::start(|_| answer("200 OK", &[("content-type", "text/html")], b"\xff\xd8\xff")).await;
    let url = format!("https://localhost:{}/600x/a.jpg", server.port);
    let image = client(&server).fetch_image(&url).await.unwrap();
    assert_eq!(image.bytes, b"\xff\xd8\xff");
    assert_eq!(image.sha256[..4], [0x6e, 0x56, 0x8e, 0x1f]);
    let request = &server.received()[0];
    assert_eq!(request.target, "GET /600x/a.jpg");
    assert_eq!(request.header("accept"), Some("image/*"));
    for name in ["authorization", "cookie", "referer"] {
        assert_eq!(request.header(name), None);
    }
}

#[tokio::test]
async fn urls_of_other_hosts_are_not_fetched() {
    let server = Server::start(|_| json("image")).await;
    let (client, port) = (client(&server), server.port);
    for url in [
        "https://i.pinimg.com/x".to_owned(),
        format!("http://localhost:{port}/x"),
        format!("https://127.0.0.1:{port}/x"),
        format!("https://user@localhost:{port}/x"),
        format!("https://localhost.:{port}/x"),
        format!("https://localhost:{port}\\@evil.example/x"),
        "https://169.254.169.254/latest/meta-data/".to_owned(),
        "file:///etc/passwd".to_owned(),
        String::new(),
    ] {
        let error = client.fetch_image(&url).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{url}: {error}");
        assert!(error.rules_out_url() && !error.may_have_been_processed());
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_size_may_be_redirected_twice() {
    let server = Server::start(|request| match request.target.as_str() {
        "GET /600x/a.jpg" => redirect("301 Moved Permanently", "/564x/a.jpg"),
        "GET /564x/a.jpg" => redirect("308 Permanent Redirect", "/474x/a.jpg"),
        "GET /3/a.jpg" => redirect("302 Found", "/600x/a.jpg"),
        _ => json("image"),
    })
    .await;
    let client = client(&server);
    assert_eq!(fetch(&client, &server, "/600x/a.jpg").await.unwrap(), b"image");
    assert_eq!(server.received().len(), 3);
    let error = fetch(&client, &server, "/3/a.jpg").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(server.received().len(), 6, "the fourth place is not visited");
}

#[tokio::test]
async fn a_redirect_to_another_host_is_not_followed() {
    for status in
        ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
    {
        for location in [
            "https://169.254.169.254/latest/meta-data/",
            "https://127.0.0.1:1/x",
            "https://evil.example/x",
            "//evil.example/x",
            "http://localhost/x",
            "file:///etc/passwd",
            "https://user@localhost/x",
            "\\\\evil.example\\x",
        ] {
            let server = Server::start(move |_| redirect(status, location)).await;
            let error = fetch(&client(&server), &server, "/a").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused, "{status} {location}: {error}");
            assert_eq!(server.received().len(), 1, "{status} {location}");
        }
    }
    let server = Server::start(|_| redirect_to_metadata()).await;
    assert_eq!(fetch(&client(&server), &server, "/a").await.unwrap_err().kind(), ErrorKind::Refused);
    let server = Server::start(|_| answer("302 Found", &[], "")).await;
    assert_eq!(fetch(&client(&server), &server, "/a").await.unwrap_err().kind(), ErrorKind::Refused);
}

#[tokio::test]
async fn the_status_decides_between_the_next_url_and_a_wait() {
    use ErrorKind::*;
    let xml = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>";
    for (status, kind, rules_out) in [
        ("403 Forbidden", Forbidden, true),
        ("404 Not Found", NotFound, true),
        ("410 Gone", NotFound, true),
        ("206 Partial Content", Protocol, true),
        ("304 Not Modified", Refused, true),
        ("429 Too Many Requests", RateLimited, false),
        ("503 Service Unavailable", Transient, false),
    ] {
        let server = Server::start(move |_| answer(status, &[("retry-after", "9")], xml)).await;
        let error = fetch(&client(&server), &server, "/a").await.unwrap_err();
        assert_eq!((error.kind(), error.rules_out_url()), (kind, rules_out), "{status}: {error}");
        assert_eq!(error.retry_after(), (!rules_out).then_some(Duration::from_secs(9)), "{status}");
        assert!(
            error.to_string().starts_with(&format!("GET image: the image host answered {}", &status[..3])),
            "{error}"
        );
    }
}

#[tokio::test]
async fn every_misbehaviour_is_a_typed_error() {
    use ErrorKind::*;
    let misbehaviours: [(&str, Misbehaviour, ErrorKind); 8] = [
        ("empty", || json(""), Protocol),
        ("slow_drip", slow_drip, Transient),
        ("silence", silence, Transient),
        ("truncated", truncated, Transient),
        ("huge_length", huge_length, TooLarge),
        ("endless", endless, TooLarge),
        ("gzip", gzip, Protocol),
        ("many_headers", many_headers, Protocol),
    ];
    for (name, reply, expected) in misbehaviours {
        let server = Server::start(move |_| reply()).await;
        let mut limits = impatient_limits();
        limits.image = 1 << 20;
        let client = client_with(&server, |builder| builder.limits(limits));
        let error = fetch(&client, &server, "/a").await.unwrap_err();
        assert_eq!(error.kind(), expected, "{name}: {error}");
    }
}

#[tokio::test]
async fn a_redirect_loop_ends() {
    let server = Server::start(|request| redirect("302 Found", request.target.trim_start_matches("GET "))).await;
    assert_eq!(fetch(&impatient_client(&server), &server, "/a").await.unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(server.received().len(), 3);
}
