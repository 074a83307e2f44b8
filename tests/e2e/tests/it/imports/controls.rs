//! Imports can be paused, cancelled, retried and observed in each of their phases.

use crate::support::prelude::*;

const SOON_ENOUGH: Duration = Duration::from_secs(1);
/// Far less than a lease: an import must not wait for one to expire.
const AT_ONCE: Duration = Duration::from_secs(15);
const PINS: u64 = 12;

fn pause(client: &mut Client, world: &World, pause: bool) -> Result<bool> {
    client.value_with("SELECT pinterest_pause_account($1, $2)", &[&world.account(), &pause])
}

/// A world whose import is held in one of its phases, at a request of the phase's kind.
fn held(kind: Kind, passing: u64) -> Result<(World, Client, i64)> {
    let mut config = quick_board("Beach", PINS);
    config.faults.push(Rule::on(Kind::BoardPins, Fault::ShortPage { items: 4 }));
    config.faults.push(Rule::on(kind, Fault::Hold { gate: GATE.into() }).skip(passing));
    let (world, mut client) = World::of(config)?.with_session()?;
    let import = queue_board(&mut client, "Beach")?;
    assert!(world.sandbox.requests().wait_for(kind, passing + 1, SOON), "no request {kind:?}");
    Ok((world, client, import))
}

const PHASES: [(Kind, u64, &str); 4] = [
    (Kind::Boards, 0, "resolving"),
    (Kind::Sections, 0, "listing"),
    (Kind::BoardPins, 2, "listing"),
    (Kind::Image, 5, "images"),
];

#[test]
fn a_pause_takes_effect_at_once_in_each_phase() -> Result<()> {
    for (kind, passing, phase) in PHASES {
        let (world, mut client, import) = held(kind, passing)?;
        until_row(&mut client, import, phase, |row| row.phase == phase)?;
        let asked = Instant::now();
        assert!(pause(&mut client, &world, true)?);
        until_state(&mut client, import, "queued")?;
        assert!(asked.elapsed() < SOON_ENOUGH, "{kind:?}: it took {:?}", asked.elapsed());
        assert!(!pause(&mut client, &world, true)?, "the account is already paused");
        // The worker aborts its requests and releases its claims too.
        client
            .until("SELECT count(*) FROM pinterest.workers WHERE state = 'working' OR imports + images > 0", 0_i64)?;
        world.sandbox.faults().release(GATE);
        let (total, row) = (world.sandbox.requests().total(), Row::of(&mut client, import)?);
        assert!(client.value::<bool>("SELECT paused_at IS NOT NULL FROM pinterest.accounts")?);
        // An import queued now waits too.
        let second = queue_board(&mut client, "Beach")?;
        client.query_one("SELECT pinterest_wait_for_import($1, interval '500 milliseconds')", &[&second])?;
        assert_eq!(world.sandbox.requests().total(), total, "{kind:?}: no request is made");
        assert_eq!(Row::of(&mut client, import)?, row);
        client.query_one("SELECT pinterest_cancel_import($1)", &[&second])?;

        let resumed = Instant::now();
        assert!(pause(&mut client, &world, false)?);
        let row = complete(&mut client, import)?;
        assert!(resumed.elapsed() < AT_ONCE, "{kind:?}: it took {:?}", resumed.elapsed());
        assert_eq!((row.pins_listed, row.embedded), (PINS as i32, PINS as i32), "{kind:?}: {row:?}");
    }
    Ok(())
}

#[test]
fn a_cancellation_takes_effect_at_once_in_each_phase() -> Result<()> {
    for (kind, passing, phase) in PHASES {
        let (world, mut client, import) = held(kind, passing)?;
        let before = until_row(&mut client, import, phase, |row| row.phase == phase)?;
        let asked = Instant::now();
        assert!(client.value_with::<bool>("SELECT pinterest_cancel_import($1)", &[&import])?);
        let row = until_state(&mut client, import, "cancelled")?;
        assert!(asked.elapsed() < SOON_ENOUGH, "{kind:?}: it took {:?}", asked.elapsed());
        assert_eq!(row.phase, "finished", "{kind:?}");
        assert!(row.pins_listed >= before.pins_listed && row.embedded >= before.embedded, "{kind:?}: {row:?}");
        // Its claims are released: the next import does not wait.
        world.sandbox.faults().release(GATE);
        let (again, began) = (queue_board(&mut client, "Beach")?, Instant::now());
        let next = complete(&mut client, again)?;
        assert!(began.elapsed() < AT_ONCE, "{kind:?}: it took {:?}", began.elapsed());
        assert_eq!(next.embedded + next.reused, PINS as i32, "{kind:?}: {next:?}");
        assert_eq!(Row::of(&mut client, import)?, row, "{kind:?}: a cancelled import does not change");
    }
    Ok(())
}

