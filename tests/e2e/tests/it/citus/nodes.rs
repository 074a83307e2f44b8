//! What runs on which node.

use crate::support::citus::CitusWorld;
use crate::support::oauth::{WORKER, doctor};
use crate::support::prelude::*;

#[test]
fn calls_on_another_node_are_refused_and_name_the_coordinator() -> Result<()> {
    let Some(citus) = CitusWorld::start(quick_board("Beach", 3))? else { return Ok(()) };
    let mut client = citus.nodes[0].connect()?;
    let calls = [
        "pinterest_register_app('a', 'b', 'c', 'https://localhost/')",
        "pinterest_authorize_url()",
        "pinterest_connect('code', 'state')",
        "pinterest_store_token('token')",
        "pinterest_refresh()",
        "pinterest_disconnect(1)",
        "pinterest_export()",
        "pinterest_keys()",
        "pinterest_rotate_key()",
        "pinterest_list_boards()",
        "pinterest_import_board('Beach')",
        "pinterest_sync_board('Beach', '1 day')",
        "pinterest_retry_failed(1)",
        "pinterest_reembed_board('Beach')",
        "pinterest_pause_account(1)",
        "pinterest_wait_for_import(1)",
        "pinterest_cancel_import(1)",
        "pinterest_track('venues', text => 'name')",
        "pinterest_untrack('venues')",
        "pinterest_retry_tracked('venues')",
        "pinterest_wait_for_tracked('venues')",
        "pinterest_board_embedding('Beach')",
        "pinterest_board_themes('Beach')",
        "pinterest_recommend('Beach', 'venues')",
        "pinterest_recommend(ARRAY['Beach'], 'venues')",
        "pinterest_pins_like(array_fill(1, '{512}')::vector)",
        "pinterest_boards_like('Beach')",
        "pinterest_duplicates('Beach')",
        "pinterest_gallery('Beach')",
        "pinterest_purge_board('Beach')",
        "pinterest_reassign('postgres', 'postgres')",
        "pinterest_adopt()",
        "pinterest_distribute()",
        "pinterest_undistribute()",
    ];
    client.batch_execute("SET citus.enable_ddl_propagation = off; CREATE TABLE venues (id bigint PRIMARY KEY, name text, embedding vector(512))")?;
    for call in calls {
        client.refused(&format!("SELECT * FROM {call}"), "55000").says("coordinator").hints("on the coordinator");
    }
    for call in ["pinterest_await_import(1)", "pinterest_await_tracked('venues')"] {
        client.refused(&format!("CALL {call}"), "55000").says("coordinator");
    }
    // Every other function works on any node.
    let others = [
        "pinterest_await_import",
        "pinterest_await_tracked",
        "pinterest_classify",
        "pinterest_doctor",
        "pinterest_embed_image",
        "pinterest_embed_images",
        "pinterest_embed_text",
        "pinterest_embed_texts",
        "pinterest_grant",
        "pinterest_pause_workers",
        "pinterest_resume_workers",
        "pinterest_revoke",
        "pinterest_sizing",
        "pinterest_stat_reset",
        "pinterest_workers",
    ];
    let names: Vec<String> = client.column(
        "SELECT DISTINCT p.proname::text FROM pinterest.functions f JOIN pg_proc p ON p.oid = f.function
          WHERE p.proname LIKE 'pinterest\\_%' ORDER BY 1",
    )?;
    let unknown = names.iter().filter(|name| !others.contains(&name.as_str()));
    let unknown: Vec<_> =
        unknown.filter(|name| !calls.iter().any(|call| call.starts_with(&format!("{name}(")))).collect();
    assert!(unknown.is_empty(), "neither refused nor known to work on any node: {unknown:?}");

    let (status, words) = doctor(&mut client, "citus")?;
    assert_eq!(status, "problem", "{words}");
    assert!(words.contains("workers are idle"), "{words}");
    let (status, words) = doctor(&mut citus.world.connect()?, "citus")?;
    assert_eq!(status, "ok", "{words}");
    assert!(words.contains("other active nodes: 2"), "{words}");
    // A node that is added later gets the extension.
    let added = citus.node()?;
    citus.add(&mut citus.world.connect()?, &added)?;
    let (status, words) = doctor(&mut added.connect()?, "citus")?;
    assert_eq!(status, "problem", "{words}");
    Ok(())
}

#[test]
fn imports_run_on_the_coordinator_and_no_worker_stays_on_another_node() -> Result<()> {
    let Some(citus) = CitusWorld::start(quick_board("Beach", 5))? else { return Ok(()) };
    let mut client = citus.world.connect()?;
    assert_eq!(import(&mut client, "Beach")?.embedded, 5);
    for node in &citus.nodes {
        // A reload makes the launcher visit every database.
        node.reload()?;
        until("a worker to find that this is another node", || {
            Ok(node.log()?.contains("idle: pg_pinterest works on the coordinator of a Citus cluster"))
        })?;
        until("it to end", || Ok(node.backends(WORKER)?.is_empty()))?;
        assert_eq!(node.connect()?.value::<i64>("SELECT count(*) FROM pinterest.installation")?, 0);
    }
    Ok(())
}

#[test]
fn workers_of_a_server_end_when_it_is_added_to_a_coordinator() -> Result<()> {
    let Some(citus) = CitusWorld::of_nodes(quick_board("Beach", 5))? else { return Ok(()) };
    let mut client = citus.world.connect()?;
    let node = citus.node()?;
    let mut on_node = node.connect()?;
    on_node.batch_execute("CREATE EXTENSION pg_pinterest CASCADE; SELECT pinterest_adopt()")?;
    node.wait_for_backend(WORKER, crate::support::SOON)?;
    citus.add(&mut client, &node)?;
    until("the worker to end", || Ok(node.backends(WORKER)?.is_empty()))
}
