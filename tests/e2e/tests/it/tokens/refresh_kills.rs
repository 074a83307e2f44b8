//! The worker is killed at each step of a refresh.

use postgres::fallible_iterator::FallibleIterator;

use crate::support::oauth::{USER, arrived, generation, kill_worker, refresh, until_status};
use crate::support::prelude::*;
use crate::support::refresh_steps::{
    RECOVERY, Session, due, due_and_locked, recovered, until_blocked, until_rotated, wanted, wanted_and_locked, world,
};

/// Longer than a test waits for anything.
const FOREVER: Fault = Fault::Delay { milliseconds: 600_000 };

/// Kills the worker, and with it the session that waits for it. Returns another session, and when the server was back.
fn killed(world: &World, session: Session) -> Result<(Client, Instant)> {
    let client = kill_worker(world)?;
    let Ok(outcome) = session.join() else { panic!("the session panicked") };
    assert!(outcome.is_err(), "the session should have ended with the server");
    Ok((client, Instant::now()))
}

/// Kills the worker: the account is connected again, after this many token requests in all.
fn recovers(world: &World, session: Session, requests: u64) -> Result<()> {
    let (mut client, back) = killed(world, session)?;
    recovered(world, &mut client, back, 1)?;
    assert_eq!(arrived(world), requests);
    Ok(())
}

#[test]
fn before_the_intent() -> Result<()> {
    let (world, mut client) = world(false)?.with_session()?;
    let before = arrived(&world);
    let _blocker = due_and_locked(&world, &mut client)?;
    let session = wanted(&world)?;
    until_blocked(&mut client)?;
    // One after the kill, one on demand.
    recovers(&world, session, before + 2)
}

#[test]
fn while_the_request_is_under_way() -> Result<()> {
    let (world, mut client) = world(false)?.with_session()?;
    let before = arrived(&world);
    world.sandbox.faults().add(Rule::on(Kind::Token, Fault::Hold { gate: "never".into() }).once());
    due(&mut client)?;
    let session = wanted(&world)?;
    assert!(world.sandbox.requests().wait_for(Kind::Token, before + 1, SOON));
    // The one held back, one after the kill, one on demand.
    recovers(&world, session, before + 3)
}

#[test]
fn while_the_answer_is_under_way() -> Result<()> {
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
fn while_the_answer_is_under_way_and_the_old_token_is_dead() -> Result<()> {
    let (world, mut client) = world(false)?.with_session()?;
    // Twice, so that there is a token before the current one to fall back on.
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
    // Told once; it may have been before the LISTEN.
    let told = listener.notifications().timeout_iter(Duration::from_millis(200)).count()?;
    assert!(told <= 1);
    assert_eq!(arrived(&world) - before, 3, "the lost one, the current token again, the previous one once");
    // From here on only an explicit refresh makes requests: the current token once more, and the previous one.
    client.refused("SELECT * FROM pinterest_list_boards()", "28000");
    assert_eq!(arrived(&world) - before, 3);
    expect_refusal(refresh(&mut client, None), "28000");
    assert_eq!(arrived(&world) - before, 5);
    // The user brings it back.
    assert_eq!(world.connect_account(&mut client)?, world.account());
    refresh(&mut client, None)?;
    Ok(())
}

#[test]
fn while_the_answer_waits_to_be_stored() -> Result<()> {
    let (world, mut client) = world(true)?.with_session()?;
    let before = arrived(&world);
    due(&mut client)?;
    let (session, _blocker) = wanted_and_locked(&world)?;
    until_blocked(&mut client)?;
    recovers(&world, session, before + 3)
}

#[test]
fn right_after_storing() -> Result<()> {
    let (world, mut client) = world(false)?.with_session()?;
    let before = arrived(&world);
    refresh(&mut client, None)?;
    let mut client = kill_worker(&world)?;
    // A worker that has looked around finds nothing to do.
    import(&mut client, "Beach")?;
    assert_eq!(arrived(&world) - before, 1);
    assert_eq!(generation(&mut client, world.account())?, 2);
    recovered(&world, &mut client, Instant::now(), 1)
}
