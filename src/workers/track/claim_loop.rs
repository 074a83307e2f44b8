//! The task that works while rows are ready: it claims them, fairly over roles and columns, and works on several at the same
//! time.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::dead_workers;
use super::fairness::Claimed;
use super::row::RowTask;
use super::turns::Turns;
use super::url_images::UrlImages;
use crate::errors::{Failure, Kind};
use crate::store;
use crate::store::track::SourceKind;
use crate::store::track::work::{self, ClaimedRow, ReadyColumn};
use crate::workers::context::Context;
use crate::workers::embedding::{self, Gate, Ready};
use crate::workers::log::About;
use crate::workers::registry;

/// Rows in work at the same time: enough for the embedder's batches and the downloads before them.
const AT_ONCE: usize = 16;

/// What is kept from one loop to the next.
#[derive(Default)]
pub struct Memory {
    /// The embedder, as it was found last.
    embedder: Option<Ready>,
    images: Option<UrlImages>,
    turns: Turns,
    /// The last claim left rows for another worker, if one may run.
    pub more_are_ready: bool,
}

/// One loop.
pub struct ClaimLoop {
    context: Context,
    embedder_gate: Gate,
    memory: Rc<RefCell<Memory>>,
    turns: Turns,
    claimed: Claimed,
    tasks: JoinSet<(i64, Result<(), Failure>)>,
    /// Columns whose problem is recorded.
    problems: HashSet<i64>,
    /// A row was claimed, or a problem recorded.
    progress: bool,
}

impl ClaimLoop {
    /// Ready to work.
    pub fn new(context: Context, embedder_gate: Gate, memory: Rc<RefCell<Memory>>) -> Self {
        let turns = memory.borrow().turns.clone();
        ClaimLoop {
            context,
            embedder_gate,
            memory,
            turns,
            claimed: Claimed::default(),
            tasks: JoinSet::new(),
            problems: HashSet::new(),
            progress: false,
        }
    }

    /// Works until no row is ready. `more` announces that some may be. True if there was progress.
    pub async fn run(mut self, more: Rc<Notify>) -> bool {
        loop {
            if self.tasks.len() <= AT_ONCE / 2 && !self.embedder_gate.has_suspects() {
                self.claim_if_possible().await;
            }
            if self.tasks.is_empty() {
                return self.progress;
            }
            tokio::select! {
                Some(ended) = self.tasks.join_next() => self.note(ended).await,
                // These may be rows of another role, which does not wait for those in work.
                () = more.notified(), if self.tasks.len() < AT_ONCE && !self.embedder_gate.has_suspects() => {
                    // The embedder may have crashed during the wait.
                    if self.embedder_gate.has_suspects() {
                        more.notify_one();
                    } else {
                        self.claim_if_possible().await;
                    }
                }
            }
            while let Some(ended) = self.tasks.try_join_next() {
                self.note(ended).await;
            }
            if self.tasks.is_empty() {
                // Without the rows of tasks that panicked.
                self.claimed.clear();
            }
        }
    }

    async fn note(&mut self, ended: Result<(i64, Result<(), Failure>), tokio::task::JoinError>) {
        // A panic: the row's lease ends, and the attempt counts.
        let Ok((tracked_column_id, result)) = ended else { return };
        self.claimed.remove(tracked_column_id);
        if let Err(failure) = result {
            self.problem(tracked_column_id, failure).await;
        }
        for tracked_column_id in self.turns.over_budget() {
            let reason = "triggers, policies and other code of the table have used up their time";
            self.problem(tracked_column_id, Failure::new(Kind::TimeUsedUp, reason)).await;
        }
    }

    /// If this fails, the claimed rows are finished, and the next loop tries again.
    async fn claim_if_possible(&mut self) {
        self.memory.borrow_mut().more_are_ready = false;
        let _ = self.claim().await;
    }

