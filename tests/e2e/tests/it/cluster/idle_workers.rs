//! Workers without work, and workers that wait for Pinterest.

use crate::support::oauth::{USER, WORKER};
use crate::support::prelude::*;
use crate::support::tracking_process::TRACKING_WORKER;
use crate::support::tracking_work::{settled, urls};

/// Two workers may run, and one without work soon ends.
fn two_workers(config: Config) -> Result<World> {
    World::builder()
        .sandbox(config)
        .setting("pinterest.workers_per_database", "2")
        .setting("pinterest.worker_idle_timeout", "1s")
        .start()
}

/// Waits until one worker of this kind has work and the other has ended.
fn until_one_is_left(world: &World, kind: &str) -> Result<()> {
    until("the second worker", || Ok(world.cluster.backends(kind)?.len() == 2))?;
    until("the second worker to end", || Ok(world.cluster.backends(kind)?.len() == 1))
}

#[test]
fn more_imports_than_one_worker_runs_start_another() -> Result<()> {
    let names = ["One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight"];
    let account = names.iter().fold(AccountSpec::new(USER), |account, name| account.board(beach_board(*name, 1)));
    let (world, mut client) =
        two_workers(Config { accounts: vec![account], ..quick_board("One", 1) })?.with_session()?;
    world.sandbox.faults().add(Rule::on(Kind::BoardPins, Fault::Hold { gate: GATE.into() }));
    let mut imports = vec![queue_board(&mut client, "One")?];
    until_one_is_left(&world, WORKER)?;
    for name in &names[1..] {
        imports.push(queue_board(&mut client, name)?);
    }
    let busy = "SELECT ARRAY(SELECT imports FROM pinterest.workers WHERE kind LIKE '%worker')";
    client.until(busy, vec![4_i64, 4])?;
    world.sandbox.faults().release(GATE);
    for import in imports {
        complete(&mut client, import)?;
    }
    Ok(())
}

#[test]
fn work_does_not_wait_for_a_second_worker_without_a_slot() -> Result<()> {
    // Launcher, supervisor and the server's own launcher for logical replication use three.
    let (_world, mut client) = World::builder()
        .sandbox(quick_board("Beach", 3))
        .setting("pinterest.workers_per_database", "2")
        .setting("max_worker_processes", "4")
        .start()?
        .with_session()?;
    import(&mut client, "Beach")?;
    assert!(client.value::<bool>("SELECT slots_used = slots AND workers = 1 FROM pinterest.stat_workers")?);
    // Alerts and pinterest_doctor() report those.
    let refused: bool = client.value("SELECT last_refusal IS NOT NULL FROM pinterest.stat_workers")?;
    assert!(!refused, "the database has a worker");
    Ok(())
}

#[test]
fn more_rows_than_one_worker_takes_start_another() -> Result<()> {
    let world = two_workers(quick_board("Beach", 40))?;
    world.cluster.set("pinterest.tracked_image_hosts", &world.sandbox.host())?;
    world.cluster.restart(Stop::Fast)?;
    let mut client = world.connect()?;
    let urls = urls(&world, &mut client)?;
    client.batch_execute(
        "CREATE TABLE venues (id bigint PRIMARY KEY, url text, embedding vector(512));
         SELECT pinterest_track('venues', image_url => 'url')",
    )?;
    world.sandbox.faults().add(Rule::on(Kind::Image, Fault::Hold { gate: GATE.into() }));
    client.execute("INSERT INTO venues VALUES (0, $1)", &[&urls[0]])?;
    until_one_is_left(&world, TRACKING_WORKER)?;
    client
        .execute("INSERT INTO venues SELECT n, url FROM unnest($1::text[]) WITH ORDINALITY AS u (url, n)", &[&urls])?;
    let working = "SELECT count(DISTINCT claimed_by) FROM pinterest.tracked_row WHERE state = 'pending'";
    client.until(working, 2_i64)?;
    world.sandbox.faults().release(GATE);
    settled(&mut client)?;
    assert_eq!(client.value::<i64>("SELECT count(embedding) FROM venues")?, 41);
    Ok(())
}

#[test]
fn an_idle_worker_ends_and_the_next_import_starts_it_again() -> Result<()> {
    for preload in [true, false] {
        let (world, mut client) = World::builder()
            .preload(preload)
            .sandbox(quick_board("Beach", 3))
            .setting("pinterest.worker_idle_timeout", "1s")
            .start()?
            .with_session()?;
        import(&mut client, "Beach")?;
        let board = world.sandbox.board_id("Beach")?;
        for round in 0..6_u64 {
            // At different moments of the worker's exit, the last time after it.
            match round {
                5 => until("the worker to end", || Ok(world.cluster.backends(WORKER)?.is_empty()))?,
                _ => std::thread::sleep(Duration::from_millis(900 + 60 * round)),
            }
            world.sandbox.add_pins(&board, 1)?;
            let id = queue_board(&mut client, "Beach")?;
            // Reading a view starts no worker.
            let row = until_row(&mut client, id, "the import's end", |row| row.phase == "finished")?;
            assert_eq!((row.state.as_str(), row.embedded), ("completed", 1), "{row:?}");
        }
    }
    Ok(())
}

#[test]
fn no_transaction_is_open_during_requests() -> Result<()> {
    let config = Config {
        latency: Duration::from_millis(1500),
        image_latency: Duration::from_millis(1500),
        ..quick_board("Beach", 12)
    };
    let (_world, mut client) = World::of(config)?.with_session()?;
    let id = queue_board(&mut client, "Beach")?;
    let mut samples = 0;
    until("the import's end", || {
        let row = client.query_one(
            "SELECT count(*), coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8,
                    (SELECT phase = 'finished' FROM pinterest.imports WHERE import_id = $1)
               FROM pg_stat_activity WHERE backend_type = 'pg_pinterest worker'",
            &[&id],
        )?;
        let (workers, age, finished): (i64, f64, bool) = (row.get(0), row.get(1), row.get(2));
        samples += workers;
        assert!(age < 1.0, "a transaction of the worker has been open for {age} s");
        Ok(finished)
    })?;
    assert!(samples > 20, "the worker was seen only {samples} times");
    complete(&mut client, id)?;
    let written: i64 = client.value(
        "SELECT n_tup_upd + n_tup_hot_upd FROM pg_stat_all_tables WHERE relid = 'pinterest.pin_image'::regclass",
    )?;
    assert!(written > 0, "a worker's writes are counted for autovacuum");
    Ok(())
}

#[test]
fn a_database_without_the_extension_keeps_no_worker() -> Result<()> {
    let world = World::builder().sandbox(quick_board("Beach", 1)).connected(false).start()?;
    world.cluster.wait_for_backend("pg_pinterest launcher", SOON)?;
    until("the checking worker to end", || Ok(world.cluster.backends(WORKER)?.is_empty()))?;
    // The database can be copied, which requires that no process is connected to it.
    let mut client = world.connect()?;
    client.batch_execute("CREATE DATABASE one; ")?;
    client.batch_execute("SET statement_timeout = '10s'")?;
    client.batch_execute("CREATE DATABASE two TEMPLATE one")?;
    client.batch_execute("DROP DATABASE one")?;
    assert_eq!(world.sandbox.requests().total(), 0);
    Ok(())
}
