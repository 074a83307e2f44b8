//! One embedder of the pool: connects to it, watches it, and connects again.

use std::convert::Infallible;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use embedder::protocol::{Request, Response};
use embedder::{Client, DIMENSION, Dial, Dialling, Error, ErrorKind, Info, ModelFingerprint, ModelState};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::pool::{MemberId, Pool, Status};
use crate::log;

/// Between two questions to an embedder whether it is well.
const PING: Duration = Duration::from_secs(1);
/// Between two questions to an embedder that loads its model.
const LOADING: Duration = Duration::from_millis(50);
/// The pause before an embedder is connected to again: doubles from the first to the second.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// A connection that has been of use for this time was a good one.
const STABLE: Duration = Duration::from_secs(10);
/// How long an embedder on another machine may take for a request beyond what is usual: long enough for a picture that takes
/// longer to decode than most, and for a large one.
const BEYOND: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(180));
/// A file of more bytes may be such a large picture.
const LARGE: usize = 8 << 20;
/// How long requests are still awaited over a connection whose embedder has ended the other one, as it does before it ends.
const PARTING: Duration = Duration::from_secs(60);
/// A text whose embedding shows whether an embedder computes what the others do.
const PROBE: &str = "a barn with string lights";
/// A connection to an embedder. Clones are equal.
#[derive(Clone)]
pub struct Way {
    client: Client,
    /// Its sender is dropped when the connection is given up.
    lost: watch::Receiver<()>,
    /// Makes the embedder be looked at.
    doubts: Arc<Notify>,
    /// The embedder is a process that this one started: its death may be due to a request.
    pub is_local: bool,
    patience: Duration,
    number: u64,
}

impl PartialEq for Way {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Way {
    /// The embedder's answer. `usual` is its recent time until an answer.
    ///
    /// # Errors
    ///
    /// Those of the embedder; [`Unavailable`](ErrorKind::Unavailable) if the connection was given up, or no answer comes in
    /// many times the usual time.
    pub async fn ask(&self, request: Request, usual: Duration) -> Result<Response, Error> {
        let is_large = match &request {
            Request::Image(image, _) | Request::ImageWithThumbnail(image, _) | Request::Thumbnail(image, _) => {
                image.len() > LARGE
            }
            _ => false,
        };
        let limit = self.patience + 20 * usual + if is_large { BEYOND.1 } else { BEYOND.0 };
        let mut lost = self.lost.clone();
        let answer = async {
            match self.is_local {
                // It has a watchdog, and its end is noticed.
                true => Ok(self.client.pass(request).await),
                false => timeout(limit, self.client.pass(request)).await,
            }
        };
        tokio::select! {
            answer = answer => answer.unwrap_or_else(|_| {
                let why = format!("it has not answered within {} seconds", limit.as_secs());
                Err(Error::unavailable("that had the request", why))
            }),
            // Nothing is sent: it ends.
            _ = lost.changed() => Err(Error::unavailable("that had the request", "it does not answer")),
        }
    }

    /// Gives no more to the embedder until it has been looked at.
    pub fn doubt(&self, pool: &Arc<Pool<Way>>, id: MemberId, why: &Error) {
        let status = match self.is_local {
            // It is started again at once.
            true => Status::Loading,
            false => Status::Unreachable(why.to_string()),
        };
        pool.lose(id, self, status);
        self.doubts.notify_one();
    }
}

/// Opens one connection and no other, so that the end of the connection is reported instead of being mended.
struct Once(Mutex<Option<Box<dyn embedder::Stream>>>);

impl Dial for Once {
    fn dial(&self) -> Dialling<'_> {
        Box::pin(async {
            let stream = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
            stream.ok_or_else(|| Error::unavailable("that had the request", "it closed the connection"))
        })
    }
}

/// What the members share.
pub struct Common {
    pub pool: Arc<Pool<Way>>,
    /// The last answer of the embedder on this machine.
    pub local: Mutex<Option<Info>>,
    /// How long an embedder may take to answer a question about itself.
    pub patience: Duration,
    ways: AtomicU64,
}

impl Common {
    pub fn new(pool: Arc<Pool<Way>>, patience: Duration) -> Self {
        Self { pool, local: Mutex::default(), patience, ways: AtomicU64::new(0) }
    }
}

/// Keeps connections to an embedder until this is dropped. `hangs` is that of the process on this machine.
pub async fn run(common: &Common, id: MemberId, name: &str, dial: &dyn Dial, hangs: Option<Arc<Notify>>) {
    let is_local = hangs.is_some();
    let mut pause = BACKOFF.0;
    let mut logged = String::new();
    loop {
        let began = Instant::now();
        let (ended, was_used) = Session { common, id, is_local, was_used: false }.run(dial).await;
        if was_used && began.elapsed() >= STABLE {
            pause = BACKOFF.0;
        }
        if let (End::Silent(_), Some(hangs)) = (&ended, &hangs)
            && was_used
        {
            hangs.notify_one();
        }
        let (End::Silent(status) | End::Closed(status)) = ended;
        if let Status::Failed(_, why) | Status::Unreachable(why) = &status
            && (was_used || logged != *why)
        {
            log::line(format_args!("embedder {name}: {why}"));
            logged.clone_from(why);
        }
        let restarts = is_local && was_used && pause == BACKOFF.0;
        common.pool.set(id, if restarts { Status::Loading } else { status });
        sleep(pause).await;
        pause = (pause * 2).min(BACKOFF.1);
    }
}

