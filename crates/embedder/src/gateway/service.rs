//! Passes requests on to embedders. A request whose embedder fails is given to another one; only what an embedder says of an
//! input, twice, or the death of the process on this machine, alone with an input, is the input's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use embedder::protocol::{Request, Response};
use embedder::{Error, ErrorKind, Info, ModelState, Sandbox, Statistics};
use tokio::sync::{Mutex, OwnedSemaphorePermit};
use tokio::time::sleep;

use super::member::{Common, Way};
use super::pool::{Kind, MemberId, Slot};
use crate::failure::Failure;
use crate::front::answers::{ClientNumber, Responder};
use crate::front::{Intake, Service};

/// The number of embedders that may fail a request before it is refused.
const LOSSES: u32 = 5;
/// The number of embedders that may fail to compute for a request, or answer it wrongly.
const FAILURES: u32 = 2;
/// The time after which a busy embedder is asked again.
const BUSY_PAUSE: Duration = Duration::from_millis(100);
/// Between two looks at an embedder that a request shall have for itself.
const ALONE_PAUSE: Duration = Duration::from_millis(10);
/// How long an embedder that has died may take to be ready for the request that it shall have for itself.
const RESTART: Duration = Duration::from_secs(60);
/// The most requests that wait.
const MOST_WAITING: usize = 8192;

/// The service, shared by all connections.
#[derive(Clone)]
pub struct Gateway(pub Arc<Shared>);

pub struct Shared {
    pub intake: Intake,
    pub common: Arc<Common>,
    /// Held by the request that has the embedder on this machine for itself.
    alone: Mutex<()>,
    pub images: AtomicU64,
    pub texts: AtomicU64,
    pub refused: AtomicU64,
}

impl Gateway {
    pub fn new(intake: Intake, common: Arc<Common>) -> Self {
        let (alone, zero) = (Mutex::default(), || AtomicU64::new(0));
        Self(Arc::new(Shared { intake, common, alone, images: zero(), texts: zero(), refused: zero() }))
    }

    /// The state of the whole.
    pub fn info(&self) -> Info {
        let common = &self.0.common;
        let local = common.local.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let model = match common.pool.model() {
            Some(model) => ModelState::Ready(model),
            None if common.pool.is_starting() => ModelState::Loading,
            None => ModelState::Failed { kind: common.pool.failure(), message: common.pool.problems() },
        };
        let images = self.0.images.load(Ordering::Relaxed);
        let texts = self.0.texts.load(Ordering::Relaxed);
        let statistics = local.as_ref().map(|local| local.statistics).unwrap_or_default();
        let elsewhere = || Sandbox {
            gap: Some("this process decodes no image; its embedders run on other machines".to_owned()),
            ..Sandbox::default()
        };
        Info {
            pid: std::process::id(),
            threads: local.as_ref().map_or(0, |local| local.threads),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            statistics: Statistics { images, texts, ..statistics },
            sandbox: local.map_or_else(elsewhere, |local| local.sandbox),
            model,
        }
    }

    /// The answer to a request of a client.
    async fn answer(&self, client: ClientNumber, request: Request) -> Result<Response, Failure> {
        let kind = if matches!(request, Request::Text(_)) { Kind::Text } else { Kind::Image };
        let (mut losses, mut failures) = (0, 0);
        loop {
            let slot = self.slot(client, kind).await?;
            let error = match ask(&slot, &request).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            match error.kind() {
                _ if slot.way.is_local && error.lost_connection() => {
                    let (id, way) = (slot.member, slot.way.clone());
                    way.doubt(&self.0.common.pool, id, &error);
                    drop(slot);
                    return self.answer_alone(id, kind, &request).await;
                }
                ErrorKind::Busy => {
                    drop(slot);
                    sleep(BUSY_PAUSE).await;
                    continue;
                }
                ErrorKind::Crashes => return Err(failure(&error)),
                kind_of_error if error.is_input() || kind_of_error == ErrorKind::Protocol => {
                    match self.second_opinion(&slot, kind, &request, &error).await {
                        Some(answer) => return answer,
                        None => failures += 1,
                    }
                }
                ErrorKind::Inference => failures += 1,
                _ => losses += 1,
            }
            slot.failed();
            if error.kind() != ErrorKind::Inference {
                slot.way.doubt(&self.0.common.pool, slot.member, &error);
            }
            if failures >= FAILURES {
                return Err(failure(&error));
            }
            if losses >= LOSSES {
                let message = format!("{LOSSES} embedders in a row were lost with the request; the last: {error}");
                return Err(Failure::new(ErrorKind::Unavailable, message));
            }
        }
    }

    /// Waits for a place.
    async fn slot(&self, client: ClientNumber, kind: Kind) -> Result<Slot<Way>, Failure> {
        let pool = &self.0.common.pool;
        if pool.waiting() >= MOST_WAITING {
            self.0.refused.fetch_add(1, Ordering::Relaxed);
            let message = format!("{MOST_WAITING} requests already wait, try again later");
            return Err(Failure::new(ErrorKind::Busy, message));
        }
        tokio::select! {
            biased;
            slot = pool.slot(client, kind) => Ok(slot),
            () = self.no_embedder() => {
                Err(Failure::new(pool.failure(), format!("no embedder can be used: {}", pool.problems())))
            }
        }
    }

