//! Connections: names, addresses, certificates, proxies of the environment.

use std::process::Command;

use pinterest::{Client, Endpoints, ErrorKind, LookUp, LookUpFuture};
use tokio::net::TcpListener;

use crate::certificates::Authority;
use crate::client::{Resolver, api_at, build, client, client_of, client_with, impatient_limits, token};
use crate::replies::json;
use crate::server::Server;

const ACCOUNT: &str = r#"{"id": "1"}"#;

/// A resolver without an answer.
struct Hangs;

impl LookUp for Hangs {
    fn look_up(&self, _: String) -> LookUpFuture {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn a_name_with_private_addresses_is_not_dialled() {
    let authority = Authority::new();
    let config = authority.leaf(&["api.example.com"]);
    let server = Server::start_with(authority, config, |_| json(ACCOUNT)).await;
    let host = format!("api.example.com:{}", server.port);
    for addresses in [
        &["127.0.0.1"][..],
        &["10.0.0.1", "::1"],
        &["::ffff:127.0.0.1"],
        &["64:ff9b::7f00:1"],
        &["64:ff9b::a9fe:a9fe"],
        &["2002:7f00:1::1"],
        &["::127.0.0.1"],
        &["fe80::1"],
        &["169.254.169.254"],
        &[],
    ] {
        let client = client_of(&server, &host, |builder| builder.look_up(Resolver::with(addresses))).unwrap();
        let error = client.user_account(&token()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{addresses:?}: {error}");
        assert!(!error.may_have_been_processed());
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn localhost_and_loopback_literals_are_reached_when_configured() {
    let server = Server::start(|_| json(ACCOUNT)).await;
    for host in ["localhost", "127.0.0.1"] {
        let client = client_of(&server, &format!("{host}:{}", server.port), |builder| builder).unwrap();
        client.user_account(&token()).await.unwrap();
        assert!(client.fetch_image(&format!("https://{host}:{}/x", server.port)).await.is_ok());
    }
}

#[tokio::test]
async fn a_private_literal_cannot_be_configured() {
    let server = Server::start(|_| json(ACCOUNT)).await;
    for host in ["10.0.0.1:443", "169.254.169.254", "[fd00::1]", "[::ffff:10.0.0.1]", "[64:ff9b::a00:1]", "0.0.0.0"] {
        let error = client_of(&server, host, |builder| builder).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{host}");
    }
}

#[tokio::test]
async fn names_that_do_not_resolve_are_unreachable() {
    let server = Server::start(|_| json(ACCOUNT)).await;
    let fails = client_with(&server, |builder| builder.look_up(Resolver::failing()));
    let hangs = client_with(&server, |builder| builder.limits(impatient_limits()).look_up(Hangs));
    for (client, expected) in [(fails, "no such host"), (hangs, "connection timed out")] {
        let error = client.user_account(&token()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!error.may_have_been_processed() && error.is_retryable());
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_closed_port_is_unreachable() {
    let server = Server::start(|_| json(ACCOUNT)).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let client = client_of(&server, &format!("127.0.0.1:{closed}"), |builder| builder).unwrap();
    let error = client.user_account(&token()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_unreachable() {
    let server = Server::start(|_| json(ACCOUNT)).await;
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = mute.local_addr().unwrap().to_string();
    let mut limits = impatient_limits();
    limits.connect = std::time::Duration::from_millis(200);
    let client = client_of(&server, &host, |builder| builder.limits(limits)).unwrap();
    let error = client.user_account(&token()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert!(!error.may_have_been_processed());
}

#[tokio::test]
async fn bad_certificates_are_refused() {
    let names = &["localhost"];
    for case in ["expired", "wrong host", "unknown authority"] {
        let authority = Authority::new();
        let config = match case {
            "expired" => authority.expired_leaf(names),
            "wrong host" => authority.leaf(&["other.example"]),
            _ => Authority::new().leaf(names),
        };
        let server = Server::start_with(authority, config, |_| json(ACCOUNT)).await;
        let error = client(&server).user_account(&token()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls, "{case}: {error}");
        assert!(error.to_string().contains("certificate"), "{case}: {error}");
        assert!(!error.may_have_been_processed());
        assert!(server.received().is_empty(), "{case}: no request goes to a server that is not trusted");
    }
}

#[tokio::test]
async fn certificates_with_many_names_are_valid_for_each() {
    for (names, host, expected) in [
        (&["*.cdn.example"][..], "img.cdn.example", true),
        (&["*.cdn.example"], "a.img.cdn.example", false),
        (&["*.cdn.example"], "cdn.example", false),
        (&["other.example", "img.cdn.example"], "img.cdn.example", true),
    ] {
        let authority = Authority::new();
        let config = authority.leaf(names);
        let server = Server::start_with(authority, config, |_| json(ACCOUNT)).await;
        let host = format!("{host}:{}", server.port);
        let endpoints = Endpoints {
            images: vec![host.parse().unwrap()],
            private_images: vec![format!("{}=127.0.0.0/8", host.split(':').next().unwrap()).parse().unwrap()],
            ..api_at("localhost:1")
        };
        let client = build(&server, endpoints, |builder| builder.look_up(Resolver::with(&["127.0.0.1"]))).unwrap();
        let fetched = client.fetch_image(&format!("https://{host}/a")).await;
        assert_eq!(fetched.err().map(|error| error.kind()), (!expected).then_some(ErrorKind::Tls), "{names:?} {host}");
    }
}

#[tokio::test]
async fn a_server_with_http_2_alone_is_reported() {
    let authority = Authority::new();
    let mut config = authority.leaf(&["localhost"]);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let server = Server::start_with(authority, config, |_| json(ACCOUNT)).await;
    let error = client(&server).user_account(&token()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
}

#[tokio::test]
async fn a_port_without_tls_is_refused() {
    let server = Server::start(|_| json(ACCOUNT)).await;
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = plain.local_addr().unwrap().to_string();
    let task = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        let (mut stream, _) = plain.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    });
    let error = client_of(&server, &host, |builder| builder).unwrap().user_account(&token()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    task.abort();
}

#[test]
fn a_missing_ca_file_is_reported() {
    let endpoints = Endpoints { ca_file: Some("/nowhere/ca.pem".into()), ..Endpoints::default() };
    let error = Client::new(endpoints).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
}

/// Runs itself in another process, whose environment names a proxy that does not exist.
#[tokio::test]
async fn a_proxy_in_the_environment_is_ignored() {
    const MARK: &str = "PINTEREST_TEST_UNDER_PROXY";
    if std::env::var_os(MARK).is_some() {
        let server = Server::start(|_| json(ACCOUNT)).await;
        client(&server).user_account(&token()).await.unwrap();
        return;
    }
    let proxy = "http://127.0.0.1:1";
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "network::a_proxy_in_the_environment_is_ignored"])
        .envs([(MARK, "1"), ("HTTPS_PROXY", proxy), ("https_proxy", proxy), ("ALL_PROXY", proxy), ("all_proxy", proxy)])
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && output.contains("1 passed"), "{output}");
}
