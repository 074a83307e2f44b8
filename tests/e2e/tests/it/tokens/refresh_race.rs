//! Many sessions refresh the same account concurrently, with refresh tokens that work only once.

use std::sync::Barrier;

use sandbox::config::{OldRefreshToken, TokenRules};

use crate::support::oauth::{WORKER, arrived, generation, refresh, status, with_tokens};
use crate::support::prelude::*;

const BACKENDS: usize = 20;
const ROUNDS: usize = 1000;

#[test]
fn a_thousand_races_lose_no_grant() -> Result<()> {
    let single_use = TokenRules { old_refresh_token: OldRefreshToken::Dead, ..TokenRules::default() };
    let world = with_tokens(single_use).setting("pinterest.workers_per_database", "2").start()?;
    let account = world.account();
    let mut client = world.connect()?;
    let before = arrived(&world);

    let start = Barrier::new(BACKENDS);
    let clients = (0..BACKENDS).map(|_| world.connect()).collect::<Result<Vec<Client>>>()?;
    let most_workers = std::thread::scope(|scope| -> Result<usize> {
        let callers: Vec<_> = clients
            .into_iter()
            .map(|mut client| {
                let start = &start;
                scope.spawn(move || {
                    let mut outcome = Ok(());
                    for _ in 0..ROUNDS {
                        start.wait();
                        // A thread that ended early would leave the others waiting at the barrier.
                        outcome = outcome.and(refresh(&mut client, Some(account)));
                    }
                    outcome
                })
            })
            .collect();
        let mut most_workers = 0;
        while !callers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            most_workers = most_workers.max(world.cluster.backends(WORKER)?.len());
            std::thread::sleep(Duration::from_millis(100));
        }
        for caller in callers {
            let Ok(outcome) = caller.join() else { panic!("a caller panicked") };
            outcome?;
        }
        Ok(most_workers)
    })?;
    assert_eq!(most_workers, 2, "both workers ran");

    // After a token is sent twice, or a response is lost, all further requests are refused.
    let refused: Vec<_> = world
        .sandbox
        .requests()
        .latest()
        .into_iter()
        .filter(|request| request.kind == Kind::Token && request.status != Some(200))
        .collect();
    assert_eq!(refused, []);
    let asked = i64::try_from(arrived(&world) - before)?;
    let last = generation(&mut client, account)?;
    assert_eq!(last, 1 + asked, "one refresh for each generation");
    assert!(asked >= i64::try_from(ROUNDS)?, "at least one refresh per round: {asked}");
    assert_eq!(status(&mut client)?, "connected");

    // The sandbox accepts the tokens stored last.
    world.cluster.wait_for_backend(WORKER, SOON)?;
    assert_eq!(client.query("SELECT * FROM pinterest_list_boards()", &[])?.len(), 1);
    refresh(&mut client, Some(account))?;
    assert_eq!(generation(&mut client, account)?, last + 1);
    Ok(())
}
