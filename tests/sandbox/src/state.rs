//! What all connections share: the world, the tokens, the quota, the pictures.

mod mutations;
mod tokens;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::api::Quota;
use crate::cdn::Pictures;
use crate::clock::Clock;
use crate::config::Config;
use crate::faults::Faults;
use crate::oauth::Ledger;
use crate::requests::Requests;
use crate::world::World;

#[derive(Debug)]
pub(crate) struct State {
    config: Config,
    pub(crate) faults: Faults,
    pub(crate) requests: Requests,
    pub(crate) clock: Clock,
    pub(crate) pictures: Pictures,
    world: Mutex<World>,
    ledger: Mutex<Ledger>,
    quota: Mutex<Quota>,
    /// Index of the account that is signed in at the authorize page.
    signed_in: Mutex<usize>,
    /// Bookmarks of another age are refused.
    bookmark_age: AtomicU64,
    /// Requests so far, for `x-pinterest-rid`.
    request_number: AtomicU64,
}

impl State {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            faults: Faults::new(config.seed, config.faults.clone()),
            requests: Requests::default(),
            clock: Clock::default(),
            pictures: Pictures::new(&config),
            world: Mutex::new(World::new(&config)),
            ledger: Mutex::new(Ledger::new(config.seed, config.tokens.clone())),
            quota: Mutex::new(Quota::new(config.tier, config.per_second)),
            signed_in: Mutex::new(0),
            bookmark_age: AtomicU64::new(0),
            request_number: AtomicU64::new(0),
            config,
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    pub(crate) fn quota(&self) -> MutexGuard<'_, Quota> {
        lock(&self.quota)
    }

    pub(crate) fn bookmark_age(&self) -> u64 {
        self.bookmark_age.load(Ordering::Relaxed)
    }

    pub(crate) fn next_request_number(&self) -> u64 {
        self.request_number.fetch_add(1, Ordering::Relaxed)
    }
}

/// A panic while a lock is held fails its own test; the others go on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
