//! Limits of the import queue: its length, disconnected accounts, imports that crash their worker, locked rows.

use crate::support::oauth::WORKER;
use crate::support::prelude::*;

#[test]
fn the_queue_of_an_account_has_a_limit() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 3)?.with_session()?;
    world.cluster.change("pinterest.max_queued_imports", "3")?;
    let account = world.account();
    client.execute("SELECT pinterest_pause_account($1)", &[&account])?;
    until("the setting", || Ok(client.value::<String>("SHOW pinterest.max_queued_imports")? == "3"))?;
    let imports = (0..3).map(|_| queue_board(&mut client, "Beach")).collect::<Result<Vec<_>>>()?;
    client.refused("SELECT pinterest_import_board('Beach')", "53400").hints("pinterest.max_queued_imports");
    client.execute("SELECT pinterest_cancel_import($1)", &[&imports[0]])?;
    let again = queue_board(&mut client, "Beach")?;
    client.execute("SELECT pinterest_pause_account($1, false)", &[&account])?;
    for import in [imports[1], imports[2], again] {
        complete(&mut client, import)?;
    }
    Ok(())
}

#[test]
fn a_disconnect_cancels_running_and_queued_imports() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 40)?.with_session()?;
    hold_pictures_after(&world, 4);
    let import = queue_board(&mut client, "Beach")?;
    until_row(&mut client, import, "some images", |row| row.embedded > 0)?;
    let waits = queue_board(&mut client, "Beach")?;
    let account = world.account();
    client.execute("SELECT FROM pinterest_disconnect($1)", &[&account])?;
    for import in [import, waits] {
        let row = until_state(&mut client, import, "cancelled")?;
        assert!(row.reason.contains("disconnected") && row.error_code == "28000" && !row.hint.is_empty(), "{row:?}");
        assert_eq!(client.value_with::<String>("SELECT pinterest_wait_for_import($1)", &[&import])?, "cancelled");
    }
    // No image is claimed, and no further one is embedded.
    let begun = Instant::now();
    let pictures = world.sandbox.requests().pictures();
    client.until("SELECT count(*) FROM pinterest.pin_image WHERE claimed_by IS NOT NULL", 0_i64)?;
    assert!(begun.elapsed() < Duration::from_secs(5));
    world.sandbox.faults().release(GATE);
    let embedded = Row::of(&mut client, import)?.embedded;
    let refused = expect_refusal(client.query_one("SELECT pinterest_import_board('Beach', $1)", &[&account]), "28000");
    assert!(!refused.hint.is_empty(), "{refused:?}");
    assert_eq!(Row::of(&mut client, import)?.embedded, embedded);
    assert!(world.sandbox.requests().pictures() <= pictures + 16, "outstanding downloads may finish");
    Ok(())
}

/// Terminates the worker that runs the import, and starts the next one.
fn kill(world: &World, client: &mut Client) -> Result<()> {
    let worker = world.cluster.wait_for_backend(WORKER, SOON)?;
    client.query_one("SELECT pg_terminate_backend($1)", &[&worker.pid])?;
    until("the worker to end", || Ok(e2e::process::Process::get(worker.pid).is_none()))?;
    client.query_one("SELECT pinterest_rotate_key()", &[])?;
    Ok(())
}

#[test]
fn an_import_whose_worker_ends_three_times_fails() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 3)?.with_session()?;
    world.sandbox.faults().add(sandbox::Rule::on(sandbox::Kind::BoardPins, sandbox::Fault::Hold { gate: GATE.into() }));
    let import = queue_board(&mut client, "Beach")?;
    for death in 1..=3u64 {
        assert!(world.sandbox.requests().wait_for(sandbox::Kind::BoardPins, death, SOON), "{death}");
        kill(&world, &mut client)?;
    }
    let row = until_state(&mut client, import, "failed")?;
    assert!(row.reason.contains("ended 3 times") && row.error_code == "57P02", "{row:?}");
    assert_eq!(world.sandbox.requests().count(sandbox::Kind::BoardPins), 3);
    world.sandbox.faults().clear();
    let again = queue_board(&mut client, "Beach")?;
    assert_eq!(complete(&mut client, again)?.embedded, 3);
    Ok(())
}

