//! Imports. This file claims them, in the order of `turns`, and runs each as a task (`run`) on the network thread. `lead` takes
//! an import from its claim to its end: it finds the board (`board`), lists its pins (`listing`, `completeness`) and works on
//! its images at the same time (`images`, and `image` for a single one). `api` makes the calls to Pinterest, `failure` decides
//! what a failure means for the import.

mod api;
mod board;
mod completeness;
mod dedup;
mod failure;
mod image;
mod images;
mod lead;
mod listing;
mod run;
mod turns;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::{Id, JoinError, JoinSet};

use super::context::Context;
use super::embedding::Gate;
use super::log::About;
use super::registry;
use crate::errors::Failure;
use crate::store;
use crate::store::app_access::Permission;
use run::Run;
use turns::{RunKey, Turn, Turns};

/// Imports that run at the same time. They share one embedder, which a single import keeps busy; with several, accounts do not
/// wait for each other's downloads.
const AT_ONCE: usize = 4;

/// Batches of imports made due in one check for work; other jobs run on the main thread between them.
const DUE_BATCHES: usize = 20;
/// Before the next check, if this one left due imports.
const DUE_PAUSE: Duration = Duration::from_millis(250);
/// Owners and accounts without a claimable import that one check tries.
const TRIED: usize = 64;
/// Of these, accounts of one owner.
const TRIED_OF_ONE: usize = 8;

/// Owners and accounts whose imports this check could not claim: held, waiting, or locked.
#[derive(Default)]
struct Unclaimable {
    owners: Vec<String>,
    accounts: HashMap<String, Vec<i64>>,
}

impl Unclaimable {
    fn number(&self) -> usize {
        self.owners.len() + self.accounts.values().map(Vec::len).sum::<usize>()
    }

    fn accounts_of(&self, owner: &str) -> Vec<i64> {
        self.accounts.get(owner).cloned().unwrap_or_default()
    }

    /// After some accounts of an owner, the check continues with other owners.
    fn add(&mut self, turn: Turn) {
        let accounts = self.accounts.entry(turn.owner.clone()).or_default();
        accounts.push(turn.account_id);
        if accounts.len() >= TRIED_OF_ONE {
            self.owners.push(turn.owner);
        }
    }
}

/// How often a failure that repeats is logged.
const LOGGED_EVERY: Duration = Duration::from_secs(600);

/// The failures of claims that were logged last, by account; `None`: those of statements about all accounts.
#[derive(Default)]
struct Logged(HashMap<Option<i64>, (String, Instant)>);

impl Logged {
    /// Whether the failure is to be logged: the last one was another, or a while ago.
    fn admits(&mut self, account_id: Option<i64>, failure: &Failure, now: Instant) -> bool {
        self.0.retain(|_, (_, at)| now.duration_since(*at) < LOGGED_EVERY);
        if self.0.get(&account_id).is_some_and(|(message, _)| *message == failure.message) {
            return false;
        }
        self.0.insert(account_id, (failure.message.clone(), now));
        true
    }
}

/// The imports of this worker.
pub struct Imports {
    context: Context,
    embedder_gate: Gate,
    same_bytes: dedup::SameBytes,
    tasks: JoinSet<()>,
    /// The running imports, and how to cancel them, by task.
    running: HashMap<Id, (RunKey, Arc<Notify>)>,
    turns: Turns,
    logged: Logged,
    next_wake: Option<Duration>,
    more_are_due: bool,
}

impl Imports {
    /// None yet. `embedder_gate` limits all requests of this worker to the embedder.
    pub fn new(context: Context, embedder_gate: Gate) -> Self {
        Imports {
            context,
            embedder_gate,
            same_bytes: dedup::SameBytes::default(),
            tasks: JoinSet::new(),
            running: HashMap::new(),
            turns: Turns::default(),
            logged: Logged::default(),
            next_wake: None,
            more_are_due: false,
        }
    }

