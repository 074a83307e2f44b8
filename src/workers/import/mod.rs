//! Imports: claimed one after another, each a task on the network thread. `run` leads one import through its phases,
//! `listing` and `images` are two of them, `failure` decides what a failure means for the import.

mod api;
mod failure;
mod images;
mod listing;
mod one_image;
mod run;
mod same_bytes;

pub use failure::Interruption;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::database::Context;
use super::embedding::Gate;
use super::registry;
use crate::store;

/// Imports that run side by side. They share one embedder, which a single one already keeps busy; more of them keep
/// accounts from waiting for each other's downloads.
const AT_ONCE: usize = 4;

/// An import's id and the fence it was claimed with: paused and let go on, it may be claimed again while the run before
/// has yet to notice.
type RunKey = (i64, i64);

/// The imports of this worker.
pub struct Imports {
    context: Context,
    embedder_gate: Gate,
    same_bytes: same_bytes::SameBytes,
    tasks: JoinSet<RunKey>,
    cancel: HashMap<RunKey, Arc<Notify>>,
    next_wake: Option<Duration>,
}

impl Imports {
    /// None yet. `embedder_gate` is shared with whatever else of this worker embeds.
    pub fn new(context: Context, embedder_gate: Gate) -> Self {
        Imports {
            context,
            embedder_gate,
            same_bytes: same_bytes::SameBytes::default(),
            tasks: JoinSet::new(),
            cancel: HashMap::new(),
            next_wake: None,
        }
    }

    /// Starts what is ready, and ends what somebody asked to end.
    pub async fn look_for_work(&mut self) {
        self.reap();
        self.deliver_cancellations().await;
        while self.tasks.len() < AT_ONCE {
            let identity = self.context.identity.to_string();
            let claimed =
                self.context.database.run(move || store::import::claim(&identity, &registry::live_identities())).await;
            let Ok(Some(claimed)) = claimed else { break };
            let key = (claimed.import_id, claimed.fence);
            let cancelled = Arc::new(Notify::new());
            self.cancel.insert(key, cancelled.clone());
            let (gate, same_bytes) = (self.embedder_gate.clone(), self.same_bytes.clone());
            let run = run::Run::new(self.context.clone(), gate, same_bytes, claimed, cancelled);
            self.tasks.spawn_local(async move {
                run.finish().await;
                key
            });
        }
        let wake = self.context.database.run(store::import::next_wake).await.ok().flatten();
        self.next_wake = wake.map(|seconds| Duration::from_secs_f64(seconds.clamp(0.0, 86_400.0)));
    }

    async fn deliver_cancellations(&mut self) {
        let running: Vec<RunKey> = self.cancel.keys().copied().collect();
        if running.is_empty() {
            return;
        }
        let ended = self.context.database.run(move || store::import::taken_away(&running)).await;
        for key in ended.unwrap_or_default() {
            if let Some(cancelled) = self.cancel.get(&key) {
                cancelled.notify_one();
            }
        }
    }

    /// Is any import under way?
    pub fn are_running(&self) -> bool {
        !self.tasks.is_empty()
    }

    /// When the first waiting import may go on.
    pub fn next_wake(&self) -> Option<Duration> {
        self.next_wake
    }

    /// Waits for an import to end.
    pub async fn one_ends(&mut self) {
        if let Some(ended) = self.tasks.join_next().await {
            self.forget(ended);
        }
    }

    fn reap(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            self.forget(ended);
        }
    }

    fn forget(&mut self, ended: Result<RunKey, tokio::task::JoinError>) {
        match ended {
            Ok(key) => {
                self.cancel.remove(&key);
            }
            // A panic's lease runs out; which import it was is not known here.
            Err(_) if self.tasks.is_empty() => self.cancel.clear(),
            Err(_) => {}
        }
    }
}
