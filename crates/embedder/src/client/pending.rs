//! Requests without an answer, on one connection.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::link::Outcome;
use crate::error::{Error, ErrorKind, Inner};
use crate::protocol::Response;

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum Loss {
    /// The server said goodbye: nothing unanswered was its end.
    Goodbye,
    /// It closed the connection, or the system did.
    Closed(io::ErrorKind),
    /// Either side did what the protocol does not allow.
    Broken(ErrorKind, String),
}

impl Loss {
    fn outcome(&self, wholly_sent: bool) -> Outcome {
        match self {
            Self::Goodbye => Outcome::NotTaken,
            // Of a request cut off in the middle the server has seen nothing to act on.
            Self::Closed(_) if !wholly_sent => Outcome::NotTaken,
            Self::Closed(io::ErrorKind::UnexpectedEof) => Outcome::Failed(Inner::Died { source: None }.into()),
            Self::Closed(kind) => Outcome::Failed(Inner::Died { source: Some((*kind).into()) }.into()),
            Self::Broken(kind, message) => {
                Outcome::Failed(Inner::Described { kind: *kind, message: message.clone() }.into())
            }
        }
    }
}

impl From<Error> for Loss {
    fn from(error: Error) -> Self {
        Self::Broken(error.kind(), error.to_string())
    }
}

impl From<io::Error> for Loss {
    fn from(error: io::Error) -> Self {
        Self::Closed(error.kind())
    }
}

/// Shared by the two halves of a connection.
#[derive(Default)]
pub(super) struct Pending(Mutex<Waiters>);

#[derive(Default)]
struct Waiters {
    last_id: u64,
    waiting: HashMap<u64, Waiter>,
}

struct Waiter {
    reply: oneshot::Sender<Outcome>,
    wholly_sent: bool,
}

impl Pending {
    /// Takes a request that is about to be written, and numbers it.
    pub(super) fn add(&self, reply: oneshot::Sender<Outcome>) -> u64 {
        let mut waiters = self.lock();
        waiters.last_id += 1;
        let id = waiters.last_id;
        let wholly_sent = false;
        waiters.waiting.insert(id, Waiter { reply, wholly_sent });
        id
    }

    /// Records that the last byte of the request was written.
    pub(super) fn sent(&self, id: u64) {
        if let Some(waiter) = self.lock().waiting.get_mut(&id) {
            waiter.wholly_sent = true;
        }
    }

    /// Hands an answer to whoever still waits for it.
    pub(super) fn answer(&self, id: u64, response: Response) -> Result<(), Error> {
        self.finish(id, Outcome::Answered(response))
    }

    pub(super) fn finish(&self, id: u64, outcome: Outcome) -> Result<(), Error> {
        let waiter = self.lock().waiting.remove(&id);
        let Waiter { reply, .. } = waiter.ok_or(Inner::UnknownRequest { id })?;
        // Whoever asked may have dropped the future.
        let _ = reply.send(outcome);
        Ok(())
    }

    /// Tells all who wait what the end of the connection means for them.
    pub(super) fn end(&self, loss: &Loss) {
        for (_, waiter) in self.lock().waiting.drain() {
            let _ = waiter.reply.send(loss.outcome(waiter.wholly_sent));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