struct Session<'a> {
    common: &'a Common,
    id: MemberId,
    is_local: bool,
    was_used: bool,
}

/// How a session ended, and what the embedder is then.
enum End {
    /// There was no answer in time.
    Silent(Status<Way>),
    /// A connection was closed or never opened, or an answer was wrong.
    Closed(Status<Way>),
}

impl Session<'_> {
    /// Connects and watches; how that ended, and whether the embedder was used.
    async fn run(mut self, dial: &dyn Dial) -> (End, bool) {
        // Dropped when those who wait for an answer shall give up.
        let (until_lost, lost) = watch::channel(());
        let Err(ended) = self.watch(dial, lost).await;
        if matches!(ended, End::Closed(_)) && !self.is_local {
            // Over the other connection the answers to what it has may yet come.
            tokio::spawn(async move {
                sleep(PARTING).await;
                drop(until_lost);
            });
        }
        (ended, self.was_used)
    }

    async fn watch(&mut self, dial: &dyn Dial, lost: watch::Receiver<()>) -> Result<Infallible, End> {
        // Questions about itself go over a connection of their own, so that they do not wait behind images.
        let questions = self.connect(dial).await?;
        let client = self.connect(dial).await?;
        let doubts = Arc::new(Notify::new());
        let number = self.common.ways.fetch_add(1, Ordering::Relaxed);
        let (is_local, patience) = (self.is_local, self.common.patience);
        let way = Way { client: client.clone(), lost, doubts: Arc::clone(&doubts), is_local, patience, number };
        let mut used = None;
        loop {
            let began = Instant::now();
            let info = self.in_time(questions.info()).await?;
            self.common.pool.set_round_trip(self.id, began.elapsed());
            if self.is_local {
                *self.common.local.lock().unwrap_or_else(PoisonError::into_inner) = Some(info.clone());
            }
            let pause = match info.model {
                ModelState::Loading => {
                    self.common.pool.set(self.id, Status::Loading);
                    LOADING
                }
                ModelState::Failed { kind, message } => {
                    self.common.pool.set(self.id, Status::Failed(kind, message));
                    used = None;
                    // It tries again when it is asked for something; the answer is in its next state.
                    let _ = timeout(self.common.patience, client.embed_text(PROBE)).await;
                    PING
                }
                ModelState::Ready(model) => {
                    let known = used.take().filter(|(of, _)| *of == model.fingerprint);
                    let is_new = known.is_none();
                    let (_, probe) = match known {
                        Some(known) => used.insert(known),
                        None => used.insert((model.fingerprint, self.probe(&client, model.fingerprint).await?)),
                    };
                    let probe = Arc::clone(probe);
                    self.was_used = true;
                    if is_new || !self.common.pool.is_used(self.id, &way) {
                        // The connection for requests may be what is lost.
                        self.in_time(client.info()).await?;
                        let (way, model) = (way.clone(), Box::new(model));
                        self.common.pool.set(self.id, Status::Ready { way, model, probe });
                    }
                    PING
                }
            };
            self.common.pool.tick();
            let _ = timeout(pause, doubts.notified()).await;
        }
    }

    async fn connect(&self, dial: &dyn Dial) -> Result<Client, End> {
        let stream = self.in_time(dial.dial()).await?;
        self.in_time(Client::over(Box::new(Once(Mutex::new(Some(stream)))))).await
    }

    /// The embedder's embedding of [`PROBE`].
    async fn probe(&self, client: &Client, model: ModelFingerprint) -> Result<Arc<[f32; DIMENSION]>, End> {
        let embedded = self.in_time(client.embed_text(PROBE)).await?;
        match embedded.model == model {
            true => Ok(Arc::from(embedded.vector)),
            false => Err(End::Closed(Status::Unreachable("its model was replaced".to_owned()))),
        }
    }

    async fn in_time<T>(&self, answer: impl Future<Output = Result<T, Error>>) -> Result<T, End> {
        match timeout(self.common.patience, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if error.kind() == ErrorKind::Protocol => {
                Err(End::Closed(Status::Failed(error.kind(), error.to_string())))
            }
            Ok(Err(error)) => Err(End::Closed(Status::Unreachable(error.to_string()))),
            Err(_) => {
                let seconds = self.common.patience.as_secs_f64();
                Err(End::Silent(Status::Unreachable(format!("no answer within {seconds} seconds"))))
            }
        }
    }
}
