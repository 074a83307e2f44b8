//! Searches of distributed tables.

use std::fs;

use anyhow::Context as _;
use e2e::checkout;

use crate::support::citus::CitusWorld;
use crate::support::doc_pages::blocks;
use crate::support::prelude::*;

/// Rows of each table: more than the default of hnsw.ef_search in every shard.
const ROWS: i32 = 600;

/// The tables, by their placement.
const TABLES: [(&str, &str); 5] = [
    ("local_venues", ""),
    ("distributed_venues", "SELECT create_distributed_table('distributed_venues', 'id')"),
    ("single_shard_venues", "SELECT create_distributed_table('single_shard_venues', NULL)"),
    ("reference_venues", "SELECT create_reference_table('reference_venues')"),
    ("managed_venues", "SELECT citus_add_local_table_to_metadata('managed_venues')"),
];

/// A cluster with an imported board and the same random rows in all tables, whose searches use the index.
fn start() -> Result<Option<(CitusWorld, Client)>> {
    let Some(citus) = CitusWorld::start(quick_board("Beach", 4))? else { return Ok(None) };
    let mut client = citus.world.connect()?;
    import(&mut client, "Beach")?;
    for (table, placed) in TABLES {
        client.batch_execute(&format!(
            "CREATE TABLE {table} (id bigint PRIMARY KEY, embedding vector(512));
             CREATE INDEX ON {table} USING hnsw (embedding vector_cosine_ops)",
        ))?;
        client.batch_execute(placed)?;
        client.batch_execute(&format!(
            "SELECT setseed(0.5);
             INSERT INTO {table} SELECT venue, (SELECT array_agg(random() - 0.5) FROM generate_series(1, 512)
                  WHERE venue > 0)::vector FROM generate_series(1, {ROWS}) AS venue",
        ))?;
    }
    for node in citus.nodes.iter().chain([&citus.world.cluster]) {
        node.change("enable_seqscan", "off")?;
    }
    // The connections of this session to the nodes have the settings of before.
    let client = citus.world.connect()?;
    Ok(Some((citus, client)))
}

const RECOMMEND: &str = "SELECT count(*) FROM pinterest_recommend('Beach', $1::text::regclass, 200, 0)";

#[test]
fn a_recommendation_gets_as_many_rows_of_shards_as_of_a_local_table() -> Result<()> {
    let Some((citus, mut client)) = start()? else { return Ok(()) };
    for (table, _) in TABLES {
        assert_eq!(client.value_with::<i64>(RECOMMEND, &[&table])?, 200, "{table}, a statement of its own");
        let mut block = client.transaction()?;
        assert_eq!(block.value_with::<i64>(RECOMMEND, &[&table])?, 200, "{table}, in a transaction block");
        block.rollback()?;
    }
    // Without the settings a shard returns 40 rows.
    let board: String = client.value("SELECT pinterest_board_embedding('Beach')::text")?;
    let own = &format!(
        "SELECT count(*) FROM (SELECT id FROM single_shard_venues ORDER BY embedding <=> '{board}' LIMIT 200) AS found"
    );
    assert_eq!(client.value::<i64>(own)?, 40);
    // Nor does a search leave them to later statements of its transaction.
    let mut block = client.transaction()?;
    assert_eq!(block.value_with::<i64>(RECOMMEND, &[&"single_shard_venues"])?, 200);
    assert_eq!(block.value::<i64>(own)?, 40);
    block.rollback()?;
    assert_eq!(client.value_with::<i64>(RECOMMEND, &[&"single_shard_venues"])?, 200);
    assert_eq!(client.value::<i64>(own)?, 40);
    // Those that the caller has sent to the nodes come back.
    let mut block = client.transaction()?;
    block.batch_execute("SET LOCAL citus.propagate_set_commands TO local; SET LOCAL hnsw.ef_search TO 90")?;
    assert_eq!(block.value::<i64>(own)?, 90);
    assert_eq!(block.value_with::<i64>(RECOMMEND, &[&"single_shard_venues"])?, 200);
    assert_eq!(block.value::<i64>(own)?, 90);
    block.rollback()?;
    // The default of a database is set on all nodes.
    client.batch_execute("ALTER DATABASE postgres SET hnsw.ef_search = 150")?;
    assert_eq!(citus.world.connect()?.value::<i64>(own)?, 150);
    Ok(())
}

