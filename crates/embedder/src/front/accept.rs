//! Accepts connections over a Unix socket.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::UnixListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::answers::ClientNumber;
use super::connection::{self, Peer};
use super::{MAX_CONNECTIONS, Service};
use crate::log;

/// Most lasting errors are a lack of descriptors or memory. Without a pause this would spin.
pub const PAUSE: Duration = Duration::from_millis(100);

/// At most one line in this time tells of refused connections: anyone can cause them.
const QUIET: Duration = Duration::from_secs(1);

/// Lines about connections that were refused.
#[derive(Default)]
pub struct Complaints(Mutex<(Option<Instant>, u64)>);

impl Complaints {
    /// Writes the line, or counts it if another one was written a moment ago.
    pub fn log(&self, line: std::fmt::Arguments<'_>) {
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

/// Serves processes of the same user and of root. Runs until it is dropped.
pub async fn accept<S: Service + Send + Sync + 'static>(
    listener: &UnixListener,
    service: &Arc<S>,
    stopped: &watch::Receiver<bool>,
    connections: &mut JoinSet<()>,
) -> Infallible {
    let user = rustix::process::geteuid().as_raw();
    let complaints = Complaints::default();
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
                let uid = peer.uid();
                complaints.log(format_args!("refused a connection from user {uid}, expected user {user} or 0"));
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
