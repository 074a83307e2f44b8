//! What the exporters' role may see.

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
