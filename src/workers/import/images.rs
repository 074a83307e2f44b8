//! The images of an import: claimed in batches, worked on side by side, recorded together.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;

use super::dedup::Turn;
use super::failure::{Interruption, held};
use super::image::ImageTask;
use super::run::Run;
use crate::errors::Failure;
use crate::store;
use crate::store::import::{ClaimState, ClaimedImport};
use crate::store::import_outcome::{self, ImageOutcome};
use crate::store::pin_image::{ClaimRequest, ClaimedImage, ImageResult, Keep, Reason, Recorded};
use crate::workers::embedding::{self, Ready};
use crate::workers::registry;

/// Images in work per download slot: one half is downloaded while the other half is embedded.
const IN_WORK_PER_DOWNLOAD: usize = 2;
/// After so many attempts an image fails without another one: twice as many as are recorded otherwise, because attempts count
/// that the end of a worker has interrupted.
const MOST_ATTEMPTS: i32 = 2 * embedding::ATTEMPTS;
/// The longest pause before the next claim, should a notification have been missed.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The result of an image, and the turn that other images with the same bytes wait for.
type Finished = (Result<ImageResult, Interruption>, Option<Turn>);

/// The images of one import.
pub struct Images<'a> {
    run: &'a Run,
    task: ImageTask,
    limit: usize,
}

impl<'a> Images<'a> {
    /// Ready to work.
    pub fn new(run: &'a Run, client: pinterest::Client, embedder: Ready) -> Self {
        let downloads = run.context.config.borrow().parallel_downloads;
        let task = ImageTask {
            context: run.context.clone(),
            client,
            embedder,
            embedder_gate: run.embedder_gate.clone(),
            download_gate: Arc::new(Semaphore::new(downloads)),
            account_id: run.claimed.account_id,
            import_attempts: run.claimed.attempts,
            import_age: run.claimed.age,
            keep: run.claimed.keep(),
            across: run.across,
            refused_sizes: Rc::default(),
            same_bytes: run.same_bytes.clone(),
        };
        Images { run, task, limit: downloads * IN_WORK_PER_DOWNLOAD }
    }

    /// Works until the listing is complete and no image is pending. `progress` announces new ones.
    ///
    /// # Errors
    /// The first interruption of an image, or a lost claim.
    pub async fn work(self, progress: &Notify, listed: watch::Receiver<bool>) -> Result<(), Interruption> {
        let mut tasks: JoinSet<(ClaimedImage, Finished)> = JoinSet::new();
        let mut ready_in = Duration::ZERO;
        self.try_suspects().await?;
        loop {
            // Read before the claim: pins recorded after it are announced by `progress`.
            let complete = *listed.borrow();
            let mut exhausted = false;
            let claims = !self.task.embedder_gate.has_suspects();
            if claims && tasks.len() <= self.limit / 2 {
                let claimed = self.claim(self.limit - tasks.len()).await?;
                exhausted = claimed.is_empty();
                // Attempts that the end of a worker has interrupted count too.
                let (spent, claimed): (Vec<_>, Vec<_>) =
                    claimed.into_iter().partition(|image| image.attempts > MOST_ATTEMPTS);
                self.record(spent.into_iter().map(|image| (image, given_up())).collect()).await?;
                for image in claimed {
                    let task = self.task.clone();
                    tasks.spawn_local(async move {
                        let result = task.work(&image).await;
                        (image, result)
                    });
                }
            }
            if tasks.is_empty() {
                if exhausted {
                    let (left, seconds) = self.pending().await?;
                    if left == 0 && complete {
                        return Ok(());
                    }
                    ready_in = if left == 0 { LOOK_AGAIN } else { Duration::from_secs_f64(seconds.max(0.02)) };
                } else if !claims {
                    ready_in = embedding::RESTART_PAUSE;
                }
                tokio::select! {
                    () = progress.notified() => {}
                    () = tokio::time::sleep(ready_in.min(LOOK_AGAIN)) => {}
                }
                continue;
            }
            let mut outcomes = Vec::new();
            let mut turns = Vec::new();
            let mut interrupted = Ok(());
            let mut next = tasks.join_next().await;
            // The embedder answers the images of a pass together. They are recorded in one transaction.
            tokio::task::yield_now().await;
            while let Some(ended) = next {
                // After a panic the image's lease ends, and the attempt counts.
                if let Ok((image, (outcome, turn))) = ended {
                    match outcome {
                        Ok(outcome) => outcomes.push((image, outcome)),
                        Err(interruption) => interrupted = interrupted.and(Err(interruption)),
                    }
                    turns.extend(turn);
                }
                next = tasks.try_join_next();
            }
            // What is done is recorded before an interruption. If the claim is lost, nothing of this run counts.
            let recorded = self.record(outcomes).await;
            drop(turns);
            match recorded {
                Err(Interruption::Lost | Interruption::Cancelled) => return recorded,
                _ => interrupted.and(recorded)?,
            }
        }
    }

