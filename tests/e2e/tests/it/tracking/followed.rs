//! `pinterest.tracked` reports tables whose changes do not reach the queue.

use std::path::PathBuf;

use crate::support::prelude::*;
use crate::support::tracking::{VENUES, queue, server, settle, tracked_venues};

/// The state of each tracked table.
fn shown(client: &mut Client) -> Result<String> {
    client.value("SELECT COALESCE(string_agg(concat_ws(' ', \"table\", rows, state, problem_code, problem), '; ' ORDER BY \"table\"), '') FROM pinterest.tracked")
}

#[test]
fn disabled_and_missing_triggers_are_reported() -> Result<()> {
    let (_cluster, mut client) = tracked_venues()?;
    client.batch_execute("INSERT INTO venues VALUES (1, 'barn')")?;
    settle(&mut client, "venues")?;
    let track = "SELECT pinterest_track('venues', text => 'description')";
    for (statement, what) in [
        ("ALTER TABLE venues DISABLE TRIGGER ALL", "is disabled"),
        ("ALTER TABLE venues DISABLE TRIGGER USER", "is disabled"),
        (
            "ALTER TABLE venues ENABLE REPLICA TRIGGER pinterest_track_1_update",
            "\"pinterest_track_1_update\" of venues is disabled",
        ),
        (
            "DROP TRIGGER pinterest_track_1_stale ON venues",
            "\"pinterest_track_1_stale\" of public.venues does not exist",
        ),
        (
            "DROP TRIGGER pinterest_track_1_delete ON venues",
            "\"pinterest_track_1_delete\" of public.venues does not exist",
        ),
    ] {
        assert_eq!(shown(&mut client)?, "public.venues 1 active");
        client.batch_execute(statement)?;
        let found = shown(&mut client)?;
        assert!(
            found.starts_with("public.venues 1 problem 55000 trigger ") && found.contains(what),
            "{statement}: {found}"
        );
        assert_eq!(client.value::<i64>(track)?, 1);
        settle(&mut client, "venues")?;
    }
    client.batch_execute("ALTER TABLE venues ENABLE ALWAYS TRIGGER pinterest_track_1_update")?;
    assert_eq!(shown(&mut client)?, "public.venues 1 active");
    for column in ["description", "id", "embedding"] {
        client.batch_execute(&format!("ALTER TABLE venues RENAME {column} TO other"))?;
        let found = shown(&mut client)?;
        assert_eq!(
            found,
            format!(
                "public.venues 1 problem 42703 column \"{column}\" of public.venues has been renamed or dropped: changes are not tracked"
            )
        );
        client.batch_execute(&format!("ALTER TABLE venues RENAME other TO {column}"))?;
    }
    assert_eq!(shown(&mut client)?, "public.venues 1 active");
    Ok(())
}

#[test]
fn disabled_triggers_of_a_partition_are_reported() -> Result<()> {
    let (_cluster, mut client) = server()?;
    client.batch_execute(
        "CREATE TABLE venues (id int PRIMARY KEY, description text, embedding vector(512)) PARTITION BY RANGE (id);
         CREATE TABLE low PARTITION OF venues FOR VALUES FROM (0) TO (10);
         SELECT pinterest_track('venues', text => 'description')",
    )?;
    assert_eq!(shown(&mut client)?, "public.venues 0 active");
    client.batch_execute("ALTER TABLE low DISABLE TRIGGER USER")?;
    assert!(shown(&mut client)?.contains("of low is disabled"));
    client.batch_execute("SELECT pinterest_track('venues', text => 'description')")?;
    assert_eq!(shown(&mut client)?, "public.venues 0 active");
    Ok(())
}

fn databases(client: &mut Client, names: [&str; 2]) -> Result<()> {
    names.iter().try_for_each(|name| Ok(client.batch_execute(&format!("CREATE DATABASE {name}"))?))
}

