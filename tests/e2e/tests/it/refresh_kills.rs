//! The worker is killed at each step of a refresh.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use e2e::{Result, Stop, World, wait_for};
use postgres::Client;
use postgres::fallible_iterator::FallibleIterator;
use sandbox::config::{OldRefreshToken, TokenRules};
use sandbox::{Fault, Kind, Rule};

use crate::grants::{USER, WORKER, arrived, generation, refresh, status, until_status, with_tokens};
use crate::support::{SOON, value};

/// From the server being back to the account being connected.
const RECOVERY: Duration = Duration::from_secs(10);
/// Longer than a test waits for anything.
const FOREVER: Fault = Fault::Delay { milliseconds: 600_000 };

/// A world where a used refresh token is dead at once, or good for a while longer.
fn world(grace: bool) -> Result<World> {
    let alive = OldRefreshToken::AliveFor(Duration::from_secs(600));
    let old_refresh_token = if grace { alive } else { OldRefreshToken::Dead };
    with_tokens(TokenRules { old_refresh_token, ..TokenRules::default() }).start()
}

/// Makes the account's tokens due. Nobody is told: the next worker that looks will see.
fn due(client: &mut Client) -> Result<()> {
    Ok(client.batch_execute("UPDATE pinterest.token SET refresh_after = clock_timestamp()")?)
}

/// A session that wants the tokens renewed, and ends as the server does.
fn wanted(world: &World) -> Result<JoinHandle<Result<(), postgres::Error>>> {
    let mut client = world.connect()?;
    Ok(std::thread::spawn(move || refresh(&mut client, None)))
}

/// Waits until the worker waits for a lock, as one that another session holds.
fn until_blocked(client: &mut Client) -> Result<()> {
    wait_for("the worker to wait for a lock", SOON, || {
        let blocked: bool = value(
            client,
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'pg_pinterest worker' AND wait_event_type = 'Lock')",
        )?;
        Ok(blocked.then_some(()))
    })
}

/// Waits until the sandbox has rotated the refresh token.
fn until_rotated(world: &World, before: &Option<String>) -> Result<()> {
    wait_for("the sandbox to rotate the token", SOON, || {
        Ok((world.sandbox.valid_refresh_token(USER) != *before).then_some(()))
    })
}

/// Kills the worker, which takes every session along, and waits until the server is back.
fn kill_worker(world: &World, session: JoinHandle<Result<(), postgres::Error>>) -> Result<(Client, Instant)> {
    let worker = world.cluster.wait_for_backend(WORKER, SOON)?;
    world.cluster.kill9(worker.pid)?;
    let Ok(outcome) = session.join() else { panic!("the session panicked") };
    assert!(outcome.is_err(), "the session should have ended with the server");
    let client = wait_for("the server to be back", SOON, || Ok(world.connect().ok()))?;
    Ok((client, Instant::now()))
}

/// The account is connected again soon, under this generation, and its tokens are those that the sandbox holds good.
fn recovered(world: &World, client: &mut Client, back: Instant, wanted: i64) -> Result<()> {
    wait_for("a refresh", SOON, || {
        let found = generation(client, world.account())?;
        assert!(found <= wanted, "generation {found}");
        Ok((found == wanted).then_some(()))
    })?;
    assert!(back.elapsed() < RECOVERY, "it took {:?}", back.elapsed());
    assert_eq!(status(client)?, "connected");
    refresh(client, None)?;
    assert_eq!(generation(client, world.account())?, wanted + 1);
    assert_eq!(client.query("SELECT * FROM pinterest_list_boards()", &[])?.len(), 1);
    Ok(())
}

#[test]
fn before_the_intent() -> Result<()> {
    let world = world(false)?;
    let mut client = world.connect()?;
    let before = arrived(&world);
    due(&mut client)?;
    let mut blocker = world.connect()?;
    blocker.batch_execute("BEGIN; LOCK TABLE pinterest.token IN SHARE ROW EXCLUSIVE MODE")?;
    let session = wanted(&world)?;
    until_blocked(&mut client)?;
    let (mut client, back) = kill_worker(&world, session)?;
    recovered(&world, &mut client, back, 2)?;
    assert_eq!(arrived(&world) - before, 2, "one after the kill, one on demand");
    Ok(())
}

#[test]
fn while_the_request_is_under_way() -> Result<()> {
    let world = world(false)?;
    let mut client = world.connect()?;
    let before = arrived(&world);
    due(&mut client)?;
    world.sandbox.faults().add(Rule::on(Kind::Token, Fault::Hold { gate: "never".into() }).once());
    let session = wanted(&world)?;
    assert!(world.sandbox.requests().wait_for(Kind::Token, before + 1, SOON));
    let (mut client, back) = kill_worker(&world, session)?;
    recovered(&world, &mut client, back, 2)?;
    assert_eq!(arrived(&world) - before, 3, "the one held back, one after the kill, one on demand");
    Ok(())
}

#[test]
fn while_the_answer_is_under_way() -> Result<()> {
    let world = world(true)?;
    let mut client = world.connect()?;
    let before = arrived(&world);
    due(&mut client)?;
    let old = world.sandbox.valid_refresh_token(USER);
    world.sandbox.faults().add(Rule::on(Kind::Token, FOREVER).once());
    let session = wanted(&world)?;
    until_rotated(&world, &old)?;
    let (mut client, back) = kill_worker(&world, session)?;
    recovered(&world, &mut client, back, 2)?;
    assert_eq!(arrived(&world) - before, 3);
    Ok(())
}

