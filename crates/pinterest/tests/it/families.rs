//! IPv4 and IPv6: hosts with addresses of one family, hosts with an unreachable address, and connections to public
//! addresses inside a network namespace.

use std::process::Command;
use std::time::{Duration, Instant};

use pinterest::{Client, Endpoints, ErrorKind};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::certificates::Authority;
use crate::client::{Resolver, api_at, build, impatient_limits, token};
use crate::replies::json;
use crate::server::Server;

const ACCOUNT: &str = r#"{"id": "1"}"#;

async fn server_at(address: &str, names: &[&str]) -> Server {
    let authority = Authority::new();
    let config = authority.leaf(names);
    Server::start_at(address, authority, config, |_| json(ACCOUNT)).await
}

fn client(server: &Server, name: &str, addresses: &[&'static str]) -> Client {
    let mut limits = impatient_limits();
    limits.connect = Duration::from_secs(4);
    limits.read_idle = Duration::from_secs(8);
    limits.api_total = Duration::from_secs(8);
    let look_up = Resolver::with(addresses);
    let host = format!("{name}:{}", server.port);
    let endpoints = Endpoints { images: vec![host.parse().unwrap()], ..api_at(&host) };
    build(server, endpoints, |builder| builder.limits(limits).look_up(look_up)).unwrap()
}

/// A port that neither accepts nor refuses: its queue of connections is full.
struct Mute(
    #[allow(dead_code)] TcpListener,
    #[allow(dead_code)] Vec<tokio::task::JoinHandle<std::io::Result<TcpStream>>>,
);

impl Mute {
    async fn at(address: &str, port: u16) -> Self {
        let address = std::net::SocketAddr::new(address.parse().unwrap(), port);
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.unwrap();
        socket.bind(address).unwrap();
        let listener = socket.listen(1).unwrap();
        let mut waiting = Vec::new();
        // Until a connection is not accepted.
        loop {
            let mut call = tokio::spawn(TcpStream::connect(address));
            let taken = tokio::time::timeout(Duration::from_millis(200), &mut call).await;
            let stays_out = taken.is_err();
            waiting.push(match taken {
                Ok(stream) => tokio::spawn(async move { stream.unwrap() }),
                Err(_) => call,
            });
            if stays_out {
                return Self(listener, waiting);
            }
        }
    }
}

fn has_ipv6() -> bool {
    let there = std::net::TcpListener::bind("[::1]:0").is_ok();
    if !there {
        eprintln!("skipped in part: there is no ::1 here");
    }
    there
}

#[tokio::test]
async fn a_host_with_ipv6_alone_is_reached() {
    if !has_ipv6() {
        return;
    }
    let server = server_at("[::1]:0", &["localhost", "::1"]).await;
    for (name, addresses) in [("localhost", &["::1"][..]), ("[::1]", &[])] {
        let client = client(&server, name, addresses);
        client.user_account(&token()).await.unwrap();
        client.fetch_image(&format!("https://{name}:{}/a", server.port)).await.unwrap();
    }
    assert!(server.received()[0].header("host").unwrap().starts_with("localhost:"));
    assert!(server.received()[2].header("host").unwrap().starts_with("[::1]:"));
}

#[tokio::test]
async fn an_address_that_refuses_or_does_not_answer_costs_little_time() {
    let v6 = has_ipv6();
    for (at, dead, first) in [
        ("127.0.0.1", "::1", true),
        ("127.0.0.1", "::1", false),
        ("[::1]", "127.0.0.1", true),
        ("127.0.0.1", "127.0.0.9", true),
    ] {
        if !v6 && (at.contains("::") || dead.contains("::")) {
            continue;
        }
        for mute in [false, true] {
            let server = server_at(&format!("{at}:0"), &["localhost"]).await;
            let _mute = if mute { Some(Mute::at(dead, server.port).await) } else { None };
            let good = at.trim_matches(['[', ']']);
            let addresses: [&'static str; 2] = match (first, good) {
                (true, "127.0.0.1") => [dead, "127.0.0.1"],
                (true, _) => [dead, "::1"],
                (false, _) => ["127.0.0.1", dead],
            };
            let begun = Instant::now();
            client(&server, "localhost", &addresses).user_account(&token()).await.unwrap();
            // Another family is tried after 0.3 s; addresses of one family share the 4 s.
            let limit = if dead == "127.0.0.9" { Duration::from_millis(3_500) } else { Duration::from_millis(1_500) };
            assert!(begun.elapsed() < limit, "{addresses:?} mute {mute}: {:?}", begun.elapsed());
        }
    }
}

#[tokio::test]
async fn a_host_without_an_answering_address_fails_in_time() {
    let server = server_at("127.0.0.1:0", &["localhost"]).await;
    let _mute = [Mute::at("127.0.0.8", server.port).await, Mute::at("127.0.0.9", server.port).await];
    let begun = Instant::now();
    let error = client(&server, "localhost", &["127.0.0.8", "127.0.0.9"]).user_account(&token()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert!(error.to_string().contains("timed out"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

/// Runs a test of this file again in a network namespace with these addresses on its loopback interface; true inside.
/// If that is not permitted, the test is skipped with a message.
fn in_namespace(test: &str, addresses: &[&str]) -> bool {
    const MARK: &str = "PINTEREST_TEST_IN_NAMESPACE";
    if std::env::var_os(MARK).is_some() {
        return true;
    }
    // Without duplicate address detection an IPv6 address can be bound at once.
    let flags = |address: &str| if address.contains(':') { "nodad" } else { "" };
    let add = |address: &&str| format!("ip address add {address} dev lo {}", flags(address));
    let set_up: Vec<_> = addresses.iter().map(add).collect();
    let set_up = format!("ip link set lo up && {}", set_up.join(" && "));
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--net", "--map-root-user", "sh", "-c", script, "sh"]);
        command
    };
    match unshare(&set_up).output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            eprintln!("skipped: no network namespace with these addresses: {reason}");
            return false;
        }
        Err(error) => {
            eprintln!("skipped: no network namespace: unshare: {error}");
            return false;
        }
    }
    let output = unshare(&format!("{set_up} && exec \"$@\""))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("families::{test}"), "--nocapture"])
        .env(MARK, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{errors}");
    false
}

#[tokio::test]
async fn public_addresses_of_each_kind_are_contacted() {
    let addresses = ["2a04:4e42::84/128", "151.101.0.84/32", "64:ff9b::808:808/128", "8.8.8.8/32"];
    if !in_namespace("public_addresses_of_each_kind_are_contacted", &addresses) {
        return;
    }
    for (at, found) in [
        ("[2a04:4e42::84]", &["2a04:4e42::84"][..]),
        ("151.101.0.84", &["151.101.0.84"]),
        ("[64:ff9b::808:808]", &["64:ff9b::808:808"]),
        ("8.8.8.8", &["::ffff:8.8.8.8"]),
        // One of the other addresses is not allowed, one has no route, one refuses.
        ("151.101.0.84", &["64:ff9b::a9fe:a9fe", "2606:4700::1", "2a04:4e42::84", "151.101.0.84"]),
    ] {
        let server = server_at(&format!("{at}:0"), &["api.example.com"]).await;
        client(&server, "api.example.com", found).user_account(&token()).await.unwrap_or_else(|e| panic!("{at}: {e}"));
    }
    // Literals: the certificate contains the address.
    for (literal, name) in [("[2a04:4e42::84]", "2a04:4e42::84"), ("151.101.0.84", "151.101.0.84")] {
        let server = server_at(&format!("{literal}:0"), &[name]).await;
        client(&server, literal, &[]).user_account(&token()).await.unwrap();
        let other = server_at(&format!("{literal}:0"), &["192.0.2.1"]).await;
        let error = client(&other, literal, &[]).user_account(&token()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    }
}

#[tokio::test]
async fn internal_addresses_are_contacted_for_their_host_alone() {
    let addresses =
        ["10.20.30.40/32", "169.254.169.254/32", "fd00:20::1/128", "fd00:ec2::254/128", "100.100.100.200/32"];
    if !in_namespace("internal_addresses_are_contacted_for_their_host_alone", &addresses) {
        return;
    }
    for (at, pair, expected) in [
        ("10.20.30.40", "store.internal=10.20.0.0/16", true),
        ("10.20.30.40", "store.internal=10.21.0.0/16", false),
        ("10.20.30.40", "other.internal=10.20.0.0/16", false),
        ("[fd00:20::1]", "store.internal=fd00:20::/32", true),
        ("169.254.169.254", "store.internal=10.20.0.0/16", false),
        ("100.100.100.200", "store.internal=100.64.0.0/10", false),
        ("[fd00:ec2::254]", "store.internal=fd00::/8", false),
    ] {
        let server = server_at(&format!("{at}:0"), &["store.internal"]).await;
        let look_up = Resolver::with(&[at.trim_matches(['[', ']'])]);
        let host = format!("store.internal:{}", server.port);
        let endpoints = Endpoints {
            images: vec![host.parse().unwrap()],
            private_images: vec![pair.parse().unwrap()],
            ..api_at("localhost:1")
        };
        let client = build(&server, endpoints, |builder| builder.look_up(look_up)).unwrap();
        let fetched = client.fetch_image(&format!("https://{host}/a")).await;
        assert_eq!(
            fetched.as_ref().err().map(pinterest::Error::kind),
            (!expected).then_some(ErrorKind::Refused),
            "{at} {pair}"
        );
        assert_eq!(server.connections(), usize::from(expected), "{at} {pair}");
    }
}
