//! The worker is killed at each step of a refresh, and the account recovers.

use postgres::fallible_iterator::FallibleIterator;

use crate::support::oauth::{USER, arrived, generation, kill_worker, refresh, until_status};
use crate::support::prelude::*;
use crate::support::refresh_steps::{
    RECOVERY, Session, due, due_and_locked, recovered, until_blocked, until_rotated, wanted, wanted_and_locked, world,
};

/// Longer than a test waits for anything.
const FOREVER: Fault = Fault::Delay { milliseconds: 600_000 };

/// Kills the worker, which also ends the session that waits for it. Returns a new session and the time of the restart.
fn killed(world: &World, session: Session) -> Result<(Client, Instant)> {
    let client = kill_worker(world)?;
    let Ok(outcome) = session.join() else { panic!("the session panicked") };
    assert!(outcome.is_err(), "the session should have ended with the server");
    Ok((client, Instant::now()))
}

/// Kills the worker, and checks that the account is connected again after a total of `requests` token requests.
fn recovers(world: &World, session: Session, requests: u64) -> Result<()> {
    let (mut client, back) = killed(world, session)?;
    recovered(world, &mut client, back, 1)?;
    assert_eq!(arrived(world), requests);
    Ok(())
}

#[test]
fn a_kill_before_the_intent_loses_nothing() -> Result<()> {
    let (world, mut client) = world(false)?.with_session()?;
    let before = arrived(&world);
    let _blocker = due_and_locked(&world, &mut client)?;
    let session = wanted(&world)?;
    until_blocked(&mut client)?;
    // One request after the kill, one on demand.
    recovers(&world, session, before + 2)
}

#[test]
fn a_kill_during_the_request_loses_nothing() -> Result<()> {
    let (world, mut client) = world(false)?.with_session()?;
    let before = arrived(&world);
    world.sandbox.faults().add(Rule::on(Kind::Token, Fault::Hold { gate: "never".into() }).once());
    due(&mut client)?;
    let session = wanted(&world)?;
    assert!(world.sandbox.requests().wait_for(Kind::Token, before + 1, SOON));
    // The held request, one after the kill, one on demand.
    recovers(&world, session, before + 3)
}

#[test]
fn a_lost_answer_is_recovered_with_the_old_token() -> Result<()> {
    let (world, mut client) = world(true)?.with_session()?;
    let before = arrived(&world);
    let old = world.sandbox.valid_refresh_token(USER);
    world.sandbox.faults().add(Rule::on(Kind::Token, FOREVER).once());
    due(&mut client)?;
    let session = wanted(&world)?;
    until_rotated(&world, &old)?;
    recovers(&world, session, before + 3)
}

#[test]
fn a_lost_answer_requires_the_user_if_the_old_token_is_invalid() -> Result<()> {
    let (world, mut client) = world(false)?.with_session()?;
    // Stores a previous token besides the current one.
    refresh(&mut client, None)?;
    let before = arrived(&world);
    let old = world.sandbox.valid_refresh_token(USER);
    world.sandbox.faults().add(Rule::on(Kind::Token, FOREVER).once());
    due(&mut client)?;
    let session = wanted(&world)?;
    until_rotated(&world, &old)?;
    let (mut client, back) = killed(&world, session)?;
    let mut listener = world.connect()?;
    listener.batch_execute("LISTEN pinterest_needs_reauth")?;
    let status = until_status(&mut client, world.account(), "needs_reauth")?;
    assert!(status.starts_with("needs_reauth: lost_response"), "{status}");
    assert!(back.elapsed() < RECOVERY, "it took {:?}", back.elapsed());
    // Notified once, possibly before the LISTEN.
    let notices = listener.notifications().timeout_iter(Duration::from_millis(200)).count()?;
    assert!(notices <= 1);
    assert_eq!(arrived(&world) - before, 3, "the lost request, the current token again, the previous one once");
    // From now on, only an explicit refresh makes requests: with the current token and with the previous one.
    client.refused("SELECT * FROM pinterest_list_boards()", "28000");
    assert_eq!(arrived(&world) - before, 3);
    expect_refusal(refresh(&mut client, None), "28000");
    assert_eq!(arrived(&world) - before, 5);
    // The user connects the account again.
    assert_eq!(world.connect_account(&mut client)?, world.account());
    refresh(&mut client, None)?;
    Ok(())
}

#[test]
fn a_kill_before_storing_loses_nothing() -> Result<()> {
    let (world, mut client) = world(true)?.with_session()?;
    let before = arrived(&world);
    due(&mut client)?;
    let (session, _blocker) = wanted_and_locked(&world)?;
    until_blocked(&mut client)?;
    recovers(&world, session, before + 3)
}

#[test]
fn a_kill_after_storing_loses_nothing() -> Result<()> {
    let (world, mut client) = world(false)?.with_session()?;
    let before = arrived(&world);
    refresh(&mut client, None)?;
    let mut client = kill_worker(&world)?;
    // The next worker finds no refresh due.
    import(&mut client, "Beach")?;
    assert_eq!(arrived(&world) - before, 1);
    assert_eq!(generation(&mut client, world.account())?, 2);
    recovered(&world, &mut client, Instant::now(), 1)
}
