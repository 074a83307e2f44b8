//! 400 days of dozens of accounts, with faults of all accounts and failures of single ones.

use std::cell::Cell;
use std::time::Duration;

use pinterest::refresh::{Breaker, Cause};
use sandbox::Kind;
use sandbox::config::OldRefreshToken;

use super::ledger::{Status, Time};
use super::mishap::{Mishap, Weather};
use super::world::{DAY, HOUR, World};

const ACCOUNTS: usize = 48;

/// Number of accounts connected on the first day, and due at almost the same time.
const TOGETHER: usize = 30;

const REVOKED: usize = 3;

/// Share of failing attempts at other times.
const MISHAPS: f64 = 0.1;

struct Year<'a> {
    world: World,
    mishaps: &'a Cell<f64>,
}

impl Year<'_> {
    async fn live_until(&mut self, end: Time) {
        let share = self.mishaps;
        let mut mishap = |world: &mut World, _: usize| {
            if world.weather == Weather::Fair && world.random.f64() < share.get() {
                Mishap::ALL[world.random.usize(..Mishap::ALL.len())]
            } else {
                Mishap::None
            }
        };
        self.world.live_until(end, &mut mishap).await;
    }

    /// Runs with this fault; returns the number of requests.
    async fn live_under(&mut self, weather: Weather, until: Time) -> u64 {
        let before = self.requests();
        self.world.set_weather(weather);
        self.live_until(until).await;
        self.world.set_weather(Weather::Fair);
        self.requests() - before
    }

    fn requests(&self) -> u64 {
        self.world.sandbox.requests().count(Kind::Token)
    }

    fn lost(&self) -> Vec<(usize, Cause)> {
        let rows = self.world.ledger.rows.iter().enumerate();
        rows.filter_map(|(account, row)| match row.status {
            Status::Lost(cause) => Some((account, cause)),
            _ => None,
        })
        .collect()
    }

    /// The users of lost accounts consent again.
    fn reconnect(&mut self) {
        for (account, _) in self.lost() {
            self.world.connect(account);
        }
    }
}

async fn live_through(rotation: OldRefreshToken, seed: u64) {
    let mishaps = Cell::new(MISHAPS);
    let mut year = Year { world: World::new(ACCOUNTS, rotation, seed), mishaps: &mishaps };
    (0..TOGETHER).for_each(|account| year.world.connect(account));
    for account in TOGETHER..ACCOUNTS {
        year.live_until((account - TOGETHER + 1) as Time * DAY).await;
        year.world.connect(account);
    }

    // Accounts connected together are due together, and are refused.
    year.live_until(19 * DAY).await;
    let requests = year.live_under(Weather::AllRefused, 20 * DAY).await;
    assert!((5..=25).contains(&requests), "{requests} requests while every account was refused");
    assert!(year.world.ledger.breaker.is_open());
    year.live_until(20 * DAY + 7 * HOUR).await;
    assert_eq!(year.world.ledger.breaker, Breaker::default());
    let rejected: Vec<_> = year.lost().into_iter().filter(|(_, cause)| *cause == Cause::Rejected).collect();
    assert_eq!(rejected, []);

    year.reconnect();
    year.live_until(39 * DAY).await;
    year.live_under(Weather::Away, 44 * DAY).await;

    // Refreshes that waited for the network were done together, and are due together.
    year.live_until(63 * DAY).await;
    let requests = year.live_under(Weather::AppRefused, 66 * DAY).await;
    assert!((5..=25).contains(&requests), "{requests} requests while the app was refused");

    year.live_until(80 * DAY).await;
    year.reconnect();
    year.world.revoke(REVOKED);
    year.live_until(101 * DAY).await;
    assert!(year.lost().iter().any(|(account, _)| *account == REVOKED));
    year.reconnect();

    // Accounts renewed twenty days ago, and due when the server goes off, have forty days left.
    year.live_until(110 * DAY).await;
    mishaps.set(0.0);
    year.live_until(131 * DAY).await;
    year.reconnect();
    year.world.off_for(40 * DAY);
    year.live_until(171 * DAY + HOUR).await;
    assert_eq!(year.lost(), []);
    assert!(year.world.ledger.rows.iter().all(|row| row.access_expires_at > year.world.now + 10 * DAY));
    mishaps.set(MISHAPS);

    year.live_until(190 * DAY).await;
    year.live_under(Weather::ServerErrors, 191 * DAY).await;
    year.live_until(210 * DAY).await;
    year.live_under(Weather::Limited, 211 * DAY).await;

    // Off for longer than the lifetime of refresh tokens: each account is refused once and lost.
    year.live_until(299 * DAY).await;
    mishaps.set(0.0);
    year.live_until(300 * DAY).await;
    year.reconnect();
    let before = year.requests();
    year.world.off_for(61 * DAY);
    year.live_until(363 * DAY).await;
    let causes: Vec<_> = year.lost().into_iter().map(|(_, cause)| cause).collect();
    assert_eq!(causes, [Cause::Expired; ACCOUNTS]);
    assert_eq!(year.requests() - before, ACCOUNTS as u64);
    mishaps.set(MISHAPS);

    year.reconnect();
    year.live_until(400 * DAY).await;
    year.reconnect();
    mishaps.set(0.0);
    year.live_until(430 * DAY).await;
    assert_eq!(year.lost(), []);
}

#[tokio::test]
async fn single_use() {
    live_through(OldRefreshToken::Dead, 1).await;
}

#[tokio::test]
async fn with_grace() {
    live_through(OldRefreshToken::AliveFor(Duration::from_secs(HOUR)), 2).await;
}

#[tokio::test]
async fn without_rotation() {
    live_through(OldRefreshToken::Alive, 3).await;
}