/// A role that locks its own rows does not delay other roles' imports.
#[test]
fn a_clients_open_transaction_delays_no_other_account() -> Result<()> {
    let (world, mut client, [amy, ben]) = crate::support::worlds::two_people(sandbox::config::Tier::Standard, 1)?;
    hold_pictures_after(&world, 0);
    let amys = crate::support::worlds::queue_for(&mut client, amy, "Amy 1")?;
    until_row(&mut client, amys, "all images", |row| row.total == 5)?;
    let mut other = world.connect()?;
    let mut transaction = other.transaction()?;
    transaction.execute("SELECT pinterest_cancel_import($1)", &[&amys])?;
    transaction.execute("SELECT pinterest_pause_account($1)", &[&amy])?;
    transaction.execute("SELECT pinterest_sync_board('Amy 1', '1 day', $1)", &[&amy])?;
    world.sandbox.faults().release(GATE);
    let begun = Instant::now();
    let bens = crate::support::worlds::queue_for(&mut client, ben, "Ben 1")?;
    assert_eq!(complete(&mut client, bens)?.embedded, 5);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    transaction.commit()?;
    until_state(&mut client, amys, "cancelled")?;
    Ok(())
}

/// An import that a client has locked is skipped, even if it is its account's turn.
#[test]
fn a_locked_import_delays_no_other_account() -> Result<()> {
    let (world, mut client, [amy, ben]) = crate::support::worlds::two_people(sandbox::config::Tier::Standard, 5)?;
    let held = sandbox::Rule::on(sandbox::Kind::Boards, sandbox::Fault::Hold { gate: GATE.into() });
    world.sandbox.faults().add(held);
    let mut bens = Vec::new();
    for board in 1..=4 {
        bens.push(crate::support::worlds::queue_for(&mut client, ben, &format!("Ben {board}"))?);
    }
    assert!(world.sandbox.requests().wait_for(sandbox::Kind::Boards, 4, SOON), "every place is taken");
    let amys = crate::support::worlds::queue_for(&mut client, amy, "Amy 1")?;
    bens.push(crate::support::worlds::queue_for(&mut client, ben, "Ben 5")?);
    client.until("SELECT count(*) FROM pinterest.import WHERE due", 2_i64)?;
    let mut other = world.connect()?;
    let mut transaction = other.transaction()?;
    transaction.execute("SELECT pinterest_cancel_import($1)", &[&amys])?;
    world.sandbox.faults().release(GATE);
    for import in bens {
        assert_eq!(complete(&mut client, import)?.embedded, 5);
    }
    assert_eq!(Row::of(&mut client, amys)?.state, "queued");
    transaction.rollback()?;
    assert_eq!(complete(&mut client, amys)?.embedded, 5);
    Ok(())
}

/// Scheduled work of other accounts is done while one account's row is locked.
#[test]
fn a_locked_account_delays_no_other_account() -> Result<()> {
    let (world, mut client, [amy, ben]) = crate::support::worlds::two_people(sandbox::config::Tier::Standard, 1)?;
    let first = crate::support::worlds::queue_for(&mut client, ben, "Ben 1")?;
    complete(&mut client, first)?;
    client.execute("SELECT pinterest_sync_board('Ben 1', '1 day', $1)", &[&ben])?;
    let mut other = world.connect()?;
    let mut transaction = other.transaction()?;
    transaction.execute("SELECT pinterest_pause_account($1)", &[&amy])?;
    let lapse =
        "UPDATE pinterest.token SET access_expires_at = clock_timestamp(), refresh_token = NULL WHERE account_id = $1";
    client.execute(lapse, &[&amy])?;
    client.execute("UPDATE pinterest.board SET next_sync_at = clock_timestamp() WHERE account_id = $1", &[&ben])?;
    // The next worker starts its first round immediately.
    kill(&world, &mut client)?;
    until("the board to be imported again", || {
        let done = "SELECT count(*) FROM pinterest.import WHERE account_id = $1 AND import_id > $2";
        Ok(client.value_with::<i64>(done, &[&ben, &first])? > 0)
    })?;
    transaction.rollback()?;
    Ok(())
}
