//! `pinterest_distribute()` and `pinterest_undistribute()`, and what runs between them.

use std::collections::BTreeSet;
use std::fs;

use anyhow::Context as _;
use e2e::checkout;
use e2e::cluster::SUPERUSER;

use crate::support::citus::CitusWorld;
use crate::support::doc_pages::blocks;
use crate::support::oauth::{doctor, generation, refreshes, until_status};
use crate::support::prelude::*;
use crate::support::worlds::queue_for;

/// One line for each property of each object of the extension.
const OBJECTS: &str = include_str!("../cluster/extension_objects.sql");

/// What the extension consists of, with the marks for pg_dump, and what Citus adds to its tables.
fn objects(client: &mut Client) -> Result<BTreeSet<String>> {
    let mut transaction = client.transaction()?;
    transaction.batch_execute("SET LOCAL search_path = pg_catalog")?;
    let mut lines: BTreeSet<String> = transaction.query(OBJECTS, &[])?.iter().map(|row| row.get(0)).collect();
    let more = transaction.query(
        "SELECT format('marked %s %s', c.oid::regclass, c.oid) FROM pg_extension e, unnest(e.extconfig) AS c(oid)
          WHERE e.extname = 'pg_pinterest'
          UNION ALL SELECT format('trigger of %s: %s', t.tgrelid::regclass, p.proname) FROM pg_trigger t
           JOIN pg_proc p ON p.oid = t.tgfoid WHERE p.proname ~ 'citus'
          UNION ALL SELECT format('%s depends on %s', pg_describe_object(d.classid, d.objid, 0), e.extname)
           FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
          WHERE e.extname = 'citus' AND d.deptype = 'n'",
        &[],
    )?;
    lines.extend(more.iter().map(|row| row.get::<_, String>(0)));
    transaction.rollback()?;
    Ok(lines)
}

/// The rows of the four tables, without those columns that change by themselves.
fn rows(client: &mut Client) -> Result<Vec<String>> {
    client.column(
        "SELECT to_jsonb(b)::text FROM pinterest.board b
          UNION ALL SELECT to_jsonb(s)::text FROM pinterest.board_section s
          UNION ALL SELECT to_jsonb(p)::text FROM pinterest.pin p
          UNION ALL SELECT to_jsonb(i)::text FROM pinterest.pin_image i ORDER BY 1",
    )
}

/// Rows of tables whose rows are on the coordinator itself, and of shards on all nodes.
fn places(citus: &CitusWorld, client: &mut Client) -> Result<(bool, Vec<i64>)> {
    let local = client.value("SELECT pg_relation_size('pinterest.pin_image') > 0")?;
    let shards = citus.nodes.iter().map(|node| {
        let mut node = node.connect()?;
        // Otherwise Citus hides shards from clients.
        node.batch_execute("SET citus.override_table_visibility = off")?;
        node.value("SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname ~ '^(board|board_section|pin|pin_image)_\\d+$'")
    });
    Ok((local, shards.collect::<Result<_>>()?))
}

const TEN_VENUES: &str = "CREATE TABLE venues (id bigint PRIMARY KEY, embedding vector(512));
    INSERT INTO venues SELECT n, pinterest_embed_text('venue ' || n) FROM generate_series(1, 10) AS n";

