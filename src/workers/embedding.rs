//! The way to the embedder that imports and tracked columns share: how many requests are with it, and who is to blame
//! when one brings nothing.

use std::sync::Arc;
use std::time::Duration;

use embedder::{Client, Embedded, Error, ErrorKind, Input, ModelFingerprint, ModelState};
use tokio::sync::Semaphore;

use super::jobs::Database;
use crate::errors::{Failure, Kind, limit_of_images};
use crate::postgres::platform;
use crate::settings;
use crate::store;
use crate::store::model::ModelRow;
use crate::store::pin_image::Reason;

/// Requests to the embedder at one time, from all work of this worker.
const PERMITS: u32 = 32;
/// Attempts on one input: a minute of trouble on the way passes, and nothing waits an hour for one picture.
pub const ATTEMPTS: i32 = 4;
/// Deaths of the embedder on the same input.
const DEATHS: i32 = 3;
/// How long an input waits for an embedder that is busy, within its lease.
const BUSY_PATIENCE: Duration = Duration::from_secs(30);
/// How long a fresh embedder may take to listen to us again.
const EMBEDDER_PAUSE: Duration = Duration::from_millis(500);
/// How long the model may take to load before work gives its turn to other work.
const MODEL_PATIENCE: Duration = Duration::from_secs(60);

/// The requests of this worker that are with the embedder. A clone is the same gate.
#[derive(Clone)]
pub struct Gate(Arc<Semaphore>);

impl Gate {
    /// Nobody is inside.
    pub fn new() -> Self {
        Gate(Arc::new(Semaphore::new(PERMITS as usize)))
    }

    /// The input's embedding. `alone`: no other request of this worker is with the embedder meanwhile, so its death is
    /// this input's fault.
    pub async fn embed(&self, embedder: &Client, input: Input, alone: bool) -> Result<Embedded, Error> {
        let permits = if alone { PERMITS } else { 1 };
        // Closed never, so this fails never.
        let _permits = self.0.acquire_many(permits).await;
        // Other workers and searches keep it busy: better waited for here than brought here again.
        embedder.embed(input, BUSY_PATIENCE).await
    }
}

/// What a refusal means for the input.
#[derive(Debug)]
pub enum Judgement {
    /// It is of a kind that is not embedded.
    Unsuitable(Reason),
    /// It cannot be embedded, or could not after all attempts.
    Failed(Reason),
    /// Again after a pause. Without blame the attempt does not count.
    Again {
        /// Why this attempt failed.
        reason: String,
        /// The pause.
        after: Duration,
        /// The input may be at fault.
        blame: bool,
    },
    /// The embedder died while it had this input and others: to be tried alone.
    Suspect,
    /// Nothing can be embedded now: no model, no embedder.
    Nobody(Failure),
}

/// Judges what the embedder answered to an input that was tried `attempts` times, this one included.
pub fn judge(error: &Error, attempts: i32, alone: bool) -> Judgement {
    let reason = match limit_of_images(error.kind()) {
        Some(setting) => format!("{error} (the setting {setting})"),
        None => error.to_string(),
    };
    let again = |reason, blame| Judgement::Again { reason, after: EMBEDDER_PAUSE, blame };
    match error.kind() {
        ErrorKind::UnsupportedFormat => Judgement::Unsuitable(Reason::new("unsupported_format", reason)),
        ErrorKind::Animated => Judgement::Unsuitable(Reason::new("animated", reason)),
        ErrorKind::TooLarge | ErrorKind::TooManyPixels | ErrorKind::SideTooLong | ErrorKind::TooMuchMemory => {
            Judgement::Unsuitable(Reason::new("too_large", reason))
        }
        ErrorKind::TextTooLong => Judgement::Unsuitable(Reason::new("too_large", reason)),
        ErrorKind::EmptyText => Judgement::Unsuitable(Reason::new("empty_text", reason)),
        ErrorKind::Malformed => Judgement::Failed(Reason::new("malformed", reason)),
        ErrorKind::Died if !alone => Judgement::Suspect,
        ErrorKind::Died if attempts >= DEATHS => {
            Judgement::Failed(Reason::new("embedder_died", "the embedder died on it each time"))
        }
        ErrorKind::Died => again(reason, true),
        ErrorKind::Busy => again(reason, false),
        _ if error.is_model() || error.kind() == ErrorKind::Unavailable => {
            Judgement::Nobody(Failure::from_embedder(error.kind(), reason))
        }
        _ if attempts >= ATTEMPTS => Judgement::Failed(Reason::new("embedder", reason)),
        _ => again(reason, true),
    }
}

/// An embedder with its model.
#[derive(Clone)]
pub struct Ready {
    /// The connection.
    pub client: Client,
    /// The model's key.
    pub model_id: i64,
    /// The model, as each answer names it.
    pub fingerprint: ModelFingerprint,
}

/// A connection to the embedder and the key of the model it runs, once that is loaded. What is `known` from before is
/// used again as far as it still holds.
pub async fn connect(database: &Database, known: Option<&Ready>) -> Result<Ready, Failure> {
    let client = match known {
        Some(known) => known.client.clone(),
        None => {
            // The program would end at once, which tells nobody why.
            database.run(settings::required_model_dir).await?;
            Client::connect(platform::EMBEDDER_SOCKET.as_ref()).await?
        }
    };
    let model = match client.ready(MODEL_PATIENCE).await?.model {
        ModelState::Ready(model) => model,
        ModelState::Loading => return Err(Failure::new(Kind::Busy, "the embedder is still loading its model")),
        ModelState::Failed { kind, message } => return Err(Failure::from_embedder(kind, message)),
    };
    let fingerprint = model.fingerprint;
    if let Some(known) = known.filter(|known| known.fingerprint == fingerprint) {
        return Ok(known.clone());
    }
    let row = ModelRow {
        fingerprint: fingerprint.as_bytes().to_vec(),
        name: model.name,
        weights_sha256: hexadecimal(&model.weights_sha256),
        precision: model.precision,
        preprocessing: model.preprocessing,
        dimension: i32::try_from(model.dimension).unwrap_or(i32::MAX),
    };
    let model_id = database.run(move || store::model::id_of(&row)).await?;
    Ok(Ready { client, model_id, fingerprint })
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
