//! The worker is terminated or blocked while a response is on its way: the response is stored.

use e2e::process::Process;

use crate::support::oauth::{USER, WORKER, arrived};
use crate::support::prelude::*;
use crate::support::refresh_steps::{due, recovered, until_blocked, until_rotated, wanted, wanted_and_locked, world};

#[test]
fn an_answer_that_waits_for_a_lock_is_kept_until_it_is_stored() -> Result<()> {
    let (world, mut client) = world(false)?.with_session()?;
    let before = arrived(&world);
    let (session, mut blocker) = wanted_and_locked(&world)?;
    // Beyond the worker's patience with a lock: it lets go and comes back, the answer in its hands.
    for _ in 0..2 {
        until_blocked(&mut client)?;
        let unblocked = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity
                          WHERE backend_type = 'pg_pinterest worker' AND wait_event_type = 'Lock')";
        client.until(unblocked, true)?;
    }
    blocker.batch_execute("COMMIT")?;
    let Ok(outcome) = session.join() else { panic!("the session panicked") };
    outcome?;
    recovered(&world, &mut client, Instant::now(), 1)?;
    assert_eq!(arrived(&world) - before, 2);
    Ok(())
}

/// Ends the worker while the sandbox has rotated the token and its answer is some time away.
fn asked_to_end(end: impl Fn(&World, &mut Client) -> Result<()>) -> Result<()> {
    let (world, mut client) = world(false)?.with_session()?;
    let before = arrived(&world);
    let old = world.sandbox.valid_refresh_token(USER);
    world.sandbox.faults().add(Rule::on(Kind::Token, Fault::Delay { milliseconds: 1500 }).once());
    due(&mut client)?;
    let session = wanted(&world)?;
    until_rotated(&world, &old)?;
    end(&world, &mut client)?;
    // It ends well, or with the server.
    let _ = session.join();
    let mut client = world.connect()?;
    recovered(&world, &mut client, Instant::now(), 1)?;
    assert_eq!(arrived(&world) - before, 2, "nothing was asked for twice");
    Ok(())
}

#[test]
fn a_worker_that_is_terminated_stores_the_answer_first() -> Result<()> {
    asked_to_end(|world, client| {
        let worker = world.cluster.wait_for_backend(WORKER, SOON)?;
        let began = Instant::now();
        client.query_one("SELECT pg_terminate_backend($1)", &[&worker.pid])?;
        until("the worker to end", || Ok(Process::get(worker.pid).is_none()))?;
        assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
        Ok(())
    })
}

#[test]
fn a_server_that_is_stopped_stores_the_answer_first() -> Result<()> {
    asked_to_end(|world, _| world.cluster.restart(Stop::Fast))
}
