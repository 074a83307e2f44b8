//! The HTTP proxy, and the reason if it does not open a connection.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use reqwest::dns::Resolve;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::address_rule::{AddressRule, RefusedAddress};
use super::host::Host;
use super::resolver::GuardedResolver;
use crate::error::{Error, ErrorKind, Redactor};
use crate::private_file;

/// A proxy and how to use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Its address.
    pub address: ProxyAddress,
    /// A private file with one line, `user:password`.
    pub credentials_file: Option<PathBuf>,
    /// Hosts that are reached without the proxy.
    pub bypass: Vec<Host>,
}

/// `http://host:port` or `https://host:port`: the protocol of the proxy itself. All requests through it are https.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyAddress {
    tls: bool,
    host: Host,
}

impl ProxyAddress {
    /// Its host and port.
    pub fn host(&self) -> &Host {
        &self.host
    }
}

impl FromStr for ProxyAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        // The error does not repeat the text, which may contain a password.
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            "" => return config("a proxy must be written as http://host:port or https://host:port"),
            _ => return config("a proxy must use http or https; SOCKS is not supported"),
        };
        if rest.contains('@') {
            return config("a proxy's address must not contain a user and password, which belong in a file");
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let host: Host = rest.parse()?;
        if !rest.ends_with(&format!(":{}", host.port())) {
            return config("a proxy must be written with its port");
        }
        if host.address().is_some_and(|address| !AddressRule::Proxy.permits(address)) {
            return config("the proxy has an address that is never contacted");
        }
        Ok(Self { tls, host })
    }
}

impl fmt::Display for ProxyAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(formatter, "{scheme}://{}:{}", self.host.name(), self.host.port())
    }
}

/// Reads `user:password` from a private file and returns the header with these credentials.
///
/// # Errors
/// [`ErrorKind::ProxyCredentials`] with the file and the violated rule, never with its content.
pub(crate) fn read_credentials(path: &Path) -> Result<HeaderValue, Error> {
    private_file::read(path).and_then(|text| header(&text).map_err(str::to_owned)).map_err(|rule| {
        Error::new(ErrorKind::ProxyCredentials, format!("proxy credentials file {}: {rule}", path.display()))
    })
}

/// RFC 7617: the user ends at the first colon, and no part contains a control character.
fn header(text: &str) -> Result<HeaderValue, &'static str> {
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    match line.split_once(':') {
        Some((user, _)) if !user.is_empty() => {}
        _ => return Err("it must have one line with a user, a colon and a password"),
    }
    if line.chars().any(char::is_control) {
        return Err("it has more than one line or a control character");
    }
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(line)));
    let mut header = HeaderValue::from_str(&text).map_err(|_| "it cannot be sent in a header")?;
    header.set_sensitive(true);
    Ok(header)
}

/// Bytes of an answer that are read for its first line.
const FIRST_LINE: usize = 1024;

/// Requests connections from a proxy to find the reason of a failure, which the HTTP library reports as text only.
pub(crate) struct Inquiry {
    pub(crate) address: ProxyAddress,
    pub(crate) resolver: Arc<GuardedResolver>,
    /// For an https proxy.
    pub(crate) tls: Arc<ClientConfig>,
    /// For connecting to the proxy, and again for its answer.
    pub(crate) limit: Duration,
}

impl Inquiry {
    /// Checks that the proxy opens a connection to `target`, and closes it.
    ///
    /// # Errors
    /// [`ErrorKind::Proxy`] if it cannot be reached or is not a proxy, [`ErrorKind::ProxyTunnel`] if it does not answer (it
    /// may wait for `target`) or its answer may concern `target`, [`ErrorKind::ProxyCredentials`] if it requires other
    /// credentials, [`ErrorKind::ProxyRefused`] if it does not allow the connection, [`ErrorKind::Unreachable`] if it could
    /// not reach `target`.
    pub(crate) async fn ask(&self, target: &Host, credentials: Option<&HeaderValue>) -> Result<(), Error> {
        let status = self.status(target, credentials).await?;
        self.judge(status, target, credentials.is_some())
    }

    fn judge(&self, status: u16, target: &Host, with_credentials: bool) -> Result<(), Error> {
        let target = format!("{}:{}", target.name(), target.port());
        match status {
            200..300 => Ok(()),
            // Some proxies answer 401 to wrong credentials.
            401 | 407 => {
                let what = if with_credentials {
                    "does not accept the user and password"
                } else {
                    "requires a user and a password"
                };
                Err(self.error(ErrorKind::ProxyCredentials, format!("{what} ({status})")))
            }
            400..500 => {
                Err(self.error(ErrorKind::ProxyRefused, format!("does not allow connections to {target} ({status})")))
            }
            500.. => Err(self.error(ErrorKind::Unreachable, format!("could not connect to {target} ({status})"))),
            // Some proxies redirect to a page with the reason why they forbid a host.
            _ => {
                let what = format!("answers a request for a connection to {target} with {status}");
                Err(self.error(ErrorKind::ProxyTunnel, what))
            }
        }
    }

