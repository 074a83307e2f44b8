//! Two workers at the same time, and a worker that was suspended until its lease had expired.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use sandbox::config::OldRefreshToken;
use sandbox::{Fault, Kind, Rule};
use tokio::task::LocalSet;

use super::ledger::{LEASE, Status};
use super::world::{DAY, World};

const ROTATIONS: [OldRefreshToken; 2] = [OldRefreshToken::Dead, OldRefreshToken::AliveFor(Duration::from_secs(DAY))];

fn due_world(accounts: usize, rotation: OldRefreshToken) -> World {
    let mut world = World::new(accounts, rotation, 2);
    (0..accounts).for_each(|account| world.connect(account));
    world.ledger.live.insert(1);
    world.advance(25 * DAY);
    world
}

#[tokio::test]
async fn two_workers_send_one_request_per_account() {
    const ACCOUNTS: usize = 40;
    for rotation in ROTATIONS {
        let world = Rc::new(RefCell::new(due_world(ACCOUNTS, rotation)));
        let tasks = LocalSet::new();
        for (account, order) in (0..ACCOUNTS).zip([[0, 1], [1, 0]].into_iter().cycle()) {
            for worker in order {
                let world = Rc::clone(&world);
                tasks.spawn_local(async move {
                    let now = world.borrow().now;
                    let Some(opened) = world.borrow_mut().ledger.open(account, worker, now) else {
                        return;
                    };
                    let request = world.borrow().request(&opened);
                    let answer = request.await;
                    world.borrow_mut().record(account, worker, &opened, answer);
                });
            }
        }
        tasks.await;
        let world = world.borrow();
        assert_eq!(world.sandbox.requests().count(Kind::Token), ACCOUNTS as u64);
        for row in &world.ledger.rows {
            assert_eq!((row.generation, row.status), (2, Status::Connected));
            assert!(world.sandbox.accepts_refresh_token(row.refresh_token.expose()));
        }
    }
}

/// The tokens of the request that the server handles first are kept.
#[tokio::test]
async fn a_worker_suspended_past_its_lease_changes_nothing() {
    for (rotation, sleeper_first) in ROTATIONS.into_iter().flat_map(|rotation| [(rotation, false), (rotation, true)]) {
        let mut world = due_world(1, rotation);
        let hold = |gate: &str| Rule::on(Kind::Token, Fault::Hold { gate: gate.to_owned() }).once();
        let faults = world.sandbox.faults().clone();
        let rule = faults.add(hold("sleeper"));
        let opened = world.ledger.open(0, 0, world.now).unwrap();
        let sleeper = tokio::spawn(world.request(&opened));
        world.fires(rule).await;

        assert!(world.ledger.open(0, 1, world.now + LEASE - 1).is_none());
        world.advance(world.now + LEASE);
        let taken_over = world.ledger.open(0, 1, world.now).unwrap();
        assert!(taken_over.attempt.uncertain);
        if sleeper_first {
            let rule = faults.add(hold("heir"));
            let heir = tokio::spawn(world.request(&taken_over));
            world.fires(rule).await;
            faults.release("sleeper");
            world.record(0, 0, &opened, sleeper.await.unwrap());
            faults.release("heir");
            world.record(0, 1, &taken_over, heir.await.unwrap());
        } else {
            let answer = world.request(&taken_over).await;
            world.record(0, 1, &taken_over, answer);
            faults.release("sleeper");
            world.record(0, 0, &opened, sleeper.await.unwrap());
        }

        let row = &world.ledger.rows[0];
        assert_eq!((row.generation, row.status), (2, Status::Connected), "{rotation:?} {sleeper_first}");
        assert!(world.sandbox.accepts_refresh_token(row.refresh_token.expose()));
        assert_eq!(world.ledger.breaker, Default::default());
    }
}
