//! The statements of imports, searches and housekeeping with boards, sections, pins and images distributed by account.

use crate::support::citus::CitusWorld;
use crate::support::oauth::restart_worker;
use crate::support::prelude::*;

const PINS: i64 = 30;

/// A cluster whose account belongs to `ann`; sessions of a superuser, of `ann`, and of `ben`, who has no account.
fn start(config: Config) -> Result<Option<(CitusWorld, Client, [Client; 2])>> {
    let Some(citus) = CitusWorld::of_nodes(config)? else { return Ok(None) };
    let mut client = citus.world.connect()?;
    client.batch_execute("CREATE EXTENSION pg_pinterest CASCADE")?;
    citus.admit_worker(&mut client)?;
    client.batch_execute("SELECT pinterest_distribute()")?;
    // Images of other accounts are in other shards; what looks for them must not fail.
    client.batch_execute("ALTER SYSTEM SET pinterest.reuse_across_accounts = on")?;
    client.batch_execute("SELECT pg_reload_conf()")?;
    for role in ["ann", "ben"] {
        citus.world.cluster.create_role(role)?;
        client.execute("SELECT pinterest_grant($1)", &[&role])?;
    }
    let mut ann = citus.world.cluster.connect_as("ann")?;
    let ben = citus.world.cluster.connect_as("ben")?;
    citus.world.register_app(&mut ann, "sandbox")?;
    citus.world.connect_account(&mut ann)?;
    Ok(Some((citus, client, [ann, ben])))
}

fn count(client: &mut Client, table: &str) -> Result<i64> {
    client.value(&format!("SELECT count(*) FROM pinterest.{table}"))
}

/// A restart of the worker, so that it does all of its duties.
fn a_round(citus: &CitusWorld, client: &mut Client) -> Result<()> {
    restart_worker(&citus.world, client)
}

/// Statements that Citus refused, of the logs of all nodes.
fn refused(citus: &CitusWorld) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for cluster in citus.nodes.iter().chain([&citus.world.cluster]) {
        let log = cluster.log()?;
        let wrong =
            ["not supported", "STABLE functions", "VOLATILE", "could not determine", "distributed", "postponed"];
        let lines = log.lines().filter(|line| line.contains("ERROR") || line.contains("pg_pinterest:"));
        found.extend(lines.filter(|line| wrong.iter().any(|words| line.contains(words))).map(str::to_owned));
    }
    Ok(found)
}

#[test]
fn a_board_is_imported_searched_exported_and_purged() -> Result<()> {
    let Some((citus, mut client, [mut ann, mut ben])) = start(quick_board("Beach", PINS as u64))? else {
        return Ok(());
    };
    let nodes: i64 = client.value(
        "SELECT count(DISTINCT p.groupid) FROM pg_dist_placement p JOIN pg_dist_shard s USING (shardid)
          WHERE s.logicalrelid = 'pinterest.pin'::regclass",
    )?;
    assert_eq!(nodes, 2, "nodes with shards");
    assert_eq!(ann.query("SELECT * FROM pinterest_list_boards()", &[])?.len(), 1);

    // Images that cannot be downloaded fail, and are tried again on request.
    let closed = citus.world.sandbox.faults().add(Rule::on(Kind::Image, Fault::CdnForbidden));
    let first = queue_board(&mut ann, "Beach")?;
    let row = complete(&mut ann, first)?;
    assert_eq!(i64::from(row.failed), PINS, "{row:?}");
    citus.world.sandbox.faults().remove(closed);
    assert_eq!(ann.value_with::<i64>("SELECT pinterest_retry_failed($1)", &[&first])?, PINS);
    let row = complete(&mut ann, first)?;
    assert_eq!((i64::from(row.embedded + row.reused), row.failed), (PINS, 0), "{row:?}");

    // The board has not changed; then pins are added and one is removed.
    assert_eq!(imported(&mut ann, "'Beach'")?.coverage, "unchanged");
    let board = citus.world.sandbox.board_id("Beach")?;
    citus.world.sandbox.add_pins(&board, 3)?;
    let gone: String = ann.value("SELECT min(pin_id) FROM pinterest.pin")?;
    citus.world.sandbox.remove_pin(&gone)?;
    assert_eq!(imported(&mut ann, "'Beach', keep_images => 'originals'")?.coverage, "whole");
    assert_eq!(ann.value::<i64>("SELECT count(*) FROM pinterest.pin WHERE removed_at IS NULL")?, PINS + 2);
    let thumbnails = ann.value::<i64>("SELECT count(*) FROM pinterest.pin_image WHERE thumbnail IS NOT NULL")?;
    assert!(thumbnails >= PINS, "{thumbnails}");

    // Only the owner sees the rows; the shards have the same policies.
    for table in ["board", "pin", "pin_image", "imports", "accounts", "import_report"] {
        assert_ne!(count(&mut ann, table)?, 0, "{table}");
        assert_eq!(count(&mut ben, table)?, 0, "{table}");
    }
    assert_eq!(ann.value::<i64>("SELECT sum(images)::int8 FROM pinterest.models")?, PINS + 3);
    assert_eq!(ben.value::<i64>("SELECT sum(images)::int8 FROM pinterest.models")?, 0);
    ann.refused("UPDATE pinterest.pin SET title = 'x'", "42501");

    // Searches.
    client.batch_execute(
        "CREATE TABLE venues (id bigint PRIMARY KEY, embedding vector(512)); GRANT SELECT ON venues TO PUBLIC;
         INSERT INTO venues SELECT n, (SELECT array_agg(random() - 0.5) FROM generate_series(1, 512) WHERE n > 0)::vector
             FROM generate_series(1, 50) n",
    )?;
    for (call, rows) in [
        ("pinterest_recommend('Beach', 'venues', explain => true, all_themes => true)", 10),
        ("pinterest_pins_like(pinterest_board_embedding('Beach'), 5)", 5),
        ("pinterest_pins_like(pinterest_board_embedding('Beach'), 5, 'Beach')", 5),
        ("pinterest_board_themes('Beach', 2)", 2),
        ("pinterest_gallery('Beach')", 1),
        ("pinterest_duplicates('Beach', 0)", 0),
        ("pinterest_boards_like('Beach')", 0),
    ] {
        let found = ann.query(&format!("SELECT * FROM {call}"), &[])?.len();
        assert!(rows == 0 || found == rows, "{call}: {found} rows");
    }
    let export: serde_json::Value = serde_json::from_str(&ann.value::<String>("SELECT pinterest_export()::text")?)?;
    let pins = export["boards"][0]["pins"].as_array().map_or(0, Vec::len);
    assert_eq!(pins as i64, PINS + 3, "pins in the export");
    assert!(export["boards"][0]["pins"][0]["images"][0]["model"].is_string());
    client.query("SELECT * FROM pinterest.stat_imports, pinterest.stat_images", &[])?;
    client.query("SELECT * FROM pinterest_doctor()", &[])?;

    let purged = ann.query_one("SELECT pins, images FROM pinterest_purge_board('Beach')", &[])?;
    assert_eq!((purged.get::<_, i64>(0), purged.get::<_, i64>(1)), (PINS + 3, PINS + 3));
    assert_eq!(count(&mut client, "pin_image")?, 0);
    assert_eq!(refused(&citus)?, Vec::<String>::new());
    Ok(())
}

