//! Tracked columns: while rows of users' tables wait for their embeddings, one task takes them on side by side.
//! `drain` is that task, `one_row` leads one row from its source to its embedding, `verdict` says what a failure means
//! for a row or its column, `pictures` downloads, `usage`, `share` and `turns` are fair by time. All this is the tracking
//! worker's; `starter` is the database worker's part. `the_dead` is for both: it settles what a process left that ended.

mod claim_loop;
mod dead_workers;
mod fairness;
mod row;
mod starter;
mod turns;
mod url_images;
mod usage;
mod verdict;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::database::Context;
use super::embedding::Gate;
use crate::store::track::work;
use claim_loop::{Drain, Memory};
pub use starter::Starter;

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

    /// Has what is ready taken on.
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
        let drain = Drain::new(self.context.clone(), self.embedder_gate.clone(), self.memory.clone());
        self.task.spawn_local(drain.run(self.more.clone()));
    }

    /// Has what is ready taken on beside the rows in work; false where none are.
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
