//! How long a worker of a database runs: while it has work, and for a while after.

use std::time::Duration;

use pgrx::pg_sys;
use tokio::time::Instant;

use super::context::Context;
use super::jobs::Database;
use super::presence::{self, Finding};
use super::registry::{self, Sent, Worker};
use super::siblings::Siblings;
use super::{finding, transaction};
use crate::errors::Failure;
use crate::store;

/// Between checks for work that no session announced: with work waiting, and without.
const POLL: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));
/// The first checks, because the transaction that started the worker may not have committed yet: how many, and the pause
/// between them.
const FIRST_POLLS: (u32, Duration) = (50, Duration::from_millis(200));

/// The result of a check for work.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    /// Work is under way.
    pub busy: bool,
    /// More work is due than this worker takes at the same time.
    pub more_is_due: bool,
    /// Something is under way that is worth waiting for, but no reason to stay longer.
    pub finishing: bool,
    /// When the first waiting work may start.
    pub next_wake: Option<Duration>,
}

/// How long the worker runs.
pub struct Lifetime {
    sent: Sent,
    until: Instant,
    polls: u32,
    leaving: bool,
    siblings: Siblings,
    /// Work was under way after the last check.
    was_busy: bool,
    /// The launcher knows that there was work, or has not started this worker.
    reported: bool,
    /// Transactions that had failed when the present check began.
    failures: u32,
    /// The extension that the first check found.
    extension: Option<pg_sys::Oid>,
}

/// The step after a check for work.
pub enum Next {
    /// Check again at once.
    Check,
    /// Check again after this time, or when something happens.
    Wait(Duration),
    /// End.
    Leave,
}

impl Lifetime {
    /// A worker that the launcher sent ends at once if no work is due.
    pub fn new(kind: Worker, sent: Sent, context: &Context) -> Self {
        let idle_timeout = context.config.borrow().idle_timeout;
        let until = Instant::now() + if sent == Sent::ToCheck { Duration::ZERO } else { idle_timeout };
        let reported = sent == Sent::ToWork;
        Lifetime {
            sent,
            until,
            polls: 0,
            leaving: false,
            siblings: Siblings::new(kind),
            was_busy: false,
            reported,
            failures: 0,
            extension: None,
        }
    }

    /// Begins a check for work; the version of the SQL objects, `None` where this worker does not act: another one does if the
    /// extension was dropped and created again.
    ///
    /// # Errors
    /// Those of the transaction.
    pub async fn begin_check(&mut self, database: &Database) -> Result<Option<String>, Failure> {
        self.failures = transaction::failures();
        // Before a snapshot is taken that does not contain what is committed after it.
        presence::look_for_work();
        let found = database.run(|| Ok((store::extension::oid(), store::extension::version_to_serve()?)));
        let (extension, version) = found.await?;
        // What this worker remembers, keys of rows for example, is that of the extension which it found first.
        if *self.extension.get_or_insert(extension) != extension {
            presence::leave_to_another();
            return Ok(None);
        }
        Ok(version)
    }

    /// The step after a check with this result.
    pub async fn after(&mut self, context: &Context, found: Found) -> Next {
        let database = &context.database;
        let idle_timeout = context.config.borrow().idle_timeout;
        let has_failed = transaction::failures() != self.failures;
        if !has_failed {
            presence::has_looked();
        }
        if found.busy {
            self.until = Instant::now() + idle_timeout;
            if !std::mem::replace(&mut self.reported, true) {
                database.run_infallible(|| finding::report(Finding::Work)).await;
            }
        }
        let due_soon = found.next_wake.is_some_and(|wake| wake <= idle_timeout);
        if !found.busy && !found.finishing && !due_soon && Instant::now() >= self.until {
            if self.leaving {
                if !self.reported {
                    database.run_infallible(|| finding::report(Finding::Idle)).await;
                }
                return Next::Leave;
            }
            // First the mark, then one more check, see `registry`.
            self.leaving = true;
            database.run_infallible(|| registry::mark_as_leaving(true)).await;
            return Next::Check;
        }
        if std::mem::take(&mut self.leaving) {
            database.run_infallible(|| registry::mark_as_leaving(false)).await;
            // Commits have found this worker marked.
            return Next::Check;
        }
        // Not while this worker is marked, and so not counted.
        let was_busy = std::mem::replace(&mut self.was_busy, found.busy);
        if found.more_is_due || found.busy && !was_busy {
            self.siblings.start_one(context).await;
        }
        self.polls += 1;
        Next::Wait(match found.next_wake {
            _ if self.sent == Sent::ToWork && self.polls <= FIRST_POLLS.0 && !found.busy => FIRST_POLLS.1,
            Some(wake) => wake.clamp(Duration::from_millis(50), POLL.0),
            None if found.busy || has_failed => POLL.0,
            None => POLL.1.min(idle_timeout),
        })
    }
}