#[test]
fn boards_and_pins_are_distributed_with_their_rows_and_come_back() -> Result<()> {
    let config = quick_board("Beach", 6);
    let accounts = config.accounts.iter().cloned().map(|account| account.board(beach_board("Barn", 3))).collect();
    let Some(citus) = CitusWorld::start(Config { accounts, ..config })? else { return Ok(()) };
    let mut client = citus.world.connect()?;
    let account: i64 = client.value("SELECT account_id FROM pinterest.account")?;
    import(&mut client, "Beach")?;
    client.batch_execute(TEN_VENUES)?;
    let recommend = "SELECT key FROM pinterest_recommend('Beach', 'venues', 5) ORDER BY rank";
    let recommended: Vec<String> = client.column(recommend)?;
    let export = "SELECT (pinterest_export($1, vectors => true)::jsonb - 'exported_at')::text";
    let exported: String = client.value_with(export, &[&account])?;
    let (catalog, stored) = (objects(&mut client)?, rows(&mut client)?);
    assert_eq!(places(&citus, &mut client)?, (true, vec![0, 0]));

    // Nothing is changed before every node admits the role.
    client.refused("SELECT pinterest_undistribute()", "55000").says("not distributed");
    client
        .refused("SELECT pinterest_distribute()", "55000")
        .says("cannot connect to node")
        .hints("run_command_on_all_nodes('ALTER ROLE pinterest_worker LOGIN')");
    assert_eq!(objects(&mut client)?, catalog);
    citus.admit_worker(&mut client)?;
    client.refused("BEGIN READ ONLY; SELECT pinterest_distribute()", "25006");
    client.batch_execute("ROLLBACK")?;
    client
        .refused("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pinterest_distribute()", "55000")
        .says("read committed");
    client.batch_execute("ROLLBACK")?;
    client.refused("SELECT pinterest_distribute(0)", "22023").says("shards must be from 1");
    client.batch_execute("SELECT pinterest_distribute(8)")?;
    client.refused("SELECT pinterest_distribute()", "55000").says("distributed already");
    assert_eq!(rows(&mut client)?, stored);
    assert_eq!(client.value_with::<String>(export, &[&account])?, exported);
    let (local, shards) = places(&citus, &mut client)?;
    assert!(!local, "rows were left on the coordinator");
    assert_eq!(shards, [16, 16], "eight shards of four tables on two nodes");
    let (status, words) = doctor(&mut client, "citus")?;
    assert_eq!(status, "ok", "{words}");
    assert!(words.contains("boards and pins are in 8 shards on 2 nodes"), "{words}");
    let (status, words) = doctor(&mut client, "worker role")?;
    assert_eq!(status, "ok", "{words}");

    // Everything works there.
    assert_eq!(import(&mut client, "Beach")?.total, 6);
    let report = imported(&mut client, "'Beach'")?;
    assert_eq!(report.coverage, "unchanged", "{report:?}");
    let closed = citus.world.sandbox.faults().add(Rule::on(Kind::Image, Fault::CdnForbidden));
    let failed = queue_board(&mut client, "Barn")?;
    let failed = complete(&mut client, failed)?;
    assert_eq!((failed.total, failed.failed), (3, 3), "{failed:?}");
    citus.world.sandbox.faults().remove(closed);
    let last: i64 = client.value("SELECT max(import_id) FROM pinterest.imports")?;
    assert_eq!(client.value_with::<i64>("SELECT pinterest_retry_failed($1)", &[&last])?, 3);
    complete(&mut client, last)?;
    assert_eq!(client.column::<String>(recommend)?, recommended);
    let themes: i64 = client.value("SELECT count(*) FROM pinterest_board_themes('Barn')")?;
    assert!(themes > 0);
    assert_eq!(
        client.value::<i64>("SELECT count(*) FROM pinterest_pins_like(pinterest_board_embedding('Barn'), 20)")?,
        9
    );
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest_boards_like('Barn')")?, 1);
    let pins: i64 = client.value_with(
        "SELECT sum(json_array_length(b -> 'pins')) FROM json_array_elements(pinterest_export($1) -> 'boards') AS b",
        &[&account],
    )?;
    assert_eq!(pins, 9);
    let purged: i64 = client.value("SELECT pins FROM pinterest_purge_board('Barn')")?;
    assert_eq!(purged, 3);
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.pin_image")?, 6);

    // And back.
    let stored = rows(&mut client)?;
    client.batch_execute("SELECT pinterest_undistribute()")?;
    assert_eq!(rows(&mut client)?, stored);
    let (before, after) = (catalog, objects(&mut client)?);
    let differences: Vec<_> = before.symmetric_difference(&after).collect();
    assert!(differences.is_empty(), "{differences:#?}");
    assert_eq!(places(&citus, &mut client)?, (true, vec![0, 0]));
    assert_eq!(import(&mut client, "Barn")?.embedded, 3);
    assert_eq!(client.column::<String>(recommend)?, recommended);
    // A second time, and the account with everything.
    client.batch_execute("SELECT pinterest_distribute()")?;
    let erased: i64 = client.value_with("SELECT pins FROM pinterest_disconnect($1, purge => true)", &[&account])?;
    assert_eq!(erased, 9);
    assert!(rows(&mut client)?.is_empty());
    Ok(())
}

