//! A claimed import, and its transactions.

use std::sync::Arc;

use tokio::sync::Notify;

use super::dedup::SameBytes;
use super::failure::{Interruption, held};
use crate::errors::Failure;
use crate::store;
use crate::store::import::{ClaimState, ClaimedImport};
use crate::workers::context::Context;
use crate::workers::embedding::Gate;

/// Shared by the tasks of a claimed import.
#[derive(Clone)]
pub struct Run {
    /// Shared by all tasks of the worker.
    pub context: Context,
    /// See [`super::Imports`].
    pub embedder_gate: Gate,
    /// See [`super::Imports`].
    pub same_bytes: SameBytes,
    /// The claim.
    pub claimed: ClaimedImport,
    /// Notified when a session cancels the import.
    pub cancelled: Arc<Notify>,
    /// `pinterest.reuse_across_accounts` when the import was claimed: locks and statements must agree on it.
    pub across: bool,
}

impl Run {
    /// Runs `work` in a transaction.
    ///
    /// # Errors
    /// Those of `work` and of the transaction.
    pub async fn transaction<T: Send + 'static>(
        &self,
        work: impl FnOnce(&ClaimedImport) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let claimed = self.claimed.clone();
        self.context.database.run(move || work(&claimed)).await
    }

    /// Runs `work` in a transaction that takes turns with others that claim or record images, if the claim holds.
    ///
    /// # Errors
    /// [`Interruption::Cancelled`] or [`Interruption::Lost`] if it does not; those of `work` and of the transaction.
    pub async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&ClaimedImport) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Interruption> {
        let across = self.across;
        let result = self.transaction(move |claimed| {
            store::pin_image::take_turns(claimed.account_id, across)?;
            let claim = store::import::lock(claimed)?;
            let result = if claim == ClaimState::Held { Some(work(claimed)?) } else { None };
            Ok((claim, result))
        });
        let (claim, result) = result.await?;
        held(claim)?;
        result.ok_or(Interruption::Lost)
    }
}
