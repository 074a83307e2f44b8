//! One embedder of the pool: connects to it, watches it, and connects again.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use embedder::protocol::{Request, Response};
use embedder::{Client, DIMENSION, Dial, Dialling, Error, ErrorKind, Info, ModelFingerprint, ModelState};
use tokio::sync::{mpsc, watch};
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
/// An embedder that answers questions about itself but no request for this time is not used. Longer than an image takes.
const STALL: Duration = Duration::from_secs(120);
/// A text whose embedding shows whether an embedder computes what the others do.
const PROBE: &str = "a barn with string lights";
/// The least cosine between the embeddings of [`PROBE`] by two embedders of one model.
const ALIKE: f64 = 0.999;

/// A connection to an embedder. Clones are equal.
#[derive(Clone)]
pub struct Way {
    client: Client,
    /// Its sender is dropped when the connection is given up.
    lost: watch::Receiver<()>,
    complaints: mpsc::UnboundedSender<Complaint>,
    /// The embedder is a process that this one started: its death may be due to a request.
    pub is_local: bool,
    number: u64,
}

/// What a request has to say of an embedder.
enum Complaint {
    /// It has to be looked at, before it is given more.
    Doubt,
    /// It is wrong, for this reason: the connection shall end.
    Wrong(String),
}

impl PartialEq for Way {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Way {
    /// The embedder's answer.
    ///
    /// # Errors
    ///
    /// Those of the embedder; [`Unavailable`](ErrorKind::Unavailable) if the connection was given up.
    pub async fn ask(&self, request: Request) -> Result<Response, Error> {
        let mut lost = self.lost.clone();
        tokio::select! {
            answer = self.client.pass(request) => answer,
            // Nothing is sent: it ends.
            _ = lost.changed() => Err(Error::unavailable("that had the request", "it does not answer")),
        }
    }

    /// Makes the connection end, for this reason.
    pub fn complain(&self, why: String) {
        // Fails if it has ended.
        let _ = self.complaints.send(Complaint::Wrong(why));
    }

    /// Gives no more to the embedder until it has been looked at.
    pub fn doubt(&self, pool: &Arc<Pool<Way>>, id: MemberId, why: &Error) {
        let status = match self.is_local {
            // It is started again at once.
            true => Status::Loading,
            false => Status::Unreachable(why.to_string()),
        };
        pool.lose(id, self, status);
        // Fails if it has ended.
        let _ = self.complaints.send(Complaint::Doubt);
    }
}

/// Opens one connection and no other: whoever holds it sees its end.
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
    /// The embedding of [`PROBE`] by the first embedder of each model.
    probes: Mutex<Vec<(ModelFingerprint, Box<[f32; DIMENSION]>)>>,
    /// The last answer of the embedder on this machine.
    pub local: Mutex<Option<Info>>,
    /// How long an embedder may take to answer a question about itself.
    pub patience: Duration,
    ways: AtomicU64,
}

impl Common {
    pub fn new(pool: Arc<Pool<Way>>, patience: Duration) -> Self {
        let (probes, local) = (Mutex::default(), Mutex::default());
        Self { pool, probes, local, patience, ways: AtomicU64::new(0) }
    }

    /// Whether an embedding of [`PROBE`] is like that of the first embedder with this model.
    fn is_alike(&self, model: ModelFingerprint, vector: Box<[f32; DIMENSION]>) -> bool {
        let mut probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        match probes.iter().find(|(of, _)| *of == model) {
            Some((_, first)) => {
                let products = first.iter().zip(vector.iter()).map(|(one, other)| f64::from(*one) * f64::from(*other));
                products.sum::<f64>() >= ALIKE
            }
            None => {
                probes.push((model, vector));
                true
            }
        }
    }
}

/// Keeps a connection to an embedder until this is dropped.
pub async fn run(common: &Common, id: MemberId, name: &str, dial: &dyn Dial, is_local: bool) {
    let mut pause = BACKOFF.0;
    let mut logged = String::new();
    loop {
        let began = Instant::now();
        let (ended, was_used) = Session { common, id, is_local, was_used: false }.run(dial).await;
        if was_used && began.elapsed() >= STABLE {
            pause = BACKOFF.0;
        }
        if let Status::Failed(_, why) | Status::Unreachable(why) = &ended
            && (was_used || logged != *why)
        {
            log::line(format_args!("embedder {name}: {why}"));
            logged.clone_from(why);
        }
        let restarts = is_local && was_used && pause == BACKOFF.0;
        common.pool.set(id, if restarts { Status::Loading } else { ended });
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

impl Session<'_> {
    /// Connects and watches; how that ended, and whether the embedder was used.
    async fn run(mut self, dial: &dyn Dial) -> (Status<Way>, bool) {
        let Err(ended) = self.watch(dial).await;
        (ended, self.was_used)
    }

    async fn watch(&mut self, dial: &dyn Dial) -> Result<std::convert::Infallible, Status<Way>> {
        let stream = self.in_time(dial.dial()).await?;
        let client = self.in_time(Client::over(Box::new(Once(Mutex::new(Some(stream)))))).await?;
        // Dropped at the end, so that those who wait for an answer know.
        let (_until_lost, lost) = watch::channel(());
        let (complaints, mut complained) = mpsc::unbounded_channel();
        let number = self.common.ways.fetch_add(1, Ordering::Relaxed);
        let way = Way { client: client.clone(), lost, complaints, is_local: self.is_local, number };
        let mut used = None;
        loop {
            let began = Instant::now();
            let info = self.in_time(client.info()).await?;
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
                    let is_new = used != Some(model.fingerprint);
                    if is_new {
                        self.probe(&client, model.fingerprint).await?;
                        used = Some(model.fingerprint);
                        self.was_used = true;
                    }
                    if is_new || !self.common.pool.is_used(self.id, &way) {
                        self.common.pool.set(self.id, Status::Ready { way: way.clone(), model: Box::new(model) });
                    }
                    PING
                }
            };
            let stalled = self.common.pool.stalled(self.id);
            if stalled > STALL {
                let why = format!("it has had requests for {} seconds and answered none", stalled.as_secs());
                return Err(Status::Failed(ErrorKind::Busy, why));
            }
            let mut complaint = timeout(pause, complained.recv()).await.ok().flatten();
            while let Some(made) = complaint {
                if let Complaint::Wrong(why) = made {
                    return Err(Status::Failed(ErrorKind::Protocol, why));
                }
                complaint = complained.try_recv().ok();
            }
        }
    }

    /// Checks that the embedder computes what others with its model compute.
    async fn probe(&self, client: &Client, model: ModelFingerprint) -> Result<(), Status<Way>> {
        let embedded = self.in_time(client.embed_text(PROBE)).await?;
        if embedded.model == model && !self.common.is_alike(model, embedded.vector) {
            let why = "its embedding of a text differs from that of another embedder with the same model".to_owned();
            return Err(Status::Failed(ErrorKind::Protocol, why));
        }
        Ok(())
    }

    async fn in_time<T>(&self, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Status<Way>> {
        match timeout(self.common.patience, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if error.kind() == ErrorKind::Protocol => {
                Err(Status::Failed(error.kind(), error.to_string()))
            }
            Ok(Err(error)) => Err(Status::Unreachable(error.to_string())),
            Err(_) => {
                let seconds = self.common.patience.as_secs_f64();
                Err(Status::Unreachable(format!("no answer within {seconds} seconds")))
            }
        }
    }
}
