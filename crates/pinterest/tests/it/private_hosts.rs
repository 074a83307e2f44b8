//! Image hosts with private addresses, which must be configured as pairs of host and range.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use pinterest::{Endpoints, Error, ErrorKind, LookUp, LookUpFuture};

use crate::certificates::Authority;
use crate::client::{api_at, build, token};
use crate::replies::{json, redirect};
use crate::server::Server;

/// A resolver whose answers are these addresses in turn, then the last one repeatedly.
struct Rebinding(Mutex<Vec<&'static str>>);

impl LookUp for Rebinding {
    fn look_up(&self, _: String) -> LookUpFuture {
        let mut left = self.0.lock().unwrap();
        let address: IpAddr = if left.len() > 1 { left.remove(0) } else { left[0] }.parse().unwrap();
        Box::pin(async move { Ok(vec![address]) })
    }
}

async fn store(handler: impl Fn(&crate::server::Received) -> crate::server::Reply + Send + Sync + 'static) -> Server {
    let authority = Authority::new();
    let config = authority.leaf(&["store.internal", "other.internal"]);
    Server::start_with(authority, config, handler).await
}

/// Fetches from the store with these pairs and resolved addresses.
async fn fetch(server: &Server, pairs: &[&str], addresses: &[&'static str], path: &str) -> Result<Vec<u8>, Error> {
    let host = |name: &str| format!("{name}:{}", server.port).parse().unwrap();
    let endpoints = Endpoints {
        images: vec![host("store.internal"), host("other.internal")],
        private_images: pairs.iter().map(|pair| pair.parse().unwrap()).collect(),
        ..api_at("localhost:1")
    };
    let look_up = Rebinding(Mutex::new(addresses.to_vec()));
    let client = build(server, endpoints, |builder| builder.look_up(look_up))?;
    Ok(client.fetch_image(&format!("https://store.internal:{}{path}", server.port)).await?.bytes)
}

#[tokio::test]
async fn a_private_address_requires_a_pair_with_its_host() {
    let server = store(|_| json("image")).await;
    for (pairs, expected) in [
        (&[][..], false),
        (&["other.internal=127.0.0.0/8"], false),
        (&["store.internal=10.0.0.0/8"], false),
        (&["store.internal=127.0.0.2"], false),
        (&["store.internal=127.0.0.0/8"], true),
        (&["store.internal=10.0.0.0/8", "store.internal=127.0.0.1/32"], true),
    ] {
        let outcome = fetch(&server, pairs, &["127.0.0.1"], "/a").await;
        match outcome {
            Ok(bytes) => assert!(expected && bytes == b"image", "{pairs:?}"),
            Err(error) => {
                assert!(!expected && error.kind() == ErrorKind::Refused, "{pairs:?}: {error}");
                // The error contains the missing pair.
                assert_eq!(error.private_host().unwrap().to_string(), "store.internal=127.0.0.1/32");
            }
        }
    }
}

#[tokio::test]
async fn metadata_services_cannot_be_private_hosts() {
    let server = store(|_| json("image")).await;
    for (pair, address) in [
        ("store.internal=fd00::/8", "fd00:ec2::254"),
        ("store.internal=100.64.0.0/10", "100.100.100.200"),
        ("store.internal=10.0.0.0/8", "169.254.169.254"),
        ("store.internal=10.0.0.0/8", "64:ff9b::a01:203"),
        ("store.internal=10.0.0.0/8", "8.8.8.8"),
    ] {
        let error = fetch(&server, &[pair], &[address], "/a").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{pair} {address}: {error}");
        assert_eq!(error.private_host().is_some(), address == "8.8.8.8", "{error}");
    }
    assert_eq!(server.connections(), 0);
}

/// A name is resolved for each connection, and each answer is checked.
#[tokio::test]
async fn a_name_that_changes_its_address_stays_within_its_range() {
    let server = store(|_| redirect("302 Found", "/b")).await;
    let pair = ["store.internal=127.0.0.1/32"];
    for rebound in ["127.0.0.2", "169.254.169.254", "10.0.0.1", "8.8.8.8"] {
        let before = server.connections();
        let error = fetch(&server, &pair, &["127.0.0.1", rebound], "/a").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{rebound}: {error}");
        assert!(error.to_string().contains("no address that may be contacted"), "{error}");
        assert_eq!(server.connections(), before + 1, "{rebound}: only the first was made");
    }
}

#[tokio::test]
async fn no_other_host_leads_into_an_internal_network() {
    let port = Arc::new(Mutex::new(0));
    let server = store({
        let port = Arc::clone(&port);
        move |request| match request.header("host") {
            Some(host) if host.starts_with("store.") => {
                redirect("302 Found", &format!("https://other.internal:{}/b", port.lock().unwrap()))
            }
            _ => json("image"),
        }
    })
    .await;
    *port.lock().unwrap() = server.port;
    let pairs = ["store.internal=127.0.0.0/8", "other.internal=127.0.0.0/8"];
    let error = fetch(&server, &pairs, &["127.0.0.1"], "/a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("redirected to an internal network"), "{error}");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn literals_are_held_to_their_range_and_the_api_to_none() {
    let server = store(|_| json("image")).await;
    for (host, pairs, expected) in [
        ("10.1.2.3:9000", &["10.1.2.3=10.1.2.3"][..], true),
        ("[fd00:1::9]:9000", &["[fd00:1::9]=fd00:1::/32"], true),
        ("10.1.2.3:9000", &[], false),
        ("10.1.2.3:9000", &["10.1.2.3=192.168.0.0/16"], false),
        ("10.1.2.3:9000", &["10.1.2.4=10.0.0.0/8"], false),
        ("169.254.169.254", &["169.254.169.254=10.0.0.0/8"], false),
    ] {
        let endpoints = Endpoints {
            images: vec![host.parse().unwrap()],
            private_images: pairs.iter().map(|pair| pair.parse().unwrap()).collect(),
            ..api_at("localhost:1")
        };
        let outcome = build(&server, endpoints, |builder| builder);
        assert_eq!(
            outcome.as_ref().err().map(Error::kind),
            (!expected).then_some(ErrorKind::Config),
            "{host} {pairs:?}"
        );
    }
    let private = vec!["api.example.com=10.0.0.0/8".parse().unwrap()];
    let endpoints = Endpoints { private_images: private, ..api_at("api.example.com") };
    let error = build(&server, endpoints, |builder| builder).unwrap_err();
    assert!(error.to_string().contains("is the API's host"), "{error}");
    let client = build(&server, api_at("localhost:1"), |builder| builder).unwrap();
    assert!(client.user_account(&token()).await.is_err());
}
