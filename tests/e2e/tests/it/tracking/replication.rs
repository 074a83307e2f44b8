//! Tracked tables in publications and subscriptions.

use crate::support::prelude::*;
use crate::support::tracking_work::settled;

fn world() -> Result<World> {
    let config: Config = quick_board("Beach", 1);
    World::builder().sandbox(config).setting("wal_level", "logical").start()
}

const VENUES: &str = "CREATE TABLE venues (id bigint PRIMARY KEY, description text, embedding vector(512))";

/// Creates the database `source` with the table, published with these columns.
fn source(world: &World, client: &mut Client, columns: &str) -> Result<Client> {
    client.batch_execute("CREATE DATABASE source")?;
    let mut source = world.cluster.connect_to("postgres", "source")?;
    source.batch_execute(&format!(
        "CREATE EXTENSION vector; {VENUES}; INSERT INTO venues VALUES (1, 'barn');
         CREATE PUBLICATION venues FOR TABLE venues {columns}"
    ))?;
    source.batch_execute("SELECT pg_create_logical_replication_slot('venues', 'pgoutput')")?;
    Ok(source)
}

fn subscribe(world: &World, client: &mut Client) -> Result<()> {
    let place = world.cluster.socket_directory().display().to_string();
    let port: String = client.value("SHOW port")?;
    client.batch_execute(&format!(
        "CREATE SUBSCRIPTION venues CONNECTION 'host={place} port={port} user=postgres dbname=source' PUBLICATION venues
             WITH (create_slot = false, slot_name = 'venues')"
    ))?;
    Ok(())
}

fn until_rows(client: &mut Client, rows: &str) -> Result<()> {
    until("the replicated rows", || {
        let found: String =
            client.value("SELECT COALESCE(string_agg(id || ' ' || description, ', ' ORDER BY id), '') FROM venues")?;
        Ok(found == rows)
    })
}

fn shown(client: &mut Client) -> Result<String> {
    client.value("SELECT concat_ws(' ', rows, embedded, pending, state, problem, hint) FROM pinterest.tracked")
}

fn unsubscribe(client: &mut Client) -> Result<()> {
    ["DISABLE", "SET (slot_name = NONE)"]
        .iter()
        .try_for_each(|step| client.batch_execute(&format!("ALTER SUBSCRIPTION venues {step}")))?;
    Ok(client.batch_execute("DROP SUBSCRIPTION venues")?)
}

const WRONG: &str =
    "SELECT count(*) FROM venues WHERE COALESCE(embedding <=> pinterest_embed_text(description) > 1e-6, true)";

#[test]
fn rows_of_a_subscription_are_tracked() -> Result<()> {
    let (world, mut client) = world()?.with_session()?;
    let mut source = source(&world, &mut client, "(id, description)")?;
    client.batch_execute(&format!("{VENUES}; SELECT pinterest_track('venues', text => 'description')"))?;
    subscribe(&world, &mut client)?;
    until_rows(&mut client, "1 barn")?;
    let found = shown(&mut client)?;
    assert!(found.starts_with("0 0 0 problem rows of public.venues come from a subscription"), "{found}");
    assert!(found.contains("ENABLE ALWAYS TRIGGER"), "{found}");
    assert_eq!(client.value::<i64>("SELECT pinterest_track('venues', text => 'description')")?, 1);
    settled(&mut client)?;
    assert_eq!(shown(&mut client)?, "1 1 0 active");
    source.batch_execute("INSERT INTO venues VALUES (2, 'lake'), (3, 'x'); UPDATE venues SET description = 'a red barn' WHERE id = 1; DELETE FROM venues WHERE id = 3")?;
    until_rows(&mut client, "1 a red barn, 2 lake")?;
    settled(&mut client)?;
    assert_eq!((client.value::<i64>(WRONG)?, shown(&mut client)?.as_str()), (0, "2 2 0 active"));
    source.batch_execute("TRUNCATE venues")?;
    until_rows(&mut client, "")?;
    assert_eq!(shown(&mut client)?, "0 0 0 active");
    unsubscribe(&mut client)?;
    Ok(())
}

#[test]
fn vectors_are_replicated_with_their_rows() -> Result<()> {
    let (world, mut client) = world()?.with_session()?;
    client.batch_execute(&format!(
        "{VENUES}; INSERT INTO venues VALUES (1, 'barn'); CREATE PUBLICATION venues FOR TABLE venues;
         SELECT pinterest_track('venues', text => 'description')"
    ))?;
    client.batch_execute("CREATE DATABASE copy")?;
    let mut copy = world.cluster.connect_to("postgres", "copy")?;
    copy.batch_execute(&format!("CREATE EXTENSION vector; {VENUES}"))?;
    client.batch_execute("SELECT pg_create_logical_replication_slot('venues', 'pgoutput')")?;
    let place = world.cluster.socket_directory().display().to_string();
    let port: String = client.value("SHOW port")?;
    copy.batch_execute(&format!(
        "CREATE SUBSCRIPTION venues CONNECTION 'host={place} port={port} user=postgres dbname=postgres' PUBLICATION venues
             WITH (create_slot = false, slot_name = 'venues')"
    ))?;
    client.batch_execute(
        "INSERT INTO venues VALUES (2, 'lake'); UPDATE venues SET description = 'a red barn' WHERE id = 1",
    )?;
    settled(&mut client)?;
    let vectors =
        "SELECT string_agg(concat_ws(' ', id, description, md5(embedding::text)), ', ' ORDER BY id) FROM venues";
    let expected: String = client.value(vectors)?;
    until("the replicated vectors", || {
        let found: Option<String> = copy.value(vectors)?;
        Ok(found.as_deref() == Some(expected.as_str()))
    })?;
    unsubscribe(&mut copy)?;
    Ok(())
}

/// Postgres refuses every UPDATE of such a table; no row is blamed.
#[test]
fn a_published_table_without_a_replica_identity_is_a_problem() -> Result<()> {
    let (_world, mut client) = world()?.with_session()?;
    client.batch_execute(
        "CREATE TABLE venues (id bigint NOT NULL UNIQUE, description text, embedding vector(512));
         CREATE TABLE parts (id bigint NOT NULL UNIQUE, description text, embedding vector(512)) PARTITION BY RANGE (id);
         CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (9);
         CREATE PUBLICATION both_tables FOR TABLE venues, parts",
    )?;
    for table in ["venues", "parts"] {
        let refused =
            client.refused(&format!("SELECT pinterest_track('{table}', key => 'id', text => 'description')"), "55000");
        assert!(refused.message.contains("does not have a replica identity"), "{refused:?}");
        assert!(refused.hint.contains("REPLICA IDENTITY USING INDEX"), "{refused:?}");
    }
    client.batch_execute(
        "ALTER TABLE venues REPLICA IDENTITY FULL; SELECT pinterest_track('venues', key => 'id', text => 'description');
         ALTER TABLE venues REPLICA IDENTITY DEFAULT; INSERT INTO venues VALUES (1, 'barn')",
    )?;
    let found = wait_for("the problem", SOON, || {
        let found = shown(&mut client)?;
        Ok(found.contains("problem").then_some(found))
    })?;
    assert!(found.starts_with("1 0 1 problem cannot update table"), "{found}");
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.tracked_row WHERE reason IS NOT NULL")?, 0);
    client.batch_execute("ALTER TABLE venues REPLICA IDENTITY USING INDEX venues_id_key; UPDATE pinterest.tracked_column SET next_attempt_at = now()")?;
    settled(&mut client)?;
    assert_eq!(shown(&mut client)?, "1 1 0 active");
    Ok(())
}
