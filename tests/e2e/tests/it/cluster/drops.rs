//! The extension or a database is dropped during an import.

use e2e::cluster::SUPERUSER;
use e2e::process::Process;
use e2e::wait_until;

use crate::support::oauth::WORKER;
use crate::support::prelude::*;

fn until_the_worker_has_left(world: &World) -> Result<()> {
    until("the worker to end", || Ok(world.cluster.backends(WORKER)?.is_empty()))
}

#[test]
fn dropping_the_extension_ends_its_import() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 20)?.with_session()?;
    hold_pictures_after(&world, 5);
    let id = queue_board(&mut client, "Beach")?;
    until_row(&mut client, id, "the first images", |row| row.embedded == 5)?;
    let worker = world.cluster.wait_for_backend(WORKER, SOON)?;
    client
        .batch_execute("SET statement_timeout = '20s'; DROP EXTENSION pg_pinterest CASCADE; RESET statement_timeout")?;
    until_the_worker_has_left(&world)?;
    assert!(wait_until(SOON, || Process::get(worker.pid).is_none()));
    assert!(!world.cluster.log()?.contains("terminating any other active server processes"));

    // The import's requests have ended: no further request is made.
    let asked = world.sandbox.requests().total();
    world.sandbox.faults().release(GATE);
    client.batch_execute("CREATE EXTENSION pg_pinterest")?;
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.account")?, 0);
    assert_eq!(world.sandbox.requests().total(), asked);
    world.register_app(&mut client, "again")?;
    world.connect_account(&mut client)?;
    let row = import(&mut client, "Beach")?;
    assert_eq!((row.total, row.embedded), (20, 20), "{row:?}");
    Ok(())
}

/// A second database in the middle of an import.
fn another(world: &World, name: &str) -> Result<Client> {
    world.connect()?.batch_execute(&format!("CREATE DATABASE {name}"))?;
    let mut client = world.cluster.connect_to(SUPERUSER, name)?;
    client.batch_execute("CREATE EXTENSION pg_pinterest CASCADE")?;
    world.register_app(&mut client, "sandbox")?;
    world.connect_account(&mut client)?;
    hold_pictures_after(world, 5);
    let id = queue_board(&mut client, "Beach")?;
    until_row(&mut client, id, "the first images", |row| row.embedded == 5)?;
    Ok(client)
}

#[test]
fn databases_can_be_dropped() -> Result<()> {
    let (world, mut client) =
        World::builder().sandbox(quick_board("Beach", 20)).connected(false).start()?.with_session()?;
    client.batch_execute("CREATE DATABASE bystander")?;
    drop(another(&world, "wedding")?);
    let worker = world.cluster.wait_for_backend(WORKER, SOON)?;
    assert_eq!(worker.database.as_deref(), Some("wedding"));

    // Other databases can be dropped while a worker runs; its own requires FORCE.
    client.batch_execute("SET statement_timeout = '10s'")?;
    client.batch_execute("DROP DATABASE bystander")?;
    client.batch_execute("CREATE DATABASE bystander TEMPLATE template1")?;
    let refused = refusal(client.batch_execute("DROP DATABASE wedding"));
    assert_eq!(refused.code, "55006", "{refused:?}");
    assert!(Process::get(worker.pid).is_some());
    client.batch_execute("DROP DATABASE wedding WITH (FORCE)")?;
    until_the_worker_has_left(&world)?;
    assert!(!world.cluster.log()?.contains("terminating any other active server processes"));

    // The name can be used again.
    world.sandbox.faults().clear();
    client.batch_execute("CREATE DATABASE wedding")?;
    let mut client = world.cluster.connect_to(SUPERUSER, "wedding")?;
    client.batch_execute("CREATE EXTENSION pg_pinterest CASCADE")?;
    world.register_app(&mut client, "sandbox")?;
    world.connect_account(&mut client)?;
    import(&mut client, "Beach")?;
    Ok(())
}

/// Workers remember keys of rows, that of the model for example.
#[test]
fn work_in_an_extension_that_replaces_another_is_done() -> Result<()> {
    const TRACK: &str = "SELECT pinterest_track('venues', text => 'description')";

    let (world, mut client) = quick_world("Beach", 5)?.with_session()?;
    import(&mut client, "Beach")?;
    client.batch_execute(
        "CREATE TABLE venues (id bigint PRIMARY KEY, description text, embedding vector(512));
         INSERT INTO venues SELECT n, 'Venue ' || n FROM generate_series(1, 20) AS n",
    )?;
    let waiting = "SELECT pinterest_wait_for_tracked('venues', '30 s')";
    client.batch_execute(TRACK)?;
    assert_eq!(client.value::<i64>(waiting)?, 0);

    // Ids of the new extension are others.
    client.batch_execute(
        "BEGIN; DROP EXTENSION pg_pinterest CASCADE; CREATE EXTENSION pg_pinterest;
         ALTER SEQUENCE pinterest.model_model_id_seq RESTART 1000",
    )?;
    client.batch_execute(TRACK)?;
    client.batch_execute("COMMIT")?;
    assert_eq!(client.value::<i64>(waiting)?, 0);
    world.register_app(&mut client, "again")?;
    world.connect_account(&mut client)?;
    let row = import(&mut client, "Beach")?;
    assert_eq!((row.total, row.embedded), (5, 5), "{row:?}");
    Ok(())
}
