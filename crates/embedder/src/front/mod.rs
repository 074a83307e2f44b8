//! The side of a server that faces its clients: connections, requests, and the answers to them. What computes the answers is a
//! [`Service`].

pub mod accept;
pub mod activity;
pub mod answers;
pub mod confine;
pub mod connection;
pub mod listener;
pub mod round_robin;
pub mod signals;

use std::sync::Arc;
use std::time::Duration;

use embedder::protocol::Request;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::activity::Activity;
use self::answers::Responder;

/// Time that connections have for their last frame when the server ends.
pub const PARTING: Duration = Duration::from_secs(1);

/// Concurrent connections; more wait in the listening socket's queue. Below the limit on descriptors that
/// [`Confinement`](confine::Confinement) sets.
pub const MAX_CONNECTIONS: usize = 900;

/// Bytes of images received and not yet decoded. A connection that would exceed it is not read until there is room.
const IMAGE_BUDGET: usize = 128 * 1024 * 1024;

/// Larger images, in bytes, take from a separate budget with room for two of the largest, so that others do not wait behind
/// them.
const LARGE_FILE: usize = 8 * 1024 * 1024;

/// Bytes per permit of the budget for images.
const BUDGET_UNIT: usize = 1024;

/// Answers requests.
pub trait Service {
    /// Requests of one connection over a Unix socket that are read and not answered. The next one is not read until there is
    /// room, so that one client cannot fill the queue that all share.
    const MAX_IN_FLIGHT: usize = 64;

    /// The limits of what is read from clients.
    fn intake(&self) -> &Intake;

    /// Answers a request, now or later. `budget` is held as long as the image of the request is in memory.
    fn take(&self, request: Request, budget: Room, responder: Responder);
}

/// Room for an image, until dropped.
#[derive(Default)]
pub struct Room {
    _share: Option<OwnedSemaphorePermit>,
    _whole: Option<OwnedSemaphorePermit>,
}

/// The room that one client on another machine may take with its images: a fourth, or one of the largest images.
pub fn share() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(IMAGE_BUDGET / BUDGET_UNIT / 4))
}

/// What is read from clients: sizes, memory, and what is under way.
pub struct Intake {
    /// The largest image, in bytes.
    max_image_bytes: usize,
    image_budget: Arc<Semaphore>,
    large_image_budget: Arc<Semaphore>,
    /// The requests whose answers are not yet written.
    pub activity: Activity,
}

impl Intake {
    /// For images of at most `max_image_bytes` bytes.
    pub fn new(max_image_bytes: usize) -> Self {
        let large = (2 * max_image_bytes).max(LARGE_FILE).div_ceil(BUDGET_UNIT);
        Self {
            max_image_bytes,
            image_budget: Arc::new(Semaphore::new(IMAGE_BUDGET / BUDGET_UNIT)),
            large_image_budget: Arc::new(Semaphore::new(large)),
            activity: Activity::default(),
        }
    }

    /// Waits until there is room for an image of `length` bytes: first in the client's share, so that one that sends slowly
    /// keeps only its own from others.
    async fn room(&self, length: usize, share: Option<&Arc<Semaphore>>) -> Room {
        let of = if length > LARGE_FILE { &self.large_image_budget } else { &self.image_budget };
        let units = length.div_ceil(BUDGET_UNIT) as u32;
        let share = match share {
            Some(share) => Some(permits(share, units.min((IMAGE_BUDGET / BUDGET_UNIT / 4) as u32)).await),
            None => None,
        };
        Room { _share: share, _whole: Some(permits(of, units).await) }
    }
}

async fn permits(semaphore: &Arc<Semaphore>, count: u32) -> OwnedSemaphorePermit {
    Arc::clone(semaphore)
        .acquire_many_owned(count)
        .await
        .unwrap_or_else(|_| unreachable!("the semaphore is never closed: this is a bug"))
}