/// Dumps the database with these arguments and restores the file into `database` with `program`.
fn bring(cluster: &Cluster, dump: &[&str], program: &str, database: &str, edit: fn(String) -> String) -> Result<()> {
    let file: PathBuf = cluster.directory().join("dump");
    let output = cluster.program("pg_dump")?.args(dump).arg("postgres").output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::write(&file, edit(String::from_utf8(output.stdout)?))?;
    e2e::ServerUser::get()?.own(&file)?;
    let output = cluster.program(program)?.args(["--quiet", "--dbname", database, "--file"]).arg(&file).output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

const BARE: &str =
    "the table has triggers of pinterest_track() without a declaration in this database: changes are not tracked";

#[test]
fn copies_of_the_schema_are_reported_as_not_tracked() -> Result<()> {
    let (cluster, mut client) = tracked_venues()?;
    client.batch_execute("INSERT INTO venues VALUES (1, 'barn')")?;
    databases(&mut client, ["copy", "bare"])?;
    bring(&cluster, &["--schema-only"], "psql", "copy", |sql| sql)?;
    let mut copy = cluster.connect_to("postgres", "copy")?;
    // Its tracked columns are not kept from workers as those of the first database are.
    copy.batch_execute("SELECT pinterest_pause_workers()")?;
    assert_eq!(shown(&mut copy)?, format!("public.venues problem 55000 {BARE}"));
    // An application gets one warning per session.
    copy.batch_execute("INSERT INTO venues VALUES (1, 'barn'); UPDATE venues SET description = 'x'; DELETE FROM venues; INSERT INTO venues VALUES (2, 'x')")?;
    assert_eq!(cluster.log()?.matches("has a trigger of pinterest_track() and is not tracked").count(), 1);
    assert_eq!(copy.value::<i64>("SELECT pinterest_track('venues', text => 'description')")?, 1);
    assert_eq!((shown(&mut copy)?.as_str(), queue(&mut copy)?.as_str()), ("public.venues 1 active", "2*"));

    // A copy in another schema of the same database does not take over the declaration.
    client.batch_execute("CREATE SCHEMA other")?;
    bring(&cluster, &["--schema-only", "--table=venues"], "psql", "postgres", |sql| {
        sql.replace("public.venues", "other.venues")
    })?;
    assert_eq!(shown(&mut client)?, format!("other.venues problem 55000 {BARE}; public.venues 1 active"));
    client.batch_execute("INSERT INTO other.venues VALUES (7, 'x')")?;
    assert_eq!(queue(&mut client)?, "1*");
    client.batch_execute("SELECT pinterest_untrack('other.venues')")?;
    assert_eq!(shown(&mut client)?, "public.venues 1 active");
    client.batch_execute("CREATE TABLE third (LIKE venues INCLUDING ALL)")?;
    assert_eq!(shown(&mut client)?, "public.venues 1 active", "LIKE copies no triggers");

    // Without the extension the triggers are not created, and the table is an ordinary one.
    let mut bare = cluster.connect_to("postgres", "bare")?;
    bare.batch_execute("CREATE EXTENSION vector")?;
    bring(&cluster, &["--schema-only", "--table=venues"], "psql", "bare", |sql| sql)?;
    bare.batch_execute("INSERT INTO venues VALUES (1, 'barn'); UPDATE venues SET description = 'x'")?;
    Ok(())
}

#[test]
fn dumps_in_parts_keep_declarations_and_queue() -> Result<()> {
    let (cluster, mut client) = tracked_venues()?;
    client.batch_execute("INSERT INTO venues VALUES (1, 'barn'), (2, 'beach')")?;
    settle(&mut client, "venues")?;
    client.batch_execute("UPDATE venues SET description = 'lake' WHERE id = 2")?;
    databases(&mut client, ["sections", "parts"])?;
    for section in ["pre-data", "data", "post-data"] {
        bring(&cluster, &["--section", section], "psql", "sections", |sql| sql)?;
    }
    bring(&cluster, &["--schema-only"], "psql", "parts", |sql| sql)?;
    bring(&cluster, &["--data-only", "--disable-triggers"], "psql", "parts", |sql| sql)?;
    for database in ["sections", "parts"] {
        let mut copy = cluster.connect_to("postgres", database)?;
        assert_eq!(
            (shown(&mut copy)?.as_str(), queue(&mut copy)?.as_str()),
            ("public.venues 2 active", "1 2*"),
            "{database}"
        );
        copy.batch_execute("INSERT INTO venues VALUES (3, 'x')")?;
        assert_eq!(queue(&mut copy)?, "1 2* 3*", "{database}");
    }
    Ok(())
}

#[test]
fn a_table_with_the_longest_name_is_tracked() -> Result<()> {
    let (_cluster, mut client) = server()?;
    client.batch_execute(VENUES)?;
    let name = format!("a.\"b{}", "é".repeat(29));
    let quoted = format!("\"{}\"", name.replace('"', "\"\""));
    client.batch_execute(&format!("ALTER TABLE venues RENAME TO {quoted}"))?;
    client.execute("SELECT pinterest_track($1::text::regclass, text => 'description')", &[&quoted])?;
    client.batch_execute(&format!("INSERT INTO {quoted} VALUES (1, 'x')"))?;
    assert_eq!((shown(&mut client)?, queue(&mut client)?), (format!("public.{quoted} 1 active"), "1*".to_owned()));
    Ok(())
}
