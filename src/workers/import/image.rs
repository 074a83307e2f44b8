//! One image: downloaded from the best size that can be had, recognised or embedded.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use embedder::Input;
use pinterest::{ErrorKind, FetchedImage, retry};
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::api::{Api, Refused};
use super::dedup::{SameBytes, Turn};
use super::failure::Interruption;
use crate::errors::{Failure, Kind, limit_of_images};
use crate::postgres::vector::Vector;
use crate::store;
use crate::store::import::Stop;
use crate::store::pin_image::{Candidate, ClaimedImage, Embedded, ImageResult, Reason};
use crate::workers::database::Context;
use crate::workers::embedding::{ATTEMPTS, Gate, Judgement, judge};

/// What is known after an attempt.
pub enum Verdict {
    /// To be recorded.
    Done(Box<ImageResult>),
    /// The embedder died while it had this image and others.
    Suspect,
    /// The import cannot go on.
    Stop(Interruption),
}

/// All that work on an image needs.
#[derive(Clone)]
pub struct OneImage {
    pub context: Context,
    pub client: pinterest::Client,
    pub embedder: embedder::Client,
    pub embedder_gate: Gate,
    pub download_gate: Arc<Semaphore>,
    pub account_id: i64,
    pub import_attempts: i32,
    /// Seconds since the import was claimed first.
    pub import_age: f64,
    pub keep_image: bool,
    pub model_id: i64,
    /// Embeddings of other accounts' images may be taken.
    pub across: bool,
    pub ladder: Rc<RefCell<Ladder>>,
    pub same_bytes: SameBytes,
}

/// Sizes that this import has been refused again and again without a success between: tried last.
#[derive(Debug, Default)]
pub struct Ladder(HashMap<String, u32>);

/// Refusals of one size in a row that are no coincidence any more.
const REFUSALS: u32 = 3;

impl Ladder {
    fn sort(&self, candidates: &mut [Candidate]) {
        candidates.sort_by_key(|candidate| self.0.get(&candidate.size).is_some_and(|&refused| refused >= REFUSALS));
    }

    fn refused(&mut self, size: &str) {
        *self.0.entry(size.to_owned()).or_default() += 1;
    }

    fn worked(&mut self, size: &str) {
        self.0.remove(size);
    }
}

struct Download {
    image: FetchedImage,
    /// The slot it was downloaded in, where it is so large that no other image is to be downloaded before it is embedded.
    _slot: Option<OwnedSemaphorePermit>,
    size: String,
    cropped: bool,
}

/// Bytes of an image that keeps its slot until it is embedded: what a worker holds at one time is as many of the largest
/// images as it downloads in parallel, and some small ones.
const LARGE: usize = 4 << 20;

/// Why the last size could not be had.
#[derive(Default)]
struct Refusal {
    kind: Option<ErrorKind>,
    reason: String,
}

impl OneImage {
    /// Downloads, where the bytes are not kept, and embeds. `alone`: no other image is with the embedder meanwhile, so its death is this one's fault.
    ///
    /// The turn is to be kept until the verdict is recorded.
    pub async fn work(&self, claimed: &ClaimedImage, alone: bool) -> (Verdict, Option<Turn>) {
        let download = match claimed.kept {
            true => self.kept(claimed).await,
            false => self.download(claimed).await,
        };
        match download {
            Ok(download) => {
                let turn = self.same_bytes.turn(download.image.sha256).await;
                (self.recognise_or_embed(download, claimed, alone).await, Some(turn))
            }
            Err(verdict) => (verdict, None),
        }
    }

