//! Tables that Citus gives no triggers.

use std::fs;

use anyhow::Context as _;
use e2e::checkout;

use crate::support::citus::CitusWorld;
use crate::support::doc_pages::blocks;
use crate::support::prelude::*;

#[test]
fn a_table_without_triggers_is_refused_before_anything_is_made() -> Result<()> {
    let Some(citus) = CitusWorld::start(quick_board("Beach", 0))? else { return Ok(()) };
    let mut client = citus.world.connect()?;
    for (name, place, kind) in [
        ("spread", "create_distributed_table('spread', 'id')", "a distributed table"),
        ("single", "create_distributed_table('single', NULL)", "a distributed table"),
        ("copied", "create_reference_table('copied')", "a reference table"),
        ("managed", "citus_add_local_table_to_metadata('managed')", "a local table in Citus' metadata"),
    ] {
        client.batch_execute(&format!(
            "CREATE TABLE {name} (id bigint PRIMARY KEY, name text, embedding vector(512)); SELECT {place}"
        ))?;
        let call = format!("SELECT pinterest_track('{name}', text => 'name')");
        client.refused(&call, "0A000").says(kind).hints("undistribute_table()").hints("docs/citus.md");
        assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.tracked_column")?, 0);
        // The way out.
        client.batch_execute(&format!("SELECT undistribute_table('{name}')"))?;
        assert_eq!(client.value::<i64>(&call)?, 0);
        client.batch_execute(&format!("SELECT pinterest_untrack('{name}')"))?;
    }
    // A table that is tracked cannot be distributed.
    client.batch_execute(
        "CREATE TABLE venues (id bigint PRIMARY KEY, name text, embedding vector(512));
         SELECT pinterest_track('venues', text => 'name')",
    )?;
    for place in ["create_distributed_table('venues', 'id')", "create_reference_table('venues')"] {
        client.refused(&format!("SELECT {place}"), "XX000").says("because it has triggers");
    }
    client.batch_execute("INSERT INTO venues VALUES (1, 'a red barn')")?;
    client.until("SELECT count(embedding) FROM venues", 1_i64)
}

#[test]
fn the_documented_ways_around_fill_a_distributed_table() -> Result<()> {
    let Some(citus) = CitusWorld::start(quick_board("Beach", 0))? else { return Ok(()) };
    let mut client = citus.world.connect()?;
    client.batch_execute(
        "CREATE TABLE venues (id bigint PRIMARY KEY, description text, embedding vector(512));
         SELECT create_distributed_table('venues', 'id');
         INSERT INTO venues SELECT n, 'a red barn ' || n FROM generate_series(1, 4) AS n;
         INSERT INTO venues VALUES (5, NULL)",
    )?;
    let page = fs::read_to_string(checkout().join("docs/citus.md"))?;
    let (_, page) = page.split_once("## Tracked columns").context("docs/citus.md has no such heading")?;
    let (page, _) = page.split_once("\n## ").context("docs/citus.md has no heading after it")?;
    let sql = blocks(page).into_iter().filter(|(language, _)| *language == "sql");
    let ways: Vec<String> = sql.map(|(_, body)| body).collect();
    assert_eq!(ways.len(), 3, "{ways:#?}");
    let embedded = "SELECT count(*) FROM venues WHERE embedding IS NOT NULL";
    // Tracked on the coordinator, and copied.
    client.batch_execute(&ways[0])?;
    client.batch_execute("INSERT INTO venue_descriptions SELECT id, description FROM venues")?;
    client.until("SELECT count(*) FROM venue_descriptions WHERE embedding IS NOT NULL", 4_i64)?;
    client.batch_execute(&ways[1])?;
    assert_eq!(client.value::<i64>(embedded)?, 4);
    // By a job.
    client.batch_execute("UPDATE venues SET embedding = NULL")?;
    client.batch_execute(&ways[2])?;
    assert_eq!(client.value::<i64>(embedded)?, 4);
    Ok(())
}
