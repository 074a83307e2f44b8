//! Unusual image hosts: URLs that must be encoded, wrong headers, answers of every shape.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use pinterest::{Error, ErrorKind, FetchedImage};

use crate::client::{client, client_with, impatient_limits};
use crate::replies::*;
use crate::server::{Reply, Server, Then};

const PICTURE: &[u8] = b"\xff\xd8\xff\xe0 not a whole picture";

async fn fetch(server: &Server, path: &str) -> Result<FetchedImage, Error> {
    let client = client_with(server, |builder| builder.limits(impatient_limits()));
    client.fetch_image(&format!("https://localhost:{}{path}", server.port)).await
}

/// A head of bytes, which need not be text, and a body.
fn raw(head: &[u8], body: &[u8]) -> Reply {
    Reply::whole([head, b"\r\n", body].concat())
}

#[tokio::test]
async fn identity_encodings_change_nothing() {
    for encoding in [
        &b""[..],
        b" ",
        b"identity",
        b"Identity",
        b"identity, identity",
        b"aws-chunked",
        b"AWS-CHUNKED",
        b"aws-chunked,identity",
        b"utf-8",
        b"UTF-8",
        b"binary",
        b"none",
        b"base64",
        b"image/jpeg",
        b",",
        b"\xe9",
    ] {
        let server = Server::start(move |_| {
            let head = [
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\ncontent-encoding: ", PICTURE.len()).as_bytes(),
                encoding,
                b"\r\n",
            ]
            .concat();
            raw(&head, PICTURE)
        })
        .await;
        let image = fetch(&server, "/a").await.unwrap_or_else(|error| panic!("{encoding:?}: {error}"));
        assert_eq!(image.bytes, PICTURE, "{encoding:?}");
        assert_eq!(server.received()[0].header("accept-encoding"), Some("identity"));
    }
}

#[tokio::test]
async fn encodings_are_decoded_or_reported() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(PICTURE).unwrap();
    let gzip = gzip.finish().unwrap();
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(PICTURE).unwrap();
    let zlib = zlib.finish().unwrap();
    for (encoding, body) in
        [("gzip", gzip.clone()), ("aws-chunked, GZIP", gzip), ("deflate", zlib), ("gzip", PICTURE.to_vec())]
    {
        let server = Server::start(move |_| answer("200 OK", &[("content-encoding", encoding)], &body)).await;
        assert_eq!(fetch(&server, "/a").await.unwrap().bytes, PICTURE, "{encoding}");
    }
    for encoding in ["br", "zstd", "identity, br"] {
        let server = Server::start(move |_| answer("200 OK", &[("content-encoding", encoding)], PICTURE)).await;
        let error = fetch(&server, "/a").await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::Protocol, Some(200)), "{encoding}: {error}");
        let name = encoding.trim_start_matches("identity, ");
        assert!(error.to_string().contains(&format!("compressed ({name})")), "{error}");
    }
}

#[tokio::test]
async fn a_compression_bomb_ends_at_the_limit() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&vec![0; 8 << 20]).unwrap();
    let gzip = gzip.finish().unwrap();
    let server = Server::start(move |_| answer("200 OK", &[("content-encoding", "gzip")], &gzip)).await;
    let mut limits = impatient_limits();
    limits.image = 1 << 20;
    let client = client_with(&server, |builder| builder.limits(limits));
    let error = client.fetch_image(&format!("https://localhost:{}/a", server.port)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
}

#[tokio::test]
async fn a_page_in_place_of_an_image_is_reported() {
    for (page, is_page) in [
        (&b"<!DOCTYPE html><title>Log in</title>"[..], true),
        (b"\xef\xbb\xbf\r\n <!-- x --> <HTML>", true),
        (b"<!-- no end", false),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", false),
        (PICTURE, false),
    ] {
        let server = Server::start(move |_| answer("200 OK", &[("content-type", "image/jpeg")], page)).await;
        match fetch(&server, "/a").await {
            Ok(image) => assert!(!is_page && image.bytes == page, "{page:?}"),
            Err(error) => {
                assert!(is_page && error.to_string().contains("an HTML page and not an image"), "{error}");
                assert!(error.kind() == ErrorKind::Protocol && error.rules_out_url());
            }
        }
    }
}

#[tokio::test]
async fn addresses_are_encoded_once_on_the_wire() {
    for (path, target) in [
        ("/mühle.jpg", "/m%C3%BChle.jpg"),
        ("/main hall.jpg", "/main%20hall.jpg"),
        ("/m%C3%BChle%20x.jpg", "/m%C3%BChle%20x.jpg"),
        ("/50% off.jpg", "/50%%20off.jpg"),
        ("/a\\b.jpg", "/a/b.jpg"),
        ("/a\tb\n.jpg?saal=groß#mühle", "/ab.jpg?saal=gro%C3%9F"),
    ] {
        let server = Server::start(|_| json("image")).await;
        assert_eq!(fetch(&server, path).await.unwrap().bytes, b"image", "{path}");
        assert_eq!(server.received()[0].target, format!("GET {target}"));
        assert_eq!(server.received()[0].header("host"), Some(&*format!("localhost:{}", server.port)));
    }
    // Each character of ASCII, with those that browsers do not encode.
    let all: String = (0..=0x7f_u8).map(char::from).filter(|c| !matches!(c, '?' | '#' | '\t' | '\n' | '\r')).collect();
    let server = Server::start(|_| json("image")).await;
    fetch(&server, &format!("/{all}x?{all}x")).await.unwrap();
    let target = server.received()[0].target.clone();
    assert!(target.strip_prefix("GET ").unwrap().bytes().all(|byte| byte.is_ascii_graphic()), "{target}");
}

