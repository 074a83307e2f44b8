//! What the exporters' role may see.

use anyhow::Context;

use super::files::shipped;
use super::prometheus::ROLE;
use crate::support::prelude::*;

/// The queries of sql_exporter.yml.
fn queries() -> Result<Vec<String>> {
    let text = shipped("sql_exporter.yml")?;
    let queries: Vec<String> = text
        .split("        query: |\n")
        .skip(1)
        .map(|rest| rest.lines().take_while(|line| line.starts_with("          ")).collect::<Vec<_>>().join("\n"))
        .collect();
    assert!(queries.len() > 5 && queries.iter().all(|query| query.contains("SELECT")), "{queries:?}");
    Ok(queries)
}

#[test]
fn pg_monitor_is_all_that_the_exporters_need() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 1)?.with_session()?;
    import(&mut client, "Beach")?;
    world.cluster.create_role(ROLE)?;
    let mut exporter = world.cluster.connect_as(ROLE)?;
    for query in queries()? {
        exporter.refused(&query, "42501");
    }
    client.batch_execute(&format!("GRANT pg_monitor TO {ROLE}"))?;
    let user: String = client.value("SELECT username FROM pinterest.accounts")?;
    for query in queries()? {
        let rows: Vec<String> = exporter.column(&format!("SELECT q::text FROM ({query}) AS q"))?;
        assert!(rows.iter().all(|row| !row.contains(&user) && !row.contains("Beach")), "{rows:?}");
    }
    assert_eq!(exporter.value::<i64>("SELECT completed FROM pinterest.stat_imports")?, 1);
    for table in ["account", "token", "import", "pin", "board", "app"] {
        exporter.refused(&format!("SELECT * FROM pinterest.{table}"), "42501");
    }
    exporter.refused("SELECT pinterest_pause_workers()", "42501");
    exporter.refused("SELECT pinterest_stat_reset()", "42501");
    Ok(())
}

/// A database or column without a place has NULL in all counters. sql_exporter leaves a row with NULL out.
#[test]
fn counters_that_are_not_kept_hide_no_row() -> Result<()> {
    let (_world, mut client) = quick_world("Beach", 1)?.with_session()?;
    // Numbers of now, and what names a row, are never NULL.
    let known = [
        "source",
        "host",
        "status_class",
        "tracked_column_id",
        "embedding_column",
        "pending",
        "failed_rows",
        "workers",
    ];
    let known = known.iter().map(|column| format!("\"{column}\": \"1\"")).collect::<Vec<_>>().join(", ");
    let now = "imports_queued|imports_running|imports_waiting|accounts_connected|accounts_needs_reauth|\
               accounts_uncertain|tracking_workers|slots|slots_used";
    let now = now.split('|').map(|column| format!("\"{column}\": 1")).collect::<Vec<_>>().join(", ");
    for query in queries()? {
        let (select, view) = query.split_once("FROM pinterest.").context("no view")?;
        let view = view.trim();
        if view == "stat_embedders" {
            // It has rows of running embedders only, which count.
            continue;
        }
        let empty = format!("{select} FROM jsonb_populate_record(NULL::pinterest.{view}, '{{{known}, {now}}}')");
        let nulls = format!("SELECT e.key FROM ({empty}) AS q, jsonb_each(to_jsonb(q)) AS e WHERE e.value = 'null'");
        assert_eq!(client.column::<String>(&nulls)?, Vec::<String>::new(), "{view}");
    }
    Ok(())
}

#[test]
fn empty_statistics_are_read_without_an_error() -> Result<()> {
    let world = World::builder().sandbox(quick_board("Beach", 1)).connected(false).start()?;
    let mut client = world.connect()?;
    client.batch_execute("CREATE EXTENSION pg_pinterest CASCADE")?;
    for query in queries()? {
        let nulls = format!("SELECT count(*) FROM ({query}) AS q, jsonb_each(to_jsonb(q)) AS e WHERE e.value = 'null'");
        assert_eq!(client.value::<i64>(&nulls)?, 0, "sql_exporter logs an error for NULL: {query}");
    }
    Ok(())
}
