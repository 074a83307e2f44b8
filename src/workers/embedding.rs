//! Requests to the embedder: how many are sent at the same time, and which input is to blame if the embedder crashes.

use std::fs::{File, TryLockError};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU32, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use embedder::{Client, Embedded, Error, ErrorKind, Info, Input, ModelFingerprint, ModelState};
use tokio::sync::{Semaphore, watch};
use tokio::time::sleep;

use super::context::Config;
use super::jobs::Database;
use super::registry;
use crate::errors::{Failure, Kind, limit_of_images};
use crate::postgres::platform;
use crate::settings;
use crate::store;
use crate::store::model::ModelRow;

/// Requests of a worker to the embedder at the same time: enough for full passes of the one on this machine, or for several
/// embedders.
const PERMITS: (u32, u32) = (32, 256);
/// Attempts on one input: enough for a minute of network trouble, few enough that nothing waits an hour for one image.
pub const ATTEMPTS: i32 = 4;
/// Attempts on one input that crash the embedder.
const DEATHS: i32 = 3;
/// How long an input waits for a busy embedder, within its lease.
const BUSY_PATIENCE: Duration = Duration::from_secs(30);
/// Between two tries to reach an embedder that has just crashed, and before its input is tried again.
pub const RESTART_PAUSE: Duration = Duration::from_millis(500);
/// Tries to reach an embedder that has just crashed.
const RESTART_TRIES: u32 = 4;
/// How long the model may take to load before other work has its turn.
const MODEL_PATIENCE: Duration = Duration::from_secs(60);

/// Between two tries to get [`LOCK`].
const LOCK_PAUSE: Duration = Duration::from_millis(50);
/// The lock of the input that is sent alone. One embedder serves all workers of the cluster, each of which may have one.
const LOCK: &str = "pg_stat_tmp/pinterest-embedder.alone";

/// Limits this worker's requests to the embedder, and finds the input that crashes it. Clones share the limit.
#[derive(Clone)]
pub struct Gate(Arc<Shared>);

struct Shared {
    config: watch::Receiver<Config>,
    permits: Semaphore,
    /// The number of all of them.
    most: AtomicU32,
    suspects: AtomicUsize,
    /// When no embedder answered after a crash, and why.
    outage: Mutex<Option<(Instant, Failure)>>,
}

impl Gate {
    /// No request is under way.
    pub fn new(config: watch::Receiver<Config>) -> Self {
        Gate(Arc::new(Shared {
            config,
            permits: Semaphore::new(PERMITS.0 as usize),
            most: AtomicU32::new(PERMITS.0),
            suspects: AtomicUsize::new(0),
            outage: Mutex::new(None),
        }))
    }

    /// More requests may be under way once there are several embedders. If later there is only one, it refuses what is too
    /// much for it.
    fn follow_settings(&self) {
        let several = self.0.config.borrow().several_embedders;
        // A suspect has all permits, to be sent alone.
        if several && !self.has_suspects() && self.0.most.swap(PERMITS.1, Relaxed) != PERMITS.1 {
            self.0.permits.add_permits((PERMITS.1 - PERMITS.0) as usize);
        }
    }

    /// Inputs wait until they can be sent alone. Nothing more should be claimed meanwhile: that could take long, and the
    /// leases of the waiting ones may end.
    pub fn has_suspects(&self) -> bool {
        self.0.suspects.load(Relaxed) > 0
    }

