//! Tracked columns. While rows of users' tables wait for their embeddings, one task claims them: `claim_loop`. `row` takes one
//! row from its source to its embedding (`url_images` downloads), `unembedded` is why that failed, `fairness` and `turns`
//! divide the time among roles and columns. All this runs in the tracking worker. `starter` is the database worker's part.
//! `dead_workers` is used by both: it blames rows whose code has ended a process.

mod claim_loop;
mod dead_workers;
mod fairness;
mod row;
mod starter;
mod turns;
mod unembedded;
mod url_images;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::context::Context;
use super::embedding::Gate;
use crate::store::track::work;
use claim_loop::{ClaimLoop, Memory};
pub use starter::Starter;

/// The pause after a loop that claimed nothing: another session has locked the ready rows.
const SKIPPED_PAUSE: Duration = Duration::from_secs(2);

/// The tracked columns of this worker's database.
pub struct Tracked {
    context: Context,
    embedder_gate: Gate,
    memory: Rc<RefCell<Memory>>,
    /// Announces to the loop that more rows may be ready.
    more: Rc<Notify>,
    /// The loop, if it runs; its result is whether there was progress.
    task: JoinSet<bool>,
    not_before: Instant,
    next_wake: Option<Duration>,
}

impl Tracked {
    /// Idle.
    pub fn new(context: Context, embedder_gate: Gate) -> Self {
        Tracked {
            context,
            embedder_gate,
            memory: Rc::default(),
            more: Rc::default(),
            task: JoinSet::new(),
            not_before: Instant::now(),
            next_wake: None,
        }
    }

    /// Starts the loop if rows are ready.
    pub async fn look_for_work(&mut self) {
        while let Some(ended) = self.task.try_join_next() {
            self.note(ended);
        }
        self.next_wake = None;
        if self.take_more() {
            return;
        }
        let Ok((live, _)) = dead_workers::settle(&self.context.database).await else { return };
        let wake = self.context.database.run(move || work::next_wake(&live)).await.ok().flatten();
        let Some(seconds) = wake else { return };
        let until_allowed = self.not_before.saturating_duration_since(Instant::now());
        let wait = Duration::from_secs_f64(seconds.clamp(0.0, 86_400.0)).max(until_allowed);
        if !wait.is_zero() {
            self.next_wake = Some(wait);
            return;
        }
        let claims = ClaimLoop::new(self.context.clone(), self.embedder_gate.clone(), self.memory.clone());
        self.task.spawn_local(claims.run(self.more.clone()));
    }

    /// Makes the running loop claim more rows; false if it does not run.
    pub fn take_more(&self) -> bool {
        if self.are_running() {
            self.more.notify_one();
        }
        self.are_running()
    }

    /// Are rows being worked on?
    pub fn are_running(&self) -> bool {
        !self.task.is_empty()
    }

    /// Were more rows ready at the last claim than this worker may take at the same time?
    pub fn more_are_due(&self) -> bool {
        self.are_running() && self.memory.borrow().more_are_ready
    }

    /// When the first waiting row may be worked on.
    pub fn next_wake(&self) -> Option<Duration> {
        self.next_wake
    }

    /// Waits until the loop ends.
    pub async fn one_ends(&mut self) {
        if let Some(ended) = self.task.join_next().await {
            self.note(ended);
        }
    }

    fn note(&mut self, ended: Result<bool, tokio::task::JoinError>) {
        if !ended.unwrap_or(false) {
            self.not_before = Instant::now() + SKIPPED_PAUSE;
        }
    }
}
