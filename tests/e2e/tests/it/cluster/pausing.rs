//! A database's workers can be paused, for example to copy or rename it.

use e2e::cluster::SUPERUSER;

use crate::support::oauth::{WORKER, doctor};
use crate::support::prelude::*;

const PAUSE: &str = "SELECT pinterest_pause_workers()";
const RESUME: &str = "SELECT pinterest_resume_workers()";

fn workers(world: &World) -> Result<usize> {
    Ok(world.cluster.backends(WORKER)?.len())
}

#[test]
fn an_import_continues_after_a_pause() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 12)?.with_session()?;
    hold_pictures_after(&world, 4);
    let running = queue_board(&mut client, "Beach")?;
    until_row(&mut client, running, "the first images", |row| row.embedded == 4)?;
    let began = Instant::now();
    assert!(client.value::<bool>(PAUSE)?);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(workers(&world)?, 0);
    assert!(!client.value::<bool>(PAUSE)?, "already paused");
    let held = "SELECT (SELECT count(*) FROM pinterest.import WHERE claimed_by IS NOT NULL OR state <> 'queued' OR attempts > 0)
              + (SELECT count(*) FROM pinterest.pin_image WHERE state = 'pending' AND (claimed_by IS NOT NULL OR attempts > 0))";
    assert_eq!(client.value::<i64>(held)?, 0, "claims are released, and no attempt is counted");
    world.sandbox.faults().release(GATE);

    let queued = queue_board(&mut client, "Beach")?;
    let waited = "SELECT pinterest_wait_for_import($1, interval '1 minute')";
    assert_eq!(client.value_with::<String>(waited, &[&queued])?, "queued", "the wait ends at once");
    client.refused("SELECT pinterest_refresh()", "55000").hints("pinterest_resume_workers");
    let (status, text) = doctor(&mut client, "worker")?;
    assert!(status == "note" && text.contains("paused") && text.contains("pinterest_resume_workers"), "{text}");
    let shown = "SELECT count(*) FROM pinterest.workers WHERE state = 'paused' AND pid IS NULL
            AND started_at BETWEEN clock_timestamp() - interval '1 minute' AND clock_timestamp()";
    assert_eq!(client.value::<i64>(shown)?, 1);

    // The pause continues after a restart.
    for stop in [Stop::Fast, Stop::Immediate] {
        world.cluster.restart(stop)?;
        client = world.connect()?;
        world.cluster.wait_for_backend("pg_pinterest launcher", SOON)?;
        client.query_one("SELECT pg_sleep(1.5)", &[])?;
        assert_eq!(workers(&world)?, 0, "{stop:?}");
        assert_eq!(Row::of(&mut client, queued)?.state, "queued");
    }
    assert!(client.value::<bool>(RESUME)?);
    for import in [running, queued] {
        until_row(&mut client, import, "the import's end", |row| row.state == "completed")?;
    }
    assert!(!client.value::<bool>(RESUME)?, "already resumed");
    assert_eq!(doctor(&mut client, "worker")?.0, "ok");
    Ok(())
}

#[test]
fn a_database_can_be_copied_and_renamed_in_a_pause() -> Result<()> {
    for preload in [true, false] {
        let world = World::builder().preload(preload).sandbox(quick_board("Beach", 6)).connected(false).start()?;
        let mut admin = world.connect()?;
        admin.batch_execute("CREATE DATABASE wedding")?;
        let mut client = world.cluster.connect_to(SUPERUSER, "wedding")?;
        client.batch_execute("CREATE EXTENSION pg_pinterest CASCADE")?;
        world.register_app(&mut client, "sandbox")?;
        world.connect_account(&mut client)?;
        hold_pictures_after(&world, 2);
        let import = queue_board(&mut client, "Beach")?;
        until_row(&mut client, import, "the first images", |row| row.embedded == 2)?;
        drop(client);

        // From another database, which needs the extension too.
        admin.batch_execute("CREATE EXTENSION pg_pinterest CASCADE")?;
        assert!(admin.value::<bool>("SELECT pinterest_pause_workers('wedding')")?);
        admin.batch_execute("CREATE DATABASE copy TEMPLATE wedding")?;
        admin.batch_execute("ALTER DATABASE wedding RENAME TO marriage")?;
        world.sandbox.faults().release(GATE);
        assert!(admin.value::<bool>("SELECT pinterest_resume_workers('marriage')")?);
        let mut client = world.cluster.connect_to(SUPERUSER, "marriage")?;
        until_row(&mut client, import, "the import's end", |row| row.state == "completed")?;
        // The copy is not paused, but inactive.
        let mut copy = world.cluster.connect_to(SUPERUSER, "copy")?;
        assert!(!copy.value::<bool>(RESUME)?);
        assert_eq!(doctor(&mut copy, "clone fence")?.0, "problem");
        drop((client, copy));

        // The pause ends with the database.
        admin.value::<bool>("SELECT pinterest_pause_workers('copy')")?;
        admin.batch_execute("DROP DATABASE copy")?;
        drop(admin);
        if preload {
            world.cluster.restart(Stop::Fast)?;
            let mut admin = world.connect()?;
            admin.until("SELECT count(*) FROM pg_ls_dir('.') AS name WHERE name LIKE 'pinterest.paused.%'", 0_i64)?;
        }
    }
    Ok(())
}

