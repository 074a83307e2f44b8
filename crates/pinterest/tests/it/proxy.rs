//! Requests through a proxy: a real one, and fake ones that misbehave.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use pinterest::{Client, Endpoints, Error, ErrorKind, LookUp, LookUpFuture, Proxy};
use sandbox::proxy::Tinyproxy;

use crate::certificates::Authority;
use crate::client::{Resolver, api_at, build, impatient_limits, token};
use crate::proxies::{Does, FakeProxy};
use crate::replies::{answer, json, refusal};
use crate::server::{Reply, Server};

const ACCOUNT: &str = r#"{"id": "1"}"#;
const SECRET: &str = "s3cret-canary";

/// A resolver that must not be called.
struct Never;

impl LookUp for Never {
    fn look_up(&self, host: String) -> LookUpFuture {
        panic!("{host} was resolved by the client and not by the proxy");
    }
}

fn through(address: &str, credentials_file: Option<&Path>) -> Option<Proxy> {
    let credentials_file = credentials_file.map(Path::to_owned);
    Some(Proxy { address: address.parse().unwrap(), credentials_file, bypass: Vec::new() })
}

/// A client that reaches the server as `host` through a proxy.
fn client(server: &Server, host: &str, proxy: Option<Proxy>) -> Client {
    let host = format!("{host}:{}", server.port);
    let endpoints = Endpoints { images: vec![host.parse().unwrap()], proxy, ..api_at(&host) };
    let mut limits = impatient_limits();
    // As by default, the limit for connecting is shorter than that for an answer.
    limits.connect = Duration::from_millis(600);
    limits.read_idle = Duration::from_secs(2);
    build(server, endpoints, |builder| builder.limits(limits)).unwrap()
}

fn credentials(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    write(file.path(), text);
    file
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

async fn refused(client: &Client) -> Error {
    let error = client.user_account(&token()).await.unwrap_err();
    assert!(!error.to_string().contains(SECRET) && !format!("{error:?}").contains(SECRET), "{error}");
    assert!(!error.may_have_been_processed(), "{error}");
    error
}

#[tokio::test]
async fn a_real_proxy_connects_to_the_api_and_to_image_hosts() {
    let server = Server::start(|_| json(ACCOUNT)).await;
    let Some(proxy) = Tinyproxy::start(&[server.port], Some(("anna", SECRET))).unwrap() else { return };
    let file = credentials(&format!("anna:{SECRET}\n"));
    let client = client(&server, "localhost", through(&proxy.address(), Some(file.path())));
    client.user_account(&token()).await.unwrap();
    client.fetch_image(&format!("https://localhost:{}/a", server.port)).await.unwrap();
    assert_eq!(client.ask_proxy().await.unwrap().unwrap().port(), server.port);
    assert!(proxy.connects(&format!("localhost:{}", server.port)) >= 2, "{}", proxy.log());
    for request in server.received() {
        assert_eq!(request.header("proxy-authorization"), None, "the proxy's credentials are not the site's to see");
    }
    assert!(!proxy.log().contains("pina_"), "the token is not the proxy's to see");
}

#[tokio::test]
async fn a_real_proxy_requires_credentials() {
    let server = Server::start(|_| json(ACCOUNT)).await;
    let Some(proxy) = Tinyproxy::start(&[server.port], Some(("anna", SECRET))).unwrap() else { return };
    let none = client(&server, "localhost", through(&proxy.address(), None));
    let error = refused(&none).await;
    assert_eq!(error.kind(), ErrorKind::ProxyCredentials);
    assert_eq!(
        error.to_string(),
        format!("GET /v5/user_account: the proxy {} requires a user and a password (407)", proxy.address())
    );

    let file = credentials("anna:wrong-canary");
    let client = client(&server, "localhost", through(&proxy.address(), Some(file.path())));
    let error = refused(&client).await;
    assert_eq!(error.kind(), ErrorKind::ProxyCredentials);
    assert!(error.to_string().contains("does not accept the user and password (40"), "{error}");
    assert!(!error.to_string().contains("canary"), "{error}");
    assert_eq!(client.ask_proxy().await.unwrap_err().kind(), ErrorKind::ProxyCredentials);
    assert_eq!(server.connections(), 0);

    // The same client reads the file again: when it is right, and when its permissions are too open.
    write(file.path(), &format!("anna:{SECRET}"));
    client.user_account(&token()).await.unwrap();
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = refused(&client).await;
    assert_eq!(error.kind(), ErrorKind::ProxyCredentials);
    assert!(error.to_string().contains("group and others"), "{error}");
    std::fs::remove_file(file.path()).unwrap();
    assert_eq!(refused(&client).await.kind(), ErrorKind::ProxyCredentials);
}

#[tokio::test]
async fn a_real_proxy_forbids_a_port_or_cannot_connect() {
    let server = Server::start(|_| json(ACCOUNT)).await;
    let Some(proxy) = Tinyproxy::start(&[443], None).unwrap() else { return };
    let client_ = client(&server, "localhost", through(&proxy.address(), None));
    let error = refused(&client_).await;
    assert_eq!(error.kind(), ErrorKind::ProxyRefused);
    assert!(error.to_string().contains(&format!("does not allow connections to localhost:{} (403)", server.port)));

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let Some(proxy) = Tinyproxy::start(&[closed], None).unwrap() else { return };
    let endpoints = Endpoints { proxy: through(&proxy.address(), None), ..api_at(&format!("localhost:{closed}")) };
    let client = build(&server, endpoints, |builder| builder.limits(impatient_limits())).unwrap();
    let error = refused(&client).await;
    // A failure of the site, not of the proxy.
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.to_string().contains(&format!("could not connect to localhost:{closed} (50")), "{error}");
}

