//! Clients on other machines: their connections over TLS, and who they are.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

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
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Handshakes at the same time. Whoever has no certificate takes only their places.
const HANDSHAKES: usize = 256;

/// At most one line in this time tells of refused connections: anyone can cause them.
const QUIET: Duration = Duration::from_secs(1);

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
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
    let complaints = Arc::new(Complaints::default());
    loop {
        let Ok(handshake) = Arc::clone(&handshakes).acquire_owned().await else {
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
        let (room, complaints) = (Arc::clone(&room), Arc::clone(&complaints));
        connections.spawn(async move {
            let shaken = tokio::time::timeout(HANDSHAKE, shake_hands(stream, &tls, &clients)).await;
            drop(handshake);
            let refused = match (shaken, room.try_acquire_owned()) {
                (Ok(Ok((stream, peer))), Ok(_place)) => return connection::serve(stream, peer, &gateway, stopped).await,
                (Ok(Ok(_)), Err(_)) => format!("{MAX_CONNECTIONS} others are open"),
                (Ok(Err(error)), _) => error.to_string(),
                (Err(_), _) => "no handshake in time".to_owned(),
            };
            complaints.log(format_args!("refused a connection from {address}: {refused}"));
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Lines about connections that were refused.
#[derive(Default)]
struct Complaints(Mutex<(Option<Instant>, u64)>);

impl Complaints {
    /// Writes the line, or counts it if another one was written a moment ago.
    fn log(&self, line: std::fmt::Arguments<'_>) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, left_out) = &mut *last;
        if at.is_some_and(|at| at.elapsed() < QUIET) {
            *left_out += 1;
            return;
        }
        match *left_out {
            0 => log::line(line),
            count => log::line(format_args!("{line}; {count} more since the last such line")),
        }
        (*at, *left_out) = (Some(Instant::now()), 0);
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
