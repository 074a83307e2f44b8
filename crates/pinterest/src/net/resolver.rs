//! Name lookup with a check of the addresses. Exactly the checked addresses are contacted, so a name that changes its
//! addresses between check and use gains nothing.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;

use super::address_rule::{AddressRule, RefusedAddress};

/// The result of a [`LookUp`], as a boxed future.
pub type LookUpFuture = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Finds the addresses of a host name. They are checked before use.
pub trait LookUp: Send + Sync {
    /// All addresses of `host`, a DNS name in lower case.
    fn look_up(&self, host: String) -> LookUpFuture;
}

/// The operating system's `getaddrinfo`, on the runtime's blocking threads.
///
/// It cannot be cancelled once it runs, so at most four run at a time; further lookups wait, and their wait counts against
/// their own time limit. A runtime whose thread must not hang at the end should be ended with `shutdown_background`.
#[derive(Clone, Debug)]
pub struct SystemLookUp {
    running: Arc<Semaphore>,
}

impl Default for SystemLookUp {
    fn default() -> Self {
        Self { running: Arc::new(Semaphore::new(4)) }
    }
}

impl LookUp for SystemLookUp {
    fn look_up(&self, host: String) -> LookUpFuture {
        let running = Arc::clone(&self.running);
        Box::pin(async move {
            let permit = running.acquire_owned().await.map_err(io::Error::other)?;
            let blocking = tokio::task::spawn_blocking(move || {
                // Released when getaddrinfo returns, not when the caller stops waiting.
                let _permit = permit;
                Ok((host.as_str(), 0).to_socket_addrs()?.map(|address| address.ip()).collect())
            });
            blocking.await.map_err(io::Error::other)?
        })
    }
}

/// The HTTP client's resolver: looks up only configured hosts, within a time limit, and drops every address that the host
/// may not have.
pub(crate) struct GuardedResolver {
    look_up: Arc<dyn LookUp>,
    /// Names in lower case, and which addresses each may have.
    rules: Vec<(String, AddressRule)>,
    limit: Duration,
}

impl GuardedResolver {
    pub(crate) fn new(look_up: Arc<dyn LookUp>, rules: Vec<(String, AddressRule)>, limit: Duration) -> Self {
        Self { look_up, rules, limit }
    }

    fn rule(&self, name: &str) -> Option<AddressRule> {
        self.rules.iter().find(|(known, _)| known == name).map(|(_, rule)| rule.clone())
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_ascii_lowercase();
        let Some(rule) = self.rule(&host) else {
            return Box::pin(async move { Err(RefusedAddress { host, refused: Vec::new() }.into()) });
        };
        let answer = self.look_up.look_up(host.clone());
        let limit = self.limit;
        Box::pin(async move {
            let addresses = tokio::time::timeout(limit, answer).await.map_err(|_| {
                io::Error::new(io::ErrorKind::TimedOut, format!("looking up {host} took longer than {limit:?}"))
            })??;
            let (permitted, refused): (Vec<_>, Vec<_>) =
                addresses.into_iter().partition(|&address| rule.permits(address));
            if permitted.is_empty() {
                return Err(RefusedAddress { host, refused }.into());
            }
            // The connector replaces port 0 by the URL's port.
            let addresses: Addrs = Box::new(permitted.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(&'static [&'static str]);

    impl LookUp for Fixed {
        fn look_up(&self, _: String) -> LookUpFuture {
            let addresses = self.0.iter().map(|text| text.parse().unwrap()).collect();
            Box::pin(async move { Ok(addresses) })
        }
    }

    struct Hangs;

    impl LookUp for Hangs {
        fn look_up(&self, _: String) -> LookUpFuture {
            Box::pin(std::future::pending())
        }
    }

    async fn resolve(
        look_up: impl LookUp + 'static,
        host: &str,
    ) -> Result<Vec<String>, Box<dyn std::error::Error + Send + Sync>> {
        let within = AddressRule::Within(vec!["10.0.0.0/8".parse().unwrap()]);
        let rules =
            [("i.pinimg.com", AddressRule::Public), ("localhost", AddressRule::Loopback), ("minio.internal", within)];
        let rules = rules.map(|(name, rule)| (name.to_owned(), rule)).into();
        let resolver = GuardedResolver::new(Arc::new(look_up), rules, Duration::from_millis(20));
        Ok(resolver.resolve(host.parse().unwrap()).await?.map(|address| address.ip().to_string()).collect())
    }

    #[tokio::test]
    async fn private_addresses_are_dropped() {
        let answer = resolve(Fixed(&["10.0.0.1", "151.101.0.84", "::1", "169.254.169.254"]), "i.pinimg.com").await;
        assert_eq!(answer.unwrap(), ["151.101.0.84"]);
    }

    #[tokio::test]
    async fn a_name_without_permitted_addresses_is_refused() {
        for addresses in [&["127.0.0.1", "64:ff9b::7f00:1"][..], &[]] {
            let error = resolve(Fixed(addresses), "i.pinimg.com").await.unwrap_err();
            assert_eq!(error.downcast::<RefusedAddress>().unwrap().refused.len(), addresses.len());
        }
    }

    #[tokio::test]
    async fn localhost_may_only_be_loopback() {
        assert_eq!(resolve(Fixed(&["8.8.8.8", "127.0.0.1"]), "localhost").await.unwrap(), ["127.0.0.1"]);
    }

    #[tokio::test]
    async fn a_private_host_has_addresses_of_its_range_only() {
        let answer = resolve(Fixed(&["8.8.8.8", "10.1.2.3", "192.168.0.1", "127.0.0.1"]), "minio.internal").await;
        assert_eq!(answer.unwrap(), ["10.1.2.3"]);
        let error = resolve(Fixed(&["169.254.169.254", "8.8.8.8"]), "minio.internal").await.unwrap_err();
        assert!(error.is::<RefusedAddress>());
    }

    #[tokio::test]
    async fn other_names_are_not_looked_up() {
        assert!(resolve(Fixed(&["8.8.8.8"]), "evil.example").await.unwrap_err().is::<RefusedAddress>());
    }

    #[tokio::test]
    async fn a_lookup_that_hangs_ends() {
        let error = resolve(Hangs, "i.pinimg.com").await.unwrap_err();
        assert_eq!(error.downcast::<io::Error>().unwrap().kind(), io::ErrorKind::TimedOut);
    }
}
