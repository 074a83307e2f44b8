//! One image: downloaded in the first size that is available, recognised or embedded.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use embedder::Input;
use pinterest::model::Ladder;
use pinterest::{ErrorKind, retry};
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::api::{Api, Refused};
use super::dedup::{SameBytes, Turn};
use super::failure::Interruption;
use crate::errors::{Failure, Kind, limit_of_images};
use crate::postgres::vector::Vector;
use crate::statistics::{self, Counter, Image, Source};
use crate::store;
use crate::store::import::Stop;
use crate::store::pin_image::{Candidate, ClaimedImage, Embedded, ImageResult, Keep, Reason};
use crate::workers::context::Context;
use crate::workers::embedding::{ATTEMPTS, Gate, Ready, Rejection};

/// Shared by the images of an import.
#[derive(Clone)]
pub struct ImageTask {
    pub context: Context,
    pub client: pinterest::Client,
    /// The embedder, and the model of the import.
    pub embedder: Ready,
    pub embedder_gate: Gate,
    /// One permit per download.
    pub download_gate: Arc<Semaphore>,
    pub account_id: i64,
    /// Attempts of the import without progress.
    pub import_attempts: i32,
    /// Seconds since the import was claimed first.
    pub import_age: f64,
    pub keep: Keep,
    /// Embeddings of other accounts' images may be copied.
    pub across: bool,
    pub refused_sizes: Rc<RefCell<RefusedSizes>>,
    pub same_bytes: SameBytes,
}

/// How often Pinterest has refused each size in a row. Sizes that it always refuses are tried later.
#[derive(Debug, Default)]
pub struct RefusedSizes(HashMap<String, u32>);

/// So many refusals of one size in a row are not a coincidence.
const REFUSALS: u32 = 3;

impl RefusedSizes {
    fn contains(&self, candidate: &Candidate) -> bool {
        self.0.get(&candidate.size).is_some_and(|&refused| refused >= REFUSALS)
    }

    fn add(&mut self, size: &str) {
        *self.0.entry(size.to_owned()).or_default() += 1;
    }

    fn remove(&mut self, size: &str) {
        self.0.remove(size);
    }
}

/// The bytes of an image.
struct Download {
    bytes: Bytes,
    sha256: [u8; 32],
    /// The download slot, if the image is so large that no other is downloaded before it is embedded.
    _slot: Option<OwnedSemaphorePermit>,
    size: String,
    cropped: bool,
}

/// An image of more bytes keeps its download slot until it is embedded. So a worker has in memory at most as many of the
/// largest images as it downloads in parallel, and some small ones.
const LARGE: usize = 4 << 20;

/// Reasons why a file is not embedded that a smaller file of the same image may not have: the largest one may exceed a limit.
const UNUSABLE: [&str; 3] = ["too_large", "unsupported_format", "malformed"];

/// Why there are no bytes.
enum NoDownload {
    /// To be recorded.
    Done(Box<ImageResult>),
    /// The import cannot continue.
    Interrupted(Interruption),
}

impl From<ImageResult> for NoDownload {
    fn from(outcome: ImageResult) -> Self {
        NoDownload::Done(Box::new(outcome))
    }
}

impl From<Interruption> for NoDownload {
    fn from(interruption: Interruption) -> Self {
        NoDownload::Interrupted(interruption)
    }
}

/// Why the last size cannot be downloaded.
#[derive(Default)]
struct Refusal {
    kind: Option<ErrorKind>,
    reason: String,
}

impl ImageTask {
    /// Downloads an image, unless its bytes are kept, and embeds it; what is to be recorded. The caller holds the turn until
    /// that is recorded.
    ///
    /// # Errors
    /// An interruption of the whole import.
    pub async fn work(&self, claimed: &ClaimedImage) -> (Result<ImageResult, Interruption>, Option<Turn>) {
        let ladder = self.context.config.borrow().ladder;
        let (result, turn) = self.work_in_order(claimed, ladder).await;
        let is_unusable = |reason: &Reason| UNUSABLE.contains(&reason.code);
        match &result {
            Ok(ImageResult::Skipped(reason) | ImageResult::Failed(reason))
                if is_unusable(reason) && ladder == Ladder::Largest && has_smaller(claimed) =>
            {
                drop(turn);
                self.work_in_order(claimed, Ladder::SmallestSufficient).await
            }
            _ => (result, turn),
        }
    }

    async fn work_in_order(
        &self,
        claimed: &ClaimedImage,
        ladder: Ladder,
    ) -> (Result<ImageResult, Interruption>, Option<Turn>) {
        let download = if claimed.kept { self.kept(claimed).await } else { self.download(claimed, ladder).await };
        match download {
            Ok(download) => {
                let turn = self.same_bytes.turn(download.sha256).await;
                (self.recognise_or_embed(download, claimed).await, Some(turn))
            }
            Err(NoDownload::Done(outcome)) => (Ok(*outcome), None),
            Err(NoDownload::Interrupted(interruption)) => (Err(interruption), None),
        }
    }

