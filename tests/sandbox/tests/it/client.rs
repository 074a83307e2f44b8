//! A client that reports reset connections, wrong lengths and redirects.

use std::io::{ErrorKind, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sandbox::{Grant, Sandbox};
use serde_json::Value;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Limit of bodies: enough for these tests, and the end of endless bodies.
const MAX_BODY: usize = 32 << 20;

pub struct Client {
    port: u16,
    tls: Arc<ClientConfig>,
    bearer: Option<String>,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The connection ended before `Content-Length` bytes.
    pub is_cut: bool,
}

/// The connection failed before the end of the head.
#[derive(Debug)]
pub struct NoAnswer(pub ErrorKind);

impl Client {
    /// A client without a token.
    pub fn new(sandbox: &Sandbox) -> Self {
        Self::trusting(sandbox.port(), sandbox.ca_file())
    }

    pub fn trusting(port: u16, ca_file: &std::path::Path) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(ca_file).expect("the authority's file") {
            roots.add(certificate.expect("PEM")).expect("a certificate");
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { port, tls: Arc::new(config), bearer: None }
    }

    /// A client with a fresh token of an account.
    pub fn of(sandbox: &Sandbox, username: &str) -> Self {
        Self::new(sandbox).with_grant(&sandbox.issue_grant(username).expect("an account"))
    }

    pub fn with_grant(mut self, grant: &Grant) -> Self {
        self.bearer = Some(grant.access_token.clone());
        self
    }

    pub fn get(&self, path: &str) -> Reply {
        self.try_get(path).expect("an answer")
    }

    pub fn try_get(&self, path: &str) -> Result<Reply, NoAnswer> {
        let authorization = self.bearer.as_ref().map(|token| format!("Bearer {token}"));
        self.send("GET", path, authorization.as_deref(), "", b"")
    }

    /// The body of a 200.
    pub fn json(&self, path: &str) -> Value {
        let reply = self.get(path);
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        reply.json()
    }

    /// A token request with the default app's credentials.
    pub fn token(&self, form: &[(&str, &str)]) -> Result<Reply, NoAnswer> {
        self.token_as("1000001:sandbox-example-secret-not-live", form)
    }

    pub fn token_as(&self, credentials: &str, form: &[(&str, &str)]) -> Result<Reply, NoAnswer> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let authorization = format!("Basic {}", STANDARD.encode(credentials));
        let form = "application/x-www-form-urlencoded";
        self.send("POST", "/v5/oauth/token", Some(&authorization), form, body.as_bytes())
    }

    pub fn control(&self, method: &str, path: &str, body: &Value) -> Reply {
        let body = body.to_string();
        self.send(method, path, None, "application/json", body.as_bytes()).expect("an answer")
    }

    pub fn send(
        &self,
        method: &str,
        path: &str,
        authorization: Option<&str>,
        content_type: &str,
        body: &[u8],
    ) -> Result<Reply, NoAnswer> {
        let socket = TcpStream::connect(("127.0.0.1", self.port)).map_err(failed)?;
        socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        let name = "localhost".try_into().expect("a name");
        let session = ClientConnection::new(Arc::clone(&self.tls), name).expect("a session");
        let mut stream = StreamOwned::new(session, socket);
        let authorization = authorization.map_or_else(String::new, |value| format!("Authorization: {value}\r\n"));
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\nUser-Agent: sandbox-tests\r\n\
             Content-Type: {content_type}\r\nContent-Length: {}\r\n{authorization}\r\n",
            self.port,
            body.len()
        );
        stream.write_all(head.as_bytes()).map_err(failed)?;
        stream.write_all(body).map_err(failed)?;
        read(&mut stream)
    }
}

fn failed(error: std::io::Error) -> NoAnswer {
    NoAnswer(error.kind())
}

fn read(stream: &mut impl std::io::Read) -> Result<Reply, NoAnswer> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 64 << 10];
    let mut failure = None;
    while bytes.len() < MAX_BODY {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Err(NoAnswer(failure.map_or(ErrorKind::UnexpectedEof, |error| error.kind())));
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status line");
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_string()))
        .collect();
    let mut reply =
        Reply { status: status.parse().expect("a number"), headers, body: bytes[end + 4..].to_vec(), is_cut: false };
    let declared = reply.header("content-length").map(|value| value.parse::<usize>().expect("a number"));
    reply.is_cut = failure.is_some() || declared.is_some_and(|length| reply.body.len() < length);
    Ok(reply)
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Status and Pinterest's code.
    pub fn refusal(&self) -> (u16, i64) {
        (self.status, self.json()["code"].as_i64().expect("a code"))
    }
}

/// The path of a URL of this sandbox.
pub fn path_of(sandbox: &Sandbox, address: &Value) -> String {
    let address = address.as_str().expect("an address");
    address.strip_prefix(&sandbox.url()).expect("an address of the sandbox").to_string()
}
