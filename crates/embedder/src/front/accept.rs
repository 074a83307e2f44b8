//! Accepts connections over a Unix socket.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::answers::ClientNumber;
use super::connection::{self, Peer};
use super::{MAX_CONNECTIONS, Service};
use crate::log;

/// Most lasting errors are a lack of descriptors or memory. Without a pause this would spin.
pub const PAUSE: Duration = Duration::from_millis(100);

/// Serves processes of the same user and of root. Runs until it is dropped.
pub async fn accept<S: Service + Send + Sync + 'static>(
    listener: &UnixListener,
    service: &Arc<S>,
    stopped: &watch::Receiver<bool>,
    connections: &mut JoinSet<()>,
) -> Infallible {
    let user = rustix::process::geteuid().as_raw();
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    for number in (0..).map(ClientNumber) {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            unreachable!("the semaphore is never closed: this is a bug");
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                log::line(format_args!("could not accept a connection: {error}"));
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        match stream.peer_cred() {
            Ok(peer) if [user, 0].contains(&peer.uid()) => {}
            Ok(peer) => {
                log::line(format_args!("refused a connection from user {}, expected user {user} or 0", peer.uid()));
                continue;
            }
            Err(error) => {
                log::line(format_args!("refused a connection from an unknown user: {error}"));
                continue;
            }
        }
        let (service, stopped) = (Arc::clone(service), stopped.clone());
        connections.spawn(async move {
            connection::serve(stream, Peer::single(number, S::MAX_IN_FLIGHT), &*service, stopped).await;
            drop(permit);
        });
        while connections.try_join_next().is_some() {}
    }
    unreachable!("more connections than numbers: this is a bug")
}
