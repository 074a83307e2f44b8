//! One connection: TLS, HTTP/1.1, and a reset on request.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::dispatch;
use crate::state::State;

/// Time limit for the TLS handshake and for the head of a request.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn serve(stream: TcpStream, acceptor: TlsAcceptor, state: Arc<State>) {
    let reset = Reset::default();
    // Small answers are sent at once. A socket that refuses the option works too.
    let _ = stream.set_nodelay(true);
    let transport = Transport { stream, reset: reset.clone() };
    // Clients that do not trust the authority end the handshake; this is not an error of the sandbox.
    let Ok(Ok(stream)) = tokio::time::timeout(PATIENCE, acceptor.accept(transport)).await else {
        return;
    };
    let service = service_fn(|request| {
        let (state, reset) = (Arc::clone(&state), reset.clone());
        async move { dispatch::respond(state, reset, request).await }
    });
    // An early end was requested by a fault or caused by the client.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Whether the connection ends with a TCP reset instead of an orderly close.
#[derive(Clone, Debug, Default)]
pub(super) struct Reset(Arc<AtomicBool>);

impl Reset {
    pub(super) fn demand(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The TCP stream under TLS.
struct Transport {
    stream: TcpStream,
    reset: Reset,
}

impl Drop for Transport {
    fn drop(&mut self) {
        if self.reset.0.load(Ordering::Relaxed) {
            // With a linger time of zero the kernel sends RST.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Transport {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