    /// The status of the answer to CONNECT.
    async fn status(&self, target: &Host, credentials: Option<&HeaderValue>) -> Result<u16, Error> {
        let begun = Instant::now();
        let stream = self.dial().await?;
        if !self.address.tls {
            return self.connect_in_time(stream, target, credentials).await;
        }
        let name = self.address.host.name();
        let name = ServerName::try_from(name.trim_start_matches('[').trim_end_matches(']').to_owned())
            .map_err(|_| self.trouble("has a name that a certificate cannot have".to_owned()))?;
        let handshake = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream);
        let stream = tokio::time::timeout_at(begun + self.limit, handshake)
            .await
            .map_err(|_| self.trouble(format!("does not complete the TLS handshake within {:?}", self.limit)))?
            .map_err(|error| self.trouble(format!("cannot be reached by TLS: {}", clean(&error))))?;
        self.connect_in_time(stream, target, credentials).await
    }

    async fn connect_in_time(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        target: &Host,
        credentials: Option<&HeaderValue>,
    ) -> Result<u16, Error> {
        match tokio::time::timeout(self.limit, self.connect(stream, target, credentials)).await {
            Ok(status) => status,
            Err(_) => {
                let what = format!("does not answer within {:?} when asked for a connection to {target}", self.limit);
                Err(self.error(ErrorKind::ProxyTunnel, what))
            }
        }
    }

    async fn dial(&self) -> Result<TcpStream, Error> {
        let host = &self.address.host;
        let addresses: Vec<SocketAddr> = match host.address() {
            Some(address) => vec![SocketAddr::new(address, host.port())],
            None => {
                let name = host.name().parse().map_err(|_| self.trouble("has an invalid host name".to_owned()))?;
                let found = self.resolver.resolve(name).await;
                let found = found.map_err(|error| match error.downcast::<RefusedAddress>() {
                    Ok(refused) => self.trouble(format!("cannot be reached: {refused}")),
                    Err(error) => self.trouble(format!("cannot be reached: {}", clean(&error))),
                })?;
                found.map(|address| SocketAddr::new(address.ip(), host.port())).collect()
            }
        };
        let share = self.limit / u32::try_from(addresses.len().max(1)).unwrap_or(1);
        let mut reason = "it has no address".to_owned();
        for address in addresses {
            match tokio::time::timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => reason = clean(&error),
                Err(_) => reason = "connection timed out".to_owned(),
            }
        }
        Err(self.trouble(format!("cannot be reached: {reason}")))
    }

    /// RFC 9110, section 9.3.6.
    async fn connect(
        &self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
        target: &Host,
        credentials: Option<&HeaderValue>,
    ) -> Result<u16, Error> {
        let target = format!("{}:{}", target.name(), target.port());
        let mut request = Zeroizing::new(Vec::with_capacity(1024));
        request.extend_from_slice(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").as_bytes());
        if let Some(credentials) = credentials {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(credentials.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        let broken = |error: io::Error| match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => self.closed(),
            _ => self.error(ErrorKind::ProxyTunnel, format!("lost the connection: {}", clean(&error))),
        };
        stream.write_all(&request).await.map_err(broken)?;
        stream.flush().await.map_err(broken)?;
        let mut answer = Vec::new();
        while !answer.contains(&b'\n') && answer.len() < FIRST_LINE {
            let mut piece = [0; 256];
            match stream.read(&mut piece).await.map_err(broken)? {
                0 if answer.is_empty() => return Err(self.closed()),
                0 => break,
                length => answer.extend_from_slice(&piece[..length]),
            }
        }
        read_status(&answer).ok_or_else(|| self.trouble("does not answer as an HTTP proxy does".to_owned()))
    }

    fn closed(&self) -> Error {
        self.error(ErrorKind::ProxyTunnel, "closes the connection without an answer".to_owned())
    }

    /// The error for a connection to `target` that the proxy opened and that failed with `seen`.
    pub(crate) fn lost(&self, target: &Host, seen: &Error) -> Error {
        self.error(ErrorKind::ProxyTunnel, format!("opened a connection to {target} that failed: {seen}"))
    }

    /// An error of the proxy itself, for any host.
    fn trouble(&self, what: String) -> Error {
        self.error(ErrorKind::Proxy, what)
    }

    fn error(&self, kind: ErrorKind, what: String) -> Error {
        Error::new(kind, format!("the proxy {} {what}", self.address))
    }
}

/// Of `HTTP/1.1 200 Connection established`.
fn read_status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|&byte| byte == b'\n').next()?;
    let rest = line.strip_prefix(b"HTTP/1.")?.get(1..)?.strip_prefix(b" ")?;
    let (digits, behind) = rest.split_at_checked(3)?;
    let ends = behind.first().is_none_or(|byte| matches!(byte, b' ' | b'\r'));
    let status = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    ends.then(|| status.parse().ok())?
}