#[test]
fn while_the_answer_is_under_way_and_the_old_token_is_dead() -> Result<()> {
    let world = world(false)?;
    let mut client = world.connect()?;
    // Twice, so that there is a token before the current one to fall back on.
    refresh(&mut client, None)?;
    let before = arrived(&world);
    due(&mut client)?;
    let old = world.sandbox.valid_refresh_token(USER);
    world.sandbox.faults().add(Rule::on(Kind::Token, FOREVER).once());
    let session = wanted(&world)?;
    until_rotated(&world, &old)?;
    let (mut client, back) = kill_worker(&world, session)?;
    let mut listener = world.connect()?;
    listener.batch_execute("LISTEN pinterest_needs_reauth")?;
    let status = until_status(&mut client, world.account(), "needs_reauth")?;
    assert!(status.starts_with("needs_reauth: lost_response"), "{status}");
    assert!(back.elapsed() < RECOVERY, "it took {:?}", back.elapsed());
    // Told once; it may have been before the LISTEN.
    let told = listener.notifications().timeout_iter(Duration::from_millis(200)).count()?;
    assert!(told <= 1);
    assert_eq!(arrived(&world) - before, 3, "the lost one, the current token again, the previous one once");
    // Nobody asks in vain from here on; the user brings the account back.
    assert_eq!(crate::support::refusal(refresh(&mut client, None)).code, "28000");
    assert_eq!(arrived(&world) - before, 3);
    assert_eq!(world.connect_account(&mut client)?, world.account());
    refresh(&mut client, None)?;
    Ok(())
}

#[test]
fn while_the_answer_waits_to_be_stored() -> Result<()> {
    let world = world(true)?;
    let mut client = world.connect()?;
    let before = arrived(&world);
    due(&mut client)?;
    world.sandbox.faults().add(Rule::on(Kind::Token, Fault::Hold { gate: "answer".into() }).once());
    let session = wanted(&world)?;
    assert!(world.sandbox.requests().wait_for(Kind::Token, before + 1, SOON));
    let mut blocker = world.connect()?;
    blocker.batch_execute("BEGIN; SELECT FROM pinterest.token FOR UPDATE")?;
    world.sandbox.faults().release("answer");
    until_blocked(&mut client)?;
    let (mut client, back) = kill_worker(&world, session)?;
    recovered(&world, &mut client, back, 2)?;
    assert_eq!(arrived(&world) - before, 3);
    Ok(())
}

#[test]
fn right_after_storing() -> Result<()> {
    let world = world(false)?;
    let mut client = world.connect()?;
    let before = arrived(&world);
    refresh(&mut client, None)?;
    let mut bystander = world.connect()?;
    let session = std::thread::spawn(move || bystander.batch_execute("SELECT pg_sleep(600)"));
    let (mut client, _) = kill_worker(&world, session)?;
    // A worker that has looked around finds nothing to do.
    crate::support::import(&mut client, "Beach")?;
    assert_eq!(arrived(&world) - before, 1);
    assert_eq!(generation(&mut client, world.account())?, 2);
    recovered(&world, &mut client, Instant::now(), 2)
}

#[test]
fn an_answer_that_waits_for_a_lock_is_kept_until_it_is_stored() -> Result<()> {
    let world = world(false)?;
    let mut client = world.connect()?;
    let before = arrived(&world);
    world.sandbox.faults().add(Rule::on(Kind::Token, Fault::Hold { gate: "answer".into() }).once());
    let session = wanted(&world)?;
    assert!(world.sandbox.requests().wait_for(Kind::Token, before + 1, SOON));
    let mut blocker = world.connect()?;
    blocker.batch_execute("BEGIN; SELECT FROM pinterest.token FOR UPDATE")?;
    world.sandbox.faults().release("answer");
    // Beyond the worker's patience with a lock: it lets go and comes back, the answer in its hands.
    for _ in 0..2 {
        until_blocked(&mut client)?;
        let unblocked = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity
                          WHERE backend_type = 'pg_pinterest worker' AND wait_event_type = 'Lock')";
        wait_for("the worker to let go", SOON, || Ok(value::<bool>(&mut client, unblocked)?.then_some(())))?;
    }
    blocker.batch_execute("COMMIT")?;
    let Ok(outcome) = session.join() else { panic!("the session panicked") };
    outcome?;
    recovered(&world, &mut client, Instant::now(), 2)?;
    assert_eq!(arrived(&world) - before, 2);
    Ok(())
}

/// Ends the worker while the sandbox has rotated the token and its answer is some time away.
fn asked_to_end(end: impl Fn(&World, &mut Client) -> Result<()>) -> Result<()> {
    let world = world(false)?;
    let mut client = world.connect()?;
    let before = arrived(&world);
    due(&mut client)?;
    let old = world.sandbox.valid_refresh_token(USER);
    world.sandbox.faults().add(Rule::on(Kind::Token, Fault::Delay { milliseconds: 1500 }).once());
    let session = wanted(&world)?;
    until_rotated(&world, &old)?;
    end(&world, &mut client)?;
    // It ends well, or with the server.
    let _ = session.join();
    let mut client = world.connect()?;
    recovered(&world, &mut client, Instant::now(), 2)?;
    assert_eq!(arrived(&world) - before, 2, "nothing was asked for twice");
    Ok(())
}

#[test]
fn a_worker_that_is_terminated_stores_the_answer_first() -> Result<()> {
    asked_to_end(|world, client| {
        let worker = world.cluster.wait_for_backend(WORKER, SOON)?;
        let began = Instant::now();
        client.query_one("SELECT pg_terminate_backend($1)", &[&worker.pid])?;
        wait_for("the worker to end", SOON, || Ok(e2e::process::Process::get(worker.pid).is_none().then_some(())))?;
        assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
        Ok(())
    })
}

#[test]
fn a_server_that_is_stopped_stores_the_answer_first() -> Result<()> {
    asked_to_end(|world, _| world.cluster.restart(Stop::Fast))
}
