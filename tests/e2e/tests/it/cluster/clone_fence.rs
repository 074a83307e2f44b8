//! Physical and logical copies of a database under each pinterest.clone_fence. Dumps are in `dump_and_restore`.

use std::fs;

use e2e::{ServerUser, tiny_stand_in, world};

use crate::support::oauth::{WORKER, doctor, generation, refresh};
use crate::support::prelude::*;

fn fenced(fence: &str) -> Result<World> {
    World::builder().sandbox(quick_board("Beach", 3)).setting("pinterest.clone_fence", fence).start()
}

/// Asserts that a copy makes no requests, neither for calls nor by its workers.
fn assert_quiet(world: &World, copy: &Cluster) -> Result<()> {
    let mut client = copy.connect()?;
    let asked = world.sandbox.requests().total();
    client.batch_execute("UPDATE pinterest.token SET refresh_after = clock_timestamp()")?;
    for call in [
        "SELECT pinterest_refresh()",
        "SELECT pinterest_import_board('Beach')",
        "SELECT * FROM pinterest_list_boards()",
        "SELECT pinterest_rotate_key()",
        "SELECT pinterest_store_token('token')",
    ] {
        client.refused(call, "55000").hints("pinterest_adopt");
    }
    let (status, text) = doctor(&mut client, "clone fence")?;
    assert!(status == "problem" && text.contains("pinterest_adopt"), "{status}: {text}");
    // The copy can be searched, and its worker ends.
    client.query_one("SELECT pinterest_board_embedding('Beach')::text", &[])?;
    until("the worker to end", || Ok(copy.backends(WORKER)?.is_empty()))?;
    assert_eq!(world.sandbox.requests().total(), asked);
    Ok(())
}

/// Asserts that the fence does not prevent requests.
fn assert_open(client: &mut Client, account: i64) -> Result<()> {
    let (status, text) = doctor(client, "clone fence")?;
    assert_ne!(status, "problem", "{text}");
    let before = generation(client, account)?;
    refresh(client, Some(account))?;
    assert!(generation(client, account)? > before);
    assert_eq!(client.query("SELECT * FROM pinterest_list_boards()", &[])?.len(), 1);
    Ok(())
}

/// Another server with the world's key, subscribed to all of the world's tables.
fn subscriber(world: &World, fence: &str) -> Result<Cluster> {
    let mut publisher = world.connect()?;
    publisher.batch_execute("CREATE PUBLICATION everything FOR ALL TABLES")?;
    let authority = world.server_file("authority.pem", &fs::read(world.sandbox.ca_file())?)?;
    let model = tiny_stand_in(world.cluster.installation())?;
    let subscriber = Cluster::builder()
        .preload(true)
        .own_identity()
        .settings(world::settings(&world.sandbox.host(), &authority, &model))
        .setting("pinterest.clone_fence", fence)
        .setting("max_worker_processes", "20")
        .start()?;
    let key = subscriber.data_directory().join("pinterest.key");
    fs::copy(world.cluster.data_directory().join("pinterest.key"), &key)?;
    ServerUser::get()?.own(&key)?;
    let address = format!(
        "host={} port={} user=postgres dbname=postgres",
        world.cluster.socket_directory().display(),
        world.cluster.port()
    );
    let mut client = subscriber.connect()?;
    client.batch_execute("CREATE EXTENSION pg_pinterest CASCADE")?;
    client.batch_execute(&format!("CREATE SUBSCRIPTION everything CONNECTION '{address}' PUBLICATION everything"))?;
    until("the first copy", || {
        let rows = "SELECT count(*) FILTER (WHERE state = 'embedded') FROM pinterest.pin_image";
        // Tables are copied one after the other, in no fixed order.
        let others = "SELECT count(*) FROM (SELECT FROM pinterest.token UNION ALL SELECT FROM pinterest.account
            UNION ALL SELECT FROM pinterest.app UNION ALL SELECT FROM pinterest.board) AS one_of_each";
        Ok(client.value::<i64>(rows)? == 3 && client.value::<i64>(others)? == 4)
    })?;
    Ok(subscriber)
}

