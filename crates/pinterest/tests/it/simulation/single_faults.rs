//! Every pair of failures, each for one account.

use std::time::Duration;

use pinterest::refresh::Cause;
use sandbox::config::OldRefreshToken;

use super::ledger::Status;
use super::mishap::Mishap;
use super::world::{DAY, World};

/// Runs two refreshes with failures and several without.
async fn pairs(rotation: OldRefreshToken) -> (World, Vec<[Mishap; 2]>) {
    let pairs: Vec<_> = Mishap::ALL.iter().flat_map(|first| Mishap::ALL.map(|second| [*first, second])).collect();
    let mut world = World::new(pairs.len(), rotation, 1);
    (0..pairs.len()).for_each(|account| world.connect(account));
    let mut met = vec![0; pairs.len()];
    let mut mishap = |_: &mut World, account: usize| {
        met[account] += 1;
        pairs[account].get(met[account] - 1).copied().unwrap_or(Mishap::None)
    };
    world.live_until(70 * DAY, &mut mishap).await;
    assert!(met.iter().all(|attempts| *attempts >= 2), "{met:?}");
    (world, pairs)
}

#[tokio::test]
async fn with_a_grace_period_no_failure_loses_an_account() {
    let (world, pairs) = pairs(OldRefreshToken::AliveFor(Duration::from_secs(DAY))).await;
    for (row, pair) in world.ledger.rows.iter().zip(&pairs) {
        let (status, generations) = match pair {
            // The old token is the last known one, and its grace period has ended when it is needed again.
            [first, Mishap::WithoutRefreshToken] if first.loses_the_answer() => (Status::Lost(Cause::Rejected), 2),
            _ => (Status::Connected, 4),
        };
        assert_eq!(row.status, status, "{pair:?}");
        assert!(row.generation >= generations, "{pair:?}: generation {}", row.generation);
    }
}

#[tokio::test]
async fn with_single_use_tokens_only_a_lost_answer_loses_an_account() {
    let (world, pairs) = pairs(OldRefreshToken::Dead).await;
    for (row, pair) in world.ledger.rows.iter().zip(&pairs) {
        let expected = match pair {
            // The user consents again while the lost answer is in transit.
            [first, Mishap::ReconnectMeanwhile] if first.loses_the_answer() => Status::Connected,
            pair if pair.iter().any(|mishap| mishap.loses_the_answer()) => Status::Lost(Cause::LostResponse),
            _ => Status::Connected,
        };
        assert_eq!(row.status, expected, "{pair:?}");
    }
}
