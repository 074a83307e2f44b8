//! Which roles may track a table, and what other roles can see of a queue and do to it.

use crate::support::prelude::*;
use crate::support::tracking::{VENUES, embedded, queue, server, settle, start, tracked_venues};

/// Creates a role with `level` that may create tables, and connects as it.
fn role(cluster: &Cluster, name: &str, level: &str) -> Result<Client> {
    cluster.create_role(name)?;
    cluster.connect()?.batch_execute(&format!(
        "GRANT CREATE ON SCHEMA public TO {name}; SELECT pinterest_grant('{name}', '{level}')"
    ))?;
    cluster.connect_as(name)
}

#[test]
fn a_role_that_may_only_write_the_table_fills_the_queue() -> Result<()> {
    let (cluster, mut client) = server()?;
    let mut owner = role(&cluster, "venue_owner", "user")?;
    owner.batch_execute(&format!("{VENUES} SELECT pinterest_track('venues', text => 'description')"))?;
    cluster.create_role("app")?;
    owner.batch_execute("GRANT INSERT, SELECT (id), UPDATE (description), DELETE, TRUNCATE ON venues TO app")?;
    let mut app = cluster.connect_as("app")?;
    app.batch_execute("INSERT INTO venues (id, description) VALUES (1, 'barn'), (2, 'beach'), (3, 'lake')")?;
    assert_eq!(queue(&mut owner)?, "1* 2* 3*");
    settle(&mut client, "venues")?;
    app.batch_execute("UPDATE venues SET description = 'x' WHERE id = 1; DELETE FROM venues WHERE id = 2")?;
    assert_eq!((queue(&mut owner)?.as_str(), embedded(&mut client, "venues")?.as_str()), ("1* 3", "3"));
    app.batch_execute("TRUNCATE venues")?;
    assert_eq!(queue(&mut owner)?, "");
    for statement in [
        "SELECT * FROM pinterest.tracked_row",
        "SELECT pinterest_track('venues', text => 'description')",
        "SELECT pinterest.track_change()",
        "CREATE TEMPORARY TABLE t (id int); CREATE TRIGGER t AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION pinterest.track_change('1', 'id', 'id')",
    ] {
        assert_eq!(refusal(app.batch_execute(statement)).code, "42501", "{statement}");
    }
    Ok(())
}

#[test]
fn only_the_owner_members_and_readers_see_a_tracked_table() -> Result<()> {
    let (cluster, mut client) = server()?;
    let mut stranger = role(&cluster, "stranger", "user")?;
    let mut member = role(&cluster, "member", "user")?;
    client.batch_execute(
        "CREATE ROLE venue_owners; GRANT venue_owners TO member; GRANT CREATE ON SCHEMA public TO venue_owners",
    )?;
    member.batch_execute(&format!("SET ROLE venue_owners; {VENUES} RESET ROLE; SELECT pinterest_track('venues', text => 'description'); INSERT INTO venues VALUES (1, 'barn')"))?;
    let seen = "SELECT (SELECT count(*) FROM pinterest.tracked) + (SELECT count(*) FROM pinterest.tracked_column)
                     + (SELECT count(*) FROM pinterest.tracked_row)";
    assert_eq!(member.value::<i64>(seen)?, 3);
    assert_eq!(client.value::<i64>(seen)?, 3);
    assert_eq!(stranger.value::<i64>(seen)?, 0);
    client.batch_execute("UPDATE pinterest.tracked_row SET state = 'failed', reason = 'no picture'")?;
    let failures = "SELECT count(*) FROM pinterest.tracked_failures";
    assert_eq!((member.value::<i64>(failures)?, stranger.value::<i64>(failures)?), (1, 0));
    for statement in [
        "SELECT pinterest_track('venues', text => 'description')",
        "SELECT pinterest_untrack('venues')",
        "SELECT pinterest_retry_tracked('venues')",
        "SELECT pinterest_wait_for_tracked('venues', '0 s')",
        "UPDATE pinterest.tracked_column SET owner = 'stranger'",
        "DELETE FROM pinterest.tracked_row",
        "SELECT nextval('pinterest.tracked_version')",
    ] {
        let refused = refusal(stranger.batch_execute(statement));
        assert!(["42501", "42704"].contains(&refused.code.as_str()), "{statement}: {refused:?}");
    }
    let mut reader = role(&cluster, "reader", "reader")?;
    client.batch_execute("GRANT venue_owners TO reader")?;
    assert_eq!(reader.value::<i64>(seen)?, 3);
    assert_eq!(reader.value::<i64>("SELECT pinterest_wait_for_tracked('venues')")?, 0);
    reader.refused("SELECT pinterest_track('venues', text => 'description')", "42501");
    Ok(())
}

