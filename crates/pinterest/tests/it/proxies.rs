//! Fake proxies, each with one behaviour.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// The behaviour at a request for a connection.
#[derive(Clone)]
pub enum Does {
    /// Connects to this port of 127.0.0.1, whatever the host.
    Open(u16),
    /// Writes this and closes.
    Say(&'static [u8]),
    /// Closes the connection before the request is read.
    Close,
    /// Sends nothing.
    Hang,
    /// Writes this for the first request, and connects later ones to this port.
    First(&'static [u8], u16),
}

/// A proxy on loopback.
pub struct FakeProxy {
    pub port: u16,
    heads: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl FakeProxy {
    pub async fn start(does: Does) -> Self {
        Self::start_with(does, None).await
    }

    /// With TLS if a certificate is given.
    pub async fn start_with(does: Does, tls: Option<ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (heads, connections) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicUsize>::default());
        let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        let task = tokio::spawn({
            let (heads, connections) = (Arc::clone(&heads), Arc::clone(&connections));
            async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let number = connections.fetch_add(1, Ordering::SeqCst);
                    let (does, heads, acceptor) = (does.clone(), Arc::clone(&heads), acceptor.clone());
                    tokio::spawn(async move {
                        match acceptor {
                            None => serve(stream, does, number, heads).await,
                            Some(acceptor) => match acceptor.accept(stream).await {
                                Ok(stream) => serve(stream, does, number, heads).await,
                                Err(error) => Err(error),
                            },
                        }
                    });
                }
            }
        });
        Self { port, heads, connections, task }
    }

    /// The heads of the requests so far.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for FakeProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    does: Does,
    number: usize,
    heads: Arc<Mutex<Vec<String>>>,
) -> std::io::Result<()> {
    if matches!(does, Does::Close) {
        return Ok(());
    }
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    heads.lock().unwrap().push(String::from_utf8(head).unwrap());
    let port = match does {
        Does::Open(port) => port,
        Does::First(_, port) if number > 0 => port,
        Does::Say(answer) | Does::First(answer, _) => {
            stream.write_all(answer).await?;
            return stream.shutdown().await;
        }
        Does::Close => return Ok(()),
        Does::Hang => return std::future::pending().await,
    };
    let mut target = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    stream.flush().await?;
    copy_bidirectional(&mut stream, &mut target).await.map(drop)
}
