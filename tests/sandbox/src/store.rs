//! A plain object store over https: it returns objects byte by byte, with the headers that were stored with them.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

/// The answer to a GET of one path.
#[derive(Clone, Debug)]
pub struct Object {
    /// The path as it is sent over the wire, percent-encoded.
    pub path: String,
    /// The status and its reason, such as `200 OK`.
    pub status: String,
    /// Header lines with their line ends, in addition to `content-length` and `connection`.
    pub headers: Vec<u8>,
    /// The body.
    pub body: Vec<u8>,
}

impl Object {
    /// An image with header lines, which need not be text.
    pub fn picture(path: &str, headers: &[u8], body: &[u8]) -> Self {
        Self { path: path.into(), status: "200 OK".into(), headers: headers.into(), body: body.into() }
    }

    /// A redirect to these bytes.
    pub fn redirect(path: &str, location: &[u8]) -> Self {
        let headers = [b"location: ", location, b"\r\n"].concat();
        Self { path: path.into(), status: "302 Found".into(), headers, body: Vec::new() }
    }
}

/// A running store. Its thread ends when this is dropped.
#[derive(Debug)]
pub struct Store {
    address: IpAddr,
    port: u16,
    authority: String,
    received: Arc<Mutex<Vec<String>>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Store {
    /// Serves objects at an address of this machine, under a certificate for these names.
    ///
    /// # Errors
    /// If the address cannot be bound or the certificate cannot be made.
    pub fn start(address: IpAddr, names: &[&str], objects: Vec<Object>) -> io::Result<Self> {
        let listener = TcpListener::bind((address, 0))?;
        let port = listener.local_addr()?.port();
        let (authority, config) = certificate(names).map_err(io::Error::other)?;
        let received = Arc::<Mutex<Vec<String>>>::default();
        let (objects, config, ends) = (Arc::new(objects), Arc::new(config), Arc::<AtomicBool>::default());
        let thread = std::thread::spawn({
            let (received, ends) = (Arc::clone(&received), Arc::clone(&ends));
            move || {
                for stream in listener.incoming().flatten() {
                    if ends.load(Ordering::SeqCst) {
                        return;
                    }
                    let (objects, config, received) =
                        (Arc::clone(&objects), Arc::clone(&config), Arc::clone(&received));
                    std::thread::spawn(move || drop(serve(stream, config, &objects, &received)));
                }
            }
        });
        Ok(Self { address, port, authority, received, ends, thread: Some(thread) })
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its certificate authority in PEM.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The paths that were requested, in order.
    pub fn received(&self) -> Vec<String> {
        self.received.lock().map(|received| received.clone()).unwrap_or_default()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        // The connection wakes the thread.
        let woken = TcpStream::connect((self.address, self.port));
        if let (Ok(_), Some(thread)) = (woken, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

fn certificate(names: &[&str]) -> Result<(String, ServerConfig), Box<dyn std::error::Error + Send + Sync>> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let leaf = CertificateParams::new(names)?.signed_by(&key, &authority)?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())?;
    Ok((authority.pem(), config))
}

fn serve(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    objects: &[Object],
    received: &Mutex<Vec<String>>,
) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    while line.trim_end() != "" {
        line.clear();
        stream.read_line(&mut line)?;
    }
    if let Ok(mut received) = received.lock() {
        received.push(path.clone());
    }
    let missing = Object { path: String::new(), status: "404 Not Found".into(), headers: Vec::new(), body: Vec::new() };
    let object = objects.iter().find(|object| object.path == path).unwrap_or(&missing);
    let length = object.body.len();
    let head = format!("HTTP/1.1 {}\r\ncontent-length: {length}\r\nconnection: close\r\n", object.status);
    let mut stream = stream.into_inner();
    stream.write_all(&[head.as_bytes(), &object.headers, b"\r\n", &object.body].concat())?;
    stream.conn.send_close_notify();
    stream.flush()?;
    stream.sock.shutdown(Shutdown::Write)
}
