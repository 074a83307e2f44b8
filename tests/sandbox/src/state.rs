//! The state that all connections share: the world, the tokens, the quota, the images.

mod mutations;
mod tokens;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::api::Quota;
use crate::cdn::Pictures;
use crate::clock::Clock;
use crate::config::Config;
use crate::faults::Faults;
use crate::oauth::Ledger;
use crate::requests::Requests;
use crate::world::World;

/// The world of a running [`Sandbox`](crate::Sandbox), which dereferences to it.
#[derive(Debug)]
pub struct State {
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
    /// Bookmarks with another number are refused.
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

    /// The configuration of this world.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The fault rules.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The requests received so far.
    pub fn requests(&self) -> &Requests {
        &self.requests
    }

    /// Moves the sandbox's clock forward, by which tokens, codes and rate limits expire.
    pub fn advance_clock(&self, by: Duration) {
        self.clock.advance(by);
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

/// Ignores poisoning: a panic while a lock is held fails one test, and others may continue.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