#[tokio::test]
async fn certificates_of_the_site_are_checked() {
    for case in ["expired", "wrong host", "unknown authority"] {
        let authority = Authority::new();
        let config = match case {
            "expired" => authority.expired_leaf(&["localhost"]),
            "wrong host" => authority.leaf(&["other.example"]),
            _ => Authority::new().leaf(&["localhost"]),
        };
        let server = Server::start_with(authority, config, |_| json(ACCOUNT)).await;
        let proxy = FakeProxy::start(Does::Open(server.port)).await;
        let address = format!("http://127.0.0.1:{}", proxy.port);
        let error = refused(&client(&server, "localhost", through(&address, None))).await;
        assert_eq!(error.kind(), ErrorKind::Tls, "{case}: {error}");
        assert!(error.to_string().ends_with(&format!("through the proxy {address}")), "{case}: {error}");
        assert!(server.received().is_empty());
    }
}

#[tokio::test]
async fn names_are_resolved_by_the_proxy() {
    let authority = Authority::new();
    let config = authority.leaf(&["api.example.com"]);
    let server = Server::start_with(authority, config, |_| json(ACCOUNT)).await;
    let proxy = FakeProxy::start(Does::Open(server.port)).await;
    let address = format!("http://127.0.0.1:{}", proxy.port);
    let host = "api.example.com:8443";
    let endpoints = Endpoints { images: vec![host.parse().unwrap()], proxy: through(&address, None), ..api_at(host) };
    let client = build(&server, endpoints, |builder| builder.look_up(Never)).unwrap();
    client.user_account(&token()).await.unwrap();
    client.fetch_image(&format!("https://{host}/a")).await.unwrap();
    assert!(proxy.heads()[0].starts_with("CONNECT api.example.com:8443 HTTP/1.1\r\n"), "{:?}", proxy.heads());
    assert!(proxy.heads().iter().all(|head| !head.to_ascii_lowercase().contains("proxy-authorization")));
    // Targets that are not requested from a proxy.
    for literal in ["10.0.0.1", "169.254.169.254", "[fd00::1]", "[64:ff9b::a00:1]"] {
        let endpoints = Endpoints { proxy: through(&address, None), ..api_at(literal) };
        let error = build(&server, endpoints, |builder| builder).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{literal}");
    }
    for url in ["https://169.254.169.254/latest", "https://other.example/a", "http://api.example.com:8443/a"] {
        assert_eq!(client.fetch_image(url).await.unwrap_err().kind(), ErrorKind::Refused, "{url}");
    }
}