#[test]
fn a_forged_trigger_writes_to_no_queue() -> Result<()> {
    let (cluster, mut client) = tracked_venues()?;
    client.batch_execute("INSERT INTO venues VALUES (1, 'barn')")?;
    settle(&mut client, "venues")?;
    let id: i64 = client.value("SELECT tracked_column_id FROM pinterest.tracked")?;
    // Any role can read it in pg_trigger.
    let tie: String = client.value("SELECT tie::text FROM pinterest.tracked_column")?;
    let mut stranger = role(&cluster, "stranger", "user")?;
    stranger.batch_execute(&format!(
        "CREATE TABLE mine (id bigint PRIMARY KEY, description text, embedding vector(512));
         CREATE TRIGGER pinterest_track_{id} AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION pinterest.track_change('{tie}', 'description', 'id');
         CREATE TRIGGER change AFTER DELETE OR UPDATE ON mine FOR EACH ROW EXECUTE FUNCTION pinterest.track_change('{tie}', 'description', 'id');
         CREATE TRIGGER number AFTER DELETE OR UPDATE ON mine FOR EACH ROW EXECUTE FUNCTION pinterest.track_change('{id}', 'description', 'id');
         CREATE TRIGGER empty AFTER TRUNCATE ON mine EXECUTE FUNCTION pinterest.track_change('{tie}', 'description', 'id');
         INSERT INTO mine VALUES (1, 'x'), (2, 'y'); UPDATE mine SET description = 'z'; DELETE FROM mine; TRUNCATE mine;
         CREATE TRIGGER none AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION pinterest.track_change()"
    ))?;
    stranger.refused("INSERT INTO mine VALUES (1, 'x')", "39P01");
    assert_eq!(queue(&mut client)?, "1");
    let table = "SELECT \"table\" FROM pinterest.tracked WHERE tracked_column_id IS NOT NULL";
    assert_eq!(client.value::<String>(table)?, "public.venues");
    // Partitions need no test: only the owner of the parent can attach one.
    stranger.refused(&format!("SELECT pinterest.track_change({id})"), "42883");
    Ok(())
}

#[test]
fn a_new_owner_has_to_declare_the_table_again() -> Result<()> {
    let (cluster, mut client) = server()?;
    let mut first = role(&cluster, "first", "user")?;
    let mut second = role(&cluster, "second", "user")?;
    first.batch_execute(&format!(
        "{VENUES} SELECT pinterest_track('venues', text => 'description'); INSERT INTO venues VALUES (1, 'barn')"
    ))?;
    client.batch_execute("ALTER TABLE venues OWNER TO second")?;
    second.batch_execute("INSERT INTO venues VALUES (2, 'beach')")?;
    assert_eq!(queue(&mut client)?, "1*", "nothing is added to the old owner's queue");
    let state = "SELECT concat_ws(' ', owner, state, problem_code, rows) FROM pinterest.tracked";
    assert_eq!(first.value::<String>(state)?, "first problem 42704 1");
    assert_eq!(second.value::<i64>("SELECT pinterest_track('venues', text => 'description')")?, 2);
    assert_eq!(second.value::<String>(state)?, "second active 2");
    let triggers = "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'pinterest%'";
    assert_eq!(client.value::<i64>(triggers)?, 5, "the old triggers are gone");
    first.refused("SELECT pinterest_untrack('venues')", "42501");
    second.batch_execute("SELECT pinterest_untrack('venues'); DROP TABLE venues")?;
    assert_eq!(first.value::<i64>("SELECT pinterest_untrack('venues')")?, 1);
    Ok(())
}

#[test]
fn changes_are_queued_without_a_free_worker_slot() -> Result<()> {
    let (_cluster, mut client) = start(e2e::Cluster::builder().setting("max_worker_processes", "4"))?;
    client.batch_execute(&format!("{VENUES} SELECT pinterest_track('venues', text => 'description')"))?;
    client.batch_execute("ALTER SYSTEM SET max_worker_processes = 2")?;
    _cluster.restart(e2e::cluster::Stop::Fast)?;
    let mut client = _cluster.connect()?;
    client.batch_execute("INSERT INTO venues VALUES (1, 'barn')")?;
    assert_eq!(queue(&mut client)?, "1*", "the change is committed and waits");
    Ok(())
}
