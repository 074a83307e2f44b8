//! Answers, named by their misbehaviour.

use std::time::Duration;

use crate::server::{Reply, Then};

/// An answer without arguments.
pub type Misbehaviour = fn() -> Reply;

/// An answer with these headers and a correct length.
pub fn answer(status: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Reply {
    let body = body.as_ref();
    let mut bytes =
        format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n", body.len()).into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    Reply::whole(bytes)
}

pub fn json(body: impl AsRef<[u8]>) -> Reply {
    answer("200 OK", &[("content-type", "application/json")], body)
}

/// An error in Pinterest's format.
pub fn refusal(status: &str, code: i64, message: &str) -> Reply {
    let body = format!(r#"{{"status": "failure", "code": {code}, "message": "{message}"}}"#);
    answer(status, &[("x-pinterest-rid", "4711")], body)
}

pub fn html_502() -> Reply {
    answer("502 Bad Gateway", &[("content-type", "text/html")], "<html><h1>502 Bad Gateway</h1></html>")
}

pub fn redirect(status: &str, location: &str) -> Reply {
    answer(status, &[("location", location)], "")
}

pub fn redirect_to_metadata() -> Reply {
    redirect("302 Found", "https://169.254.169.254/latest/meta-data/")
}

/// Reads the request and does not answer.
pub fn silence() -> Reply {
    Reply { pieces: Vec::new(), between: Duration::ZERO, then: Then::Hang }
}

/// Reads the request and closes the connection.
pub fn hang_up() -> Reply {
    Reply { pieces: Vec::new(), between: Duration::ZERO, then: Then::Cut }
}

/// Single bytes with pauses, without end.
pub fn slow_drip() -> Reply {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n".to_vec();
    Reply { pieces: vec![head, b"{".to_vec()], between: Duration::from_millis(5), then: Then::Repeat }
}

/// Single bytes with pauses in the head.
pub fn slow_drip_of_headers() -> Reply {
    let pieces = vec![b"HTTP/1.1 200 OK\r\nx-drip: ".to_vec(), b"a".to_vec()];
    Reply { pieces, between: Duration::from_millis(5), then: Then::Repeat }
}

/// Closes the connection before the declared length.
pub fn truncated() -> Reply {
    let bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"items\": [".to_vec();
    Reply { pieces: vec![bytes], between: Duration::ZERO, then: Then::Cut }
}

/// Without a length: the early end of the connection looks like the end of the body.
pub fn truncated_without_length() -> Reply {
    without_length("{\"items\": [")
}

/// Declares fewer bytes than it sends.
pub fn wrong_length(body: &str) -> Reply {
    Reply::whole(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len() - 3))
}

/// Declares a petabyte.
pub fn huge_length() -> Reply {
    let bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 1125899906842624\r\n\r\n{".to_vec();
    Reply { pieces: vec![bytes], between: Duration::ZERO, then: Then::Hang }
}

/// Chunks without end.
pub fn endless() -> Reply {
    let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let mut chunk = b"4000\r\n".to_vec();
    chunk.resize(chunk.len() + 0x4000, b' ');
    chunk.extend_from_slice(b"\r\n");
    Reply { pieces: vec![head, chunk], between: Duration::ZERO, then: Then::Repeat }
}

pub fn gzip() -> Reply {
    answer("200 OK", &[("content-encoding", "gzip")], b"\x1f\x8b\x08\x00\x00\x00\x00\x00")
}

/// A hundred thousand header lines.
pub fn many_headers() -> Reply {
    headers(100_000)
}

/// This many header lines.
pub fn headers(count: usize) -> Reply {
    let body = r#"{"items": []}"#;
    let mut bytes = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n", body.len()).into_bytes();
    for number in 1..count {
        bytes.extend_from_slice(format!("x-{number}: a\r\n").as_bytes());
    }
    bytes.extend_from_slice(format!("\r\n{body}").as_bytes());
    Reply::whole(bytes)
}

/// A body that ends with the connection.
pub fn without_length(body: &str) -> Reply {
    Reply::whole(format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{body}"))
}

/// One header line of a megabyte.
pub fn huge_header() -> Reply {
    Reply::whole(format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-long: {}\r\n\r\n{{}}", "a".repeat(1 << 20)))
}

/// Not HTTP.
pub fn not_http() -> Reply {
    Reply::whole(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec())
}