    /// Starts imports that are due, and cancels those that sessions have cancelled.
    pub async fn look_for_work(&mut self) {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            self.forget(ended);
        }
        self.deliver_cancellations().await;
        let more = self.make_due().await;
        let mut unclaimable = Unclaimable::default();
        while self.tasks.len() < AT_ONCE {
            let claimed = match self.claim_next(&mut unclaimable).await {
                Ok(Some(claimed)) => claimed,
                Ok(None) => break,
                Err(failure) => {
                    self.log(None, failure).await;
                    break;
                }
            };
            let key = (claimed.import_id, claimed.fence);
            let cancelled = Arc::new(Notify::new());
            let run = Run {
                context: self.context.clone(),
                embedder_gate: self.embedder_gate.clone(),
                same_bytes: self.same_bytes.clone(),
                claimed,
                cancelled: cancelled.clone(),
                across: self.context.config.borrow().reuse_across_accounts,
            };
            let task = self.tasks.spawn_local(run.finish());
            self.running.insert(task.id(), (key, cancelled));
        }
        let (wake, due) = self.context.database.run(store::import::next_wake).await.unwrap_or_default();
        let wake = wake.map(|seconds| Duration::from_secs_f64(seconds.clamp(0.0, 86_400.0)));
        // If no more imports may run, the next check comes when one ends.
        let free = self.tasks.len() < AT_ONCE;
        self.more_are_due = due && !free;
        self.next_wake = if more || due && free { Some(DUE_PAUSE) } else { wake };
    }

    /// Marks imports as due whose time has come; true if more are left.
    async fn make_due(&self) -> bool {
        // If this fails, the next check tries again.
        let _ =
            self.context.database.run(|| store::import::requeue_of_ended_workers(&registry::live_identities())).await;
        for _ in 0..DUE_BATCHES {
            if !self.context.database.run(store::import::make_due).await.unwrap_or(false) {
                return false;
            }
        }
        true
    }

    /// Claims the next import, in the order of [`turns`]. An import that a session keeps locked delays no other account.
    async fn claim_next(
        &mut self,
        unclaimable: &mut Unclaimable,
    ) -> Result<Option<store::import::ClaimedImport>, Failure> {
        while unclaimable.number() < TRIED {
            let (after, but) = (self.turns.last().owner.clone(), unclaimable.owners.clone());
            let owners = self.context.database.run(move || store::import::owners_after(&after, &but)).await?;
            let Some(owner) = self.turns.next_owner(owners) else { return Ok(None) };
            let (of, after, but) = (owner.clone(), self.turns.last_account(&owner), unclaimable.accounts_of(&owner));
            let accounts = self.context.database.run(move || store::import::accounts_after(&of, after, &but)).await?;
            let Some(account_id) = self.turns.next_account(accounts) else {
                unclaimable.owners.push(owner);
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
            // An account whose import cannot be claimed is skipped until the next check.
            match claimed.await {
                Ok(Some(claimed)) => {
                    self.turns.begin((claimed.import_id, claimed.fence), turn);
                    return Ok(Some(claimed));
                }
                Ok(None) => unclaimable.add(turn),
                Err(failure) => {
                    self.log(Some(account_id), failure).await;
                    unclaimable.add(turn);
                }
            }
        }
        Ok(None)
    }

    /// Logs why no import could be claimed, which otherwise would stay queued without a word.
    async fn log(&mut self, account_id: Option<i64>, failure: Failure) {
        if self.logged.admits(account_id, &failure, Instant::now()) {
            let about = account_id.map_or(About::Database, About::Account);
            self.context.database.log(about, format!("no import could be claimed: {failure}")).await;
        }
    }

    async fn deliver_cancellations(&mut self) {
        let running: Vec<RunKey> = self.running.values().map(|(key, _)| *key).collect();
        if running.is_empty() {
            return;
        }
        let ended = self.context.database.run(move || store::import::taken_away(&running)).await;
        let ended = ended.unwrap_or_default();
        for (_, cancelled) in self.running.values().filter(|(key, _)| ended.contains(key)) {
            cancelled.notify_one();
        }
    }

    /// Is an import under way?
    pub fn are_running(&self) -> bool {
        !self.tasks.is_empty()
    }

    /// Are more imports due than this worker runs at the same time?
    pub fn more_are_due(&self) -> bool {
        self.more_are_due
    }

    /// When the first waiting import may continue.
    pub fn next_wake(&self) -> Option<Duration> {
        self.next_wake
    }

    /// Waits for an import to end.
    pub async fn one_ends(&mut self) {
        if let Some(ended) = self.tasks.join_next_with_id().await {
            self.forget(ended);
        }
    }

    /// Of an import whose task panicked the lease ends, and another run claims it.
    fn forget(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = ended.map_or_else(|panic| panic.id(), |(id, ())| id);
        if let Some((key, _)) = self.running.remove(&id) {
            self.turns.end(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors::Kind;

    #[test]
    fn a_failure_that_repeats_is_logged_once_in_a_while() {
        let mut logged = Logged::default();
        let (first, failure) = (Instant::now(), |message: &str| Failure::new(Kind::Database, message));
        assert!(logged.admits(Some(1), &failure("a lock"), first));
        assert!(!logged.admits(Some(1), &failure("a lock"), first + LOGGED_EVERY / 2));
        assert!(logged.admits(Some(2), &failure("a lock"), first), "another account");
        assert!(logged.admits(None, &failure("a lock"), first), "all accounts");
        assert!(logged.admits(Some(1), &failure("a full disk"), first), "another failure");
        assert!(logged.admits(Some(1), &failure("a full disk"), first + LOGGED_EVERY));
    }
}
