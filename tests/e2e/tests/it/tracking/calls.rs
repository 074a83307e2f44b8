//! `pinterest_track`, `pinterest_untrack`, `pinterest_retry_tracked` and `pinterest_wait_for_tracked`.

use crate::support::prelude::*;
use crate::support::tracking::{VENUES, embedded, queue, server, settle, tracked_venues};

#[test]
fn existing_rows_are_queued() -> Result<()> {
    let (_cluster, mut client) = server()?;
    client.batch_execute(&format!(
        "{VENUES} INSERT INTO venues SELECT n, CASE WHEN n % 3 > 0 THEN 'venue ' || n END FROM generate_series(1, 30000) n"
    ))?;
    assert_eq!(client.value::<i64>("SELECT pinterest_track('venues', text => 'description')")?, 20_000);
    let wrong = "SELECT count(*) FROM (SELECT ARRAY[id::text] AS key FROM venues WHERE description IS NOT NULL) v
             FULL JOIN pinterest.tracked_row r USING (key) WHERE v.key IS NULL OR r.key IS NULL";
    assert_eq!(client.value::<i64>(wrong)?, 0);
    assert_eq!(client.value::<i64>("SELECT pinterest_untrack('venues') FROM pinterest.tracked")?, 1);
    client.batch_execute("DELETE FROM venues WHERE description IS NOT NULL")?;
    assert_eq!(client.value::<i64>("SELECT pinterest_track('venues', text => 'description')")?, 0);
    Ok(())
}

#[test]
fn tracking_again_checks_every_row_and_repairs_the_triggers() -> Result<()> {
    let (_cluster, mut client) = tracked_venues()?;
    client.batch_execute("INSERT INTO venues VALUES (1, 'barn'), (2, 'beach')")?;
    settle(&mut client, "venues")?;
    let id = "SELECT tracked_column_id FROM pinterest.tracked";
    let before: i64 = client.value(id)?;
    client.batch_execute(&format!(
        "DROP TRIGGER pinterest_track_{before}_update ON venues; ALTER TABLE venues DISABLE TRIGGER pinterest_track_{before};
         UPDATE pinterest.tracked_column SET problem = 'x', next_attempt_at = 'infinity';
         SELECT pinterest_track('venues', text => 'description')"
    ))?;
    assert_eq!((queue(&mut client)?.as_str(), embedded(&mut client, "venues")?.as_str()), ("1* 2*", "1 2"));
    let known = "SELECT count(*) FROM pinterest.tracked_row WHERE source_sha256 IS NOT NULL AND model_id IS NOT NULL";
    assert_eq!(client.value::<i64>(known)?, 2, "the sources and models of the embeddings are kept");
    assert_eq!(client.value::<i64>(id)?, before);
    assert_eq!(client.value::<String>("SELECT state FROM pinterest.tracked")?, "active");
    settle(&mut client, "venues")?;
    client.batch_execute("UPDATE venues SET description = 'x' WHERE id = 1; INSERT INTO venues VALUES (3, 'lake')")?;
    assert_eq!(queue(&mut client)?, "1* 2 3*");
    Ok(())
}

#[test]
fn columns_are_untracked_one_by_one() -> Result<()> {
    let (_cluster, mut client) = tracked_venues()?;
    client.batch_execute(
        "ALTER TABLE venues ADD picture vector(512); SELECT pinterest_track('venues', image => 'photo', embedding => 'picture');
         INSERT INTO venues VALUES (1, 'barn', 'x')",
    )?;
    settle(&mut client, "venues")?;
    assert_eq!(client.value::<i64>("SELECT pinterest_untrack('venues', 'nothing')")?, 0);
    assert_eq!(client.value::<i64>("SELECT pinterest_untrack('public.venues', 'Picture')")?, 1);
    assert_eq!(client.value::<String>("SELECT embedding_column FROM pinterest.tracked")?, "embedding");
    client.batch_execute("UPDATE venues SET photo = 'y'")?;
    assert_eq!(
        (queue(&mut client)?.as_str(), embedded(&mut client, "venues")?.as_str()),
        ("1", "1"),
        "the vectors are kept"
    );
    assert_eq!(client.value::<i64>("SELECT pinterest_untrack('venues')")?, 1);
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'pinterest%'")?, 0);
    assert_eq!(client.value::<i64>("SELECT pinterest_untrack('venues')")?, 0);
    client.refused("SELECT pinterest_untrack('nowhere')", "42704");
    Ok(())
}