    /// The embedding of an input that is tried for the `attempts`th time.
    ///
    /// If the embedder crashes, any of the inputs that it had may be the reason. Each of them is sent once more, while no
    /// other request of this worker is under way, nor another worker's after the same crash: only the input that crashes it
    /// again is to blame. The semaphore is fair: later requests queue behind those that wait for all permits, and these get
    /// them one after another.
    ///
    /// # Errors
    /// [`Rejection`].
    pub async fn embed(&self, embedder: &Client, input: Input, attempts: i32) -> Result<Embedded, Rejection> {
        self.follow_settings();
        // The semaphore is never closed, so acquiring permits cannot fail.
        let permit = self.0.permits.acquire().await;
        let mut answer = embedder.embed(input.clone(), BUSY_PATIENCE).await;
        drop(permit);
        if answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Died) {
            answer = self.embed_alone(embedder, input).await.map_err(Rejection::Unavailable)?;
        }
        answer.map_err(|error| Rejection::new(&error, attempts))
    }

    /// The answer to a request that is sent alone; an error if no embedder can be reached.
    async fn embed_alone(&self, embedder: &Client, input: Input) -> Result<Result<Embedded, Error>, Failure> {
        let since = Instant::now();
        let _suspect = Suspect::counted(&self.0.suspects);
        let _all = self.0.permits.acquire_many(self.0.most.load(Relaxed)).await;
        // Those that wait behind another one do not wait for the same embedder again.
        if let Some(failure) = self.outage_since(since) {
            return Err(failure);
        }
        let _lock = alone_in_cluster().await;
        if let Err(failure) = await_restart(embedder).await {
            *self.0.outage.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), failure.clone()));
            return Err(failure);
        }
        // A busy embedder has not crashed: this input is tried again with others.
        Ok(embedder.embed(input, Duration::ZERO).await)
    }

    fn outage_since(&self, since: Instant) -> Option<Failure> {
        let outage = self.0.outage.lock().unwrap_or_else(PoisonError::into_inner);
        outage.as_ref().filter(|(at, _)| *at > since).map(|(_, failure)| failure.clone())
    }
}

/// Counted until it is dropped.
struct Suspect<'a>(&'a AtomicUsize);

impl<'a> Suspect<'a> {
    fn counted(suspects: &'a AtomicUsize) -> Self {
        suspects.fetch_add(1, Relaxed);
        Suspect(suspects)
    }
}

impl Drop for Suspect<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Holds [`LOCK`] until the file is dropped. If the file cannot be opened, only requests of this worker are held back.
async fn alone_in_cluster() -> Option<File> {
    let file = File::options().create(true).append(true).open(LOCK).ok()?;
    loop {
        match file.try_lock() {
            Ok(()) => return Some(file),
            Err(TryLockError::WouldBlock) => sleep(LOCK_PAUSE).await,
            Err(TryLockError::Error(_)) => return None,
        }
    }
}

/// Waits for an embedder that answers, so that the loss of the next request is not due to the crash before.
///
/// # Errors
/// [`Kind::Busy`] if it has not loaded its model within [`MODEL_PATIENCE`]; its error if it cannot be reached.
async fn await_restart(embedder: &Client) -> Result<(), Failure> {
    let deadline = Instant::now() + MODEL_PATIENCE;
    let mut tries = 1;
    loop {
        match embedder.ready(deadline.saturating_duration_since(Instant::now())).await {
            Ok(Info { model: ModelState::Loading, .. }) => return Err(still_loading()),
            Ok(_) => return Ok(()),
            Err(error) if tries >= RESTART_TRIES => return Err(error.into()),
            Err(_) => sleep(RESTART_PAUSE).await,
        }
        tries += 1;
    }
}

fn still_loading() -> Failure {
    Failure::new(Kind::Busy, "the embedder is still loading its model")
}

