//! An HTTPS server on a free loopback port, with answers chosen by the test.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use crate::certificates::Authority;

/// A request.
#[derive(Clone, Debug)]
pub struct Received {
    /// Such as `GET /v5/boards?page_size=250`.
    pub target: String,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// An answer: pieces, each written and flushed separately, and the action after them.
pub struct Reply {
    pub pieces: Vec<Vec<u8>>,
    pub between: Duration,
    pub then: Then,
}

/// The action after the last piece.
pub enum Then {
    /// Close the connection with TLS's `close_notify`.
    Close,
    /// Close the connection without `close_notify`.
    Cut,
    /// Keep the connection open and send nothing.
    Hang,
    /// Repeat the last piece without end.
    Repeat,
}

impl Reply {
    pub fn whole(bytes: impl Into<Vec<u8>>) -> Self {
        Self { pieces: vec![bytes.into()], between: Duration::ZERO, then: Then::Close }
    }
}

type Handler = Arc<dyn Fn(&Received) -> Reply + Send + Sync>;

pub struct Server {
    pub port: u16,
    pub authority: Authority,
    received: Arc<Mutex<Vec<Received>>>,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Server {
    /// Answers every request with `handler`, with a valid certificate.
    pub async fn start(handler: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let authority = Authority::new();
        let config = authority.leaf(&["localhost", "127.0.0.1"]);
        Self::start_with(authority, config, handler).await
    }

    pub async fn start_with(
        authority: Authority,
        config: ServerConfig,
        handler: impl Fn(&Received) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start_at("127.0.0.1:0", authority, config, handler).await
    }

    /// Listens at an address of this machine, with a port or 0 for any free port.
    pub async fn start_at(
        address: &str,
        authority: Authority,
        config: ServerConfig,
        handler: impl Fn(&Received) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap_or_else(|error| panic!("{address}: {error}"));
        let port = listener.local_addr().unwrap().port();
        let received = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let handler: Handler = Arc::new(handler);
        let task = tokio::spawn({
            let (received, connections) = (Arc::clone(&received), Arc::clone(&connections));
            async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    connections.fetch_add(1, Ordering::SeqCst);
                    let (acceptor, handler, received) = (acceptor.clone(), Arc::clone(&handler), Arc::clone(&received));
                    tokio::spawn(async move {
                        // A client that rejects the certificate or closes early is not an error of the server.
                        if let Ok(stream) = acceptor.accept(stream).await {
                            let _ = serve(stream, handler, received).await;
                        }
                    });
                }
            }
        });
        Self { port, authority, received, connections, task }
    }

    /// The requests so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Number of connections so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>,
    handler: Handler,
    received: Arc<Mutex<Vec<Received>>>,
) -> std::io::Result<()> {
    let request = read_request(&mut stream).await?;
    received.lock().unwrap().push(request.clone());
    let reply = handler(&request);
    for piece in &reply.pieces {
        stream.write_all(piece).await?;
        stream.flush().await?;
        if !reply.between.is_zero() {
            tokio::time::sleep(reply.between).await;
        }
    }
    match reply.then {
        Then::Close => stream.shutdown().await,
        Then::Cut => Ok(()),
        Then::Hang => std::future::pending().await,
        Then::Repeat => loop {
            stream.write_all(reply.pieces.last().unwrap()).await?;
            stream.flush().await?;
            tokio::time::sleep(reply.between).await;
        },
    }
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Received> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        bytes.push(stream.read_u8().await?);
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let target = lines.next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
    let headers: Vec<_> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let mut request = Received { target, headers, body: String::new() };
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    request.body = String::from_utf8(body).unwrap();
    Ok(request)
}
