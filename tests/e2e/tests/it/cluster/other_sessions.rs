//! Statements of administrators and other sessions during an import: both succeed.

use e2e::process::suspend;

use crate::support::prelude::*;

const WORKER: &str = "pg_pinterest worker";

#[test]
fn uncommitted_imports_do_not_run() -> Result<()> {
    let (world, mut client) = World::builder()
        .sandbox(quick_board("Beach", 3))
        .setting("max_prepared_transactions", "4")
        .start()?
        .with_session()?;
    let asked = world.sandbox.requests().total();
    for statements in [
        "BEGIN; SELECT pinterest_import_board('Beach'); ROLLBACK",
        "BEGIN; SAVEPOINT one; SELECT pinterest_import_board('Beach'); ROLLBACK TO one; COMMIT",
    ] {
        client.batch_execute(statements)?;
        assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.imports")?, 0, "{statements}");
    }
    client.batch_execute("BEGIN; SELECT pinterest_import_board('Beach'); PREPARE TRANSACTION 'later'")?;
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.imports")?, 0);
    assert_eq!(world.sandbox.requests().total(), asked);
    // COMMIT PREPARED wakes no worker; the worker's poll finds the import.
    client.batch_execute("COMMIT PREPARED 'later'")?;
    let import: i64 = client.value("SELECT import_id FROM pinterest.imports")?;
    until_row(&mut client, import, "the import's end", |row| row.state == "completed")?;
    Ok(())
}

/// An import with four embedded images; the others are held back.
fn halfway(world: &World, client: &mut Client) -> Result<i64> {
    hold_pictures_after(world, 4);
    let import = queue_board(client, "Beach")?;
    until_row(client, import, "the first images", |row| row.embedded == 4)?;
    Ok(import)
}

#[test]
fn tables_can_be_maintained_during_an_import() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 16)?.with_session()?;
    let import = halfway(&world, &mut client)?;
    client.batch_execute("SET lock_timeout = '20s'")?;
    for statement in [
        "VACUUM FULL pinterest.pin_image",
        "VACUUM FULL pinterest.import",
        "REINDEX TABLE pinterest.pin_image",
        "CLUSTER pinterest.pin USING pin_pkey",
        "ANALYZE",
    ] {
        client.batch_execute(statement)?;
    }
    let mut other = world.connect()?;
    other.batch_execute("BEGIN; LOCK TABLE pinterest.pin_image IN ACCESS EXCLUSIVE MODE")?;
    world.sandbox.faults().release(GATE);
    // The worker waits for the lock until its timeout.
    let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'pg_pinterest worker' AND wait_event_type = 'Lock')";
    client.until(waits, true)?;
    client.until(waits, false)?;
    other.batch_execute("COMMIT")?;
    let report = Report::completed(&mut client, import)?;
    assert_eq!(report.sum("image", "embedded"), 16);
    Ok(())
}

#[test]
fn rows_can_be_deleted_during_an_import() -> Result<()> {
    for statement in [
        "DELETE FROM pinterest.pin WHERE pin_id IN (SELECT pin_id FROM pinterest.pin_image WHERE state = 'pending' LIMIT 5)",
        "TRUNCATE pinterest.pin CASCADE",
    ] {
        let (world, mut client) = quick_world("Beach", 16)?.with_session()?;
        let import = halfway(&world, &mut client)?;
        client.batch_execute(statement)?;
        world.sandbox.faults().release(GATE);
        let report = Report::completed(&mut client, import)?;
        assert!(report.sum("image", "skipped") >= 5, "{statement}: {report:?}");
        // Deleted rows are imported again when the board has changed.
        world.sandbox.add_pins(&world.sandbox.board_id("Beach")?, 1)?;
        imported(&mut client, "'Beach'")?;
        let embedded = "SELECT count(*) FROM pinterest.pin_image WHERE state = 'embedded'";
        assert_eq!(client.value::<i64>(embedded)?, 17, "{statement}");
    }
    Ok(())
}

#[test]
fn settings_of_the_database_and_the_role_do_not_affect_workers() -> Result<()> {
    let (_world, mut client) = quick_world("Beach", 6)?.with_session()?;
    client.batch_execute("CREATE ROLE app_owner")?;
    for setting in [
        "statement_timeout = '1ms'",
        "lock_timeout = '1ms'",
        "idle_in_transaction_session_timeout = '1ms'",
        "default_transaction_isolation = 'serializable'",
        "default_transaction_deferrable = on",
        "default_transaction_read_only = on",
        "session_replication_role = replica",
        "row_security = off",
        "role = app_owner",
        "search_path = nowhere",
        "synchronous_commit = off",
    ] {
        client.batch_execute(&format!(
            "ALTER DATABASE postgres SET {setting}; ALTER ROLE pinterest_worker SET {setting}"
        ))?;
    }
    // The next worker starts with these settings; this session began before.
    client.until("SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity
              WHERE backend_type = 'pg_pinterest worker' AND backend_start < (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())", 0_i64)?;
    let import = queue(&mut client, "'Beach'")?;
    assert_eq!(Report::completed(&mut client, import)?.sum("image", "embedded"), 6);
    client.query_one("SELECT pinterest_refresh()", &[])?;
    Ok(())
}

#[test]
fn a_worker_suspended_past_its_lease_changes_nothing() -> Result<()> {
    let (world, mut client) = World::builder()
        .sandbox(quick_board("Beach", 16))
        .setting("pinterest.workers_per_database", "2")
        .start()?
        .with_session()?;
    let import = halfway(&world, &mut client)?;
    let owner: String = client.value("SELECT split_part(claimed_by, '.', 1) FROM pinterest.import")?;
    let owner: i32 = owner.parse()?;
    until("the second worker", || Ok(world.cluster.backends(WORKER)?.len() == 2))?;
    suspend(owner, true)?;
    let taken_over = (|| {
        client.batch_execute(
            "UPDATE pinterest.import SET lease_until = clock_timestamp();
             UPDATE pinterest.pin_image SET lease_until = clock_timestamp() WHERE claimed_by IS NOT NULL",
        )?;
        world.sandbox.faults().release(GATE);
        until_row(&mut client, import, "the import's end", |row| row.state == "completed")
    })();
    // On failure too: a server cannot stop while one of its processes is suspended.
    suspend(owner, false)?;
    taken_over?;
    let fence = |client: &mut Client| {
        client.value::<String>("SELECT string_agg(fence::text, ',' ORDER BY pin_id) FROM pinterest.pin_image")
    };
    let before = fence(&mut client)?;
    client.until("SELECT count(*) FROM pinterest.workers WHERE kind LIKE '%worker' AND state = 'idle'", 2_i64)?;
    let report = Report::of(&mut client, import)?;
    assert_eq!(report.sum("image", "embedded") + report.sum("image", "reused"), 16, "{report:?}");
    assert_eq!(fence(&mut client)?, before, "its late results changed nothing");
    Ok(())
}
