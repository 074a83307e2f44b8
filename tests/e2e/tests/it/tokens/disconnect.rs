//! A disconnect ends the work of an account, and no further work is queued for it.

use crate::support::prelude::*;

/// The time within which a worker releases a cancelled import.
const AT_ONCE: Duration = Duration::from_secs(1);

fn disconnect(client: &mut impl postgres::GenericClient, account: i64) -> Result<(), postgres::Error> {
    client.query_one("SELECT tokens FROM pinterest_disconnect($1)", &[&account]).map(drop)
}

/// Checks that the import has ended and shows the reason, and that callers that wait for it return.
fn has_ended(client: &mut Client, import: i64) -> Result<()> {
    let row = Row::of(client, import)?;
    assert_eq!((row.state.as_str(), row.phase.as_str(), row.error_code.as_str()), ("cancelled", "finished", "28000"));
    assert!(row.reason.contains("disconnected") && row.hint.contains("Connect"), "{row:?}");
    assert_eq!(client.value_with::<String>("SELECT pinterest_wait_for_import($1)", &[&import])?, "cancelled");
    Ok(())
}

/// Waits until no worker runs an import; fails if that takes too long.
fn no_work_remains(client: &mut Client, since: Instant) -> Result<()> {
    client.until("SELECT COALESCE(sum(imports), 0)::int8 FROM pinterest.workers", 0_i64)?;
    assert!(since.elapsed() < AT_ONCE, "it took {:?}", since.elapsed());
    Ok(())
}

#[test]
fn running_imports_end_at_once() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 12)?.with_session()?;
    let mut waiting = world.connect()?;
    hold_pictures_after(&world, 3);
    let id = queue_board(&mut client, "Beach")?;
    until_row(&mut client, id, "the first images", |row| row.embedded == 3)?;
    let wait = std::thread::spawn(move || {
        waiting.query_one("SELECT pinterest_wait_for_import($1)", &[&id]).map(|row| row.get::<_, String>(0))
    });
    let begun = Instant::now();
    disconnect(&mut client, world.account())?;
    no_work_remains(&mut client, begun)?;
    let Ok(waited) = wait.join() else { panic!("the waiting session panicked") };
    assert_eq!(waited?, "cancelled");
    has_ended(&mut client, id)?;
    // The outstanding response arrives after the end.
    world.sandbox.faults().release(GATE);
    assert_eq!(client.value::<i64>("SELECT count(embedding) FROM pinterest.pin_image")?, 3);
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.pin_image WHERE claimed_by IS NOT NULL")?, 0);

    assert_eq!(world.connect_account(&mut client)?, world.account());
    assert_eq!(import(&mut client, "Beach")?.total, 12);
    has_ended(&mut client, id)
}

#[test]
fn a_listing_ends_with_the_disconnect() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 300)?.with_session()?;
    world.sandbox.faults().add(Rule::on(Kind::BoardPins, Fault::Hold { gate: GATE.into() }).skip(1).once());
    let id = queue_board(&mut client, "Beach")?;
    assert!(world.sandbox.requests().wait_for(Kind::BoardPins, 2, SOON));
    let before: i64 = client.value("SELECT count(*) FROM pinterest.pin")?;
    let begun = Instant::now();
    disconnect(&mut client, world.account())?;
    no_work_remains(&mut client, begun)?;
    has_ended(&mut client, id)?;
    let asked = world.sandbox.requests().count(Kind::BoardPins);
    world.sandbox.faults().release(GATE);
    assert_eq!(world.connect_account(&mut client)?, world.account());
    // After another import, the worker has processed the late answer.
    import(&mut client, "Beach")?;
    assert_eq!(asked, 2);
    assert!(before > 0 && before < 300, "{before}");
    assert_eq!(Row::of(&mut client, id)?.pins_listed, i32::try_from(before)?);
    Ok(())
}

#[test]
fn no_import_stays_queued_after_a_disconnect() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 4)?.with_session()?;
    let account = world.account();
    pins_without_pictures(&world, &mut client, "Beach")?;
    let failed: i64 = client.value("SELECT max(import_id) FROM pinterest.imports")?;
    client.query_one("SELECT pinterest_pause_account($1)", &[&account])?;
    let paused = queue_board(&mut client, "Beach")?;
    disconnect(&mut client, account)?;
    has_ended(&mut client, paused)?;
    for call in [
        format!("SELECT pinterest_import_board('Beach', {account})"),
        format!("SELECT pinterest_reembed_board('Beach', {account})"),
        format!("SELECT pinterest_retry_failed({failed})"),
    ] {
        client.refused(&call, "28000").hints("pinterest_authorize_url()");
    }
    // Scheduled imports do not start either.
    client.batch_execute("UPDATE pinterest.board SET sync_every = '5 minutes', next_sync_at = clock_timestamp()")?;
    crate::support::oauth::restart_worker(&world, &mut client)?;
    let waiting = "SELECT count(*) FROM pinterest.imports WHERE state NOT IN ('completed', 'failed', 'cancelled')";
    assert_eq!(client.value::<i64>(waiting)?, 0);
    // A second disconnect is accepted.
    disconnect(&mut client, account)?;
    Ok(())
}

/// Waits until a session waits for a lock.
fn until_blocked(client: &mut Client, pid: i32) -> Result<()> {
    wait_for("the other session to wait", SOON, || {
        let row = client.query_one("SELECT cardinality(pg_blocking_pids($1)) > 0", &[&pid])?;
        Ok(row.get::<_, bool>(0).then_some(()))
    })
}

#[test]
fn concurrent_disconnects_and_imports_are_serialised() -> Result<()> {
    let world = quick_world("Beach", 4)?;
    let account = world.account();
    let (mut first, mut watcher) = (world.connect()?, world.connect()?);
    let session = |world: &World| -> Result<(Client, i32)> {
        let mut client = world.connect()?;
        let pid = client.value("SELECT pg_backend_pid()")?;
        Ok((client, pid))
    };
    // The import waits for the disconnect and is refused.
    let (mut second, pid) = session(&world)?;
    let mut transaction = first.transaction()?;
    disconnect(&mut transaction, account)?;
    let queue = std::thread::spawn(move || {
        second.query_one("SELECT pinterest_import_board('Beach', $1)", &[&account]).map(drop)
    });
    until_blocked(&mut watcher, pid)?;
    transaction.commit()?;
    let Ok(queued) = queue.join() else { panic!("the other session panicked") };
    expect_refusal(queued, "28000");

    // The disconnect waits for the import and cancels it.
    assert_eq!(world.connect_account(&mut first)?, account);
    let (mut second, pid) = session(&world)?;
    let mut transaction = first.transaction()?;
    let id: i64 = transaction.value_with("SELECT pinterest_import_board('Beach', $1)", &[&account])?;
    let end = std::thread::spawn(move || disconnect(&mut second, account));
    until_blocked(&mut watcher, pid)?;
    transaction.commit()?;
    let Ok(ended) = end.join() else { panic!("the other session panicked") };
    ended?;
    has_ended(&mut watcher, id)
}