#[test]
fn a_role_sees_its_own_rows_on_every_node() -> Result<()> {
    let Some(citus) = CitusWorld::start(quick_board("Beach", 4))? else { return Ok(()) };
    let mut client = citus.world.connect()?;
    client.batch_execute("CREATE ROLE amy LOGIN; CREATE ROLE ben LOGIN; SELECT pinterest_grant('amy')")?;
    let mut amy = citus.world.cluster.connect_as("amy")?;
    citus.world.register_app(&mut amy, "sandbox")?;
    citus.world.connect_account(&mut amy)?;
    import(&mut amy, "Beach")?;
    citus.admit_worker(&mut client)?;
    client.batch_execute("SELECT pinterest_distribute()")?;
    // Before and after the tables were distributed.
    client.batch_execute("SELECT pinterest_grant('ben', 'reader')")?;
    let tables = ["board", "board_section", "pin", "pin_image"];
    let count = |table: &str| format!("SELECT count(*) FROM pinterest.{table}");
    for cluster in citus.nodes.iter().chain([&citus.world.cluster]) {
        let (mut amy, mut ben) = (cluster.connect_as("amy")?, cluster.connect_as("ben")?);
        for table in tables {
            let own = if table == "board_section" {
                0
            } else if table == "board" {
                1
            } else {
                4
            };
            assert_eq!(amy.value::<i64>(&count(table))?, own, "{table}");
            assert_eq!(ben.value::<i64>(&count(table))?, 0, "{table}");
        }
    }
    assert_eq!(amy.value::<i64>("SELECT count(*) FROM pinterest_pins_like(pinterest_board_embedding('Beach'))")?, 4);
    // The shards themselves.
    let mut found = 0;
    for node in &citus.nodes {
        let (mut amy, mut ben) = (node.connect_as("amy")?, node.connect_as("ben")?);
        let mut superuser = node.connect()?;
        superuser.batch_execute("SET citus.override_table_visibility = off")?;
        let shards: Vec<String> = superuser.column(
            "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind = 'r' AND c.relname ~ '^pin_image_\\d+$'
                AND c.relnamespace = 'pinterest'::regnamespace",
        )?;
        assert_eq!(shards.len(), 2, "{shards:?}");
        for shard in shards {
            found += amy.value::<i64>(&format!("SELECT count(*) FROM {shard}"))?;
            assert_eq!(ben.value::<i64>(&format!("SELECT count(*) FROM {shard}"))?, 0);
            amy.refused(&format!("DELETE FROM {shard}"), "42501");
        }
        amy.refused("SELECT * FROM pinterest.token", "42501");
    }
    assert_eq!(found, 4);
    // Another owner sees them then.
    client.batch_execute("SELECT * FROM pinterest_reassign('amy', 'ben')")?;
    for cluster in citus.nodes.iter().chain([&citus.world.cluster]) {
        assert_eq!(cluster.connect_as("amy")?.value::<i64>(&count("pin_image"))?, 0);
        assert_eq!(cluster.connect_as("ben")?.value::<i64>(&count("pin_image"))?, 4);
    }
    // On a node that is added they have the level again, before it has shards.
    let added = citus.node()?;
    citus.add(&mut client, &added)?;
    let page = fs::read_to_string(checkout().join("docs/citus.md"))?;
    let (_, page) = page.split_once("### Adding a node").context("docs/citus.md has no such heading")?;
    let sql = blocks(page).into_iter().find(|(language, body)| *language == "sql" && body.contains("pinterest_grant"));
    client.batch_execute(&sql.context("docs/citus.md grants nothing")?.1)?;
    for node in &citus.nodes {
        let (host, port) = (node.socket_directory().display().to_string(), i32::from(node.port()));
        client.execute("SELECT citus_drain_node($1, $2, 'block_writes')", &[&host, &port])?;
    }
    for cluster in [&added, &citus.world.cluster] {
        assert_eq!(cluster.connect_as("amy")?.value::<i64>(&count("pin_image"))?, 0);
        assert_eq!(cluster.connect_as("ben")?.value::<i64>(&count("pin_image"))?, 4);
    }
    // Who has lost the level reads nothing on any node.
    client.batch_execute("SELECT pinterest_revoke('ben')")?;
    for cluster in citus.nodes.iter().chain([&citus.world.cluster]) {
        cluster.connect_as("ben")?.refused(&count("pin"), "42501");
    }
    added.connect_as("ben")?.refused(&count("pin"), "42501");
    Ok(())
}

