//! The requests of one connection that have no answer yet.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::error::{Error, ErrorKind, Inner};
use crate::protocol::{Response, Unreadable};

/// The end of a request.
#[derive(Debug)]
pub(super) enum Reply {
    /// The server answered.
    Answered(Response),
    /// No answer will come.
    Failed(Error),
    /// The connection ended, and the server certainly had not begun the request.
    NotTaken,
}

/// The reason why a connection ended.
#[derive(Debug)]
pub(super) enum Loss {
    /// The server sent a goodbye: no request without an answer made it end.
    Goodbye,
    /// The server or the system closed the connection.
    Closed(io::ErrorKind),
    /// One side violated the protocol.
    Broken(ErrorKind, String),
}

impl Loss {
    fn reply(&self, wholly_sent: bool) -> Reply {
        match self {
            Self::Goodbye => Reply::NotTaken,
            // The server does not act on an incomplete request.
            Self::Closed(_) if !wholly_sent => Reply::NotTaken,
            Self::Closed(io::ErrorKind::UnexpectedEof) => Reply::Failed(Inner::Died { source: None }.into()),
            Self::Closed(kind) => Reply::Failed(Inner::Died { source: Some((*kind).into()) }.into()),
            Self::Broken(kind, message) => {
                Reply::Failed(Inner::Broken { kind: *kind, message: message.clone() }.into())
            }
        }
    }
}

impl From<Error> for Loss {
    fn from(error: Error) -> Self {
        Self::Broken(error.kind(), error.to_string())
    }
}

impl From<Unreadable> for Loss {
    fn from(error: Unreadable) -> Self {
        match error {
            Unreadable::Io(error) => Self::Closed(error.kind()),
            Unreadable::Frame(error) => error.into(),
        }
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
    reply: oneshot::Sender<Reply>,
    wholly_sent: bool,
}

impl Pending {
    /// Adds a request that is about to be written; its number.
    pub(super) fn add(&self, reply: oneshot::Sender<Reply>) -> u64 {
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

    /// Passes an answer on, if the request still waits for it.
    pub(super) fn answer(&self, id: u64, response: Response) -> Result<(), Error> {
        self.finish(id, Reply::Answered(response))
    }

    pub(super) fn finish(&self, id: u64, end: Reply) -> Result<(), Error> {
        let waiter = self.lock().waiting.remove(&id);
        let Waiter { reply, .. } = waiter.ok_or(Inner::UnknownRequest { id })?;
        // Fails if the future was dropped.
        let _ = reply.send(end);
        Ok(())
    }

    /// Ends all waiting requests, for the given reason.
    pub(super) fn end(&self, loss: &Loss) {
        for (_, waiter) in self.lock().waiting.drain() {
            let _ = waiter.reply.send(loss.reply(waiter.wholly_sent));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