    async fn recognise_or_embed(&self, download: Download, claimed: &ClaimedImage, alone: bool) -> Verdict {
        let done = |outcome| Verdict::Done(Box::new(outcome));
        let Download { image, size, cropped, _slot } = download;
        let keep_image = self.keep_image && !claimed.kept;
        let (account_id, sha256, model_id, across) = (self.account_id, image.sha256, self.model_id, self.across);
        let known =
            self.context.database.run(move || store::pin_image::has_bytes(account_id, sha256, model_id, across)).await;
        match known {
            Ok(true) => {
                let image = keep_image.then_some(image.bytes);
                return done(ImageResult::SameBytes { model_id, sha256, source_size: size, cropped, image });
            }
            Ok(false) => {}
            Err(failure) => return Verdict::Stop(failure.into()),
        }
        let kept = keep_image.then(|| image.bytes.clone());
        let input = Input::Image(image.bytes.into(), self.context.config.borrow().animated_images);
        match self.embedder_gate.embed(&self.embedder, input, alone).await {
            Ok(embedded) => match Vector::new(embedded.vector) {
                // The model was replaced while the import ran: the next run begins with the new one, at once.
                _ if self.model_changed(&embedded.model).await => Verdict::Stop(Interruption::Stopped {
                    stop: Stop::Queued,
                    failure: Failure::new(Kind::NotReady, "the model was replaced during the import"),
                    wake_in: Duration::ZERO,
                }),
                Ok(embedding) => done(ImageResult::Embedded(Box::new(Embedded {
                    embedding,
                    model_id,
                    sha256,
                    source_size: size,
                    cropped,
                    animated: embedded.animated,
                    image: kept,
                }))),
                Err(failure) => done(ImageResult::Failed(Reason::new("bad_vector", failure.message))),
            },
            Err(error) => self.embedder_verdict(&error, claimed, alone),
        }
    }

    async fn model_changed(&self, fingerprint: &embedder::ModelFingerprint) -> bool {
        let (fingerprint, model_id) = (fingerprint.as_bytes().to_vec(), self.model_id);
        self.context.database.run(move || store::model::is(model_id, &fingerprint)).await.is_ok_and(|same| !same)
    }

    fn embedder_verdict(&self, error: &embedder::Error, claimed: &ClaimedImage, alone: bool) -> Verdict {
        Verdict::Done(Box::new(match judge(error, claimed.attempts, alone) {
            Judgement::Unsuitable(reason) => ImageResult::Skipped(reason),
            Judgement::Failed(reason) => ImageResult::Failed(reason),
            Judgement::Again { reason, after, blame } => ImageResult::Retry { reason, after, blame },
            Judgement::Suspect => return Verdict::Suspect,
            Judgement::Nobody(failure) => return Verdict::Stop(Interruption::local(failure, self.import_attempts)),
        }))
    }

    /// The bytes that an earlier import kept.
    async fn kept(&self, claimed: &ClaimedImage) -> Result<Download, Verdict> {
        let (account_id, image) = (self.account_id, claimed.clone());
        match self.context.database.run(move || store::pin_image::kept(account_id, &image)).await {
            Ok(Some((bytes, size, cropped))) => {
                let sha256 = Sha256::digest(&bytes).into();
                Ok(Download { image: FetchedImage { bytes, sha256 }, size, cropped, _slot: None })
            }
            Ok(None) => Err(Verdict::Stop(Interruption::Lost)),
            Err(failure) => Err(Verdict::Stop(failure.into())),
        }
    }

    /// Tries the sizes that Pinterest gave, best first; where none can be had, asks once for fresh ones.
    async fn download(&self, claimed: &ClaimedImage) -> Result<Download, Verdict> {
        let done = |outcome| Err(Verdict::Done(Box::new(outcome)));
        if claimed.candidates.is_empty() {
            return done(ImageResult::Skipped(Reason::new("no_url", "Pinterest gives no URL for this image")));
        }
        let mut refused = match self.climb(claimed.candidates.clone(), claimed).await? {
            Ok(download) => return Ok(download),
            Err(refused) => refused,
        };
        if refused.kind != Some(ErrorKind::TooLarge)
            && let Some(fresh) = self.fresh_candidates(claimed).await?
        {
            match self.climb(fresh, claimed).await? {
                Ok(download) => return Ok(download),
                Err(again) if again.kind == Some(ErrorKind::TooLarge) => refused = again,
                Err(_) => {}
            }
        }
        let Refusal { kind, reason: refused } = refused;
        if kind == Some(ErrorKind::TooLarge) {
            let setting = limit_of_images(embedder::ErrorKind::TooLarge).unwrap_or_default();
            return done(ImageResult::Skipped(Reason::new("too_large", format!("{refused} (the setting {setting})"))));
        }
        let reason = format!("none of its sizes can be downloaded: {refused}");
        done(ImageResult::Failed(Reason::new("not_downloadable", reason)))
    }

