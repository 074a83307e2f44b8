//! Reports each request to the owner of the client.

use std::time::{Duration, Instant};

use url::Url;

use super::Client;
use crate::net::Host;

/// A request that has ended: with an answer, or without one.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// The configured host that it was sent to.
    pub host: &'a Host,
    /// The status, if a complete answer came; `None` if the connection failed, or the answer was cut off, too slow, too large or
    /// came too late.
    pub status: Option<u16>,
    /// Bytes of the answer's body that were received.
    pub bytes: u64,
    /// From before the connection until the end of the answer.
    pub time: Duration,
    /// It repeats a request that has failed, see [`Client::as_retry`].
    pub is_retry: bool,
}

/// Receives a report of every request, on the thread and within the call that makes it. It must not block.
pub trait Observer: Send + Sync {
    /// A request has ended. One whose call was dropped before its end is not reported.
    fn ended(&self, exchange: &Exchange<'_>);
}

/// A request that is under way.
pub(super) struct Record {
    host: Host,
    began: Instant,
    status: Option<u16>,
    /// Nothing of the answer is missing that matters.
    pub(super) is_complete: bool,
    pub(super) bytes: u64,
}

impl Record {
    /// The headers have arrived.
    pub(super) fn answered(&mut self, status: u16) {
        self.status = Some(status);
    }
}

impl Client {
    /// The same client for a request that repeats a failed one, which its [`Observer`] is told.
    #[must_use]
    pub fn as_retry(&self) -> Self {
        Self { is_retry: true, ..self.clone() }
    }

    /// A request begins. `None` if it will not be sent, because its host is not configured.
    pub(super) fn begin(&self, url: &Url) -> Option<Record> {
        let host = self.host_of(url)?.clone();
        Some(Record { host, began: Instant::now(), status: None, is_complete: false, bytes: 0 })
    }

    /// A request has ended.
    pub(super) fn end(&self, record: Option<Record>) {
        if let (Some(observer), Some(record)) = (&self.observer, record) {
            observer.ended(&Exchange {
                host: &record.host,
                status: record.status.filter(|_| record.is_complete),
                bytes: record.bytes,
                time: record.began.elapsed(),
                is_retry: self.is_retry,
            });
        }
    }
}
