//! One connection: a task that owns the socket, and the handles that send it requests.

use std::io;

use bytes::Buf;
use futures_util::StreamExt;
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::pin;
use tokio::sync::{mpsc, oneshot};
use tokio_util::codec::FramedRead;

use super::dial::Stream;
use super::pending::{Loss, Pending, Reply};
use crate::error::{Error, Inner};
use crate::protocol::{FrameDecoder, Header, Part, Request, Response};

struct Call {
    request: Request,
    reply: oneshot::Sender<Reply>,
}

/// A handle of a connection, which closes with its last handle.
#[derive(Clone)]
pub(super) struct Link {
    calls: mpsc::UnboundedSender<Call>,
}

impl Link {
    /// A connection over `stream`. Must be called within a runtime.
    pub(super) fn open(stream: Box<dyn Stream>) -> Self {
        let (calls, receiver) = mpsc::unbounded_channel();
        tokio::spawn(drive(stream, receiver));
        Self { calls }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.calls.is_closed()
    }

    pub(super) async fn ask(&self, request: Request) -> Reply {
        let (reply, answer) = oneshot::channel();
        if self.calls.send(Call { request, reply }).is_err() {
            return Reply::NotTaken;
        }
        // The task replies to every request before it ends, unless the runtime ends with it.
        answer.await.unwrap_or_else(|_| Reply::Failed(Inner::Died { source: None }.into()))
    }
}

async fn drive(stream: Box<dyn Stream>, mut calls: mpsc::UnboundedReceiver<Call>) {
    let (from_server, to_server) = tokio::io::split(stream);
    let pending = Pending::default();
    let answers = read_answers(from_server, &pending);
    pin!(answers);
    let loss = tokio::select! {
        biased;
        loss = &mut answers => loss,
        written = write_requests(to_server, &mut calls, &pending) => match written {
            // Every handle has been dropped, and a request that waits holds one.
            Ok(()) => return,
            // The last frames of the server, above all a goodbye, are still to be read.
            Err(_) => answers.await,
        },
    };
    // Closed before any request is told, because that makes it request a new connection.
    calls.close();
    pending.end(&loss);
    while let Some(call) = calls.recv().await {
        let _ = call.reply.send(Reply::NotTaken);
    }
}

async fn write_requests(
    mut to_server: WriteHalf<Box<dyn Stream>>,
    calls: &mut mpsc::UnboundedReceiver<Call>,
    pending: &Pending,
) -> io::Result<()> {
    while let Some(Call { request, reply }) = calls.recv().await {
        if reply.is_closed() {
            continue;
        }
        let id = pending.add(reply);
        match request.encode(id) {
            Ok((header, payload)) => {
                let header = header.encode();
                let mut frame = Buf::chain(header.as_slice(), payload);
                to_server.write_all_buf(&mut frame).await?;
                // Over TLS, a part may wait for more.
                to_server.flush().await?;
                pending.sent(id);
            }
            Err(error) => {
                let _ = pending.finish(id, Reply::Failed(error));
            }
        }
    }
    Ok(())
}

async fn read_answers(from_server: ReadHalf<Box<dyn Stream>>, pending: &Pending) -> Loss {
    let mut frames = FramedRead::new(from_server, FrameDecoder::default());
    loop {
        let (id, response) = match read_answer(&mut frames).await {
            Ok(answer) => answer,
            Err(loss) => return loss,
        };
        match (id, response) {
            (0, Response::Goodbye) => return Loss::Goodbye,
            (0, Response::Error { kind, message }) => return Loss::Broken(kind, message),
            (id, response) => {
                if let Err(error) = pending.answer(id, response) {
                    return error.into();
                }
            }
        }
    }
}

async fn read_answer(
    frames: &mut FramedRead<ReadHalf<Box<dyn Stream>>, FrameDecoder>,
) -> Result<(u64, Response), Loss> {
    let mut header = None;
    loop {
        match frames.next().await.ok_or(Loss::Closed(io::ErrorKind::UnexpectedEof))?? {
            Part::Header(found) if found.kind.is_request() => {
                let kind = found.kind as u8;
                return Err(Error::from(Inner::NotAResponse { kind }).into());
            }
            Part::Header(found) => header = Some(found),
            Part::Payload(payload) => {
                if let Some(Header { kind, id, .. }) = header {
                    return Ok((id, Response::decode(kind, &payload)?));
                }
            }
        }
    }
}
