//! Tracked columns: while rows of users' tables wait for their embeddings, one task takes them on side by side.
//! `drain` is that task, `one_row` leads one row from its source to its embedding, `verdict` says what a failure means
//! for a row or its column, `pictures` downloads, `share` is fair.

mod drain;
mod one_row;
mod pictures;
mod share;
mod verdict;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::database::Context;
use super::embedding::Gate;
use super::registry;
use crate::store::track::work;
use drain::{Drain, Memory};

/// What is ready and yet not to be had is another session's at this moment.
const SKIPPED_PAUSE: Duration = Duration::from_secs(2);

/// The tracked columns of this worker's database.
pub struct Tracked {
    context: Context,
    embedder_gate: Gate,
    memory: Rc<RefCell<Memory>>,
    /// Rings where more may be ready.
    more: Rc<Notify>,
    /// The drain, if one runs; whether it got anything done.
    task: JoinSet<bool>,
    not_before: Instant,
    next_wake: Option<Duration>,
}

impl Tracked {
    /// Idle. `embedder_gate` is shared with whatever else of this worker embeds.
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

    /// Has what is ready taken on.
    pub async fn look_for_work(&mut self) {
        while let Some(ended) = self.task.try_join_next() {
            self.note(ended);
        }
        self.next_wake = None;
        if self.are_running() {
            self.more.notify_one();
            return;
        }
        let wake = self.context.database.run(|| work::next_wake(&registry::live_identities())).await.ok().flatten();
        let Some(seconds) = wake else { return };
        let until_allowed = self.not_before.saturating_duration_since(Instant::now());
        let wait = Duration::from_secs_f64(seconds.clamp(0.0, 86_400.0)).max(until_allowed);
        if !wait.is_zero() {
            self.next_wake = Some(wait);
            return;
        }
        let drain = Drain::new(self.context.clone(), self.embedder_gate.clone(), self.memory.clone());
        self.task.spawn_local(drain.run(self.more.clone()));
    }

    /// Are rows being worked on?
    pub fn are_running(&self) -> bool {
        !self.task.is_empty()
    }

    /// When the first row that waits may be worked on.
    pub fn next_wake(&self) -> Option<Duration> {
        self.next_wake
    }

    /// Waits until nothing is ready any more.
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
