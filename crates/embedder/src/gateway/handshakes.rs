//! How many handshakes are under way, in all and from one address: a client without a certificate can begin
//! any number of them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most at the same time. They do not count as connections, so clients without a certificate take no place of one.
const ALL: usize = 256;

/// The most from one address, so that one machine does not keep others waiting.
const FROM_ONE: usize = 32;

/// The handshakes under way. Clones share the counts.
#[derive(Clone)]
pub struct Handshakes {
    all: Arc<Semaphore>,
    by_source: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A place for a handshake, from any address.
pub struct Place(OwnedSemaphorePermit);

/// A handshake under way.
pub struct Handshake {
    by_source: Arc<Mutex<HashMap<IpAddr, usize>>>,
    source: IpAddr,
    _place: OwnedSemaphorePermit,
}

impl Handshakes {
    pub fn new() -> Self {
        Self { all: Arc::new(Semaphore::new(ALL)), by_source: Arc::default() }
    }

    /// Waits for a place.
    pub async fn place(&self) -> Place {
        let Ok(permit) = Arc::clone(&self.all).acquire_owned().await else {
            unreachable!("the semaphore is never closed: this is a bug");
        };
        Place(permit)
    }

    /// Begins a handshake; `None` if too many from its address are under way.
    pub fn begin(&self, Place(place): Place, address: IpAddr) -> Option<Handshake> {
        let source = source(address);
        let mut by_source = self.by_source.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_source.entry(source).or_default();
        if *count >= FROM_ONE {
            return None;
        }
        *count += 1;
        Some(Handshake { by_source: Arc::clone(&self.by_source), source, _place: place })
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        let mut by_source = self.by_source.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_source.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                by_source.remove(&self.source);
            }
        }
    }
}

/// The part of an address that a client cannot choose: of IPv6, the 48 bits that name the network of a site.
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 80 << 80).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn begin(handshakes: &Handshakes, address: &str) -> Option<Handshake> {
        handshakes.begin(handshakes.place().await, address.parse().unwrap())
    }

    #[tokio::test]
    async fn one_address_leaves_places_for_others() {
        let handshakes = Handshakes::new();
        let mut held = Vec::new();
        for _ in 0..FROM_ONE {
            held.push(begin(&handshakes, "10.0.0.1").await.unwrap());
        }
        assert!(begin(&handshakes, "10.0.0.1").await.is_none());
        // The same address, as a socket for both versions shows it.
        assert!(begin(&handshakes, "::ffff:10.0.0.1").await.is_none());
        assert!(begin(&handshakes, "10.0.0.2").await.is_some());
        assert_eq!(handshakes.all.available_permits(), ALL - FROM_ONE);
        held.pop();
        assert!(begin(&handshakes, "10.0.0.1").await.is_some());
        held.clear();
        assert!(handshakes.by_source.lock().unwrap().is_empty());
        assert_eq!(handshakes.all.available_permits(), ALL);
    }

    #[tokio::test]
    async fn a_site_has_one_network_of_ipv6() {
        let handshakes = Handshakes::new();
        let mut held = Vec::new();
        for host in 0..FROM_ONE {
            held.push(begin(&handshakes, &format!("2001:db8:0:{host:x}::1")).await.unwrap());
        }
        assert!(begin(&handshakes, "2001:db8:0:ffff::1").await.is_none());
        assert!(begin(&handshakes, "2001:db8:1::1").await.is_some());
    }
}