#[test]
fn the_same_rows_are_recommended_wherever_they_are() -> Result<()> {
    let Some((_citus, mut client)) = start()? else { return Ok(()) };
    let keys = "SELECT key FROM pinterest_recommend('Beach', $1::text::regclass, 20) ORDER BY rank";
    let local: Vec<String> = client.column_with(keys, &[&"local_venues"])?;
    assert_eq!(local.len(), 20);
    for (table, _) in TABLES {
        assert_eq!(client.column_with::<String>(keys, &[&table])?, local, "{table}");
    }
    client.batch_execute("CREATE VIEW shown_venues AS SELECT id, embedding FROM distributed_venues WHERE id > 0")?;
    let of_view = keys.replace(", 20)", ", 20, key => 'id')");
    assert_eq!(client.column_with::<String>(&of_view, &[&"shown_venues"])?, local);
    // A plan without the values of parameters, which Citus cannot make.
    client.batch_execute("SET plan_cache_mode = force_generic_plan")?;
    assert_eq!(client.column_with::<String>(keys, &[&"distributed_venues"])?, local);
    Ok(())
}

#[test]
fn a_search_of_shards_leaves_no_transaction_open() -> Result<()> {
    let Some((citus, mut client)) = start()? else { return Ok(()) };
    client
        .batch_execute("CREATE VIEW broken AS SELECT id, embedding FROM distributed_venues WHERE 1 / (id - 1) > -1")?;
    let recommend = "SELECT count(*) FROM pinterest_recommend('Beach', 'broken', 10, key => 'id')";
    client.refused(recommend, "22012");
    // Neither a failed search nor another one leaves a transaction open.
    for recommend in [recommend, RECOMMEND] {
        assert_eq!(recommend == RECOMMEND, client.query(recommend, &[&"distributed_venues"]).is_ok());
        let pid: i32 = client.value("SELECT pg_backend_pid()")?;
        let state = "SELECT state FROM pg_stat_activity WHERE pid = $1";
        assert_eq!(citus.world.connect()?.value_with::<String>(state, &[&pid])?, "idle");
        for node in &citus.nodes {
            let open = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'";
            assert_eq!(node.connect()?.value::<i64>(open)?, 0);
        }
    }
    // Both within one statement, where the failure is caught.
    client.batch_execute(
        "DO $$ BEGIN
             BEGIN
                 PERFORM FROM pinterest_recommend('Beach', 'broken', 10, key => 'id');
                 RAISE 'not refused';
             EXCEPTION WHEN division_by_zero THEN NULL;
             END;
             ASSERT (SELECT count(*) FROM pinterest_recommend('Beach', 'single_shard_venues', 200, 0)) = 200;
             BEGIN
                 ASSERT (SELECT count(*) FROM pinterest_recommend('Beach', 'single_shard_venues', 200, 0)) = 200;
             EXCEPTION WHEN division_by_zero THEN NULL;
             END;
         END $$",
    )?;
    Ok(())
}

#[test]
fn the_documented_ordering_uses_the_indexes_of_the_shards() -> Result<()> {
    let Some((_citus, mut client)) = start()? else { return Ok(()) };
    let order =
        "SELECT id FROM distributed_venues ORDER BY embedding <=> (SELECT pinterest_board_embedding('Beach')) LIMIT 10";
    let plan: Vec<String> = client.column(&format!("EXPLAIN (ANALYZE, COSTS off, TIMING off) {order}"))?;
    assert!(plan.iter().any(|line| line.contains("Index Scan using distributed_venues_embedding_idx")), "{plan:#?}");
    let found: Vec<i64> = client.column(order)?;
    let mut exact = client.transaction()?;
    exact.batch_execute("SET LOCAL enable_indexscan = off")?;
    let nearest: Vec<i64> = exact.column(&order.replace("distributed_venues", "local_venues"))?;
    exact.rollback()?;
    assert!(found.iter().filter(|id| nearest.contains(id)).count() >= 8, "{found:?} of {nearest:?}");
    // The embedding as a value fits every table.
    let value = fs::read_to_string(checkout().join("docs/citus.md"))?;
    let (value, _) = value.split_once("## Tracked columns").context("docs/citus.md has no such heading")?;
    let sql = blocks(value).into_iter().filter(|(language, _)| *language == "sql").map(|(_, body)| body);
    let function =
        sql.into_iter().find(|body| body.contains("plpgsql")).context("docs/citus.md has no such function")?;
    for (table, _) in TABLES {
        client.batch_execute(&format!(
            "CREATE VIEW venues AS SELECT id AS name, embedding FROM {table}; {}",
            function.replace("Barn wedding", "Beach").replace("SETOF text", "SETOF bigint"),
        ))?;
        let found: Vec<i64> = client.column("SELECT venues_by_board('Beach')")?;
        assert!(found.iter().filter(|id| nearest.contains(id)).count() >= 8, "{table}: {found:?} of {nearest:?}");
        client.batch_execute("DROP FUNCTION venues_by_board; DROP VIEW venues")?;
    }
    // A plain call runs on the nodes, which have no boards, and so does a query of a single shard with all its parts.
    for query in [
        &order.replace("(SELECT pinterest_board_embedding('Beach'))", "pinterest_board_embedding('Beach')"),
        &order.replace("distributed_venues", "single_shard_venues"),
    ] {
        client.refused(query, "55000").says("coordinator").hints("as a parameter");
    }
    Ok(())
}