#[test]
fn a_subscriber_is_inactive_until_adopted() -> Result<()> {
    let world = World::builder().sandbox(quick_board("Beach", 3)).setting("wal_level", "logical").start()?;
    let mut original = world.connect()?;
    import(&mut original, "Beach")?;
    let copy = subscriber(&world, "on")?;
    assert_quiet(&world, &copy)?;
    assert_open(&mut original, world.account())?;
    let mut client = copy.connect()?;
    client.batch_execute("ALTER SUBSCRIPTION everything DISABLE")?;
    world.cluster.stop(e2e::Stop::Fast)?;
    assert!(client.value::<bool>("SELECT pinterest_adopt()")?);
    assert_open(&mut client, world.account())?;
    // Logical replication does not copy sequences.
    let row = import(&mut client, "Beach")?;
    assert_eq!(row.reused, 3, "{row:?}");
    world.register_app(&mut client, "another")?;
    client.query_one("SELECT pinterest_store_token('token', username => 'another')", &[])?;
    Ok(())
}

#[test]
fn a_base_backup_is_inactive_under_strict() -> Result<()> {
    let world = fenced("strict")?;
    let mut original = world.connect()?;
    import(&mut original, "Beach")?;
    assert_open(&mut original, world.account())?;
    let copy = Cluster::builder().copy_of(&world.cluster).start()?;
    assert_quiet(&world, &copy)?;
    // A restarted original is not a copy.
    world.cluster.restart(e2e::Stop::Fast)?;
    assert_open(&mut world.connect()?, world.account())?;

    // A copy is adopted after the original has stopped.
    let copy = Cluster::builder().copy_of(&world.cluster).start()?;
    world.cluster.stop(e2e::Stop::Fast)?;
    let mut client = copy.connect()?;
    assert!(client.value::<bool>("SELECT pinterest_adopt()")?);
    assert_open(&mut client, world.account())
}

#[test]
fn a_base_backup_is_not_recognised_with_fence_on() -> Result<()> {
    let world = fenced("on")?;
    let mut original = world.connect()?;
    import(&mut original, "Beach")?;
    let copy = Cluster::builder().copy_of(&world.cluster).start()?;
    world.cluster.stop(e2e::Stop::Fast)?;
    assert_open(&mut copy.connect()?, world.account())
}

#[test]
fn a_promoted_standby_is_inactive_under_strict() -> Result<()> {
    let world = fenced("strict")?;
    import(&mut world.connect()?, "Beach")?;
    let standby = Cluster::builder().standby_of(&world.cluster).start()?;
    let mut client = standby.connect()?;
    client.until("SELECT count(embedding) FROM pinterest.pin_image", 3_i64)?;
    world.cluster.stop(e2e::Stop::Fast)?;
    assert!(client.value::<bool>("SELECT pg_promote()")?);
    assert_quiet(&world, &standby)?;
    assert!(client.value::<bool>("SELECT pinterest_adopt()")?);
    assert_open(&mut client, world.account())
}

#[test]
fn a_subscriber_is_active_under_off() -> Result<()> {
    let world = World::builder().sandbox(quick_board("Beach", 3)).setting("wal_level", "logical").start()?;
    let mut original = world.connect()?;
    import(&mut original, "Beach")?;
    let copy = subscriber(&world, "off")?;
    let mut client = copy.connect()?;
    client.batch_execute("ALTER SUBSCRIPTION everything DISABLE")?;
    world.cluster.stop(e2e::Stop::Fast)?;
    let (status, text) = doctor(&mut client, "clone fence")?;
    assert!(status == "note" && text.contains("off"), "{status}: {text}");
    assert_open(&mut client, world.account())
}

#[test]
fn sessions_cannot_change_the_fence() -> Result<()> {
    let (_world, mut client) = quick_world("Beach", 1)?.with_session()?;
    for setting in ["clone_fence", "key_command", "app_secret_file"] {
        client.refused(&format!("SET pinterest.{setting} = 'off'"), "55P02");
    }
    assert_eq!(client.value::<String>("SHOW pinterest.clone_fence")?, "on");
    assert_eq!(doctor(&mut client, "clone fence")?.0, "ok");
    Ok(())
}
