//! A response is stored even if the worker is terminated or blocked meanwhile.

use e2e::process::Process;

use crate::support::oauth::{USER, WORKER, arrived};
use crate::support::prelude::*;
use crate::support::refresh_steps::{due, recovered, until_blocked, until_rotated, wanted, wanted_and_locked, world};

#[test]
fn an_answer_is_kept_until_a_lock_is_released() -> Result<()> {
    let (world, mut client) = world(false)?.with_session()?;
    let before = arrived(&world);
    let (session, mut blocker) = wanted_and_locked(&world)?;
    // Longer than the worker's lock timeout: it gives up and tries again with the same answer.
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

/// Ends the worker after the sandbox has rotated the token and before its answer arrives.
fn asked_to_end(end: impl Fn(&World, &mut Client) -> Result<()>) -> Result<()> {
    let (world, mut client) = world(false)?.with_session()?;
    let before = arrived(&world);
    let old = world.sandbox.valid_refresh_token(USER);
    world.sandbox.faults().add(Rule::on(Kind::Token, Fault::Delay { milliseconds: 1500 }).once());
    due(&mut client)?;
    let session = wanted(&world)?;
    until_rotated(&world, &old)?;
    end(&world, &mut client)?;
    // The call succeeds, or ends with the server.
    let _ = session.join();
    let mut client = world.connect()?;
    recovered(&world, &mut client, Instant::now(), 1)?;
    assert_eq!(arrived(&world) - before, 2, "no request was repeated");
    Ok(())
}

#[test]
fn a_terminated_worker_stores_the_answer_first() -> Result<()> {
    asked_to_end(|world, client| {
        let worker = world.cluster.wait_for_backend(WORKER, SOON)?;
        let began = Instant::now();
        client.query_one("SELECT pg_terminate_backend($1)", &[&worker.pid])?;
        until("the worker to end", || Ok(Process::get(worker.pid).is_none()))?;
        assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
        Ok(())
    })
}

/// As the postmaster's does, which signals the process and then its group.
#[test]
fn a_request_that_arrives_twice_counts_once() -> Result<()> {
    asked_to_end(|world, client| {
        let worker = world.cluster.wait_for_backend(WORKER, SOON)?;
        let twice = "SELECT pg_terminate_backend($1), pg_sleep(0.02), pg_terminate_backend($1)";
        client.query_one(twice, &[&worker.pid])?;
        until("the worker to end", || Ok(Process::get(worker.pid).is_none()))
    })
}

#[test]
fn a_stopping_server_stores_the_answer_first() -> Result<()> {
    asked_to_end(|world, _| world.cluster.restart(Stop::Fast))
}