#[test]
fn a_waiting_import_is_cancelled_by_the_call_itself() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 3)?.with_session()?;
    let waiting = queue_board(&mut client, "Beach")?;
    complete(&mut client, waiting)?;
    let id = world.sandbox.board_id("Beach")?;
    world.sandbox.add_pins(&id, 1)?;
    world.sandbox.faults().add(Rule::on(Kind::BoardPins, Fault::trial_quota_spent()).once());
    let spent = queue_board(&mut client, "Beach")?;
    until_state(&mut client, spent, "waiting_quota")?;
    pause(&mut client, &world, true)?;
    let queued = queue_board(&mut client, "Beach")?;
    for import in [spent, queued] {
        assert!(client.value_with::<bool>("SELECT pinterest_cancel_import($1)", &[&import])?);
        let row = Row::of(&mut client, import)?;
        assert_eq!((row.state.as_str(), row.phase.as_str()), ("cancelled", "finished"), "{row:?}");
    }
    Ok(())
}

#[test]
fn failed_images_are_retried_on_request() -> Result<()> {
    let (world, mut client) = quick_world("Beach", PINS)?.with_session()?;
    let closed = world.sandbox.faults().add(Rule::on(Kind::Image, Fault::CdnForbidden));
    let import = queue_board(&mut client, "Beach")?;
    let row = complete(&mut client, import)?;
    assert_eq!(row.failed, PINS as i32, "{row:?}");
    world.sandbox.faults().remove(closed);
    hold_pictures_after(&world, 4);
    let pages = world.sandbox.requests().count(Kind::BoardPins);
    client.batch_execute("LISTEN pinterest_import")?;

    let retry = "SELECT pinterest_retry_failed($1)";
    assert_eq!(client.value_with::<i64>(retry, &[&import])?, PINS as i64);
    until_row(&mut client, import, "four images", |row| row.embedded == 4)?;
    expect_refusal(client.query_one(retry, &[&import]), "55000").hints("pinterest_wait_for_import");
    world.sandbox.faults().release(GATE);
    let row = complete(&mut client, import)?;
    assert_eq!((row.total, row.embedded, row.failed), (PINS as i32, PINS as i32, 0), "{row:?}");
    assert_eq!(world.sandbox.requests().count(Kind::BoardPins), pages, "the board is not listed again");
    assert_eq!(client.value_with::<i64>(retry, &[&import])?, 0, "no failed images are left");
    assert_eq!(Row::of(&mut client, import)?.state, "completed");
    expect_refusal(client.query_one(retry, &[&987_654_i64]), "42704");
    Ok(())
}

#[test]
fn the_end_of_an_import_is_notified() -> Result<()> {
    use postgres::fallible_iterator::FallibleIterator;
    let (world, mut client) = quick_world("Beach", 2)?.with_session()?;
    let mut listener = world.connect()?;
    listener.batch_execute("LISTEN pinterest_import")?;
    let completed = queue_board(&mut client, "Beach")?;
    complete(&mut client, completed)?;
    let failed = queue_board(&mut client, "No such board")?;
    until_state(&mut client, failed, "failed")?;
    let unchanged = queue_board(&mut client, "Beach")?;
    complete(&mut client, unchanged)?;
    let heard: Vec<String> = listener
        .notifications()
        .timeout_iter(SOON)
        .take(3)
        .map(|notice| Ok(format!("{} {}", notice.channel(), notice.payload())))
        .collect()?;
    assert_eq!(heard, [completed, failed, unchanged].map(|import| format!("pinterest_import {import}")));
    Ok(())
}

#[test]
fn the_view_of_workers_shows_their_work() -> Result<()> {
    let (world, mut client, import) = held(Kind::Image, 5)?;
    until_row(&mut client, import, "five images", |row| row.embedded == 5)?;
    let row = client.query_one(
        "SELECT pid, state, imports, images, heartbeat_at BETWEEN clock_timestamp() - interval '30 seconds' AND clock_timestamp(),
                started_at < clock_timestamp() FROM pinterest.workers WHERE kind LIKE '%worker%'",
        &[],
    )?;
    let worker = world.cluster.wait_for_backend("pg_pinterest worker", SOON)?;
    assert_eq!(
        (row.get::<_, i32>(0), row.get::<_, &str>(1), row.get::<_, i64>(2)),
        (worker.pid, "working", 1),
        "{row:?}"
    );
    assert!((1..PINS as i64).contains(&row.get(3)) && row.get(4) && row.get(5), "{row:?}");
    let kinds = "SELECT count(DISTINCT kind) FROM pinterest.workers";
    assert_eq!(client.value::<i64>(kinds)?, 3, "launcher, supervisor and worker");
    world.sandbox.faults().release(GATE);
    complete(&mut client, import)?;
    let idle = "SELECT bool_and(state = 'idle' AND imports = 0 AND images = 0 AND heartbeat_at IS NULL) FROM pinterest.workers";
    assert!(client.value::<bool>(idle)?);
    Ok(())
}
