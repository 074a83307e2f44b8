//! A problem of a whole column is reported for the column and not counted against its rows.

use e2e::{Installation, other_tiny_stand_in, tiny_stand_in};

use crate::support::oauth::{WORKER, doctor};
use crate::support::prelude::*;
use crate::support::tracking_process::TRACKING_WORKER;
use crate::support::tracking_work::{count, settled, small_world, texts, wrong_texts};

/// Waits for a problem of the one tracked column; returns it with its SQLSTATE and hint.
fn problem(client: &mut Client) -> Result<(String, String, String)> {
    wait_for("a problem", SOON, || {
        let row = client.query_opt(
            "SELECT problem, problem_code, COALESCE(problem_hint, '') FROM pinterest.tracked_column WHERE problem IS NOT NULL",
            &[],
        )?;
        Ok(row.map(|row| (row.get(0), row.get(1), row.get(2))))
    })
}

fn assert_no_row_blamed(client: &mut Client) -> Result<()> {
    let blamed = "SELECT count(*) FROM pinterest.tracked_row WHERE attempts > 0 OR state = 'failed'";
    assert_eq!(client.value::<i64>(blamed)?, 0);
    Ok(())
}

/// Makes a column with a problem due now.
fn due(client: &mut Client) -> Result<()> {
    client.batch_execute("UPDATE pinterest.tracked_column SET next_attempt_at = now(); SELECT pinterest_adopt()")?;
    Ok(())
}

#[test]
fn a_dropped_column_is_a_problem_until_it_is_back() -> Result<()> {
    let (_world, mut client) = small_world()?.with_session()?;
    texts(&mut client, "venues")?;
    client.batch_execute("INSERT INTO venues VALUES (1, 'barn')")?;
    settled(&mut client)?;
    client.batch_execute(
        "BEGIN; INSERT INTO venues VALUES (2, 'beach'); ALTER TABLE venues DROP COLUMN embedding; COMMIT",
    )?;
    let (message, code, hint) = problem(&mut client)?;
    assert!(message.contains("column \"embedding\" of public.venues does not exist"), "{message}");
    assert_eq!(code, "42703");
    assert!(hint.contains("pinterest_track()"), "{hint}");
    assert_no_row_blamed(&mut client)?;
    assert_eq!(doctor(&mut client, "tracked columns")?.0, "problem");
    // Its row waits, and could not be processed.
    let waits = "SELECT pending, oldest_pending_age IS NULL FROM pinterest.stat_tracked";
    let row = client.query_one(waits, &[])?;
    assert_eq!((row.get::<_, i64>(0), row.get::<_, bool>(1)), (1, true));
    client.batch_execute("ALTER TABLE venues ADD COLUMN embedding vector(3)")?;
    due(&mut client)?;
    until("another problem", || Ok(problem(&mut client)?.0.contains("vector(3), not vector(512)")))?;
    client.batch_execute("ALTER TABLE venues ALTER COLUMN embedding TYPE vector(512)")?;
    due(&mut client)?;
    until("the row", || Ok(count(&mut client, "pending")? == 0))?;
    assert_eq!(client.value::<i64>("SELECT count(problem) FROM pinterest.tracked_column")?, 0);
    Ok(())
}

#[test]
fn a_new_owner_is_a_problem_of_the_column() -> Result<()> {
    let world = small_world()?;
    world.cluster.create_role("ann")?;
    let mut client = world.connect()?;
    texts(&mut client, "venues")?;
    client.batch_execute("BEGIN; INSERT INTO venues VALUES (1, 'barn'); ALTER TABLE venues OWNER TO ann; COMMIT")?;
    let (message, ..) = problem(&mut client)?;
    assert!(message.contains("no longer belongs to \"postgres\""), "{message}");
    assert_no_row_blamed(&mut client)
}