#[test]
fn housekeeping_reaches_all_shards() -> Result<()> {
    let Some((citus, mut client, [mut ann, mut ben])) = start(quick_board("Beach", PINS as u64))? else {
        return Ok(());
    };
    imported(&mut ann, "'Beach', sync_every => '1 day'")?;
    // A sync.
    client.batch_execute("UPDATE pinterest.board SET next_sync_at = '2026-01-01'")?;
    a_round(&citus, &mut client)?;
    client.until(
        "SELECT count(*) FROM pinterest.import WHERE board_reference = board_id AND state = 'completed'",
        1_i64,
    )?;
    assert!(ann.value::<bool>("SELECT next_sync_at > now() FROM pinterest.board")?);

    // A new model embeds the images again.
    client.batch_execute(
        "INSERT INTO pinterest.model (fingerprint, name, weights_sha256, precision, preprocessing, dimension)
             VALUES ('\\x01', 'old', '', 'f32', '', 512);
         UPDATE pinterest.pin_image SET model_id = 2",
    )?;
    let again: i64 = ann.value("SELECT pinterest_reembed_board('Beach')")?;
    let row = complete(&mut ann, again)?;
    assert_eq!(i64::from(row.embedded + row.reused), PINS, "{row:?}");

    // A removed pin and, later, all of them are deleted.
    client.batch_execute(
        "UPDATE pinterest.pin SET removed_at = '2026-01-01' WHERE pin_id = (SELECT min(pin_id) FROM pinterest.pin)",
    )?;
    citus.world.cluster.change("pinterest.retention", "1h")?;
    a_round(&citus, &mut client)?;
    client.until("SELECT count(*) FROM pinterest.pin", PINS - 1)?;
    client.batch_execute(
        "UPDATE pinterest.pin SET imported_at = '2026-01-01';
         UPDATE pinterest.board SET confirmed_at = '2026-01-01', sync_every = NULL, next_sync_at = NULL",
    )?;
    a_round(&citus, &mut client)?;
    client.until("SELECT count(*) FROM pinterest.pin", 0_i64)?;
    assert_eq!(count(&mut client, "pin_image")?, 0);
    assert_eq!(count(&mut client, "board")?, 1);
    citus.world.cluster.change("pinterest.retention", "0")?;

    // The rows follow the account to another owner, and are erased with it.
    imported(&mut ann, "'Beach'")?;
    client.batch_execute("SELECT pinterest_reassign('ann', 'ben')")?;
    assert_eq!((count(&mut ann, "pin")?, count(&mut ben, "pin")?), (0, PINS));
    assert_eq!(count(&mut ben, "pin_image")?, PINS);
    ben.query("SELECT * FROM pinterest_disconnect((SELECT account_id FROM pinterest.accounts), purge => true)", &[])?;
    for table in ["board", "pin", "pin_image", "import", "account"] {
        assert_eq!(count(&mut client, table)?, 0, "{table}");
    }
    assert_eq!(refused(&citus)?, Vec::<String>::new());
    Ok(())
}

#[test]
fn a_renamed_role_keeps_its_boards() -> Result<()> {
    let Some((citus, mut client, [mut ann, _])) = start(quick_board("Beach", PINS as u64))? else {
        return Ok(());
    };
    imported(&mut ann, "'Beach'")?;
    let shown = count(&mut ann, "pin")?;
    drop(ann);
    client.batch_execute("ALTER ROLE ann RENAME TO anna")?;
    let mut anna = citus.world.cluster.connect_as("anna")?;
    assert_eq!((shown, count(&mut anna, "pin")?), (PINS, PINS));
    citus.world.sandbox.add_pins(&citus.world.sandbox.board_id("Beach")?, 2)?;
    imported(&mut anna, "'Beach'")?;
    assert_eq!(count(&mut anna, "pin")?, PINS + 2);
    client.batch_execute("SELECT pinterest_undistribute()")?;
    assert_eq!(count(&mut anna, "pin")?, PINS + 2);
    Ok(())
}