#[test]
fn other_nodes_refresh_no_token() -> Result<()> {
    let Some(citus) = CitusWorld::start(quick_board("Beach", 3))? else { return Ok(()) };
    let mut client = citus.world.connect()?;
    let account: i64 = client.value("SELECT account_id FROM pinterest.account")?;
    import(&mut client, "Beach")?;
    citus.admit_worker(&mut client)?;
    client.batch_execute("SELECT pinterest_distribute()")?;
    let synced: i64 = client.value("SELECT count(*) FROM pg_dist_node WHERE groupid > 0 AND metadatasynced")?;
    assert_eq!(synced, 2);
    let (before, asked) = (generation(&mut client, account)?, refreshes(&citus.world));
    // The coordinator does not act either.
    client.batch_execute("SELECT pinterest_pause_workers()")?;
    client.batch_execute("UPDATE pinterest.token SET refresh_after = now() - interval '1 day'")?;
    let idle = "idle: pg_pinterest works on the coordinator of a Citus cluster";
    for node in &citus.nodes {
        let seen = node.log()?.matches(idle).count();
        node.reload()?;
        until("a worker to look at this node", || Ok(node.log()?.matches(idle).count() > seen))?;
        assert_eq!(node.connect()?.value::<i64>("SELECT count(*) FROM pinterest.pin")?, 3);
    }
    assert_eq!(refreshes(&citus.world), asked);
    client.batch_execute("SELECT pinterest_resume_workers()")?;
    until("the coordinator to refresh", || Ok(generation(&mut client, account)? != before))?;
    until_status(&mut client, account, "connected")?;
    assert_eq!(refreshes(&citus.world), asked + 1);
    Ok(())
}

#[test]
fn imports_go_on_while_tables_are_distributed_and_shards_move() -> Result<()> {
    let config = quick_board("Beach", 0);
    let person = |number: usize| {
        let boards = ["Beach", "Barn"].map(|board| beach_board(board, 12));
        boards.into_iter().fold(AccountSpec::new(format!("person_{number}")), AccountSpec::board)
    };
    let accounts = config.accounts.iter().cloned().chain((1..=6).map(person)).collect();
    let Some(citus) = CitusWorld::start(Config { accounts, ..config })? else { return Ok(()) };
    let mut client = citus.world.connect()?;
    let mut connected = Vec::new();
    for number in 1..=6 {
        citus.world.sandbox.sign_in(&format!("person_{number}"))?;
        connected.push(citus.world.connect_account(&mut client)?);
    }
    citus.admit_worker(&mut client)?;
    let queue_all = |client: &mut Client, board: &str| -> Result<Vec<i64>> {
        connected.iter().map(|&account| queue_for(client, account, board)).collect()
    };
    let embedded = "SELECT count(*) FROM pinterest.pin_image WHERE state = 'embedded'";

    // In the middle of imports the tables are distributed, and a node is added and takes its part of the shards.
    hold_pictures_after(&citus.world, 10);
    let imports = queue_all(&mut client, "Beach")?;
    client.until(embedded, 10_i64)?;
    client.batch_execute("SELECT pinterest_distribute(6)")?;
    let added = citus.node()?;
    citus.add(&mut client, &added)?;
    citus.world.connect()?.batch_execute("SELECT rebalance_table_shards(shard_transfer_mode => 'block_writes')")?;
    let (host, port) = (added.socket_directory().display().to_string(), i32::from(added.port()));
    let shards = "SELECT count(*) FROM pg_dist_shard_placement WHERE nodeport = $1";
    assert_eq!(client.value_with::<i64>(shards, &[&port])?, 8, "two shards of four tables");
    citus.world.sandbox.faults().release(GATE);
    for import in imports {
        assert_eq!(complete(&mut client, import)?.total, 12);
    }
    assert_eq!(client.value::<i64>(embedded)?, 72);

    // In the middle of others its shards move away by logical replication, and the tables become local.
    citus.world.sandbox.faults().add(Rule::on(Kind::Image, Fault::Hold { gate: "others".into() }).skip(10));
    let imports = queue_all(&mut client, "Barn")?;
    client.until(embedded, 82_i64)?;
    citus.world.connect()?.execute("SELECT citus_drain_node($1, $2, 'force_logical')", &[&host, &port])?;
    assert_eq!(client.value_with::<i64>(shards, &[&port])?, 0);
    client.batch_execute("SELECT pinterest_undistribute()")?;
    citus.world.sandbox.faults().release("others");
    for import in imports {
        assert_eq!(complete(&mut client, import)?.total, 12);
    }
    assert_eq!(client.value::<i64>(embedded)?, 144);
    Ok(())
}

