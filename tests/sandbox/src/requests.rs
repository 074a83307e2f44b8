//! The requests received: counters per kind of path, and the latest requests in full.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// The kind of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `GET /oauth/`.
    Authorize,
    /// `POST /v5/oauth/token`.
    Token,
    /// `POST /v5/oauth/token/revoke`.
    Revoke,
    /// `GET /v5/user_account`.
    UserAccount,
    /// `GET /v5/boards`.
    Boards,
    /// `GET /v5/boards/{board_id}`.
    Board,
    /// `GET /v5/boards/{board_id}/pins`.
    BoardPins,
    /// `GET /v5/boards/{board_id}/sections`.
    Sections,
    /// `GET /v5/boards/{board_id}/sections/{section_id}/pins`.
    SectionPins,
    /// `GET /v5/pins/{pin_id}`.
    Pin,
    /// An image of the CDN.
    Image,
    /// The cover of a video.
    VideoCover,
    /// Anything else.
    Unknown,
}

impl Kind {
    /// Whether it is a file of the CDN.
    pub fn is_picture(self) -> bool {
        matches!(self, Self::Image | Self::VideoCover)
    }
}

/// One request and its status. Bodies and credentials are not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Request {
    /// Its kind.
    pub kind: Kind,
    /// Method.
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// Raw query, empty if the request had none.
    pub query: String,
    /// Whether it had an `Authorization` header (requests to the CDN must never have one).
    pub authorization: bool,
    /// `User-Agent`, if it was sent.
    pub user_agent: Option<String>,
    /// `grant_type` of a token request.
    pub grant_type: Option<String>,
    /// Status of the answer; `None` if the connection was reset instead.
    pub status: Option<u16>,
}

/// The log; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    log: Mutex<Log>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Log {
    arrived: BTreeMap<Kind, u64>,
    latest: VecDeque<Request>,
}

/// Number of requests kept in full: enough for any test, and bounded for a demo that runs for days.
const REMEMBERED: usize = 10_000;

impl Requests {
    /// Number of requests of this kind, answered or not.
    pub fn count(&self, kind: Kind) -> u64 {
        self.lock().arrived.get(&kind).copied().unwrap_or(0)
    }

    /// Number of requests per kind.
    pub fn counts(&self) -> BTreeMap<Kind, u64> {
        self.lock().arrived.clone()
    }

    /// Number of all requests.
    pub fn total(&self) -> u64 {
        self.lock().arrived.values().sum()
    }

    /// Number of requests for images and video covers.
    pub fn pictures(&self) -> u64 {
        self.count(Kind::Image) + self.count(Kind::VideoCover)
    }

    /// The latest requests that were answered or reset, oldest first; at most 10,000.
    pub fn latest(&self) -> Vec<Request> {
        self.lock().latest.iter().cloned().collect()
    }

    /// Removes all counts and requests.
    pub fn reset(&self) {
        *self.lock() = Log::default();
    }

    /// Waits until `count` requests of this kind have arrived; false if `timeout` passes first.
    pub fn wait_for(&self, kind: Kind, count: u64, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut log = self.lock();
        while log.arrived.get(&kind).copied().unwrap_or(0) < count {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            log = self.shared.changed.wait_timeout(log, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    pub(crate) fn arrived(&self, kind: Kind) {
        *self.lock().arrived.entry(kind).or_insert(0) += 1;
        self.shared.changed.notify_all();
    }

    pub(crate) fn answered(&self, request: Request) {
        let mut log = self.lock();
        if log.latest.len() == REMEMBERED {
            log.latest.pop_front();
        }
        log.latest.push_back(request);
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.shared.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