    /// Images that workers had claimed when they crashed come first, one by one: so only the one that crashes this worker too
    /// is to blame.
    async fn try_suspects(&self) -> Result<(), Interruption> {
        let given_up = self.run.in_turn(|claimed| {
            let live = registry::live_identities();
            let (failed, kept) =
                store::pin_image::fail_repeatedly_interrupted(claimed.account_id, claimed.import_id, &live)?;
            let outcomes = [(ImageOutcome::Failed, "worker_died", failed), (ImageOutcome::Reused, "before", kept)];
            import_outcome::count_images(claimed.account_id, claimed.import_id, &outcomes)?;
            store::import::add_doubts(claimed, kept)
        });
        given_up.await?;
        loop {
            let identity = self.run.context.identity.clone();
            let suspect = self.run.transaction(move |claimed| {
                if store::import::lock(claimed)? == ClaimState::Lost {
                    return Ok(None);
                }
                let live = registry::live_identities();
                store::pin_image::claim_suspect(claimed.account_id, claimed.import_id, &identity, &live)
            });
            let Some(image) = suspect.await? else { return Ok(()) };
            let (outcome, _turn) = self.task.work(&image).await;
            self.record(vec![(image, outcome?)]).await?;
        }
    }

    async fn claim(&self, limit: usize) -> Result<Vec<ClaimedImage>, Interruption> {
        let (identity, limit) = (self.run.context.identity.clone(), i64::try_from(limit).unwrap_or(1));
        let (across, model_id, keep) = (self.task.across, self.task.embedder.model_id, self.task.keep);
        let claim = self.run.in_turn(move |claimed| {
            let (account_id, import_id) = (claimed.account_id, claimed.import_id);
            // Images that were embedded since their page was recorded: by another worker, or for another account.
            let hashes = store::pin_image::next_hashes(account_id, import_id, limit)?;
            reuse(account_id, model_id, hashes, across, keep)?;
            let live = registry::live_identities();
            let request = ClaimRequest { account_id, import_id, model_id, keep, across, by: &identity, live: &live };
            store::pin_image::claim(request, limit)
        });
        claim.await
    }

    async fn pending(&self) -> Result<(i64, f64), Interruption> {
        let pending = |claimed: &ClaimedImport| store::pin_image::pending(claimed.account_id, claimed.import_id);
        Ok(self.run.transaction(pending).await?)
    }

    async fn record(&self, outcomes: Vec<(ClaimedImage, ImageResult)>) -> Result<(), Interruption> {
        if outcomes.is_empty() {
            return Ok(());
        }
        let (model_id, across) = (self.task.embedder.model_id, self.task.across);
        let claim = self.run.transaction(move |claimed| {
            store::pin_image::take_turns(claimed.account_id, across)?;
            let claim = store::import::lock(claimed)?;
            if claim == ClaimState::Lost {
                return Ok(claim);
            }
            let mut counted = Vec::new();
            let mut doubts = 0;
            for (image, outcome) in &outcomes {
                match store::pin_image::record(claimed.account_id, image, outcome, across)? {
                    Recorded::No => continue,
                    Recorded::KeptBefore => {
                        doubts += 1;
                        counted.push((ImageOutcome::Reused, "before", 1));
                        continue;
                    }
                    Recorded::AsIs => {}
                }
                counted.push(match outcome {
                    ImageResult::Embedded(done) if done.animated => (ImageOutcome::Embedded, "first_frame", 1),
                    ImageResult::Embedded(_) => (ImageOutcome::Embedded, "", 1),
                    ImageResult::SameBytes { .. } => (ImageOutcome::Reused, "same_bytes", 1),
                    ImageResult::Skipped(reason) => (ImageOutcome::Skipped, reason.code, 1),
                    ImageResult::Failed(reason) => (ImageOutcome::Failed, reason.code, 1),
                    ImageResult::Retry { .. } => continue,
                });
            }
            import_outcome::count_images(claimed.account_id, claimed.import_id, &counted)?;
            store::import::add_doubts(claimed, doubts)?;
            let hashes = outcomes.into_iter().filter_map(|(image, _)| image.content_hash).collect();
            reuse(claimed.account_id, model_id, hashes, across, claimed.keep())?;
            Ok(claim)
        });
        held(claim.await?)
    }
}

fn given_up() -> ImageResult {
    ImageResult::Failed(Reason::new("worker_died", format!("{MOST_ATTEMPTS} attempts were interrupted")))
}

/// Copies embeddings with these content hashes to pending images of the account, and counts them.
pub fn reuse(account_id: i64, model_id: i64, hashes: Vec<String>, across: bool, keep: Keep) -> Result<(), Failure> {
    let reused = store::pin_image::reuse_by_content_hash(account_id, model_id, hashes, across, keep)?;
    for (import_id, reused) in reused {
        import_outcome::count_images(account_id, import_id, &[(ImageOutcome::Reused, "same_picture", reused)])?;
    }
    Ok(())
}
