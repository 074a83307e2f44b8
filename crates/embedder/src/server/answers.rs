//! The way back from the threads to a connection.

use embedder::protocol::Response;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::activity::Work;
use crate::failure::Failure;

/// What a connection writes next.
pub enum Outgoing {
    /// An answer, and what is to be given back once it is written.
    Answer(Vec<u8>, Ticket),
    /// The last frame of the connection.
    Last(Vec<u8>),
}

/// Tells the connections of one server apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionNumber(pub u64);

/// A request's place among those in flight; free again when dropped.
pub struct Ticket {
    pub _place: OwnedSemaphorePermit,
    pub _work: Work,
}

/// Whoever waits for the answer to one request.
pub struct Asker {
    connection: ConnectionNumber,
    id: u64,
    answers: mpsc::UnboundedSender<Outgoing>,
    ticket: Ticket,
}

impl Asker {
    pub fn new(
        connection: ConnectionNumber,
        id: u64,
        answers: mpsc::UnboundedSender<Outgoing>,
        ticket: Ticket,
    ) -> Self {
        Self { connection, id, answers, ticket }
    }

    pub fn connection(&self) -> ConnectionNumber {
        self.connection
    }

    /// The connection has ended: nobody wants the answer.
    pub fn is_gone(&self) -> bool {
        self.answers.is_closed()
    }

    pub fn answer(self, response: &Response) {
        let frame = response.encode(self.id);
        self.write(frame);
    }

    pub fn refuse(self, Failure { kind, message }: Failure) {
        self.answer(&Response::Error { kind, message });
    }

    fn write(self, frame: Vec<u8>) {
        // The connection may have ended meanwhile.
        let _ = self.answers.send(Outgoing::Answer(frame, self.ticket));
    }

    /// Sends what a broken server might send.
    #[cfg(feature = "fault-injection")]
    pub fn lie(self, lie: crate::fault::Lie) {
        let frame = lie.frame(self.id);
        self.write(frame);
    }
}
