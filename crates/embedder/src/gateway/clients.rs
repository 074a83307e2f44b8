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

use super::handshakes::Handshakes;
use super::service::Gateway;
use crate::front::MAX_CONNECTIONS;
use crate::front::accept::{Complaints, PAUSE};
use crate::front::answers::ClientNumber;
use crate::front::connection::{self, Peer};
use crate::front::share;
use crate::log;
use crate::tls::{self, Tls};

/// The time that a client has for the handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// The most connections of one client.
const CONNECTIONS: usize = 64;

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
    clients: HashMap<[u8; 32], Weak<Client>>,
    next: u64,
}

/// A client, as long as it has a connection.
struct Client {
    number: ClientNumber,
    places: Arc<Semaphore>,
    share: Arc<Semaphore>,
    connections: Arc<Semaphore>,
}

impl Clients {
    pub fn new(limit: usize, drain: Duration) -> Self {
        Self { limit, drain, known: Mutex::default() }
    }

    /// The client with this certificate.
    fn find(&self, certificate: &CertificateDer<'_>) -> Arc<Client> {
        let digest = Sha256::digest(certificate).into();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.clients.retain(|_, client| client.strong_count() > 0);
        if let Some(client) = known.clients.get(&digest).and_then(Weak::upgrade) {
            return client;
        }
        let client = Arc::new(Client {
            number: ClientNumber(FIRST + known.next),
            places: Arc::new(Semaphore::new(self.limit)),
            share: share(),
            connections: Arc::new(Semaphore::new(CONNECTIONS)),
        });
        known.next += 1;
        known.clients.insert(digest, Arc::downgrade(&client));
        client
    }

    fn peer(&self, client: &Client) -> Peer {
        Peer {
            number: client.number,
            places: Arc::clone(&client.places),
            share: Some(Arc::clone(&client.share)),
            drain: self.drain,
        }
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
    let handshakes = Handshakes::new();
    let complaints = Arc::new(Complaints::default());
    loop {
        let place = handshakes.place().await;
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                log::line(format_args!("could not accept a connection: {error}"));
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Some(handshake) = handshakes.begin(place, address.ip()) else {
            complaints.log(format_args!("refused a connection from {address}: too many others from there have begun"));
            continue;
        };
        let (tls, clients, gateway, stopped) = (Arc::clone(tls), Arc::clone(clients), gateway.clone(), stopped.clone());
        let (room, complaints) = (Arc::clone(&room), Arc::clone(&complaints));
        connections.spawn(async move {
            let shaken = tokio::time::timeout(HANDSHAKE, shake_hands(stream, &tls, &clients)).await;
            drop(handshake);
            let refused = match shaken {
                Ok(Ok((stream, client))) => {
                    match (Arc::clone(&client.connections).try_acquire_owned(), room.try_acquire_owned()) {
                        (Ok(_of_client), Ok(_place)) => {
                            return connection::serve(stream, clients.peer(&client), &gateway, stopped).await;
                        }
                        (Err(_), _) => format!("its certificate has {CONNECTIONS} others open"),
                        (_, Err(_)) => format!("{MAX_CONNECTIONS} others are open"),
                    }
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no handshake in time".to_owned(),
            };
            complaints.log(format_args!("refused a connection from {address}: {refused}"));
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn shake_hands(
    stream: TcpStream,
    tls: &Tls,
    clients: &Clients,
) -> std::io::Result<(tokio_rustls::server::TlsStream<TcpStream>, Arc<Client>)> {
    tls::prepare(&stream)?;
    let stream = TlsAcceptor::from(tls.server()).accept(stream).await?;
    let connection = stream.get_ref().1;
    if connection.alpn_protocol() != Some(tls::PROTOCOL) {
        return Err(std::io::Error::other("it speaks another protocol"));
    }
    let certificate = connection.peer_certificates().and_then(<[_]>::first);
    let client = clients.find(certificate.ok_or_else(|| std::io::Error::other("it has no certificate"))?);
    Ok((stream, client))
}
