//! Tracked tables that are partitioned, renamed, moved, dumped, restored or dropped.

use crate::support::prelude::*;
use crate::support::tracking::{embedded, queue, server, settle, tracked_venues};

fn named(client: &mut Client) -> Result<String> {
    client.value("SELECT concat_ws(' ', \"table\", state, rows) FROM pinterest.tracked")
}

#[test]
fn partitions_are_tracked_with_their_table() -> Result<()> {
    let (cluster, mut client) = server()?;
    cluster.create_role("tenant")?;
    client.batch_execute(
        "CREATE TABLE venues (id int, region text, description text, embedding vector(512), PRIMARY KEY (region, id))
             PARTITION BY LIST (region);
         CREATE TABLE venues_north PARTITION OF venues FOR VALUES IN ('north');
         INSERT INTO venues VALUES (1, 'north', 'barn');
         SELECT pinterest_track('venues', text => 'description');
         CREATE TABLE venues_south PARTITION OF venues FOR VALUES IN ('south');
         ALTER TABLE venues_south OWNER TO tenant",
    )?;
    assert_eq!(queue(&mut client)?, "north,1*");
    client.batch_execute("INSERT INTO venues VALUES (2, 'south', 'beach')")?;
    let mut tenant = cluster.connect_as("tenant")?;
    tenant.batch_execute("INSERT INTO venues_south VALUES (3, 'south', 'lake')")?;
    assert_eq!(queue(&mut client)?, "north,1* south,2* south,3*", "the owner of the partition does not matter");
    settle(&mut client, "venues")?;
    tenant.batch_execute("UPDATE venues_south SET description = 'pond' WHERE id = 3")?;
    client.batch_execute("UPDATE venues SET region = 'north' WHERE id = 2")?;
    assert_eq!(queue(&mut client)?, "north,1 north,2* south,3*");
    assert_eq!(embedded(&mut client, "venues")?, "1 2");
    client.batch_execute("DELETE FROM venues_north WHERE id = 1")?;
    assert_eq!(queue(&mut client)?, "north,2* south,3*");
    assert_eq!(named(&mut client)?, "public.venues active 2");
    // Dropping or detaching a partition fires no trigger.
    client.batch_execute("DROP TABLE venues_south; SELECT pinterest_track('venues', text => 'description')")?;
    assert_eq!(queue(&mut client)?, "north,2*");
    client.batch_execute("TRUNCATE venues")?;
    assert_eq!(queue(&mut client)?, "");
    assert_eq!(client.value::<i64>("SELECT pinterest_untrack('venues')")?, 1);
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'pinterest%'")?, 0);
    Ok(())
}

#[test]
fn inheriting_tables_are_not_tracked() -> Result<()> {
    let (_cluster, mut client) = tracked_venues()?;
    client.batch_execute(
        "CREATE TABLE halls () INHERITS (venues); INSERT INTO halls VALUES (7, 'hall'); INSERT INTO venues VALUES (1, 'barn');
         SELECT pinterest_track('venues', text => 'description')",
    )?;
    assert_eq!(queue(&mut client)?, "1*");
    Ok(())
}

#[test]
fn a_renamed_and_moved_table_stays_tracked() -> Result<()> {
    let (_cluster, mut client) = tracked_venues()?;
    client.batch_execute(
        "CREATE SCHEMA other; ALTER TABLE venues RENAME TO places; ALTER TABLE places SET SCHEMA other;
         INSERT INTO other.places VALUES (1, 'barn')",
    )?;
    assert_eq!((queue(&mut client)?.as_str(), named(&mut client)?.as_str()), ("1*", "other.places active 1"));
    assert_eq!(client.value::<i64>("SELECT pinterest_track('other.places', text => 'description')")?, 1);
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.tracked")?, 1, "the declaration is the same");
    client.batch_execute("DROP TABLE other.places")?;
    assert_eq!(named(&mut client)?, "other.places problem 1");
    assert_eq!(client.value::<i64>("SELECT pinterest_untrack('places')")?, 1);
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.tracked")?, 0);
    Ok(())
}

