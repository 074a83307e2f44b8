//! The task that works while rows are ready: claims them, fairly over roles and columns, and has them worked on side by
//! side.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::dead_workers;
use super::fairness::InHand;
use super::row::{Ended, OneRow};
use super::turns::Turns;
use super::url_images::Pictures;
use crate::errors::{Failure, Kind};
use crate::store;
use crate::store::track::SourceKind;
use crate::store::track::work::{self, ClaimedRow, ReadyColumn};
use crate::workers::database::Context;
use crate::workers::embedding::{self, Gate, Ready};
use crate::workers::registry;

/// Rows in work at one time: enough for the embedder's batches and for downloads behind them.
const AT_ONCE: usize = 16;
/// How often an embedder that is not there is looked for again, and after how long: a fresh one may be on its way.
const EMBEDDER_TRIES: u32 = 4;
const EMBEDDER_PAUSE: Duration = Duration::from_millis(500);

/// What is remembered from one drain to the next.
#[derive(Default)]
pub struct Memory {
    /// The embedder, as it was found last.
    embedder: Option<Ready>,
    pictures: Option<Pictures>,
    /// Whose code runs next, and how long whose code took.
    turns: Turns,
}

/// One drain.
pub struct Drain {
    context: Context,
    embedder_gate: Gate,
    memory: Rc<RefCell<Memory>>,
    turns: Turns,
    in_hand: InHand,
    tasks: JoinSet<(i64, Ended)>,
    suspects: Vec<ClaimedRow>,
    /// Columns whose problem is noted.
    problems: HashSet<i64>,
    /// Something was claimed, or why not is noted.
    progress: bool,
}

impl Drain {
    /// Ready to work.
    pub fn new(context: Context, embedder_gate: Gate, memory: Rc<RefCell<Memory>>) -> Self {
        let turns = memory.borrow().turns.clone();
        Drain {
            context,
            embedder_gate,
            memory,
            turns,
            in_hand: InHand::default(),
            tasks: JoinSet::new(),
            suspects: Vec::new(),
            problems: HashSet::new(),
            progress: false,
        }
    }

    /// Works until nothing is ready. `more` rings where there may be. True where anything came of it.
    pub async fn run(mut self, more: Rc<Notify>) -> bool {
        loop {
            if self.tasks.len() <= AT_ONCE / 2 && self.suspects.is_empty() {
                // Where even that fails, what is in hand is finished, and the next drain tries again.
                let _ = self.claim().await;
            }
            if self.tasks.is_empty() {
                self.in_hand.clear();
                if self.suspects.is_empty() {
                    return self.progress;
                }
                self.try_alone().await;
                continue;
            }
            tokio::select! {
                Some(ended) = self.tasks.join_next() => self.note(ended).await,
                // Rows of another role, perhaps, who does not wait for those in hand.
                () = more.notified(), if self.tasks.len() < AT_ONCE => {
                    let _ = self.claim().await;
                }
            }
            while let Some(ended) = self.tasks.try_join_next() {
                self.note(ended).await;
            }
        }
    }

    async fn note(&mut self, ended: Result<(i64, Ended), tokio::task::JoinError>) {
        // A panic: the row's lease runs out, its attempt is counted.
        let Ok((tracked_column_id, ended)) = ended else { return };
        self.in_hand.remove(tracked_column_id);
        match ended {
            Ended::Recorded => {}
            Ended::Suspect(row) => self.suspects.push(*row),
            Ended::Column(failure) => self.problem(tracked_column_id, failure).await,
        }
        for tracked_column_id in self.turns.over_budget() {
            let reason = "triggers, policies and other code of the table have used up their time";
            self.problem(tracked_column_id, Failure::new(Kind::TimeUsedUp, reason)).await;
        }
    }

    /// The embedder died with these in its hands. One by one, so that only the guilty one is blamed.
    async fn try_alone(&mut self) {
        let mut suspects = std::mem::take(&mut self.suspects).into_iter();
        while let Some(row) = suspects.next() {
            let tracked_column_id = row.tracked_column_id;
            let one = match self.one_row(&[row.target.kind]).await {
                Ok(one) => one,
                Err(failure) => {
                    let left: Vec<ClaimedRow> = std::iter::once(row).chain(suspects).collect();
                    self.give_back(left).await;
                    return self.problem(tracked_column_id, failure).await;
                }
            };
            if let Ended::Column(failure) = one.work(row, true).await {
                self.problem(tracked_column_id, failure).await;
            }
        }
    }