#[test]
fn pausing_requires_level_admin_or_ownership() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 1)?.with_session()?;
    for role in ["amy", "ben"] {
        world.cluster.create_role(role)?;
    }
    client.batch_execute("CREATE DATABASE other; ")?;
    client.batch_execute("SELECT pinterest_grant('amy', 'user'); SELECT pinterest_grant('ben', 'admin')")?;
    let mut amy = world.cluster.connect_as("amy")?;
    let mut ben = world.cluster.connect_as("ben")?;
    for call in [PAUSE, RESUME, "SELECT pinterest_pause_workers('other')"] {
        assert_eq!(refusal(amy.query(call, &[])).code, "42501", "{call}");
    }
    assert!(ben.value::<bool>(PAUSE)?);
    assert!(ben.value::<bool>("SELECT pinterest_resume_workers('postgres')")?, "the current database, by name");
    ben.refused("SELECT pinterest_pause_workers('other')", "42501");
    ben.refused("SELECT pinterest_pause_workers('nowhere')", "42704");
    client.batch_execute("ALTER DATABASE other OWNER TO ben")?;
    assert!(ben.value::<bool>("SELECT pinterest_pause_workers('other')")?);
    assert!(ben.value::<bool>("SELECT pinterest_resume_workers('other')")?);
    Ok(())
}

/// Makes a call in another session; returns whether that session holds a snapshot while it waits.
fn awaited(world: &World, client: &mut Client, call: String) -> Result<bool> {
    let mut waiting = world.connect()?;
    let pid: i32 = waiting.value("SELECT pg_backend_pid()")?;
    let session = std::thread::spawn(move || waiting.batch_execute(&call));
    let mut held = false;
    wait_for("the session to wait", SOON, || {
        let row = client.query_opt(
            "SELECT backend_xmin IS NOT NULL FROM pg_stat_activity
              WHERE pid = $1 AND state = 'active' AND wait_event_type = 'Extension'",
            &[&pid],
        )?;
        Ok(row.map(|row| held = row.get(0)))
    })?;
    world.sandbox.faults().release(GATE);
    let Ok(ended) = session.join() else { panic!("the session panicked") };
    ended?;
    Ok(held)
}

#[test]
fn the_awaiting_procedures_hold_no_snapshot() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 6)?.with_session()?;
    hold_pictures_after(&world, 2);
    let import = queue_board(&mut client, "Beach")?;
    until_row(&mut client, import, "the first images", |row| row.embedded == 2)?;
    assert!(!awaited(&world, &mut client, format!("CALL pinterest_await_import({import})"))?);
    assert_eq!(complete(&mut client, import)?.embedded, 6);

    // After other work, the procedure first commits it, which is impossible in a transaction block.
    let done = client.batch_execute(
        "DO $$ DECLARE import bigint; BEGIN
             import := pinterest_import_board('Beach');
             CALL pinterest_await_import(import, interval '1 minute');
             ASSERT (SELECT state FROM pinterest.imports WHERE import_id = import) = 'completed';
         END $$",
    );
    done?;
    client.batch_execute("BEGIN")?;
    client.refused(&format!("CALL pinterest_await_import({import})"), "55000");
    client.batch_execute("ROLLBACK")?;
    for (call, code) in [
        ("CALL pinterest_await_import(NULL)", "22004"),
        ("CALL pinterest_await_import(0)", "42704"),
        ("CALL pinterest_await_tracked(NULL)", "22004"),
        ("CALL pinterest_await_import(1, interval '-1 second')", "22023"),
    ] {
        assert_eq!(refusal(client.batch_execute(call)).code, code, "{call}");
    }
    client.batch_execute(
        "CREATE TABLE venues (id bigint PRIMARY KEY, description text, embedding vector(512));
         SELECT pinterest_track('venues', text => 'description');
         INSERT INTO venues SELECT n, 'barn ' || n FROM generate_series(1, 50) n",
    )?;
    client.batch_execute("CALL pinterest_await_tracked('venues', interval '1 minute')")?;
    assert_eq!(client.value::<i64>("SELECT count(*) FROM venues WHERE embedding IS NULL")?, 0);
    Ok(())
}

#[test]
fn the_doctor_reports_sessions_that_block_workers() -> Result<()> {
    let (world, mut client) = World::builder()
        .sandbox(quick_board("Beach", 6))
        .setting("max_prepared_transactions", "2")
        .start()?
        .with_session()?;
    assert_eq!(doctor(&mut client, "worker slots")?.0, "ok");
    assert_eq!(doctor(&mut client, "transactions")?.0, "ok");
    let mut old = world.connect()?;
    old.batch_execute("BEGIN; SELECT 1")?;
    let pid: i32 = old.value("SELECT pg_backend_pid()")?;
    hold_pictures_after(&world, 2);
    let import = queue_board(&mut client, "Beach")?;
    until_row(&mut client, import, "the first images", |row| row.embedded == 2)?;
    let worker = world.cluster.wait_for_backend(WORKER, SOON)?;
    e2e::process::suspend(worker.pid, true)?;
    let seen = (|| {
        until("the doctor to report the worker", || {
            let (status, text) = doctor(&mut client, "worker")?;
            Ok(status == "problem" && text.contains(&worker.pid.to_string()))
        })?;
        until("the doctor to report the transaction", || {
            let (status, text) = doctor(&mut client, "transactions")?;
            Ok(status == "note" && text.contains(&pid.to_string()))
        })
    })();
    // A server cannot stop while one of its processes is suspended.
    e2e::process::suspend(worker.pid, false)?;
    seen?;
    world.sandbox.faults().release(GATE);
    complete(&mut client, import)?;
    until("the doctor to find no problem", || Ok(doctor(&mut client, "worker")?.0 == "ok"))?;
    Ok(())
}
