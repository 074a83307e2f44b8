//! The table of accounts: each method is one short transaction.

use std::collections::HashSet;

use pinterest::refresh::{self, Attempt, Breaker, Cause, NextStep};
use pinterest::{Secret, TokenGrant};

/// Seconds since the simulation began.
pub type Time = u64;

/// Lease of an attempt.
pub const LEASE: Time = 90;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Connected,
    Uncertain,
    Lost(Cause),
}

/// One account's tokens.
pub struct Row {
    pub generation: u64,
    pub refresh_token: Secret,
    pub previous: Option<Secret>,
    pub access_expires_at: Time,
    pub refresh_expires_at: Time,
    pub refresh_after: Time,
    pub status: Status,
    pub status_since: Time,
    attempts: u32,
    intent: Option<Intent>,
}

/// A request that may be in progress.
struct Intent {
    worker: u64,
    until: Time,
}

/// The values that a worker reads before its request.
#[derive(Clone)]
pub struct Opened {
    pub generation: u64,
    pub current: Secret,
    pub previous: Option<Secret>,
    pub attempt: Attempt,
}

/// All accounts of one app.
#[derive(Default)]
pub struct Ledger {
    pub rows: Vec<Row>,
    pub live: HashSet<u64>,
    pub breaker: Breaker,
    paused_until: Time,
    /// Accounts lost since the app's last success, with their previous state.
    lost_in_row: Vec<(usize, Status)>,
}

impl Ledger {
    /// A new account, or one whose user has consented again.
    pub fn connect(&mut self, account: usize, grant: &TokenGrant, now: Time, random: f64) {
        let refresh_token = grant.refresh_token.clone().expect("a grant with a refresh token");
        let left = grant.refresh_token_expires_in.expect("a grant with the lifetime of its refresh token");
        let row = Row {
            generation: self.rows.get(account).map_or(1, |row| row.generation + 1),
            refresh_token,
            previous: None,
            access_expires_at: now + grant.expires_in.as_secs(),
            refresh_expires_at: now + left.as_secs(),
            refresh_after: now + refresh::after(grant.expires_in, Some(left), random).as_secs(),
            status: Status::Connected,
            status_since: now,
            attempts: 0,
            intent: None,
        };
        self.lost_in_row.retain(|(lost, _)| *lost != account);
        if account == self.rows.len() {
            self.rows.push(row);
        } else {
            self.rows[account] = row;
        }
    }

    /// Time of the account's next refresh; `None` if it is lost.
    pub fn due_at(&self, account: usize) -> Option<Time> {
        let row = &self.rows[account];
        let at = match (&row.status, &row.intent) {
            (Status::Lost(_), _) => return None,
            (_, None) => row.refresh_after,
            (_, Some(intent)) if self.live.contains(&intent.worker) => intent.until,
            // The lease has expired.
            (_, Some(_)) => 0,
        };
        Some(if self.breaker.is_open() { at.max(self.paused_until) } else { at })
    }

    /// Writes the intent, a lease that remains if the worker crashes. No transaction is open during the request.
    pub fn open(&mut self, account: usize, worker: u64, now: Time) -> Option<Opened> {
        if self.due_at(account)? > now {
            return None;
        }
        if self.breaker.is_open() {
            // One account is the probe for all; if the worker crashes, another follows after the lease.
            self.paused_until = now + LEASE;
        }
        let row = &mut self.rows[account];
        if row.intent.is_some() {
            row.status = Status::Uncertain;
        }
        row.attempts += 1;
        row.intent = Some(Intent { worker, until: now + LEASE });
        Some(Opened {
            generation: row.generation,
            current: row.refresh_token.clone(),
            previous: row.previous.clone(),
            attempt: Attempt {
                number: row.attempts,
                uncertain: row.status == Status::Uncertain,
                refresh_token_expired: row.refresh_expires_at <= now,
            },
        })
    }

    /// Stores an answer by compare-and-swap; false if another worker was faster.
    pub fn store(&mut self, account: usize, used: &Opened, grant: &TokenGrant, now: Time, random: f64) -> bool {
        let row = &mut self.rows[account];
        if row.generation != used.generation {
            return false;
        }
        row.generation += 1;
        if let Some(token) = &grant.refresh_token {
            row.previous = Some(std::mem::replace(&mut row.refresh_token, token.clone()));
        }
        row.access_expires_at = now + grant.expires_in.as_secs();
        if let Some(left) = grant.refresh_token_expires_in {
            row.refresh_expires_at = now + left.as_secs();
        }
        let left = std::time::Duration::from_secs(row.refresh_expires_at.saturating_sub(now));
        row.refresh_after = now + refresh::after(grant.expires_in, Some(left), random).as_secs();
        (row.status, row.status_since) = (Status::Connected, now);
        (row.attempts, row.intent) = (0, None);
        self.breaker = Breaker::default();
        self.lost_in_row.clear();
        true
    }

    /// Records a refusal, unless the generation has changed.
    pub fn refuse(&mut self, account: usize, worker: u64, used: &Opened, next_step: NextStep, now: Time, random: f64) {
        let row = &mut self.rows[account];
        if row.intent.as_ref().is_some_and(|intent| intent.worker == worker) {
            row.intent = None;
        }
        if row.generation != used.generation {
            return;
        }
        match next_step {
            NextStep::Again { again_in, uncertain } => {
                row.refresh_after = now + again_in.as_secs();
                if uncertain {
                    row.status = Status::Uncertain;
                }
            }
            NextStep::AppRefused => self.pause(self.breaker.after_app_refusal(), now, random),
            NextStep::Lost(cause) => {
                let (before, after) = (self.breaker, self.breaker.after_account_refusal(cause));
                if before.believes(cause) && after.believes(cause) {
                    if cause != Cause::Expired {
                        self.lost_in_row.push((account, row.status));
                    }
                    (row.status, row.status_since) = (Status::Lost(cause), now);
                }
                if after.pauses > before.pauses {
                    self.take_back(now);
                    self.pause(after, now, random);
                    // After all others, so that another account is tried next.
                    self.rows[account].refresh_after = self.paused_until;
                } else {
                    self.breaker = after;
                }
            }
        }
    }

    fn pause(&mut self, breaker: Breaker, now: Time, random: f64) {
        self.breaker = breaker;
        self.paused_until = now + breaker.pause(random).as_secs();
    }

    fn take_back(&mut self, now: Time) {
        for (account, status) in self.lost_in_row.drain(..) {
            let row = &mut self.rows[account];
            (row.status, row.status_since, row.refresh_after) = (status, now, now);
        }
    }
}