#[test]
fn without_a_model_rows_wait() -> Result<()> {
    let (world, mut client) = World::builder()
        .preload(false)
        .sandbox(quick_board("Beach", 1))
        .model("/nonexistent/model")
        .start()?
        .with_session()?;
    texts(&mut client, "venues")?;
    client.batch_execute("INSERT INTO venues VALUES (1, 'barn')")?;
    let (_, code, hint) = problem(&mut client)?;
    assert_eq!(code, "58P01");
    assert!(hint.contains("pinterest.model_dir"), "{hint}");
    assert_no_row_blamed(&mut client)?;
    let model = tiny_stand_in(&Installation::staged()?.with_extension()?)?;
    world.cluster.change("pinterest.model_dir", &model.display().to_string())?;
    settled(&mut client)?;
    assert_eq!(wrong_texts(&mut client, "venues")?, 0);
    Ok(())
}

#[test]
fn tracking_again_embeds_rows_with_the_new_model() -> Result<()> {
    let (world, mut client) =
        World::builder().preload(false).sandbox(quick_board("Beach", 1)).start()?.with_session()?;
    texts(&mut client, "venues")?;
    client.batch_execute("INSERT INTO venues SELECT n, 'barn ' || n FROM generate_series(1, 30) n")?;
    settled(&mut client)?;
    let other = other_tiny_stand_in(&Installation::staged()?.with_extension()?)?;
    let before = wait_for("the embedder", SOON, || world.cluster.embedder())?.pid;
    world.cluster.change("pinterest.model_dir", &other.display().to_string())?;
    wait_for("another embedder", SOON, || Ok(world.cluster.embedder()?.filter(|now| now.pid != before)))?;
    client.batch_execute("SELECT pinterest_track('venues', text => 'description')")?;
    settled(&mut client)?;
    assert_eq!(wrong_texts(&mut client, "venues")?, 0);
    let models: Vec<i64> = client.value("SELECT array_agg(DISTINCT model_id) FROM pinterest.tracked_row")?;
    assert_eq!(models.len(), 1);
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.model")?, 2);
    Ok(())
}

#[test]
fn a_role_with_a_few_rows_does_not_wait_for_one_with_many() -> Result<()> {
    let (world, mut client) = small_world()?.with_session()?;
    texts(&mut client, "many")?;
    world.cluster.create_role("ann")?;
    client.batch_execute("SELECT pinterest_grant('ann'); CREATE SCHEMA ann AUTHORIZATION ann")?;
    let mut ann = world.cluster.connect_as("ann")?;
    texts(&mut ann, "few")?;
    client.batch_execute("INSERT INTO many SELECT n, 'barn ' || n FROM generate_series(1, 3000) n")?;
    until("the first of the many rows", || Ok(count(&mut client, "embedded")? > 0))?;
    ann.batch_execute("INSERT INTO few SELECT n, 'beach ' || n FROM generate_series(1, 20) n")?;
    wait_for("the few rows", SOON, || Ok((ann.value::<i64>("SELECT count(embedding) FROM few")? == 20).then_some(())))?;
    let left: i64 = client.value("SELECT count(*) FROM many WHERE embedding IS NULL")?;
    assert!(left > 500, "only {left} rows of the large table are left");
    Ok(())
}

#[test]
fn the_worker_ends_when_idle_and_the_next_row_starts_it() -> Result<()> {
    let (world, mut client) = World::builder()
        .sandbox(quick_board("Beach", 1))
        .setting("pinterest.worker_idle_timeout", "1s")
        .start()?
        .with_session()?;
    texts(&mut client, "venues")?;
    for id in 1_i64..=3 {
        for kind in [WORKER, TRACKING_WORKER] {
            until("no worker", || Ok(world.cluster.backends(kind)?.is_empty()))?;
        }
        let begun = Instant::now();
        client.execute("INSERT INTO venues VALUES ($1, 'barn')", &[&id])?;
        settled(&mut client)?;
        assert!(begun.elapsed() < Duration::from_secs(30), "the commit woke no worker");
    }
    assert_eq!(wrong_texts(&mut client, "venues")?, 0);
    Ok(())
}