fn clean(error: &dyn fmt::Display) -> String {
    Redactor::default().clean(&error.to_string())
}

fn config<T>(rule: &str) -> Result<T, Error> {
    Err(Error::new(ErrorKind::Config, rule))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn reads_addresses() {
        for (text, shown) in [
            ("http://proxy.internal:3128", "http://proxy.internal:3128"),
            ("HTTP://Proxy.Internal:3128/", "http://proxy.internal:3128"),
            ("https://proxy.internal:443", "https://proxy.internal:443"),
            ("http://10.0.0.1:80", "http://10.0.0.1:80"),
            ("http://[fd00::1]:3128", "http://[fd00::1]:3128"),
            ("http://localhost:8888", "http://localhost:8888"),
        ] {
            assert_eq!(text.parse::<ProxyAddress>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn refuses_others_without_repeating_them() {
        for (text, rule) in [
            ("", "written as http://host:port"),
            ("proxy.internal:3128", "written as http://host:port"),
            ("socks5://proxy.internal:1080", "SOCKS is not supported"),
            ("http://proxy.internal", "with its port"),
            ("http://[fd00::443]", "with its port"),
            ("http://anna:canary@proxy.internal:3128", "not contain a user and password"),
            ("http://proxy.internal:3128/path", "a port must be a number"),
            ("http://proxy.internal:3128?x", "a port must be a number"),
            ("http://canary_x:3128", "only ASCII letters"),
            ("http://169.254.169.254:80", "never contacted"),
            ("http://0.0.0.0:3128", "never contacted"),
        ] {
            let error = text.parse::<ProxyAddress>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{text}");
            assert!(error.to_string().contains(rule) && !error.to_string().contains("canary"), "{text}: {error}");
        }
    }

    #[test]
    fn credentials_are_a_line_of_a_private_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("proxy");
        let write = |text: &str, mode| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        for text in ["anna:s3cret", "anna:s3cret\n", "anna:s3cret\r\n"] {
            write(text, 0o600);
            let header = read_credentials(&path).unwrap();
            assert_eq!(header, "Basic YW5uYTpzM2NyZXQ=");
            assert!(header.is_sensitive());
        }
        write("anna:", 0o600);
        assert_eq!(read_credentials(&path).unwrap(), "Basic YW5uYTo=");
        write("anna:mü:# x", 0o600);
        assert_eq!(read_credentials(&path).unwrap(), "Basic YW5uYTptw7w6IyB4");
        for (text, mode, rule) in [
            ("", 0o600, "a user, a colon and a password"),
            ("canary", 0o600, "a user, a colon and a password"),
            (":canary", 0o600, "a user, a colon and a password"),
            ("canary:x\ncanary:y\n", 0o600, "more than one line"),
            ("canary:x", 0o644, "group and others"),
        ] {
            write(text, mode);
            let error = read_credentials(&path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ProxyCredentials);
            assert!(error.to_string().contains(rule) && !error.to_string().contains("canary"), "{error}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(read_credentials(&path).unwrap_err().to_string().contains("cannot be opened"));
    }

    #[test]
    fn a_status_line_is_read_or_nothing() {
        for (answer, expected) in [
            (&b"HTTP/1.1 200 Connection established\r\n\r\n"[..], Some(200)),
            (b"HTTP/1.0 200\r\n", Some(200)),
            (b"HTTP/1.1 407 Proxy Authentication Required\r\n", Some(407)),
            (b"HTTP/1.1 200", Some(200)),
            (b"HTTP/1.1 2000 OK\r\n", None),
            (b"HTTP/1.1 +20 OK\r\n", None),
            (b"HTTP/2 200\r\n", None),
            (b"SSH-2.0-OpenSSH_9.2\r\n", None),
            (b"<html>", None),
            (b"", None),
        ] {
            assert_eq!(read_status(answer), expected, "{answer:?}");
        }
    }
}