#[tokio::test]
async fn a_redirect_of_raw_bytes_is_followed() {
    for (location, target) in [
        ("/mühle.jpg".as_bytes(), "/m%C3%BChle.jpg"),
        (b"/m\xfchle.jpg", "/m%FChle.jpg"),
        (b"/main hall.jpg", "/main%20hall.jpg"),
        (b"/m%C3%BChle.jpg#x", "/m%C3%BChle.jpg"),
        (b"../c\xc3\xa9.jpg", "/c%C3%A9.jpg"),
        (b"b.jpg", "/folder/b.jpg"),
        (b"?x=1 2", "/folder/a?x=1%202"),
        (b"HTTPS://LOCALHOST:PORT/m\xc3\xbchle.jpg", "/m%C3%BChle.jpg"),
        (b"//localhost:PORT/b.jpg", "/b.jpg"),
    ] {
        for status in [301, 302, 303, 307, 308] {
            let server = Server::start(move |request| {
                if request.target != "GET /folder/a" {
                    return json("image");
                }
                let port = request.header("host").unwrap().split_once(':').unwrap().1.to_owned();
                let location = match location.windows(4).position(|window| window == b"PORT") {
                    Some(at) => [&location[..at], port.as_bytes(), &location[at + 4..]].concat(),
                    None => location.to_vec(),
                };
                let head = format!("HTTP/1.1 {status} Moved\r\ncontent-length: 0\r\nconnection: close\r\nlocation: ");
                raw(&[head.as_bytes(), &location, b"\r\n"].concat(), b"")
            })
            .await;
            let image = fetch(&server, "/folder/a").await.unwrap_or_else(|error| panic!("{location:?}: {error}"));
            assert_eq!(image.bytes, b"image");
            assert_eq!(server.received()[1].target, format!("GET {target}"), "{status} {location:?}");
        }
    }
}

#[tokio::test]
async fn a_redirect_to_another_host_in_disguise_is_not_followed() {
    for location in [
        &b"/\\evil.example/a"[..],
        b"\\\\evil.example/a",
        b"https://ev\xc3\xaell.example/a",
        b"https://localhost\xc2\xad:1/a",
        b"https://localhost /a",
        b"h\tttps://evil.example/a",
        b"http://localhost:PORT/a",
    ] {
        let server = Server::start(move |_| {
            let head = b"HTTP/1.1 302 Found\r\ncontent-length: 0\r\nlocation: ";
            raw(&[&head[..], location, b"\r\n"].concat(), b"")
        })
        .await;
        let error = fetch(&server, "/a").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{location:?}: {error}");
        assert_eq!(server.received().len(), 1);
    }
}

#[tokio::test]
async fn bodies_of_every_shape_arrive_whole() {
    let chunks = b"5\r\n\xff\xd8\xff\xe0 \r\n13;name=\"value\"\r\nnot a whole picture\r\n0\r\nx-trailer: 1\r\n\r\n";
    for (name, head, body) in [
        ("trailers", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-trailer\r\n", &chunks[..]),
        ("upper case", "HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n", chunks),
        ("no length", "HTTP/1.1 200 OK\r\nconnection: close\r\n", PICTURE),
        ("HTTP/1.0", "HTTP/1.0 200 OK\r\n", PICTURE),
        ("no reason", "HTTP/1.1 200\r\ncontent-length: 24\r\n", PICTURE),
        (
            "a hint first",
            "HTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 24\r\n",
            PICTURE,
        ),
    ] {
        let server = Server::start(move |_| raw(head.as_bytes(), body)).await;
        let image = fetch(&server, "/a").await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(image.bytes, PICTURE, "{name}");
    }
}

/// Without `close_notify` the end may be an attacker's, so the body may be incomplete.
#[tokio::test]
async fn a_possibly_truncated_body_is_refused() {
    for (name, head, whole) in [
        ("no length, no end of TLS", "HTTP/1.1 200 OK\r\nconnection: close\r\n", false),
        ("chunks without an end", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n", false),
        ("a length, no end of TLS", "HTTP/1.1 200 OK\r\ncontent-length: 24\r\n", true),
    ] {
        let server = Server::start(move |_| Reply { then: Then::Cut, ..raw(head.as_bytes(), PICTURE) }).await;
        match fetch(&server, "/a").await {
            Ok(image) => assert!(whole && image.bytes == PICTURE, "{name}"),
            Err(error) => {
                assert!(
                    !whole && matches!(error.kind(), ErrorKind::Transient | ErrorKind::Protocol),
                    "{name}: {error}"
                );
            }
        }
    }
}

#[tokio::test]
async fn lengths_that_disagree_are_refused() {
    for head in [
        "HTTP/1.1 200 OK\r\ncontent-length: 24\r\ncontent-length: 5\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: x\r\n",
    ] {
        let server = Server::start(move |_| raw(head.as_bytes(), PICTURE)).await;
        let error = fetch(&server, "/a").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{head}: {error}");
    }
}

#[tokio::test]
async fn retry_after_of_an_image_host_is_used() {
    for (status, wait, expected) in [
        ("429 Too Many Requests", "7", Some(7)),
        ("503 Service Unavailable", "Tue, 14 Nov 2023 22:14:20 GMT", Some(60)),
        ("503 Service Unavailable", "soon", None),
        ("503 Service Unavailable", "99999999", Some(86_400)),
    ] {
        let server = Server::start(move |_| answer(status, &[("retry-after", wait)], "")).await;
        let error = client(&server).fetch_image(&format!("https://localhost:{}/a", server.port)).await.unwrap_err();
        assert!(error.is_retryable());
        assert_eq!(error.retry_after(), expected.map(Duration::from_secs), "{status} {wait}");
    }
}