    /// Claims rows up to [`AT_ONCE`].
    async fn claim(&mut self) -> Result<(), Failure> {
        // No turn begins before the newly claimed rows take part in the order of turns.
        let _hold = self.turns.hold();
        let (live, _) = dead_workers::settle(&self.context.database).await?;
        let alive = live.clone();
        let columns = self.context.database.run(move || work::ready_columns(&alive)).await?;
        if columns.is_empty() {
            return Ok(());
        }
        // Before any claim: without an embedder no attempt counts.
        if let Err(failure) = self.embedder().await {
            for column in columns {
                self.problem(column.tracked_column_id, failure.clone()).await;
            }
            return Ok(());
        }
        let (free, now) = (AT_ONCE - self.tasks.len(), Instant::now());
        let shares = self.turns.usage(|usage| {
            usage.know(&columns, now);
            self.claimed.share(free, &columns, usage, now)
        });
        let mut result = Ok(());
        for (column, share) in columns.iter().zip(shares).filter(|(_, share)| *share > 0) {
            if let Err(failure) = self.claim_of(column, share, live.clone()).await {
                match failure.kind {
                    // A temporary problem of the server, for example a lock or a full disk: other columns are tried.
                    Kind::Database => result = Err(failure),
                    _ => self.problem(column.tracked_column_id, failure).await,
                }
            }
        }
        if self.context.config.borrow().workers_per_database > 1 {
            let next = self.context.database.run(move || work::next_wake(&live)).await;
            self.memory.borrow_mut().more_are_ready = next.is_ok_and(|wait| wait.is_some_and(|seconds| seconds <= 0.0));
        }
        result
    }

    async fn claim_of(&mut self, column: &ReadyColumn, share: usize, live: Arc<[String]>) -> Result<(), Failure> {
        let (id, limit) = (column.tracked_column_id, i64::try_from(share).unwrap_or(1));
        let (identity, of) = (self.context.identity.clone(), column.clone());
        let claim = move || {
            store::wait_briefly_for_locks();
            // Processes may have started and claimed rows since the list was read: connecting to the embedder takes a while.
            let live = [&registry::live_identities()[..], &live[..]].concat();
            work::claim(&of, &identity, &live, limit, embedding::ATTEMPTS)
        };
        let claimed = self.context.database.run(claim).await?;
        if claimed.is_empty() {
            return Ok(());
        }
        self.progress = true;
        let task = match self.row_task(&claimed).await {
            Ok(task) => task,
            Err(failure) => {
                self.release(claimed).await;
                return Err(failure);
            }
        };
        self.problems.remove(&id);
        self.claimed.add(column, claimed.len());
        for row in claimed {
            let task = task.clone();
            self.tasks.spawn_local(async move { (id, task.work(row).await) });
        }
        Ok(())
    }

    async fn release(&self, claimed: Vec<ClaimedRow>) {
        // If this fails, the leases end.
        let _ = self.context.database.run(move || claimed.iter().try_for_each(work::release)).await;
    }

    /// What the work on these rows needs.
    async fn row_task(&self, rows: &[ClaimedRow]) -> Result<RowTask, Failure> {
        let embedder = self.embedder().await?;
        let has_urls = rows.iter().any(|row| row.target.kind == SourceKind::ImageUrl);
        let images = if has_urls { Some(self.images()?) } else { None };
        let (context, embedder_gate, turns) = (self.context.clone(), self.embedder_gate.clone(), self.turns.clone());
        Ok(RowTask { context, embedder_gate, embedder, images, turns })
    }

    /// The embedder, with its current model.
    async fn embedder(&self) -> Result<Ready, Failure> {
        let known = self.memory.borrow_mut().embedder.take();
        let ready = embedding::connect(&self.context.database, known).await?;
        self.memory.borrow_mut().embedder = Some(ready.clone());
        Ok(ready)
    }

    fn images(&self) -> Result<UrlImages, Failure> {
        let (endpoints, limit, downloads) = {
            let config = self.context.config.borrow();
            (config.tracked_endpoints.clone(), config.max_image_bytes, config.parallel_downloads)
        };
        let mut memory = self.memory.borrow_mut();
        match &memory.images {
            Some(images) if images.endpoints == endpoints && images.limit == limit => Ok(images.clone()),
            _ => Ok(memory.images.insert(UrlImages::new(endpoints, limit, downloads)?).clone()),
        }
    }

    /// Records why a column cannot be worked on, once for all its rows.
    async fn problem(&mut self, tracked_column_id: i64, failure: Failure) {
        self.progress = true;
        if !self.problems.insert(tracked_column_id) {
            return;
        }
        // The message may contain names of the table.
        let line = format!("a tracked column has a problem: SQLSTATE {}, see pinterest.tracked", failure.sqlstate());
        self.context.database.log(About::Column(tracked_column_id), line).await;
        // If this fails, the next attempt has the same problem.
        let noted = move || {
            store::wait_briefly_for_locks();
            work::record_problem(tracked_column_id, &failure)
        };
        let _ = self.context.database.run(noted).await;
    }
}