#[test]
fn a_dump_of_distributed_tables_is_restored_as_local_tables() -> Result<()> {
    let Some(citus) = CitusWorld::start(quick_board("Beach", 4))? else { return Ok(()) };
    let mut client = citus.world.connect()?;
    import(&mut client, "Beach")?;
    citus.admit_worker(&mut client)?;
    client.batch_execute("SELECT pinterest_distribute()")?;
    let stored = rows(&mut client)?;
    let dump = citus.world.cluster.directory().join("dump.sql");
    let written = citus
        .world
        .cluster
        .program("pg_dump")?
        .args([
            "--extension=pg_pinterest",
            "--extension=vector",
            "--dbname=postgres",
            "--username",
            SUPERUSER,
            "--file",
        ])
        .arg(&dump)
        .output()?;
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    client.batch_execute("CREATE DATABASE copy")?;
    let restored = citus
        .world
        .cluster
        .program("psql")?
        .args(["--quiet", "--set=ON_ERROR_STOP=1", "--dbname=copy", "--username", SUPERUSER, "--file"])
        .arg(&dump)
        .output()?;
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    assert_eq!(rows(&mut citus.world.cluster.connect_to(SUPERUSER, "copy")?)?, stored);
    Ok(())
}

#[test]
fn dropping_the_extension_drops_the_shards() -> Result<()> {
    let Some(citus) = CitusWorld::start(quick_board("Beach", 4))? else { return Ok(()) };
    let mut client = citus.world.connect()?;
    import(&mut client, "Beach")?;
    citus.admit_worker(&mut client)?;
    client.batch_execute("SELECT pinterest_distribute()")?;
    assert_eq!(places(&citus, &mut client)?.1, [8, 8]);
    client.batch_execute("DROP EXTENSION pg_pinterest")?;
    for node in &citus.nodes {
        let mut node = node.connect()?;
        node.batch_execute("SET citus.override_table_visibility = off")?;
        assert_eq!(node.value::<i64>("SELECT count(*) FROM pg_class WHERE relname ~ '^(board|pin)'")?, 0);
    }
    // The role that may log in is no obstacle, unless it has a password.
    client.batch_execute("CREATE EXTENSION pg_pinterest")?;
    let (status, words) = doctor(&mut client, "worker role")?;
    assert!(status == "ok" && words.contains("nodes of Citus"), "{status}: {words}");
    client.batch_execute("ALTER ROLE pinterest_worker PASSWORD 'known'")?;
    let (status, words) = doctor(&mut client, "worker role")?;
    assert!(status == "problem" && words.contains("it has a password"), "{status}: {words}");
    client.batch_execute("DROP EXTENSION pg_pinterest")?;
    client.refused("CREATE EXTENSION pg_pinterest", "55000").says("has attributes").hints("PASSWORD NULL");
    Ok(())
}
