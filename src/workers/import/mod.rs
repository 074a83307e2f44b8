//! Imports: claimed one after another, each a task on the network thread. `run` leads one import through its phases,
//! `listing` and `images` are two of them, `failure` decides what a failure means for the import.

mod api;
mod dedup;
mod failure;
mod image;
mod images;
mod listing;
mod run;
mod turns;
mod verdict;

pub use failure::Interruption;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::database::Context;
use super::embedding::Gate;
use super::registry;
use crate::errors::Failure;
use crate::store;
use crate::store::app_access::Permission;
use turns::{Turn, Turns};

/// Imports that run side by side. They share one embedder, which a single one already keeps busy; more of them keep
/// accounts from waiting for each other's downloads.
const AT_ONCE: usize = 4;

/// Batches of imports made due in one look for work; others' work on the main thread comes between them.
const DUE_BATCHES: usize = 20;
/// While imports are due that this look did not come to, the next one comes after this.
const DUE_PAUSE: Duration = Duration::from_millis(250);
/// Owners and accounts that one look tries in vain.
const TRIED: usize = 64;
/// Of these, accounts of one owner.
const TRIED_OF_ONE: usize = 8;

/// What one look has tried in vain: held, asleep, or locked by others.
#[derive(Default)]
struct InVain {
    owners: Vec<String>,
    accounts: HashMap<String, Vec<i64>>,
}

impl InVain {
    fn number(&self) -> usize {
        self.owners.len() + self.accounts.values().map(Vec::len).sum::<usize>()
    }

    fn accounts_of(&self, owner: &str) -> Vec<i64> {
        self.accounts.get(owner).cloned().unwrap_or_default()
    }

    /// The next look goes on with the owner's other accounts, so that one owner does not use this one up.
    fn add(&mut self, turn: Turn) {
        let accounts = self.accounts.entry(turn.owner.clone()).or_default();
        accounts.push(turn.account_id);
        if accounts.len() >= TRIED_OF_ONE {
            self.owners.push(turn.owner);
        }
    }
}

/// An import's id and the fence it was claimed with: paused and let go on, it may be claimed again while the run before
/// has yet to notice.
type RunKey = (i64, i64);

/// The imports of this worker.
pub struct Imports {
    context: Context,
    embedder_gate: Gate,
    same_bytes: dedup::SameBytes,
    tasks: JoinSet<RunKey>,
    cancel: HashMap<RunKey, Arc<Notify>>,
    turns: Turns,
    next_wake: Option<Duration>,
}

impl Imports {
    /// None yet. `embedder_gate` is shared with whatever else of this worker embeds.
    pub fn new(context: Context, embedder_gate: Gate) -> Self {
        Imports {
            context,
            embedder_gate,
            same_bytes: dedup::SameBytes::default(),
            tasks: JoinSet::new(),
            cancel: HashMap::new(),
            turns: Turns::default(),
            next_wake: None,
        }
    }

    /// Starts what is ready, and ends what somebody asked to end.
    pub async fn look_for_work(&mut self) {
        self.reap();
        self.deliver_cancellations().await;
        let more = self.make_due().await;
        let mut in_vain = InVain::default();
        while self.tasks.len() < AT_ONCE {
            let Some(claimed) = self.claim_next(&mut in_vain).await.ok().flatten() else { break };
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
        let (wake, due) = self.context.database.run(store::import::next_wake).await.unwrap_or_default();
        let wake = wake.map(|seconds| Duration::from_secs_f64(seconds.clamp(0.0, 86_400.0)));
        // Where no place is free, the end of a run is what is waited for.
        let free = self.tasks.len() < AT_ONCE;
        self.next_wake = if more || due && free { Some(DUE_PAUSE) } else { wake };
    }

    /// Makes imports due whose time has come; true where more are left.
    async fn make_due(&self) -> bool {
        // Where this fails, the next look tries again.
        let _ = self.context.database.run(|| store::import::take_from_the_dead(&registry::live_identities())).await;
        for _ in 0..DUE_BATCHES {
            if !self.context.database.run(store::import::make_due).await.unwrap_or(false) {
                return false;
            }
        }
        true
    }

    /// Claims an import of the owner, and of that owner's account, that have used the least time of late, of those that this
    /// look has not tried in vain. An import that a client keeps locked holds up no other account.
    async fn claim_next(&mut self, in_vain: &mut InVain) -> Result<Option<store::import::ClaimedImport>, Failure> {
        while in_vain.number() < TRIED {
            let (after, but) = (self.turns.last().owner.clone(), in_vain.owners.clone());
            let owners = self.context.database.run(move || store::import::owners_after(&after, &but)).await?;
            let Some(owner) = self.turns.next_owner(owners) else { return Ok(None) };
            let (of, after, but) = (owner.clone(), self.turns.last_account(&owner), in_vain.accounts_of(&owner));
            let accounts = self.context.database.run(move || store::import::accounts_after(&of, after, &but)).await?;
            let Some(account_id) = self.turns.next_account(accounts) else {
                in_vain.owners.push(owner);
                continue;
            };
            let turn = Turn { owner, account_id };
            self.turns.passes_to(&turn);
            let identity = self.context.identity.to_string();
            let claimed = self.context.database.run(move || {
                let permission = store::import::hold_unless_usable(account_id)?;
                if permission == Permission::Closed {
                    return Ok(None);
                }
                let claimed = store::import::claim(account_id, &identity, &registry::live_identities())?;
                if claimed.is_none() && permission == Permission::AsProbe {
                    store::app_access::give_back(account_id)?;
                }
                Ok(claimed)
            });
            // An account whose import cannot be claimed is passed over; a new look comes soon.
            match claimed.await {
                Ok(Some(claimed)) => {
                    self.turns.begin((claimed.import_id, claimed.fence), turn);
                    return Ok(Some(claimed));
                }
                Ok(None) | Err(_) => in_vain.add(turn),
            }
        }
        Ok(None)
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
                self.turns.end(key);
            }
            // A panic's lease runs out; which import it was is not known here.
            Err(_) if self.tasks.is_empty() => {
                self.cancel.clear();
                self.turns.end_all();
            }
            Err(_) => {}
        }
    }
}