    async fn recognise_or_embed(
        &self,
        download: Download,
        claimed: &ClaimedImage,
    ) -> Result<ImageResult, Interruption> {
        let Download { bytes, sha256, size, cropped, _slot } = download;
        let kept = (self.keep.originals() && !claimed.kept).then(|| bytes.clone());
        let (account_id, model_id, across) = (self.account_id, self.embedder.model_id, self.across);
        let thumbnail = self.keep.thumbnails();
        let known = move || store::pin_image::has_bytes(account_id, sha256, model_id, across, thumbnail);
        if self.context.database.run(known).await? {
            return Ok(ImageResult::SameBytes { model_id, sha256, source_size: size, cropped, image: kept, thumbnail });
        }
        let animations = self.context.config.borrow().animated_images;
        let input = match thumbnail {
            true => Input::ImageWithThumbnail(bytes, animations),
            false => Input::Image(bytes, animations),
        };
        let began = Instant::now();
        let embedded = match self.embedder_gate.embed(&self.embedder.client, input, claimed.attempts).await {
            Ok(embedded) => {
                statistics::add_time(Counter::Image(Source::Import, Image::EmbedTime), began.elapsed());
                embedded
            }
            Err(rejection) => return self.rejected(rejection),
        };
        if embedded.model != self.embedder.fingerprint {
            // The next run starts at once, with the new model.
            let failure = Failure::new(Kind::NotReady, "the model was replaced during the import");
            return Err(Interruption::Stopped { stop: Stop::Queued, failure, wake_in: Duration::ZERO });
        }
        Ok(match Vector::new(embedded.vector) {
            Ok(embedding) => ImageResult::Embedded(Box::new(Embedded {
                embedding,
                model_id,
                sha256,
                source_size: size,
                cropped,
                animated: embedded.animated,
                image: kept,
                thumbnail: embedded.thumbnail,
            })),
            Err(failure) => ImageResult::Failed(Reason::new("bad_vector", failure.message)),
        })
    }

    fn rejected(&self, rejection: Rejection) -> Result<ImageResult, Interruption> {
        Ok(match rejection {
            Rejection::Unsuitable(code, failure) => ImageResult::Skipped(Reason::new(code, failure.message)),
            Rejection::Failed(code, failure) => ImageResult::Failed(Reason::new(code, failure.message)),
            Rejection::Again { failure, after, blame } => ImageResult::Retry { reason: failure.message, after, blame },
            Rejection::Unavailable(failure) => return Err(Interruption::local(failure, self.import_attempts)),
        })
    }

    /// The bytes that an earlier import kept.
    async fn kept(&self, claimed: &ClaimedImage) -> Result<Download, NoDownload> {
        let (account_id, image) = (self.account_id, claimed.clone());
        let kept = self.context.database.run(move || store::pin_image::kept(account_id, &image)).await;
        let (bytes, size, cropped) = kept.map_err(Interruption::from)?.ok_or(Interruption::Lost)?;
        let sha256 = Sha256::digest(&bytes).into();
        Ok(Download { bytes: bytes.into(), sha256, size, cropped, _slot: None })
    }

    /// Tries the sizes that Pinterest lists; if none is available, asks once for new addresses.
    async fn download(&self, claimed: &ClaimedImage, ladder: Ladder) -> Result<Download, NoDownload> {
        if claimed.candidates.is_empty() {
            return Err(ImageResult::Skipped(Reason::new("no_url", "Pinterest returns no URL for this image")).into());
        }
        let mut refused = match self.download_first(claimed.candidates.clone(), claimed, ladder).await? {
            Ok(download) => return Ok(download),
            Err(refused) => refused,
        };
        if refused.kind != Some(ErrorKind::TooLarge)
            && let Some(fresh) = self.fresh_candidates(claimed).await?
        {
            match self.download_first(fresh, claimed, ladder).await? {
                Ok(download) => return Ok(download),
                Err(again) if again.kind == Some(ErrorKind::TooLarge) => refused = again,
                Err(_) => {}
            }
        }
        let Refusal { kind, reason: refused } = refused;
        if kind == Some(ErrorKind::TooLarge) {
            let setting = limit_of_images(embedder::ErrorKind::TooLarge).unwrap_or_default();
            let reason = format!("{refused} (the setting {setting})");
            return Err(ImageResult::Skipped(Reason::new("too_large", reason)).into());
        }
        let reason = format!("none of its sizes can be downloaded: {refused}");
        Err(ImageResult::Failed(Reason::new("not_downloadable", reason)).into())
    }

