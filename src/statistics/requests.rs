//! Requests to Pinterest and image hosts, counted on the thread that makes them.

use pinterest::{Client, Endpoints, Error, Exchange, Limits, Observer};

use super::microseconds;
use super::named::{HostCounts, StatusClass, count_requests};

/// A client whose requests are counted for this process' database.
///
/// # Errors
/// As [`Client::new`].
pub fn client(endpoints: Endpoints) -> Result<Client, Error> {
    Client::builder(endpoints).observer(Requests).build()
}

/// The same, for images of at most this number of bytes.
///
/// # Errors
/// As [`Client::new`].
pub fn client_of_images(endpoints: Endpoints, most_bytes: usize) -> Result<Client, Error> {
    let mut limits = Limits::default();
    limits.image = most_bytes;
    Client::builder(endpoints).limits(limits).observer(Requests).build()
}

/// Counts the requests of a client.
#[derive(Clone, Copy, Debug)]
struct Requests;

impl Observer for Requests {
    fn ended(&self, exchange: &Exchange<'_>) {
        let counts = HostCounts {
            requests: 1,
            retries: exchange.is_retry.into(),
            bytes: exchange.bytes,
            time: microseconds(exchange.time),
        };
        count_requests(&exchange.host.to_string(), StatusClass::of(exchange.status), counts);
    }
}