#[test]
fn failed_rows_are_tried_again() -> Result<()> {
    let (_cluster, mut client) = tracked_venues()?;
    client.batch_execute(
        "INSERT INTO venues VALUES (1, 'barn'), (2, 'beach'), (3, 'lake');
         UPDATE pinterest.tracked_row SET state = 'failed', reason = 'too long', reason_code = '54000', attempts = 5 WHERE key <> '{3}'",
    )?;
    let failures = "SELECT string_agg(concat_ws(' ', \"table\", embedding_column, key, reason, reason_code, attempts), '; ' ORDER BY key) FROM pinterest.tracked_failures";
    assert_eq!(
        client.value::<String>(failures)?,
        "public.venues embedding {1} too long 54000 5; public.venues embedding {2} too long 54000 5"
    );
    let counts =
        "SELECT concat_ws(' ', rows, embedded, pending, failed, round(progress::numeric, 2)) FROM pinterest.tracked";
    assert_eq!(client.value::<String>(counts)?, "3 0 1 2 0.67");
    assert_eq!(client.value::<i64>("SELECT pinterest_retry_tracked('venues', 'embedding')")?, 2);
    assert_eq!(client.value::<String>(counts)?, "3 0 3 0 0.00");
    assert_eq!(client.value::<i64>("SELECT pinterest_retry_tracked('venues')")?, 0);
    assert_eq!(
        client.refused("SELECT pinterest_retry_tracked('venues', 'other')", "42704").message,
        "column \"other\" of public.venues is not tracked"
    );
    Ok(())
}

#[test]
fn waiting_returns_the_number_of_pending_rows() -> Result<()> {
    let (cluster, mut client) = tracked_venues()?;
    let wait = "SELECT pinterest_wait_for_tracked('venues', '200 ms')";
    assert_eq!(client.value::<i64>(wait)?, 0);
    let mut transaction = client.transaction()?;
    transaction.batch_execute("INSERT INTO venues VALUES (1, 'barn')")?;
    assert_eq!(refusal(transaction.batch_execute(wait)).code, "55000", "no worker can see it yet");
    transaction.rollback()?;
    client.batch_execute("INSERT INTO venues VALUES (1, 'barn')")?;
    assert_eq!(client.value::<i64>(wait)?, 1);
    client.refused("SELECT pinterest_wait_for_tracked('venues', '-1 s')", "22023");
    client.batch_execute("SET statement_timeout = '300 ms'")?;
    let mut admin = cluster.connect()?;
    client.refused("SELECT pinterest_wait_for_tracked('venues')", "57014");
    client.batch_execute("RESET statement_timeout")?;
    std::thread::scope(|scope| -> Result<()> {
        let waiting = scope.spawn(|| client.query_one("SELECT pinterest_wait_for_tracked('venues', '60 s')", &[]));
        until_waiting(&mut admin)?;
        settle(&mut admin, "venues")?;
        match waiting.join() {
            Ok(row) => assert_eq!(row?.get::<_, i64>(0), 0),
            Err(_) => panic!("the waiting call panicked"),
        }
        Ok(())
    })
}

/// Waits until a session waits in the call.
fn until_waiting(client: &mut postgres::Client) -> Result<()> {
    e2e::wait_for("a session to wait", Duration::from_secs(10), || {
        let waiting: i64 = client.value("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pinterest_wait_for_tracked%' AND wait_event_type = 'Extension'")?;
        Ok((waiting > 0).then_some(()))
    })
}

#[test]
fn models_of_a_column_are_counted() -> Result<()> {
    let (_cluster, mut client) = tracked_venues()?;
    client.batch_execute("INSERT INTO venues VALUES (1, 'barn'), (2, 'beach')")?;
    settle(&mut client, "venues")?;
    client.batch_execute(
        "INSERT INTO pinterest.model (fingerprint, name, weights_sha256, precision, preprocessing, dimension)
             VALUES ('\\x02', 'other', '', 'f32', 'test', 512);
         UPDATE pinterest.tracked_row SET model_id = (SELECT max(model_id) FROM pinterest.model) WHERE key = '{2}'",
    )?;
    let models = "SELECT cardinality(models) FROM pinterest.tracked";
    assert_eq!(client.value::<i32>(models)?, 2);
    client.batch_execute("UPDATE venues SET description = 'x' WHERE id = 2")?;
    assert_eq!(client.value::<i32>(models)?, 1);
    Ok(())
}

#[test]
fn waiting_ends_when_no_worker_can_continue() -> Result<()> {
    let cluster = e2e::Cluster::builder().setting("pinterest.model_dir", "").start()?;
    let mut client = cluster.connect()?;
    client.batch_execute(&format!(
        "CREATE EXTENSION pg_pinterest CASCADE; {VENUES} SELECT pinterest_track('venues', text => 'description');
         INSERT INTO venues VALUES (1, 'barn')"
    ))?;
    assert_eq!(client.value::<i64>("SELECT pinterest_wait_for_tracked('venues')")?, 1);
    let row = "SELECT concat_ws(', ', state, problem, problem_code, pending) FROM pinterest.tracked";
    assert_eq!(client.value::<String>(row)?, "problem, pinterest.model_dir is not set, 58P01, 1");
    Ok(())
}