#[tokio::test]
async fn failures_of_proxy_and_site_are_distinguished() {
    use ErrorKind::*;
    let server = Server::start(|_| json(ACCOUNT)).await;
    for (does, kind, words) in [
        (Does::Close, ProxyTunnel, "closes the connection without an answer"),
        (Does::Say(b""), ProxyTunnel, "closes the connection without an answer"),
        (Does::Say(b"SSH-2.0-OpenSSH_9.2\r\n"), Proxy, "does not answer as an HTTP proxy"),
        (Does::Say(b"\0\x01\x02 pina_CANARY"), Proxy, "does not answer as an HTTP proxy"),
        (Does::Say(b"HTTP/1.1 302 Found\r\nlocation: https://login.internal/\r\n\r\n"), ProxyTunnel, "with 302"),
        (Does::Say(b"HTTP/1.1 403 Forbidden\r\n\r\n<html>pina_CANARY"), ProxyRefused, "does not allow"),
        (Does::Say(b"HTTP/1.1 405 Method Not Allowed\r\n\r\n"), ProxyRefused, "(405)"),
        (
            Does::Say(b"HTTP/1.0 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\n\r\n"),
            ProxyCredentials,
            "requires a user",
        ),
        (Does::Say(b"HTTP/1.1 401 Unauthorized\r\n\r\n"), ProxyCredentials, "requires a user"),
        (Does::Say(b"HTTP/1.1 502 Bad Gateway\r\n\r\n"), Unreachable, "could not connect to localhost"),
        (Does::Say(b"HTTP/1.1 504 Gateway Timeout\r\n\r\n"), Unreachable, "(504)"),
        (Does::Say(b"HTTP/1.1 200 OK\r\n\r\n"), ProxyTunnel, "opened a connection to localhost"),
        (Does::Say(b"HTTP/1.1 200 OK\r\n\r\n<html>Please log in</html>"), ProxyTunnel, "opened a connection"),
        (Does::Hang, ProxyTunnel, "does not answer within 600ms when asked for a connection to localhost"),
        (Does::First(b"HTTP/1.1 503 Busy\r\n\r\n", server.port), ProxyTunnel, "opened a connection"),
    ] {
        let proxy = FakeProxy::start(does).await;
        let address = format!("http://127.0.0.1:{}", proxy.port);
        let client = client(&server, "localhost", through(&address, None));
        let begun = Instant::now();
        let error = refused(&client).await;
        assert_eq!(error.kind(), kind, "{words}: {error}");
        assert!(error.to_string().contains(words) && error.to_string().contains(&address), "{words}: {error}");
        assert!(!error.to_string().contains("CANARY") && !error.to_string().contains("html"), "{error}");
        assert!(error.is_retryable() && error.status().is_none(), "{error}");
        assert!(begun.elapsed() < impatient_limits().api_total, "{words}");
        let image = client.fetch_image(&format!("https://localhost:{}/a", server.port)).await;
        if let Err(image) = image {
            assert_eq!(image.kind(), kind, "{words}: {image}");
            assert!(!image.rules_out_url() && image.is_retryable(), "{image}");
        }
    }
    assert!(server.received().iter().all(|request| request.target == "GET /a"));
}