    /// Returns when no embedder can be used and none is about to be.
    async fn no_embedder(&self) {
        let pool = &self.0.common.pool;
        let until = Instant::now() + RESTART;
        loop {
            pool.unusable_for(self.0.common.patience).await;
            if !pool.is_starting() || Instant::now() >= until {
                return;
            }
            sleep(BUSY_PAUSE).await;
        }
    }

    /// Asks another embedder if one refuses an input or answers wrongly: a machine that is not well may refuse what is good.
    /// `None` if that leaves open who is at fault.
    async fn second_opinion(
        &self,
        first: &Slot<Way>,
        kind: Kind,
        request: &Request,
        error: &Error,
    ) -> Option<Result<Response, Failure>> {
        let refused = || error.is_input().then(|| Err(failure(error)));
        let Some(second) = self.0.common.pool.second(first.member, kind) else { return refused() };
        match ask(&second, request).await {
            Ok(answer) => {
                if !is_limit(error.kind()) {
                    first.failed();
                    first.way.doubt(&self.0.common.pool, first.member, error);
                    first.way.complain(format!("another embedder answered what it did not: {error}"));
                }
                Some(Ok(answer))
            }
            Err(other) if other.is_input() || other.kind() == ErrorKind::Protocol => Some(Err(failure(&other))),
            Err(_) => refused(),
        }
    }

    /// The answer to a request that was under way when the embedder on this machine died. Which of them it died of shows when
    /// each is asked alone.
    async fn answer_alone(&self, id: MemberId, kind: Kind, request: &Request) -> Result<Response, Failure> {
        let pool = &self.0.common.pool;
        let _turn = self.0.alone.lock().await;
        let _reserved = Reserved { gateway: self, id };
        let until = Instant::now() + RESTART;
        let slot = loop {
            if let Some(slot) = pool.alone(id, kind) {
                break slot;
            }
            if Instant::now() >= until {
                let message = format!("the embedder has not come back: {}", pool.problems());
                return Err(Failure::new(ErrorKind::Unavailable, message));
            }
            sleep(ALONE_PAUSE).await;
        };
        let (id, way) = (slot.member, slot.way.clone());
        ask(&slot, request).await.map_err(|error| match error.kind() {
            ErrorKind::Died => {
                way.doubt(pool, id, &error);
                Failure::new(ErrorKind::Crashes, "the embedder crashed on this input, which it had alone")
            }
            _ => {
                if error.lost_connection() {
                    way.doubt(pool, id, &error);
                }
                failure(&error)
            }
        })
    }
}

/// An embedder that one request has for itself, until dropped.
struct Reserved<'a> {
    gateway: &'a Gateway,
    id: MemberId,
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.gateway.0.common.pool.release(self.id);
    }
}

/// The answer of the slot's embedder; an embedding of another model than it was chosen for is an error.
async fn ask(slot: &Slot<Way>, request: &Request) -> Result<Response, Error> {
    let answer = slot.way.ask(request.clone()).await?;
    match &answer {
        Response::Embedding { model, .. } if *model != slot.model => {
            slot.way.complain("it answers by another model than it had".to_owned());
            return Err(Error::unavailable("that had the request", "its model was replaced"));
        }
        Response::Embedding { .. } | Response::Thumbnail(_) => {}
        _ => return Err(Error::wrong_answer("an embedding or a thumbnail")),
    }
    slot.answered();
    Ok(answer)
}

/// Whether the limits of a machine refuse an input; those of another may be wider.
fn is_limit(kind: ErrorKind) -> bool {
    use ErrorKind::{SideTooLong, TooLarge, TooManyPixels, TooMuchMemory};
    matches!(kind, TooLarge | TooManyPixels | SideTooLong | TooMuchMemory)
}

fn failure(error: &Error) -> Failure {
    Failure::new(error.kind(), error.to_string())
}

impl Service for Gateway {
    /// Enough for all embedders of a pool to have work from one client.
    const MAX_IN_FLIGHT: usize = 512;

    fn intake(&self) -> &Intake {
        &self.0.intake
    }

    fn take(&self, request: Request, budget: OwnedSemaphorePermit, responder: Responder) {
        match request {
            Request::Info => responder.answer(&Response::Info(Box::new(self.info()))),
            Request::Embedders => responder.answer(&Response::Embedders(self.0.common.pool.members())),
            request => {
                let gateway = self.clone();
                tokio::spawn(async move {
                    let is_text = matches!(request, Request::Text(_));
                    let answer = tokio::select! {
                        answer = gateway.answer(responder.client(), request) => answer,
                        () = responder.gone() => return,
                    };
                    drop(budget);
                    match answer {
                        Ok(answer) => {
                            let done = if is_text { &gateway.0.texts } else { &gateway.0.images };
                            done.fetch_add(1, Ordering::Relaxed);
                            responder.answer(&answer);
                        }
                        Err(failure) => responder.refuse(failure),
                    }
                });
            }
        }
    }
}