    /// The first size that can be had, or why the last one cannot.
    async fn climb(
        &self,
        mut candidates: Vec<Candidate>,
        claimed: &ClaimedImage,
    ) -> Result<Result<Download, Refusal>, Verdict> {
        self.ladder.borrow().sort(&mut candidates);
        // Closed never, so this fails never.
        let slot = self.download_gate.clone().acquire_owned().await.ok();
        let mut refused = Refusal::default();
        for Candidate { size, url, cropped } in candidates {
            let mut fetched = self.client.fetch_image(&url).await;
            // Before the whole import pauses for minutes: one connection that broke is no reason to.
            if fetched.as_ref().is_err_and(|error| error.kind() == ErrorKind::ProxyTunnel) {
                fetched = self.client.fetch_image(&url).await;
            }
            match fetched {
                Ok(image) => {
                    self.ladder.borrow_mut().worked(&size);
                    let _slot = slot.filter(|_| image.bytes.len() > LARGE);
                    return Ok(Ok(Download { image, size, cropped, _slot }));
                }
                // Nothing is known of the image: the import waits for the proxy as a whole.
                Err(error) if error.kind().is_proxy() => {
                    return Err(Verdict::Stop(Interruption::proxy_keeps_images(error.into())));
                }
                Err(error) if error.rules_out_url() => {
                    self.ladder.borrow_mut().refused(&size);
                    refused = Refusal { kind: Some(error.kind()), reason: error.to_string() };
                }
                Err(error) => {
                    let attempt = claimed.attempts.unsigned_abs();
                    let delay = retry::next_delay(attempt, &error, fastrand::f64());
                    let outcome = match delay {
                        Some(after) if claimed.attempts < ATTEMPTS && error.is_retryable() => {
                            ImageResult::Retry { reason: error.to_string(), after, blame: true }
                        }
                        _ => ImageResult::Failed(Reason::new("download", error.to_string())),
                    };
                    return Err(Verdict::Done(Box::new(outcome)));
                }
            }
        }
        Ok(Err(refused))
    }

    /// What Pinterest gives for the image now, where that is something else. Not a word about the image where the call
    /// has to wait: for the quota, for the user, for better times.
    async fn fresh_candidates(&self, claimed: &ClaimedImage) -> Result<Option<Vec<Candidate>>, Verdict> {
        let api = Api::open(self.context.clone(), self.account_id, self.import_attempts, self.import_age).await;
        let mut api = api.map_err(Verdict::Stop)?;
        let pin = api
            .call(|client, token| {
                let pin_id = claimed.pin_id.clone();
                async move { client.pin(&token, &pin_id).await }
            })
            .await;
        let pin = match pin {
            Ok(pin) => pin,
            Err(Refused::Call(error)) if error.is_retryable() && !is_about_the_account(error.kind()) => {
                let after = retry::next_delay(claimed.attempts.unsigned_abs(), &error, fastrand::f64());
                return match after {
                    Some(after) if claimed.attempts < ATTEMPTS => {
                        let reason = error.to_string();
                        Err(Verdict::Done(Box::new(ImageResult::Retry { reason, after, blame: true })))
                    }
                    _ => Ok(None),
                };
            }
            Err(Refused::Call(error)) if !is_about_the_account(error.kind()) => return Ok(None),
            Err(refused) => return Err(Verdict::Stop(api.interruption(refused))),
        };
        let images = pin.images().unwrap_or_default();
        let Some(image) = images.into_iter().find(|image| image.position == claimed.position) else { return Ok(None) };
        let fresh = Candidate::of(&image.candidates);
        Ok((fresh != claimed.candidates).then_some(fresh))
    }
}

/// Does a refusal concern all calls of the account, and so the import?
fn is_about_the_account(kind: ErrorKind) -> bool {
    use ErrorKind::{AppAccess, MissingScope, NeedsReauth, RateLimited, SpamHold, Unauthorized};
    matches!(kind, RateLimited | SpamHold | Unauthorized | NeedsReauth | MissingScope | AppAccess) || kind.is_proxy()
}