#[tokio::test]
async fn an_unreachable_proxy_is_reported() {
    let server = Server::start(|_| json(ACCOUNT)).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = refused(&client(&server, "localhost", through(&format!("http://127.0.0.1:{closed}"), None))).await;
    assert_eq!(error.kind(), ErrorKind::Proxy);
    assert!(error.to_string().contains("cannot be reached") && error.to_string().contains("refused"), "{error}");

    let endpoints = || Endpoints { proxy: through("http://proxy.internal:3128", None), ..api_at("localhost:1") };
    let metadata = Resolver::with(&["169.254.169.254"]);
    for (resolver, words) in [(metadata, "169.254.169.254"), (Resolver::failing(), "no such host")] {
        let client = build(&server, endpoints(), |builder| builder.look_up(resolver)).unwrap();
        let error = refused(&client).await;
        assert_eq!(error.kind(), ErrorKind::Proxy, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

/// A failing host looks like a failing proxy, but not like an unreachable proxy: requests to other hosts continue.
#[tokio::test]
async fn a_host_that_does_not_answer_is_not_a_failure_of_the_proxy() {
    let server = Server::start(|_| json(ACCOUNT)).await;
    // A host that closes during the TLS handshake, behind a working proxy.
    let closing = FakeProxy::start(Does::Close).await;
    for does in [Does::Hang, Does::Open(closing.port)] {
        let proxy = FakeProxy::start(does).await;
        let client = client(&server, "localhost", through(&format!("http://127.0.0.1:{}", proxy.port), None));
        let begun = Instant::now();
        let error = client.fetch_image(&format!("https://localhost:{}/a", server.port)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ProxyTunnel, "{error}");
        assert!(error.to_string().contains("localhost"), "{error}");
        assert!(error.is_retryable() && !error.rules_out_url(), "{error}");
        assert!(begun.elapsed() < impatient_limits().image_total);
    }
}

/// Without a TLS handshake an https proxy was not reached.
#[tokio::test]
async fn a_proxy_without_a_handshake_is_a_failure_of_the_proxy() {
    let server = Server::start(|_| json(ACCOUNT)).await;
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://localhost:{}", mute.local_addr().unwrap().port());
    let error = refused(&client(&server, "localhost", through(&address, None))).await;
    assert_eq!(error.kind(), ErrorKind::Proxy, "{error}");
    assert!(error.to_string().contains("does not complete the TLS handshake within 600ms"), "{error}");
}

/// Answers through the tunnel are the site's.
#[tokio::test]
async fn refusals_of_the_site_are_not_the_proxys() {
    let replies: [(fn() -> Reply, ErrorKind); 3] = [
        (|| refusal("403 Forbidden", 29, "no"), ErrorKind::Forbidden),
        (|| answer("407 Proxy Authentication Required", &[], ""), ErrorKind::Transient),
        (|| answer("502 Bad Gateway", &[], ""), ErrorKind::Transient),
    ];
    for (reply, kind) in replies {
        let server = Server::start(move |_| reply()).await;
        let proxy = FakeProxy::start(Does::Open(server.port)).await;
        let client = client(&server, "localhost", through(&format!("http://127.0.0.1:{}", proxy.port), None));
        let error = client.user_account(&token()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains("Pinterest answered") && error.status().is_some(), "{error}");
        assert_eq!(proxy.connections(), 1);
    }
}

#[tokio::test]
async fn a_proxy_may_use_tls() {
    let server = Server::start(|_| json(ACCOUNT)).await;
    let file = credentials(&format!("anna:{SECRET}"));
    let tls = server.authority.leaf(&["localhost"]);
    let proxy = FakeProxy::start_with(Does::Open(server.port), Some(tls)).await;
    let address = format!("https://localhost:{}", proxy.port);
    let client_ = client(&server, "localhost", through(&address, Some(file.path())));
    client_.user_account(&token()).await.unwrap();
    assert!(proxy.heads()[0].to_ascii_lowercase().contains("proxy-authorization: basic "));
    client_.ask_proxy().await.unwrap();

    for tls in [Authority::new().leaf(&["localhost"]), server.authority.leaf(&["other.example"])] {
        let proxy = FakeProxy::start_with(Does::Open(server.port), Some(tls)).await;
        let address = format!("https://localhost:{}", proxy.port);
        let error = refused(&client(&server, "localhost", through(&address, Some(file.path())))).await;
        assert_eq!(error.kind(), ErrorKind::Proxy, "{error}");
        assert!(error.to_string().contains("by TLS") && error.to_string().contains("certificate"), "{error}");
        assert!(proxy.heads().is_empty(), "an untrusted proxy does not get the password");
    }
}

#[tokio::test]
async fn hosts_of_the_bypass_are_contacted_directly() {
    let authority = Authority::new();
    let config = authority.leaf(&["localhost", "store.internal"]);
    let server = Server::start_with(authority, config, |_| json(ACCOUNT)).await;
    let proxy = FakeProxy::start(Does::Say(b"HTTP/1.1 403 Forbidden\r\n\r\n")).await;
    let address = format!("http://127.0.0.1:{}", proxy.port);
    let host = |name: &str| format!("{name}:{}", server.port).parse().unwrap();

    let endpoints = Endpoints {
        images: vec![host("store.internal"), host("127.0.0.1")],
        private_images: vec!["store.internal=127.0.0.0/8".parse().unwrap()],
        proxy: Some(Proxy { bypass: vec![host("localhost")], ..through(&address, None).unwrap() }),
        ..api_at(&format!("localhost:{}", server.port))
    };
    let client = build(&server, endpoints, |builder| builder.look_up(Resolver::with(&["127.0.0.1"]))).unwrap();
    client.user_account(&token()).await.unwrap();
    client.fetch_image(&format!("https://store.internal:{}/a", server.port)).await.unwrap();
    assert_eq!(proxy.connections(), 0);
    let error = client.fetch_image(&format!("https://127.0.0.1:{}/a", server.port)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ProxyRefused, "{error}");
    assert_eq!(client.ask_proxy().await.unwrap_err().kind(), ErrorKind::ProxyRefused);
}

/// Without valid credentials nothing is sent.
#[tokio::test]
async fn credentials_that_cannot_be_read_send_nothing() {
    let server = Server::start(|_| json(ACCOUNT)).await;
    let proxy = FakeProxy::start(Does::Open(server.port)).await;
    let address = format!("http://127.0.0.1:{}", proxy.port);
    for text in ["", "canary", "anna:one\nbert:two\n"] {
        let file = credentials(text);
        let error = refused(&client(&server, "localhost", through(&address, Some(file.path())))).await;
        assert_eq!(error.kind(), ErrorKind::ProxyCredentials);
        assert!(error.is_retryable() && !error.to_string().contains("canary"), "{error}");
    }
    assert_eq!(proxy.connections(), 0);
}

/// A dropped call ends at once.
#[tokio::test]
async fn a_call_through_a_silent_proxy_can_be_cancelled() {
    let server = Server::start(|_| json(ACCOUNT)).await;
    let proxy = FakeProxy::start(Does::Hang).await;
    let client = client(&server, "localhost", through(&format!("http://127.0.0.1:{}", proxy.port), None));
    let begun = Instant::now();
    let token = token();
    let call = tokio::time::timeout(Duration::from_millis(50), client.user_account(&token)).await;
    assert!(call.is_err() && begun.elapsed() < Duration::from_millis(500));
}
