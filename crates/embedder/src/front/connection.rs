//! One connection: reads its requests and writes the answers.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use embedder::protocol::{FrameDecoder, FrameKind, Part, Request, Response, Unreadable};
use embedder::{Error, ErrorKind};
use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;
use tokio_util::codec::FramedRead;

use super::answers::{ClientNumber, Outgoing, Responder, Ticket};
use super::{PARTING, Room, Service, permits};
use crate::failure::Failure;

/// Time that a client has to send the rest of a frame it has begun. Meanwhile the frame occupies part of the budget.
const FRAME_TIMEOUT: Duration = Duration::from_secs(30);

/// Time within which a client has to send [`LEAST`] bytes of an image, or its end.
const STALL: Duration = Duration::from_secs(3);

/// The least number of bytes in that time; at this rate only a small image is complete within [`FRAME_TIMEOUT`].
const LEAST: usize = 16 * 1024;

/// The client at the other end of a connection.
#[derive(Clone)]
pub struct Peer {
    /// Which client it is. Connections of one client share its turns.
    pub number: ClientNumber,
    /// One permit for each further request that may be in flight. A request is not read further than its header before it has
    /// one.
    pub places: Arc<Semaphore>,
    /// The room for its images; `None`: all that there is.
    pub share: Option<Arc<Semaphore>>,
    /// For how long requests in flight are still answered when the server ends.
    pub drain: Duration,
}

impl Peer {
    /// A client of one connection.
    pub fn single(number: ClientNumber, places: usize) -> Self {
        Self { number, places: Arc::new(Semaphore::new(places)), share: None, drain: Duration::ZERO }
    }
}

/// Why reading ended.
enum End {
    /// The client closed the connection.
    Gone,
    /// The client was too slow. Its other requests are not to blame.
    Slow,
    /// The client violated the protocol.
    Broken(Error),
}

impl From<Unreadable> for End {
    fn from(error: Unreadable) -> Self {
        match error {
            Unreadable::Io(_) => Self::Gone,
            Unreadable::Frame(error) => Self::Broken(error),
        }
    }
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}

type Frames<Stream> = FramedRead<Stream, FrameDecoder>;

/// Serves one client until it disconnects, violates the protocol, or `stopped` becomes true. Requests that still wait when
/// this returns are dropped by the service.
pub async fn serve(
    stream: impl AsyncRead + AsyncWrite,
    peer: Peer,
    service: &impl Service,
    mut stopped: watch::Receiver<bool>,
) {
    let (from_client, to_client) = tokio::io::split(stream);
    let (answers, outgoing) = mpsc::unbounded_channel();
    let mut writer = pin!(write_answers(to_client, outgoing));
    let mut frames = pin!(FramedRead::new(from_client, FrameDecoder::default()));
    let last = tokio::select! {
        _ = &mut writer => return,
        _ = stopped.wait_for(|&stopped| stopped) => None,
        end = read_requests(&mut frames, &peer, service, &answers) => match end {
            End::Gone => return,
            End::Slow => None,
            End::Broken(error) => Some(Response::Error {
                kind: error.kind(),
                message: error.to_string(),
            }),
        },
    };
    let drain = if last.is_none() { peer.drain } else { Duration::ZERO };
    // The writer ends when no request in flight holds a sender any more.
    let sender = answers.downgrade();
    let answers = Some(answers).filter(|_| drain.is_zero());
    if answers.is_none()
        && let Ok(written) = timeout(drain, &mut writer).await
    {
        if let Ok(mut to_client) = written {
            let goodbye = Response::Goodbye.encode(0);
            let _ = timeout(PARTING, async { (to_client.write_all(&goodbye).await, to_client.shutdown().await) }).await;
        }
        return;
    }
    if let Some(answers) = answers.or_else(|| sender.upgrade()) {
        let _ = answers.send(Outgoing::Last(last.unwrap_or(Response::Goodbye).encode(0)));
    }
    let _ = timeout(PARTING, writer).await;
}

/// Returns when the last frame is written, or, with the stream, when nothing can come any more.
async fn write_answers<Stream: AsyncWrite + Unpin>(
    mut to_client: Stream,
    mut outgoing: mpsc::UnboundedReceiver<Outgoing>,
) -> io::Result<Stream> {
    while let Some(next) = outgoing.recv().await {
        match next {
            Outgoing::Answer(frame, ticket) => {
                to_client.write_all(&frame).await?;
                // Over TLS, a part may wait for more.
                to_client.flush().await?;
                drop(ticket);
            }
            Outgoing::Last(frame) => {
                to_client.write_all(&frame).await?;
                to_client.shutdown().await?;
                break;
            }
        }
    }
    Ok(to_client)
}

async fn read_requests<Stream: AsyncRead + Unpin>(
    frames: &mut Frames<Stream>,
    peer: &Peer,
    service: &impl Service,
    answers: &mpsc::UnboundedSender<Outgoing>,
) -> End {
    loop {
        if let Err(end) = read_request(frames, peer, service, answers).await {
            return end;
        }
    }
}

