//! One client: reads its requests and writes its answers.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use embedder::protocol::{Animations, HEADER_BYTES, Header, Request, Response};
use embedder::{Error, ErrorKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::timeout;

use super::answers::{ConnectionNumber, Outgoing, Responder, Ticket};
use super::queue::{Encoded, Job, Task};
use super::{LARGE_FILE, PARTING, Shared};
use crate::failure::Failure;

/// Requests of one connection that are read and not answered. The next one is not read until there is room, so that one
/// client cannot fill the queue that all share.
const MAX_IN_FLIGHT: usize = 64;

/// Time that a client has to send the rest of a frame it has begun. Meanwhile the frame occupies part of the budget.
const FRAME_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes per permit of the budget for images.
pub const BUDGET_UNIT: usize = 1024;

/// Why reading ended.
enum End {
    /// The client closed the connection, or was too slow.
    Gone,
    /// The client violated the protocol.
    Broken(Error),
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}

/// Serves one client until it disconnects, violates the protocol, or `stopped` becomes true. Requests that still wait when
/// this returns are dropped when they are taken from the queue.
pub async fn serve(stream: UnixStream, number: ConnectionNumber, shared: &Shared, mut stopped: watch::Receiver<bool>) {
    let (from_client, to_client) = stream.into_split();
    let (answers, outgoing) = mpsc::unbounded_channel();
    let mut writer = pin!(write_answers(to_client, outgoing));
    let last = tokio::select! {
        _ = &mut writer => return,
        _ = stopped.wait_for(|&stopped| stopped) => Response::Goodbye,
        end = read_requests(from_client, number, shared, &answers) => match end {
            End::Gone => return,
            End::Broken(error) => Response::Error {
                kind: error.kind(),
                message: error.to_string(),
            },
        },
    };
    let _ = answers.send(Outgoing::Last(last.encode(0)));
    let _ = timeout(PARTING, writer).await;
}

async fn write_answers(
    mut to_client: OwnedWriteHalf,
    mut outgoing: mpsc::UnboundedReceiver<Outgoing>,
) -> io::Result<()> {
    while let Some(next) = outgoing.recv().await {
        match next {
            Outgoing::Answer(frame, ticket) => {
                to_client.write_all(&frame).await?;
                drop(ticket);
            }
            Outgoing::Last(frame) => return to_client.write_all(&frame).await,
        }
    }
    Ok(())
}

async fn read_requests(
    mut from_client: OwnedReadHalf,
    number: ConnectionNumber,
    shared: &Shared,
    answers: &mpsc::UnboundedSender<Outgoing>,
) -> End {
    let places = Arc::new(Semaphore::new(MAX_IN_FLIGHT));
    loop {
        if let Err(end) = read_request(&mut from_client, number, shared, &places, answers).await {
            return end;
        }
    }
}

/// Reads one request. Answers it if that takes no work; otherwise puts it in its queue.
async fn read_request(
    from_client: &mut OwnedReadHalf,
    number: ConnectionNumber,
    shared: &Shared,
    places: &Arc<Semaphore>,
    answers: &mpsc::UnboundedSender<Outgoing>,
) -> Result<(), End> {
    let place = permits(places, 1).await;
    let mut header = [0; HEADER_BYTES];
    from_client.read_exact(&mut header).await?;
    let header = Header::decode(&header)?;
    let length = match header.kind.is_request() {
        true => header.length as usize,
        // Refused below by its kind, without reading its payload.
        false => 0,
    };
    let limit = shared.limits.max_bytes;
    if header.kind.is_image() && length > limit {
        in_time(skip_payload(from_client, length)).await?;
        let ticket = Ticket { _place: place, _work: shared.activity.begin() };
        let message = format!("image has {length} bytes, more than the limit of {limit}");
        Responder::new(number, header.id, answers.clone(), ticket).refuse(Failure::new(ErrorKind::TooLarge, message));
        return Ok(());
    }
    let budget = match header.kind.is_image() {
        true => length.div_ceil(BUDGET_UNIT),
        false => 0,
    };
    let of = if length > LARGE_FILE { &shared.large_image_budget } else { &shared.image_budget };
    let budget = permits(of, budget as u32).await;
    let payload = in_time(read_payload(from_client, length)).await?;
    let request = Request::decode(header.kind, payload)?;

    let ticket = Ticket { _place: place, _work: shared.activity.begin() };
    let responder = Responder::new(number, header.id, answers.clone(), ticket);
    match request {
        Request::Image(image, animations) => {
            queue_image(shared, image, animations, Task::Embed, budget, responder);
        }
        Request::ImageWithThumbnail(image, animations) => {
            queue_image(shared, image, animations, Task::EmbedWithThumbnail, budget, responder);
        }
        Request::Thumbnail(image, side) => {
            queue_image(shared, image, Animations::FirstFrame, Task::Thumbnail(side), budget, responder);
        }
        Request::Text(input) => match shared.recent_texts.get(&input) {
            Some(answer) => responder.answer(&answer),
            None => shared.queue.push_text(Job { input, responder }),
        },
        Request::Info => responder.answer(&Response::Info(Box::new(shared.info()))),
        _ => unreachable!("a request that is decoded but not served: this is a bug"),
    }
    Ok(())
}

fn queue_image(
    shared: &Shared,
    image: Bytes,
    animations: Animations,
    task: Task,
    budget: OwnedSemaphorePermit,
    responder: Responder,
) {
    let animations = match animations {
        Animations::FirstFrame => clip::Animations::FirstFrame,
        Animations::Refuse => clip::Animations::Refuse,
    };
    shared.queue.push_image(Job { input: Encoded { image, animations, task, _budget: budget }, responder });
}

async fn read_payload(from_client: &mut OwnedReadHalf, length: usize) -> io::Result<Bytes> {
    let mut payload = BytesMut::with_capacity(length);
    let mut rest = from_client.take(length as u64);
    while payload.len() < length {
        if rest.read_buf(&mut payload).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(payload.freeze())
}

/// Reads a payload and discards it.
async fn skip_payload(from_client: &mut OwnedReadHalf, length: usize) -> io::Result<()> {
    let skipped = tokio::io::copy(&mut from_client.take(length as u64), &mut tokio::io::sink()).await?;
    if skipped == length as u64 { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

async fn in_time<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(FRAME_TIMEOUT, work).await?
}

async fn permits(semaphore: &Arc<Semaphore>, count: u32) -> OwnedSemaphorePermit {
    Arc::clone(semaphore)
        .acquire_many_owned(count)
        .await
        .unwrap_or_else(|_| unreachable!("the semaphore is never closed: this is a bug"))
}