/// Why an input was not embedded.
#[derive(Debug)]
pub enum Rejection {
    /// Inputs of its kind are not embedded: the code of the reason, and the reason.
    Unsuitable(&'static str, Failure),
    /// It cannot be embedded, or all attempts failed: the code of the reason, and the reason.
    Failed(&'static str, Failure),
    /// It is tried again after a pause.
    Again {
        /// Why this attempt failed.
        failure: Failure,
        /// The pause.
        after: Duration,
        /// The input may be at fault. Otherwise the attempt does not count.
        blame: bool,
    },
    /// Nothing can be embedded now: the embedder or its model is not available.
    Unavailable(Failure),
}

impl Rejection {
    /// What an error of the embedder means for an input that was tried `attempts` times, this one included.
    fn new(error: &Error, attempts: i32) -> Self {
        let kind = error.kind();
        let message = match limit_of_images(kind) {
            Some(setting) => format!("{error} (the setting {setting})"),
            None => error.to_string(),
        };
        let mut failure = Failure::from_embedder(kind, message);
        match kind {
            ErrorKind::UnsupportedFormat => Rejection::Unsuitable("unsupported_format", failure),
            ErrorKind::Animated => Rejection::Unsuitable("animated", failure),
            ErrorKind::TooLarge
            | ErrorKind::TooManyPixels
            | ErrorKind::SideTooLong
            | ErrorKind::TooMuchMemory
            | ErrorKind::TextTooLong => Rejection::Unsuitable("too_large", failure),
            ErrorKind::EmptyText => Rejection::Unsuitable("empty_text", failure),
            ErrorKind::Malformed => Rejection::Failed("malformed", failure),
            ErrorKind::Died | ErrorKind::Crashes if attempts >= DEATHS => {
                failure.message = "the embedder crashed on each attempt".to_owned();
                Rejection::Failed("embedder_died", failure)
            }
            ErrorKind::Busy => Rejection::Again { failure, after: RESTART_PAUSE, blame: false },
            _ if error.is_model() || kind == ErrorKind::Unavailable => Rejection::Unavailable(failure),
            _ if !matches!(kind, ErrorKind::Died | ErrorKind::Crashes) && attempts >= ATTEMPTS => {
                Rejection::Failed("embedder", failure)
            }
            _ => Rejection::Again { failure, after: RESTART_PAUSE, blame: true },
        }
    }
}

/// An embedder that has loaded its model.
#[derive(Clone)]
pub struct Ready {
    /// The connection.
    pub client: Client,
    /// The model's key.
    pub model_id: i64,
    /// The model's fingerprint, which each answer contains.
    pub fingerprint: ModelFingerprint,
}

/// Connects to the embedder and waits until it has loaded its model. The connection and the model's key are taken from
/// `known` if they are still valid. After a crash this waits until the embedder runs again.
///
/// # Errors
/// [`Kind::Busy`] if the model is not loaded in time; failures of the embedder, its model, the settings or the database.
pub async fn connect(database: &Database, known: Option<Ready>) -> Result<Ready, Failure> {
    let mut found = connect_once(database, known.as_ref()).await;
    for _ in 0..RESTART_TRIES {
        match found {
            Err(failure) if matches!(failure.kind, Kind::BrokenOff | Kind::NotReady) => {}
            found => return found,
        }
        // If no slot is free, the next try fails as this one did.
        database.run_infallible(|| drop(registry::ensure_supervisor())).await;
        sleep(RESTART_PAUSE).await;
        found = connect_once(database, None).await;
    }
    found
}

async fn connect_once(database: &Database, known: Option<&Ready>) -> Result<Ready, Failure> {
    let client = match known {
        Some(known) => known.client.clone(),
        None => {
            // Without the setting the program would end at once, for a reason that only its log contains.
            database.run(settings::require_embedder).await?;
            Client::connect(platform::EMBEDDER_SOCKET.as_ref()).await?
        }
    };
    let model = match client.ready(MODEL_PATIENCE).await?.model {
        ModelState::Ready(model) => model,
        ModelState::Loading => return Err(still_loading()),
        ModelState::Failed { kind, message } => return Err(Failure::from_embedder(kind, message)),
    };
    let fingerprint = model.fingerprint;
    if let Some(known) = known.filter(|known| known.fingerprint == fingerprint) {
        return Ok(known.clone());
    }
    let row = ModelRow {
        fingerprint: fingerprint.as_bytes().to_vec(),
        name: model.name,
        weights_sha256: model.weights_sha256.iter().map(|byte| format!("{byte:02x}")).collect(),
        precision: model.precision,
        preprocessing: model.preprocessing,
        dimension: i32::try_from(model.dimension).unwrap_or(i32::MAX),
    };
    let model_id = database.run(move || store::model::id_of(&row)).await?;
    Ok(Ready { client, model_id, fingerprint })
}
