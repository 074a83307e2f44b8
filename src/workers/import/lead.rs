//! One import from its claim to its end.

use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::api::Api;
use super::failure::{Interruption, LOCAL_PAUSE, held};
use super::run::Run;
use super::{images, listing};
use crate::statistics::{self, Counter, Import};
use crate::store;
use crate::store::import::{ClaimState, ClaimedImport, Stop};
use crate::store::reembed;
use crate::workers::embedding;
use crate::workers::log::About;

/// Between extensions of the lease, which is three times as long.
const HEARTBEAT: Duration = Duration::from_secs(25);
/// How long an import runs while others wait.
const TURN: Duration = Duration::from_secs(5 * 60);

impl Run {
    /// Works on the import until it is complete or interrupted, and records the interruption.
    pub async fn finish(self) {
        let began = Instant::now();
        let result = tokio::select! {
            result = self.work() => result,
            interruption = self.watch() => Err(interruption),
        };
        statistics::add_time(Counter::Import(Import::Time), began.elapsed());
        let mut refused = None;
        self.log(&result).await;
        let (stop, failure, wake_in) = match result {
            Ok(()) | Err(Interruption::Lost) => return,
            Err(Interruption::Cancelled) => (Stop::Cancelled, None, Duration::ZERO),
            Err(Interruption::Yield) => (Stop::Queued, None, Duration::ZERO),
            Err(Interruption::Refused { failure, generation }) => {
                refused = Some(generation);
                (Stop::NeedsReauth, Some(failure), Duration::ZERO)
            }
            Err(Interruption::Stopped { stop, failure, wake_in }) => (stop, Some(failure), wake_in),
        };
        let identity = self.context.identity.clone();
        let stopped = self.transaction(move |claimed| {
            let (mut stop, mut wake_in) = (stop, wake_in);
            // The user may have reconnected the account meanwhile, which has queued its parked imports.
            if stop == Stop::NeedsReauth && !store::account::needs_its_user(claimed.account_id, refused)? {
                (stop, wake_in) = (Stop::Queued, LOCAL_PAUSE);
            }
            // If another run has the import by now, the claimed images are that run's.
            let claim = store::import::lock(claimed)?;
            if claim == ClaimState::Lost {
                return Ok(());
            }
            let is_cancelled = claim == ClaimState::CancelRequested && stop != Stop::Failed;
            let (stop, failure) = if is_cancelled { (Stop::Cancelled, None) } else { (stop, failure) };
            store::pin_image::release(claimed.account_id, claimed.import_id, Some(&identity))?;
            store::import::stop(claimed, stop, failure.as_ref(), wake_in)
        });
        // If this fails, the leases end and another worker claims the import and its images.
        let _ = stopped.await;
    }

    /// Logs a failure. One after which the import continues is logged once between two steps of progress.
    async fn log(&self, result: &Result<(), Interruption>) {
        let (what, failure) = match result {
            Err(Interruption::Refused { failure, .. }) => {
                ("the import waits until its account's user connects it again", failure)
            }
            Err(Interruption::Stopped { stop, failure, .. }) => {
                let what = match stop {
                    Stop::Queued if self.claimed.attempts > 1 => return,
                    Stop::Queued => "the import is interrupted, and continues later",
                    Stop::WaitingQuota => "the import waits for the quota",
                    Stop::WaitingAccess => "the import waits until Pinterest grants the app access",
                    Stop::NeedsReauth => "the import waits until its account's user connects it again",
                    Stop::Failed => "the import has failed",
                    Stop::Cancelled => return,
                };
                (what, failure)
            }
            _ => return,
        };
        // The message may contain the title of a board.
        let line = format!("{what}: SQLSTATE {}, see pinterest.imports", failure.sqlstate());
        self.context.database.log(About::import(&self.claimed), line).await;
    }

    /// Extends the lease until the claim is lost, the import is cancelled or has to yield.
    async fn watch(&self) -> Interruption {
        let begun = tokio::time::Instant::now();
        loop {
            tokio::select! {
                () = self.cancelled.notified() => {}
                () = tokio::time::sleep(HEARTBEAT) => {}
            }
            if let Ok(Err(interruption)) = self.transaction(store::import::extend_lease).await.map(held) {
                return interruption;
            }
            let others_wait = |claimed: &ClaimedImport| store::import::others_wait(claimed.account_id);
            if begun.elapsed() >= TURN && self.transaction(others_wait).await.unwrap_or(false) {
                return Interruption::Yield;
            }
        }
    }

    async fn work(&self) -> Result<(), Interruption> {
        let claimed = &self.claimed;
        let mut api = Api::open(self.context.clone(), claimed.account_id, claimed.attempts, claimed.age).await?;
        let board_id = self.resolve(&mut api).await?;
        let ready = embedding::connect(&self.context.database, None).await;
        // This is not due to an image, and may pass.
        let ready = ready.map_err(|failure| Interruption::local(failure, claimed.attempts))?;
        let model_id = ready.model_id;
        self.begin_with(model_id, &board_id).await?;
        let found = claimed.listing_complete || claimed.reembed;

        let board = board_id.clone();
        let last = self.transaction(move |claimed| {
            let (keep, skip_ai) = (claimed.keep(), claimed.skip_ai);
            let last = store::board::last_import(claimed.account_id, &board, Some(model_id), keep, skip_ai)?;
            let unchanged = last.unchanged && !claimed.listing_begun && !found && claimed.sections.is_none();
            if unchanged {
                store::import::complete_unchanged(claimed, &board)?;
            }
            Ok((!unchanged).then_some(last))
        });
        let Some(last) = last.await? else { return Ok(()) };

        // Images are worked on while the board is listed.
        let progress = Notify::new();
        let listed = tokio::sync::watch::Sender::new(found);
        let images = images::Images::new(self, api.client.clone(), ready);
        let complete_listing = async {
            if !found {
                let listing = listing::Listing::new(self, &board_id, model_id, last);
                listing.list(&mut api, &progress).await?;
                listed.send_replace(true);
                progress.notify_one();
            }
            Ok::<_, Interruption>(())
        };
        tokio::try_join!(complete_listing, images.work(&progress, listed.subscribe()))?;

        let completed = self.transaction(move |claimed| match store::import::lock(claimed)? {
            ClaimState::Lost => Ok(()),
            _ => store::import::complete(claimed, &board_id),
        });
        Ok(completed.await?)
    }

    /// Records the model. If the import has used another one before, or if it re-embeds the board, images with embeddings of
    /// other models become pending.
    async fn begin_with(&self, model_id: i64, board_id: &str) -> Result<(), Interruption> {
        let claimed = &self.claimed;
        if claimed.model_id.is_some_and(|before| before != model_id) {
            self.put_back(model_id, reembed::Scope::Import).await?;
        }
        self.transaction(move |claimed| store::import::record_model(claimed, model_id)).await?;
        if claimed.reembed && !claimed.listing_complete {
            self.put_back(model_id, reembed::Scope::Board(board_id.to_owned())).await?;
            self.transaction(store::import::record_stored).await?;
        }
        Ok(())
    }

    async fn put_back(&self, model_id: i64, scope: reembed::Scope) -> Result<(), Interruption> {
        let mut next = Some(reembed::Cursor::default());
        while let Some(after) = next {
            let scope = scope.clone();
            next = self.in_turn(move |claimed| reembed::put_back(claimed, model_id, &scope, &after)).await?;
        }
        Ok(())
    }
}
