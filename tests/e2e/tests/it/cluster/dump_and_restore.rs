//! A restored dump is inactive until it is adopted.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::cluster::SUPERUSER;
use e2e::{ServerUser, tiny_stand_in, world};

use crate::support::oauth::{WORKER, refresh};
use crate::support::prelude::*;

fn dump(world: &World) -> Result<PathBuf> {
    let file = world.cluster.directory().join("dump");
    succeed(world.cluster.program("pg_dump")?.args(["--format=custom", "--file"]).arg(&file).arg("postgres"))?;
    Ok(file)
}

fn restore(dump: &Path, cluster: &Cluster, database: &str) -> Result<()> {
    succeed(cluster.program("pg_restore")?.args(["--exit-on-error", "--dbname", database]).arg(dump))
}

fn succeed(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Dumps the world's database and restores it into a new cluster with the same key.
fn restored(world: &World) -> Result<Cluster> {
    let dump = dump(world)?;
    let authority = world.server_file("authority.pem", &fs::read(world.sandbox.ca_file())?)?;
    let model = tiny_stand_in(world.cluster.installation())?;
    let copy = Cluster::builder()
        .preload(true)
        .own_identity()
        .settings(world::settings(&world.sandbox.host(), &authority, &model))
        .start()?;
    let key = copy.data_directory().join("pinterest.key");
    fs::copy(world.cluster.data_directory().join("pinterest.key"), &key)?;
    ServerUser::get()?.own(&key)?;
    restore(&dump, &copy, "postgres")?;
    Ok(copy)
}

fn copy_check(client: &mut Client) -> Result<String> {
    client.value("SELECT status FROM pinterest_doctor() WHERE check_name = 'clone fence'")
}

#[test]
fn a_restored_dump_is_inactive_until_adopted() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 6)?.with_session()?;
    import(&mut client, "Beach")?;
    world.sandbox.add_pins(&world.sandbox.board_id("Beach")?, 3)?;
    hold_pictures_after(&world, 1);
    let pending = queue_board(&mut client, "Beach")?;
    until_row(&mut client, pending, "the first image", |row| row.embedded == 1)?;
    // A refresh and the rest of an import are due at once.
    let copy = {
        client.batch_execute("UPDATE pinterest.token SET refresh_after = clock_timestamp() + interval '1 second'")?;
        restored(&world)?
    };
    client.query_one("SELECT pinterest_cancel_import($1)", &[&pending])?;
    until_state(&mut client, pending, "cancelled")?;
    client.until("SELECT generation FROM pinterest.token", 2_i64)?;
    world.cluster.stop(e2e::Stop::Fast)?;
    let refresh_token = world.sandbox.valid_refresh_token("example_user");
    world.sandbox.faults().release(GATE);
    let asked = world.sandbox.requests().total();

    let mut client = copy.connect()?;
    assert_eq!(copy_check(&mut client)?, "problem");
    for call in ["SELECT pinterest_import_board('Beach')", "SELECT * FROM pinterest_list_boards()"] {
        client.refused(call, "55000").hints("pinterest_adopt");
    }
    // A worker that a wait has started ends again; searching makes no request.
    client.query_one("SELECT pinterest_wait_for_import($1, interval '2 seconds')", &[&pending])?;
    client.query_one("SELECT pinterest_board_embedding('Beach') <=> pinterest_embed_text('sand')", &[])?;
    until("the worker to end", || Ok(copy.backends(WORKER)?.is_empty()))?;
    assert_eq!(world.sandbox.requests().total(), asked);
    assert_eq!(world.sandbox.valid_refresh_token("example_user"), refresh_token);

    assert!(client.value::<bool>("SELECT pinterest_adopt()")?);
    assert!(!client.value::<bool>("SELECT pinterest_adopt()")?, "it is adopted already");
    assert_eq!(copy_check(&mut client)?, "ok");
    Ok(())
}

#[test]
fn an_adopted_copy_continues_the_original() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 6)?.with_session()?;
    import(&mut client, "Beach")?;
    let before = counts(&mut client)?;
    let copy = restored(&world)?;
    world.cluster.stop(e2e::Stop::Fast)?;
    let mut client = copy.connect()?;
    assert_eq!(counts(&mut client)?, before, "every table is restored");
    client.batch_execute("SELECT pinterest_adopt()")?;

    // Every sequence continues after the existing values.
    assert_eq!(client.query("SELECT * FROM pinterest_list_boards()", &[])?.len(), 1);
    world.sandbox.add_pins(&world.sandbox.board_id("Beach")?, 2)?;
    let row = import(&mut client, "Beach")?;
    assert_eq!((row.embedded, row.reused), (2, 6), "{row:?}");
    world.register_app(&mut client, "another")?;
    let stored: i64 = client.value("SELECT pinterest_store_token('token', username => 'another')")?;
    assert_ne!(stored, world.account());
    client.batch_execute(
        "INSERT INTO pinterest.model (fingerprint, name, weights_sha256, precision, preprocessing, dimension)
             VALUES ('\\x00', 'another', 'x', 'f32', 'x', 512)",
    )?;
    Ok(())
}

#[test]
fn a_copy_in_the_same_cluster_is_inactive() -> Result<()> {
    let world = quick_world("Beach", 2)?;
    let mut original = world.connect()?;
    import(&mut original, "Beach")?;
    original.batch_execute("CREATE DATABASE copy")?;
    restore(&dump(&world)?, &world.cluster, "copy")?;
    let mut copy = world.cluster.connect_to(SUPERUSER, "copy")?;
    let asked = world.sandbox.requests().total();
    for call in ["SELECT pinterest_refresh()", "SELECT pinterest_import_board('Beach')"] {
        copy.refused(call, "55000").hints("pinterest_adopt");
    }
    assert_eq!(copy_check(&mut copy)?, "problem");
    assert_eq!(world.sandbox.requests().total(), asked);
    // The original continues, and is still the original after a rename.
    refresh(&mut original, None)?;
    drop((original, copy));
    let mut other = world.cluster.connect_to(SUPERUSER, "template1")?;
    for worker in world.cluster.backends(WORKER)? {
        other.query_one("SELECT pg_terminate_backend($1)", &[&worker.pid])?;
    }
    until("the database to be renamed", || {
        Ok(other.batch_execute("ALTER DATABASE postgres RENAME TO renamed").is_ok())
    })?;
    let mut renamed = world.cluster.connect_to(SUPERUSER, "renamed")?;
    refresh(&mut renamed, None)?;
    Ok(())
}

/// The number of rows per table of the schema.
fn counts(client: &mut Client) -> Result<Vec<(String, i64)>> {
    let tables = client.query(
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'pinterest'::regnamespace AND relkind = 'r'
          ORDER BY relname",
        &[],
    )?;
    assert!(tables.len() >= 11);
    tables
        .iter()
        .map(|row| {
            let table: String = row.get(0);
            let rows = client.value(&format!("SELECT count(*) FROM pinterest.{table}"))?;
            Ok((table, rows))
        })
        .collect()
}
