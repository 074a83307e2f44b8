//! Passes requests on to embedders. A request whose embedder fails is given to another one. What an embedder says of an input
//! counts only if another one agrees, where there is one; and the death of the process on this machine only for the input that
//! it had alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use embedder::protocol::{Request, Response};
use embedder::{Error, ErrorKind, Info, ModelState, Sandbox, Statistics};
use tokio::sync::Mutex;
use tokio::time::sleep;

use super::member::{Common, Way};
use super::pool::{Kind, MemberId, Slot};
use crate::failure::Failure;
use crate::front::answers::{ClientNumber, Responder};
use crate::front::{Intake, Room, Service};

/// The number of embedders that may fail a request before it is refused.
const LOSSES: usize = 5;
/// The number of embedders that have to refuse an input, if there are so many.
const REFUSALS: usize = 2;
/// The time after which embedders that have all failed a request are asked again.
const AGAIN: Duration = Duration::from_millis(100);
/// For how long embedders may all be busy.
const BUSY: Duration = Duration::from_secs(30);
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
        let pool = &self.0.common.pool;
        let began = Instant::now();
        let mut tried: Vec<MemberId> = Vec::new();
        let mut refusals: Vec<(MemberId, Error)> = Vec::new();
        let mut losses = 0;
        loop {
            let slot = self.place(client, kind, &mut tried).await?;
            let id = slot.member;
            let error = match ask(&slot, &request).await {
                Ok(answer) => {
                    // Who refused what another one answers is not well, unless it has narrower limits.
                    for (member, error) in refusals.iter().filter(|(_, error)| !is_limit(error.kind())) {
                        self.strike(*member, error);
                    }
                    return Ok(answer);
                }
                Err(error) => error,
            };
            if slot.way.is_local && error.lost_connection() {
                slot.way.doubt(pool, id, &error);
                drop(slot);
                if let Some(answer) = self.answer_alone(id, kind, &request, Instant::now() + RESTART).await {
                    return answer;
                }
                losses += 1;
            } else if blames_input(&error) {
                refusals.push((id, error));
                let others = pool.has_other(&[tried.as_slice(), &[id]].concat());
                if refusals.len() >= REFUSALS || !others {
                    return Err(failure(&refusals.swap_remove(0).1));
                }
            } else {
                if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Died) || error.lost_connection() {
                    slot.way.doubt(pool, id, &error);
                }
                self.strike(id, &error);
                match error.kind() {
                    ErrorKind::Busy if began.elapsed() < BUSY => {}
                    ErrorKind::Busy => return Err(failure(&error)),
                    kind => {
                        losses += 1;
                        if losses >= LOSSES {
                            let kind = if kind == ErrorKind::Inference { kind } else { ErrorKind::Unavailable };
                            let message = format!("{LOSSES} attempts have failed; the last: {error}");
                            return Err(Failure::new(kind, message));
                        }
                    }
                }
            }
            tried.push(id);
        }
    }

    /// A place for a request that those embedders have not answered. If no other can be used, after a pause at any of them.
    async fn place(&self, client: ClientNumber, kind: Kind, tried: &mut Vec<MemberId>) -> Result<Slot<Way>, Failure> {
        if !tried.is_empty() {
            if let Some(slot) = self.0.common.pool.other(tried, kind) {
                return Ok(slot);
            }
            tried.clear();
            sleep(AGAIN).await;
        }
        self.slot(client, kind).await
    }

    /// Gives an embedder that has failed a request nothing for a while.
    fn strike(&self, id: MemberId, why: &Error) {
        let pool = Arc::clone(&self.0.common.pool);
        let pause = pool.strike(id, &why.to_string());
        if !pause.is_zero() {
            tokio::spawn(async move {
                sleep(pause).await;
                pool.tick();
            });
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
            sleep(AGAIN).await;
        }
    }

    /// The answer to a request that was under way when the embedder on this machine died. Which of them it died of shows when
    /// each is asked alone. `None` if it has not come back by then.
    async fn answer_alone(
        &self,
        id: MemberId,
        kind: Kind,
        request: &Request,
        until: Instant,
    ) -> Option<Result<Response, Failure>> {
        let pool = &self.0.common.pool;
        let _turn = tokio::time::timeout_at(until.into(), self.0.alone.lock()).await.ok()?;
        let _reserved = Reserved { gateway: self, id };
        let slot = loop {
            if let Some(slot) = pool.alone(id, kind) {
                break slot;
            }
            if Instant::now() >= until {
                return None;
            }
            sleep(ALONE_PAUSE).await;
        };
        let (id, way) = (slot.member, slot.way.clone());
        Some(ask(&slot, request).await.map_err(|error| {
            if error.lost_connection() {
                way.doubt(pool, id, &error);
            }
            match error.kind() {
                ErrorKind::Died => {
                    Failure::new(ErrorKind::Crashes, "the embedder crashed on this input, which it had alone")
                }
                _ => failure(&error),
            }
        }))
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

/// The answer of the slot's embedder, if it is one to this request, and of the model that the embedder was chosen for.
async fn ask(slot: &Slot<Way>, request: &Request) -> Result<Response, Error> {
    let answer = slot.way.ask(request.clone(), slot.usual).await?;
    match (request, &answer) {
        (_, Response::Embedding { model, .. }) if *model != slot.model => {
            return Err(Error::unavailable("that had the request", "its model was replaced"));
        }
        (Request::ImageWithThumbnail(..), Response::Embedding { thumbnail: Some(_), .. })
        | (Request::Image(..) | Request::Text(_), Response::Embedding { thumbnail: None, .. })
        | (Request::Thumbnail(..), Response::Thumbnail(_)) => {}
        _ => return Err(Error::wrong_answer("an answer to the request")),
    }
    slot.answered();
    Ok(answer)
}

/// Whether the input may be the reason. If the connection was lost, any of those that were under way may be.
fn blames_input(error: &Error) -> bool {
    error.is_input() || matches!(error.kind(), ErrorKind::Crashes | ErrorKind::Protocol) && !error.lost_connection()
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

    fn take(&self, request: Request, budget: Room, responder: Responder) {
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