    /// Fills the free places.
    async fn claim(&mut self) -> Result<(), Failure> {
        // Rows that are claimed take part in the order of turns from now on, and not after as many turns as this takes steps.
        let _hold = self.turns.hold();
        let (live, _) = dead_workers::settle(&self.context.database).await?;
        let alive = live.clone();
        let columns = self.context.database.run(move || work::ready_columns(&alive)).await?;
        if columns.is_empty() {
            return Ok(());
        }
        // Before any claim: without an embedder no attempt is counted.
        if let Err(failure) = self.embedder().await {
            for column in columns {
                self.problem(column.tracked_column_id, failure.clone()).await;
            }
            return Ok(());
        }
        let (free, now) = (AT_ONCE - self.tasks.len(), Instant::now());
        let shares = self.turns.usage(|usage| {
            usage.know(&columns, now);
            self.in_hand.share(free, &columns, usage, now)
        });
        let mut result = Ok(());
        for (column, share) in columns.iter().zip(shares).filter(|(_, share)| *share > 0) {
            if let Err(failure) = self.claim_of(column, share, live.clone()).await {
                match failure.kind {
                    // A lock, a full disk: the server's, and of this moment. It need not keep the other columns.
                    Kind::Database => result = Err(failure),
                    _ => self.problem(column.tracked_column_id, failure).await,
                }
            }
        }
        result
    }

    async fn claim_of(&mut self, column: &ReadyColumn, share: usize, live: Arc<[String]>) -> Result<(), Failure> {
        let (id, limit) = (column.tracked_column_id, i64::try_from(share).unwrap_or(1));
        let (identity, of) = (self.context.identity.clone(), column.clone());
        let claim = move || {
            store::wait_briefly_for_locks();
            work::claim(&of, &identity, &live, limit, embedding::ATTEMPTS)
        };
        let claimed = self.context.database.run(claim).await?;
        if claimed.is_empty() {
            return Ok(());
        }
        self.progress = true;
        let kinds: Vec<SourceKind> = claimed.iter().map(|row| row.target.kind).collect();
        let one = match self.one_row(&kinds).await {
            Ok(one) => one,
            Err(failure) => {
                self.give_back(claimed).await;
                return Err(failure);
            }
        };
        self.problems.remove(&id);
        self.in_hand.add(column, claimed.len());
        for row in claimed {
            let one = one.clone();
            self.tasks.spawn_local(async move { (id, one.work(row, false).await) });
        }
        Ok(())
    }

    async fn give_back(&self, claimed: Vec<ClaimedRow>) {
        // Where even this fails the leases run out.
        let _ = self.context.database.run(move || claimed.iter().try_for_each(work::release)).await;
    }

    /// What work on rows of these kinds needs.
    async fn one_row(&self, kinds: &[SourceKind]) -> Result<OneRow, Failure> {
        let embedder = self.embedder().await?;
        let pictures = if kinds.contains(&SourceKind::ImageUrl) { Some(self.pictures()?) } else { None };
        let (context, embedder_gate, turns) = (self.context.clone(), self.embedder_gate.clone(), self.turns.clone());
        Ok(OneRow { context, embedder_gate, embedder, pictures, turns })
    }

    /// The embedder, with its model as it is now. One that has just died is waited for.
    async fn embedder(&self) -> Result<Ready, Failure> {
        let mut tries = 0;
        loop {
            let known = self.memory.borrow_mut().embedder.take();
            match embedding::connect(&self.context.database, known.as_ref()).await {
                Ok(ready) => {
                    self.memory.borrow_mut().embedder = Some(ready.clone());
                    return Ok(ready);
                }
                Err(failure) if tries < EMBEDDER_TRIES && matches!(failure.kind, Kind::BrokenOff | Kind::NotReady) => {
                    tries += 1;
                    // Without a free slot the next try fails as this one did.
                    self.context.database.have_done(|| drop(registry::ensure_supervisor())).await;
                    tokio::time::sleep(EMBEDDER_PAUSE).await;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    fn pictures(&self) -> Result<Pictures, Failure> {
        let (endpoints, limit, downloads) = {
            let config = self.context.config.borrow();
            (config.tracked_endpoints.clone(), config.max_image_bytes, config.parallel_downloads)
        };
        let mut memory = self.memory.borrow_mut();
        match &memory.pictures {
            Some(pictures) if pictures.endpoints == endpoints && pictures.limit == limit => Ok(pictures.clone()),
            _ => Ok(memory.pictures.insert(Pictures::new(endpoints, limit, downloads)?).clone()),
        }
    }

    /// Notes why a column cannot be worked on, once for all rows that say so.
    async fn problem(&mut self, tracked_column_id: i64, failure: Failure) {
        self.progress = true;
        if !self.problems.insert(tracked_column_id) {
            return;
        }
        // Where even this fails the next attempt meets the same problem.
        let noted = move || {
            store::wait_briefly_for_locks();
            work::record_problem(tracked_column_id, &failure)
        };
        let _ = self.context.database.run(noted).await;
    }
}