    /// The first size that can be downloaded, or why the last one cannot.
    async fn download_first(
        &self,
        mut candidates: Vec<Candidate>,
        claimed: &ClaimedImage,
        ladder: Ladder,
    ) -> Result<Result<Download, Refusal>, NoDownload> {
        ladder.sort(&mut candidates, Candidate::listed, |candidate| self.refused_sizes.borrow().contains(candidate));
        // The semaphore is never closed, so this cannot fail.
        let slot = self.download_gate.clone().acquire_owned().await.ok();
        let mut refused = Refusal::default();
        for Candidate { size, url, cropped, .. } in candidates {
            let client = if claimed.attempts > 1 { self.client.as_retry() } else { self.client.clone() };
            let began = Instant::now();
            let mut fetched = client.fetch_image(&url).await;
            // One broken connection is not a reason to pause the whole import for minutes.
            if fetched.as_ref().is_err_and(|error| error.kind() == ErrorKind::ProxyTunnel) {
                fetched = self.client.as_retry().fetch_image(&url).await;
            }
            match fetched {
                Ok(image) => {
                    statistics::downloaded(Source::Import, image.bytes.len(), began.elapsed());
                    self.refused_sizes.borrow_mut().remove(&size);
                    let _slot = slot.filter(|_| image.bytes.len() > LARGE);
                    return Ok(Ok(Download { bytes: image.bytes.into(), sha256: image.sha256, size, cropped, _slot }));
                }
                // This does not depend on the image: the whole import waits for the proxy.
                Err(error) if error.kind().is_proxy() => {
                    return Err(Interruption::proxy_keeps_images(error.into()).into());
                }
                Err(error) if error.rules_out_url() => {
                    self.refused_sizes.borrow_mut().add(&size);
                    refused = Refusal { kind: Some(error.kind()), reason: error.to_string() };
                }
                Err(error) => {
                    let retry = retry_after(&error, claimed).filter(|_| error.is_retryable());
                    let failed = || ImageResult::Failed(Reason::new("download", error.to_string()));
                    return Err(retry.unwrap_or_else(failed).into());
                }
            }
        }
        Ok(Err(refused))
    }

    /// The addresses that Pinterest returns now, if they are others. A failed call that concerns the account, for example its
    /// quota, interrupts the import and does not count for the image.
    async fn fresh_candidates(&self, claimed: &ClaimedImage) -> Result<Option<Vec<Candidate>>, NoDownload> {
        let mut api = Api::open(self.context.clone(), self.account_id, self.import_attempts, self.import_age).await?;
        let pin = api
            .call(|client, token| {
                let pin_id = claimed.pin_id.clone();
                async move { client.pin(&token, &pin_id).await }
            })
            .await;
        let pin = match pin {
            Ok(pin) => pin,
            Err(Refused::Call(error)) if !is_about_the_account(error.kind()) => {
                let retry = retry_after(&error, claimed).filter(|_| error.is_retryable());
                return retry.map_or(Ok(None), |retry| Err(retry.into()));
            }
            Err(refused) => return Err(api.interruption(refused).into()),
        };
        let images = pin.images().unwrap_or_default();
        let Some(image) = images.into_iter().find(|image| image.position == claimed.position) else { return Ok(None) };
        let fresh = Candidate::of(&image.candidates);
        let is_new = fresh.iter().any(|new| claimed.candidates.iter().all(|known| known.url != new.url));
        Ok(is_new.then_some(fresh))
    }
}

/// Is there a smaller size than the one that is tried first as the largest?
fn has_smaller(claimed: &ClaimedImage) -> bool {
    let first = |ladder: Ladder| {
        let mut candidates = claimed.candidates.clone();
        ladder.sort(&mut candidates, Candidate::listed, |_| false);
        candidates.into_iter().next()
    };
    !claimed.kept && first(Ladder::Largest) != first(Ladder::SmallestSufficient)
}

/// Another attempt after a failed request, unless this was the last one.
fn retry_after(error: &pinterest::Error, claimed: &ClaimedImage) -> Option<ImageResult> {
    let after = retry::next_delay(claimed.attempts.unsigned_abs(), error, fastrand::f64())?;
    (claimed.attempts < ATTEMPTS).then(|| ImageResult::Retry { reason: error.to_string(), after, blame: true })
}

/// Does a refusal concern all calls of the account, and so the import?
fn is_about_the_account(kind: ErrorKind) -> bool {
    use ErrorKind::{AppAccess, MissingScope, NeedsReauth, RateLimited, SpamHold, Unauthorized};
    matches!(kind, RateLimited | SpamHold | Unauthorized | NeedsReauth | MissingScope | AppAccess) || kind.is_proxy()
}
