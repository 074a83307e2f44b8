//! Keeps the pool's members equal to the addresses of the listed names.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use embedder::Place;
use tokio::task::AbortHandle;

use super::member::{self, Common};
use super::pool::{MemberId, Status};
use crate::log;
use crate::tls::{Server, Tls};

/// Between two looks at a name's addresses.
const LOOK: Duration = Duration::from_secs(15);
/// Between two looks at a name that has none.
const RETRY: Duration = Duration::from_secs(2);
/// An address that was not found so often in a row is not used any more: an answer may contain a part of them.
const MISSES: u32 = 4;
/// The most addresses of one name that are used.
const MOST: usize = 64;

/// Follows the addresses of one name until it is dropped.
pub async fn follow(common: Arc<Common>, tls: Arc<Tls>, host: String, port: u16) {
    let name = Place::Remote { host: host.clone(), port }.to_string();
    let mut known: HashMap<SocketAddr, Known> = HashMap::new();
    // Stands for the name while it has no address.
    let mut none = Some(common.pool.add(name.clone(), String::new()));
    loop {
        let found =
            tokio::net::lookup_host((host.as_str(), port)).await.map(|found| found.take(MOST).collect::<Vec<_>>());
        let pause = match found {
            Ok(found) if !found.is_empty() => {
                known.retain(|address, member| {
                    member.missed = if found.contains(address) { 0 } else { member.missed + 1 };
                    let kept = member.missed < MISSES;
                    if !kept {
                        common.pool.remove(member.id);
                    }
                    kept
                });
                for address in found {
                    known.entry(address).or_insert_with(|| {
                        let server = Server { tls: Arc::clone(&tls), host: host.clone(), address };
                        start(&common, &name, server)
                    });
                }
                if let Some(id) = none.take() {
                    common.pool.remove(id);
                }
                LOOK
            }
            // What is known stays in use: the servers of names have faults too.
            _ if !known.is_empty() => RETRY,
            found => {
                let why = found.err().map_or_else(|| "it has no address".to_owned(), |error| error.to_string());
                let id = *none.get_or_insert_with(|| common.pool.add(name.clone(), String::new()));
                if !matches!(common.pool.status(id), Some(Status::Unreachable(_))) {
                    log::line(format_args!("embedder {name}: could not look up its address: {why}"));
                }
                common.pool.set(id, Status::Unreachable(format!("could not look up its address: {why}")));
                RETRY
            }
        };
        if host.parse::<std::net::IpAddr>().is_ok() && !known.is_empty() {
            // It is an address itself.
            return std::future::pending().await;
        }
        tokio::time::sleep(pause).await;
    }
}

/// An address of a name.
struct Known {
    id: MemberId,
    /// How often it was not among those that were found.
    missed: u32,
    _task: AbortOnDrop,
}

fn start(common: &Arc<Common>, name: &str, server: Server) -> Known {
    let id = common.pool.add(name.to_owned(), server.address.to_string());
    let label =
        if name == server.address.to_string() { name.to_owned() } else { format!("{name} ({})", server.address) };
    let common = Arc::clone(common);
    let task = tokio::spawn(async move { member::run(&common, id, &label, &server, None).await });
    Known { id, missed: 0, _task: AbortOnDrop(task.abort_handle()) }
}

/// A task that ends with its owner.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