#[test]
fn renamed_columns_stop_tracking_with_a_warning() -> Result<()> {
    let (_cluster, mut client) = tracked_venues()?;
    client.batch_execute("INSERT INTO venues VALUES (1, 'barn')")?;
    settle(&mut client, "venues")?;
    client.batch_execute("ALTER TABLE venues RENAME description TO words")?;
    // The user's statement succeeds with a warning.
    let notices = notices_of(&_cluster, "INSERT INTO venues VALUES (2, 'beach'), (3, 'lake')")?;
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(notices[0].contains("renamed or dropped"), "{notices:?}");
    assert_eq!(queue(&mut client)?, "1");
    assert_eq!(client.value::<i64>("SELECT pinterest_track('venues', text => 'words')")?, 3);
    assert_eq!(queue(&mut client)?, "1* 2* 3*");
    assert_eq!(named(&mut client)?, "public.venues active 3");
    Ok(())
}

/// The warnings that psql shows for a statement.
fn notices_of(cluster: &Cluster, sql: &str) -> Result<Vec<String>> {
    let output =
        cluster.program("psql")?.args(["--no-psqlrc", "--quiet", "--dbname", "postgres", "--command", sql]).output()?;
    assert!(output.status.success(), "{output:?}");
    Ok(String::from_utf8_lossy(&output.stderr)
        .lines()
        .filter(|line| line.contains("WARNING"))
        .map(str::to_owned)
        .collect())
}

