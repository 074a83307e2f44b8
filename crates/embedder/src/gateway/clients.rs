//! Clients on other machines: their connections over TLS, and who they are.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::service::Gateway;
use crate::front::MAX_CONNECTIONS;
use crate::front::accept::PAUSE;
use crate::front::answers::ClientNumber;
use crate::front::connection::{self, Peer};
use crate::log;
use crate::tls::Tls;

/// The time that a client has for the handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The first number of a client over TLS; connections over a Unix socket count from 0 on.
const FIRST: u64 = 1 << 63;

/// The clients that are connected, by their certificates.
pub struct Clients {
    /// The most requests in flight of one client, over all of its connections.
    limit: usize,
    /// For how long requests in flight are answered when the server ends.
    drain: Duration,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    places: HashMap<[u8; 32], (ClientNumber, Weak<Semaphore>)>,
    next: u64,
}

impl Clients {
    pub fn new(limit: usize, drain: Duration) -> Self {
        Self { limit, drain, known: Mutex::default() }
    }

    /// The client with this certificate.
    fn peer(&self, certificate: &CertificateDer<'_>) -> Peer {
        let digest = Sha256::digest(certificate).into();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.places.retain(|_, (_, places)| places.strong_count() > 0);
        if let Some((number, places)) = known.places.get(&digest)
            && let Some(places) = places.upgrade()
        {
            return Peer { number: *number, places, drain: self.drain };
        }
        let (number, places) = (ClientNumber(FIRST + known.next), Arc::new(Semaphore::new(self.limit)));
        known.next += 1;
        known.places.insert(digest, (number, Arc::downgrade(&places)));
        Peer { number, places, drain: self.drain }
    }
}

/// Serves clients whose certificates an authority has signed. Runs until it is dropped.
pub async fn accept(
    listener: &TcpListener,
    tls: &Arc<Tls>,
    clients: &Arc<Clients>,
    gateway: &Gateway,
    stopped: &watch::Receiver<bool>,
    connections: &mut JoinSet<()>,
) -> Infallible {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            unreachable!("the semaphore is never closed: this is a bug");
        };
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                log::line(format_args!("could not accept a connection: {error}"));
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let (tls, clients, gateway, stopped) = (Arc::clone(tls), Arc::clone(clients), gateway.clone(), stopped.clone());
        connections.spawn(async move {
            match tokio::time::timeout(HANDSHAKE, shake_hands(stream, &tls, &clients)).await {
                Ok(Ok((stream, peer))) => connection::serve(stream, peer, &gateway, stopped).await,
                Ok(Err(error)) => log::line(format_args!("refused a connection from {address}: {error}")),
                Err(_) => log::line(format_args!("refused a connection from {address}: no handshake in time")),
            }
            drop(permit);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn shake_hands(
    stream: TcpStream,
    tls: &Tls,
    clients: &Clients,
) -> std::io::Result<(tokio_rustls::server::TlsStream<TcpStream>, Peer)> {
    stream.set_nodelay(true)?;
    let stream = TlsAcceptor::from(tls.server()).accept(stream).await?;
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let peer = clients.peer(certificate.ok_or_else(|| std::io::Error::other("it has no certificate"))?);
    Ok((stream, peer))
}
