//! The order of imports: the next one is of the owner that has recently used the least time, and of that owner's account that
//! has. Counting imports instead would give an owner of large boards most of the time.

use std::collections::HashMap;

use tokio::time::Instant;

/// An import's id and the fence of its claim: after a pause it may be claimed again before the previous run has noticed.
pub type RunKey = (i64, i64);

/// Used time counts half after so many seconds.
const HALF_LIFE: f64 = 600.0;
/// A running import counts so many seconds more, so that it counts from its start.
const PLACE: f64 = 1.0;
/// Less than this is forgotten.
const LEAST: f64 = 0.5;

/// An owner and one of its accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// The owner.
    pub owner: String,
    /// The account.
    pub account_id: i64,
}

/// Used time in seconds, at a moment.
#[derive(Clone, Copy, Debug)]
struct Used(f64, Instant);

impl Used {
    fn at(self, now: Instant) -> f64 {
        self.0 * 0.5f64.powf(now.duration_since(self.1).as_secs_f64() / HALF_LIFE)
    }
}

/// How much of this worker's time each owner and account has used, and which had the last turn.
#[derive(Default)]
pub struct Turns {
    running: HashMap<RunKey, (Turn, Instant)>,
    owners: HashMap<String, Used>,
    accounts: HashMap<i64, Used>,
    /// The next search starts after this one, so that none is skipped forever.
    last: Turn,
    last_accounts: HashMap<String, i64>,
}

impl Turns {
    /// The last turn.
    pub fn last(&self) -> &Turn {
        &self.last
    }

    /// The account of the owner's last turn.
    pub fn last_account(&self, owner: &str) -> i64 {
        self.last_accounts.get(owner).copied().unwrap_or(i64::MIN)
    }

    /// The owner that has used the least time; of several the first.
    pub fn next_owner(&self, owners: Vec<String>) -> Option<String> {
        let now = Instant::now();
        let used = |owner: &String| {
            let before = self.owners.get(owner).map_or(0.0, |used| used.at(now));
            before + self.in_use(now, |turn| turn.owner == *owner)
        };
        least(owners, used)
    }

    /// The account that has used the least time; of several the first.
    pub fn next_account(&self, accounts: Vec<i64>) -> Option<i64> {
        let now = Instant::now();
        let used = |account: &i64| {
            let before = self.accounts.get(account).map_or(0.0, |used| used.at(now));
            before + self.in_use(now, |turn| turn.account_id == *account)
        };
        least(accounts, used)
    }

    fn in_use(&self, now: Instant, of: impl Fn(&Turn) -> bool) -> f64 {
        let running = self.running.values().filter(|(turn, _)| of(turn));
        running.map(|(_, since)| PLACE + now.duration_since(*since).as_secs_f64()).sum()
    }

    /// Records whose turn it is.
    pub fn passes_to(&mut self, turn: &Turn) {
        self.last = turn.clone();
        self.last_accounts.insert(turn.owner.clone(), turn.account_id);
    }

    /// An import begins.
    pub fn begin(&mut self, key: RunKey, turn: Turn) {
        self.running.insert(key, (turn, Instant::now()));
    }

    /// An import has ended or been queued again.
    pub fn end(&mut self, key: RunKey) {
        let Some((turn, since)) = self.running.remove(&key) else { return };
        let now = Instant::now();
        let seconds = PLACE + now.duration_since(since).as_secs_f64();
        let add = |used: &mut Used| *used = Used(used.at(now) + seconds, now);
        add(self.owners.entry(turn.owner).or_insert(Used(0.0, now)));
        add(self.accounts.entry(turn.account_id).or_insert(Used(0.0, now)));
        self.owners.retain(|_, used| used.at(now) >= LEAST);
        self.accounts.retain(|_, used| used.at(now) >= LEAST);
        self.last_accounts.retain(|owner, _| self.owners.contains_key(owner) || *owner == self.last.owner);
    }
}

fn least<T>(of: Vec<T>, used: impl Fn(&T) -> f64) -> Option<T> {
    let mut best: Option<(f64, T)> = None;
    for candidate in of {
        let seconds = used(&candidate);
        if best.as_ref().is_none_or(|(least, _)| seconds < *least) {
            best = Some((seconds, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}