#[test]
fn a_dump_keeps_declarations_and_queue() -> Result<()> {
    let (cluster, mut client) = tracked_venues()?;
    client.batch_execute("INSERT INTO venues VALUES (1, 'barn'), (2, 'beach')")?;
    settle(&mut client, "venues")?;
    client.batch_execute("UPDATE venues SET description = 'lake' WHERE id = 2")?;
    client.batch_execute("CREATE DATABASE copy")?;
    let file = cluster.directory().join("dump");
    for (program, arguments) in
        [("pg_dump", ["--format=custom", "--file"]), ("pg_restore", ["--exit-on-error", "--dbname=copy"])]
    {
        let mut command = cluster.program(program)?;
        command.args(arguments).arg(&file);
        if program == "pg_dump" {
            command.arg("postgres");
        }
        let output = command.output()?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let mut copy = cluster.connect_to("postgres", "copy")?;
    assert_eq!(queue(&mut copy)?, "1 2*");
    assert_eq!(embedded(&mut copy, "venues")?, "1");
    copy.batch_execute("UPDATE venues SET description = 'x' WHERE id = 1; INSERT INTO venues VALUES (3, 'forest')")?;
    assert_eq!(queue(&mut copy)?, "1* 2* 3*");
    assert_eq!(named(&mut copy)?, "public.venues active 3");
    let fresh = "SELECT nextval('pinterest.tracked_version') > max(version) FROM pinterest.tracked_row";
    assert!(copy.value::<bool>(fresh)?, "versions continue after the restored ones");
    assert_eq!(copy.value::<i64>("SELECT pinterest_track('venues', text => 'description')")?, 3);
    assert_eq!(copy.value::<i64>("SELECT count(*) FROM pinterest.tracked")?, 1);
    Ok(())
}

#[test]
fn a_copied_table_is_tracked_separately() -> Result<()> {
    let (_cluster, mut client) = tracked_venues()?;
    client.batch_execute(
        "INSERT INTO venues VALUES (1, 'barn'); CREATE TABLE places (LIKE venues INCLUDING ALL); INSERT INTO places VALUES (7, 'hall')",
    )?;
    assert_eq!(queue(&mut client)?, "1*");
    // The trigger that a dump of this table alone would contain.
    let id: i64 = client.value("SELECT tracked_column_id FROM pinterest.tracked")?;
    let tie: String = client.value("SELECT tie::text FROM pinterest.tracked_column")?;
    client.batch_execute(&format!(
        "CREATE TRIGGER pinterest_track_{id} AFTER INSERT ON places FOR EACH ROW EXECUTE FUNCTION
             pinterest.track_change('{tie}', 'description', 'id');
         SELECT pinterest_track('places', text => 'description')"
    ))?;
    let tracked = "SELECT string_agg(\"table\" || ' ' || rows, ', ' ORDER BY tracked_column_id) FROM pinterest.tracked";
    assert_eq!(client.value::<String>(tracked)?, "public.venues 1, public.places 1");
    Ok(())
}

#[test]
fn replicated_changes_are_queued_by_the_next_call() -> Result<()> {
    let (_cluster, mut client) = tracked_venues()?;
    client.batch_execute(
        "INSERT INTO venues VALUES (1, 'barn'), (2, 'beach'); SET session_replication_role = replica;
         INSERT INTO venues VALUES (3, 'lake'); DELETE FROM venues WHERE id = 1; RESET session_replication_role",
    )?;
    assert_eq!(queue(&mut client)?, "1* 2*");
    assert_eq!(client.value::<i64>("SELECT pinterest_track('venues', text => 'description')")?, 2);
    assert_eq!(queue(&mut client)?, "2* 3*");
    Ok(())
}

#[test]
fn tables_stay_usable_after_the_extension_is_dropped() -> Result<()> {
    let (_cluster, mut client) = tracked_venues()?;
    client.refused("DROP EXTENSION pg_pinterest", "2BP01");
    client.batch_execute("INSERT INTO venues VALUES (1, 'barn')")?;
    client.batch_execute("DROP EXTENSION pg_pinterest CASCADE")?;
    client.batch_execute("INSERT INTO venues VALUES (2, 'beach'); UPDATE venues SET description = 'x'")?;
    // The session makes its cached plans again.
    client.batch_execute("CREATE EXTENSION pg_pinterest; SELECT pinterest_track('venues', text => 'description'); INSERT INTO venues VALUES (3, 'lake')")?;
    assert_eq!(queue(&mut client)?, "1* 2* 3*");
    Ok(())
}

#[test]
fn concurrent_sessions_keep_queue_and_table_in_step() -> Result<()> {
    let (cluster, mut client) = tracked_venues()?;
    client.batch_execute("INSERT INTO venues SELECT n, 'venue' FROM generate_series(1, 50) n")?;
    std::thread::scope(|scope| -> Result<()> {
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let cluster = &cluster;
                scope.spawn(move || -> Result<()> {
                    let mut client = cluster.connect()?;
                    for round in 0..60 {
                        let id = i64::from((round * 7 + writer * 13) % 50 + 1);
                        // The row is locked before its queue entry, as workers do.
                        client.execute("UPDATE venues SET description = $2 WHERE id = $1", &[&id, &format!("{writer} {round}")])?;
                        if round % 10 == 0 {
                            client.execute("DELETE FROM venues WHERE id = $1", &[&id])?;
                            client.execute("INSERT INTO venues VALUES ($1, 'again') ON CONFLICT (id) DO UPDATE SET description = 'both'", &[&id])?;
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        for _ in 0..5 {
            client.batch_execute("SELECT pinterest_track('venues', text => 'description')")?;
        }
        writers.into_iter().try_for_each(|writer| match writer.join() {
            Ok(done) => done,
            Err(_) => panic!("a writer panicked"),
        })
    })?;
    let wrong = "SELECT count(*) FROM (SELECT ARRAY[id::text] AS key FROM venues) v FULL JOIN pinterest.tracked_row r USING (key)
          WHERE v.key IS NULL OR r.key IS NULL";
    assert_eq!(client.value::<i64>(wrong)?, 0);
    Ok(())
}