/// Reads one request and passes it to the service.
async fn read_request<Stream: AsyncRead + Unpin>(
    frames: &mut Frames<Stream>,
    peer: &Peer,
    service: &impl Service,
    answers: &mpsc::UnboundedSender<Outgoing>,
) -> Result<(), End> {
    let intake = service.intake();
    let Part::Header(header) = next(frames).await? else {
        unreachable!("a payload before its header: this is a bug");
    };
    if !header.kind.is_request() {
        // Refused by its kind, without reading its payload.
        Request::decode(header.kind, Bytes::new())?;
    }
    // What a server says of itself does not wait for work.
    let place = match header.kind {
        FrameKind::AskInfo | FrameKind::AskEmbedders => None,
        _ => Some(permits(&peer.places, 1).await),
    };
    let length = header.length as usize;
    let limit = intake.max_image_bytes;
    let responder = |ticket| Responder::new(peer.number, header.id, answers.clone(), ticket);
    if header.kind.is_image() && length > limit {
        frames.decoder_mut().skip_payload();
        in_time(next(frames)).await?;
        let ticket = Ticket { _place: place, _work: Some(intake.activity.begin()) };
        let message = format!("image has {length} bytes, more than the limit of {limit}");
        responder(ticket).refuse(Failure::new(ErrorKind::TooLarge, message));
        return Ok(());
    }
    let budget = match header.kind.is_image() {
        true => intake.room(length, peer.share.as_ref()).await,
        false => Room::default(),
    };
    let Part::Payload(payload) = in_time(payload(frames)).await? else {
        unreachable!("a header after a header: this is a bug");
    };
    let request = Request::decode(header.kind, payload)?;
    let counts = header.kind != FrameKind::AskEmbedders;
    let ticket = Ticket { _place: place, _work: counts.then(|| intake.activity.begin()) };
    service.take(request, budget, responder(ticket));
    Ok(())
}

async fn next<Stream: AsyncRead + Unpin>(frames: &mut Frames<Stream>) -> Result<Part, End> {
    match frames.next().await {
        Some(part) => Ok(part?),
        None => Err(End::Gone),
    }
}

/// The next part of a frame, unless its bytes stop to come.
async fn payload<Stream: AsyncRead + Unpin>(frames: &mut Frames<Stream>) -> Result<Part, End> {
    loop {
        let before = frames.read_buffer().len();
        match timeout(STALL, next(frames)).await {
            Ok(part) => return part,
            Err(_) if frames.read_buffer().len() >= before + LEAST => {}
            Err(_) => return Err(End::Slow),
        }
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, End>>) -> Result<T, End> {
    timeout(FRAME_TIMEOUT, work).await.unwrap_or(Err(End::Slow))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use embedder::Animations;
    use tokio::io::{AsyncReadExt, DuplexStream};
    use tokio::time::{Instant, advance};

    use super::super::Intake;
    use super::*;

    /// Keeps the requests.
    struct Kept {
        intake: Intake,
        requests: Mutex<Vec<Request>>,
    }

    impl Service for Kept {
        fn intake(&self) -> &Intake {
            &self.intake
        }

        fn take(&self, request: Request, _budget: Room, _responder: Responder) {
            self.requests.lock().unwrap().push(request);
        }
    }

    fn image() -> Vec<u8> {
        let image = Request::Image(vec![7; 1 << 20].into(), Animations::FirstFrame);
        let (header, payload) = image.encode(1).unwrap();
        [header.encode().as_slice(), &payload].concat()
    }

    /// Serves a client; how many images came before the connection ended, and when it did.
    async fn served(client: impl AsyncFnOnce(DuplexStream)) -> (usize, Duration) {
        let service = Kept { intake: Intake::new(20 << 20), requests: Mutex::default() };
        let (near, far) = tokio::io::duplex(8 << 20);
        let (_stop, stopped) = watch::channel(false);
        let begun = Instant::now();
        let peer = Peer::single(ClientNumber(1), 4);
        tokio::join!(serve(far, peer, &service, stopped), client(near));
        (service.requests.lock().unwrap().len(), begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_whose_bytes_stop_is_left() {
        let (images, time) = served(async |mut client: DuplexStream| {
            client.write_all(&image()[..100_000]).await.unwrap();
            let mut answers = Vec::new();
            client.read_to_end(&mut answers).await.unwrap();
            // So its requests in flight are sent again, and none is blamed for the end.
            assert_eq!(answers, Response::Goodbye.encode(0));
        })
        .await;
        assert!(images == 0 && time >= STALL && time < 2 * STALL + PARTING, "{images} {time:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_client_is_served() {
        let (images, _) = served(async |mut client: DuplexStream| {
            for piece in image().chunks(64 * 1024) {
                client.write_all(piece).await.unwrap();
                advance(Duration::from_secs(1)).await;
            }
        })
        .await;
        assert_eq!(images, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn no_client_keeps_its_room_longer_than_a_frame_may_take() {
        let (images, time) = served(async |mut client: DuplexStream| {
            for piece in image().chunks(LEAST) {
                if client.write_all(piece).await.is_err() {
                    break;
                }
                advance(Duration::from_millis(2_500)).await;
            }
        })
        .await;
        assert!(images == 0 && time < FRAME_TIMEOUT * 3 / 2, "{images} {time:?}");
    }
}
