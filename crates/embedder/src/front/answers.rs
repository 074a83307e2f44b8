//! Carries an answer from the threads to its connection.

use std::time::{Duration, Instant};

use embedder::protocol::Response;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::activity::Work;
use crate::failure::Failure;

/// The next frame that a connection writes.
pub enum Outgoing {
    /// An answer, and the ticket that is free again once it is written.
    Answer(Vec<u8>, Ticket),
    /// The last frame of the connection.
    Last(Vec<u8>),
}

/// Identifies a client of this server: a connection over a Unix socket, or the holder of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientNumber(pub u64);

/// Counts a request among those in flight, until dropped.
pub struct Ticket {
    pub _place: Option<OwnedSemaphorePermit>,
    /// None for what a monitoring system asks now and then.
    pub _work: Option<Work>,
}

/// The receiver of the answer to one request.
pub struct Responder {
    client: ClientNumber,
    id: u64,
    answers: mpsc::UnboundedSender<Outgoing>,
    ticket: Ticket,
    /// When the request was read.
    arrived: Instant,
}

impl Responder {
    pub fn new(client: ClientNumber, id: u64, answers: mpsc::UnboundedSender<Outgoing>, ticket: Ticket) -> Self {
        Self { client, id, answers, ticket, arrived: Instant::now() }
    }

    /// How long the request has waited.
    pub fn waited(&self) -> Duration {
        self.arrived.elapsed()
    }

    pub fn client(&self) -> ClientNumber {
        self.client
    }

    /// Whether the connection has ended.
    pub fn is_gone(&self) -> bool {
        self.answers.is_closed()
    }

    /// Returns when the connection has ended.
    pub async fn gone(&self) {
        self.answers.closed().await;
    }

    pub fn answer(self, response: &Response) {
        let frame = response.encode(self.id);
        self.write(frame);
    }

    pub fn refuse(self, Failure { kind, message }: Failure) {
        self.answer(&Response::Error { kind, message });
    }

    fn write(self, frame: Vec<u8>) {
        // Fails if the connection has ended.
        let _ = self.answers.send(Outgoing::Answer(frame, self.ticket));
    }

    /// Sends the answer of a broken server.
    #[cfg(feature = "fault-injection")]
    pub fn send_wrong(self, wrong: crate::fault::WrongAnswer) {
        let frame = wrong.frame(self.id);
        self.write(frame);
    }
}
