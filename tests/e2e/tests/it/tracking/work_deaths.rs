//! Killed processes and concurrent workers: no row is lost or embedded twice.

use crate::support::oauth::kill_one;
use crate::support::prelude::*;
use crate::support::tracking_process::TRACKING_WORKER;
use crate::support::tracking_work::{count, photo, settled, small_world, texts, wrong_texts};

/// Waits until this many rows are embedded.
fn progress(client: &mut postgres::Client, rows: i64) -> Result<()> {
    until("progress", || Ok(count(client, "embedded")? >= rows))
}

#[test]
fn killing_the_embedder_loses_no_row() -> Result<()> {
    let (world, mut client) = small_world()?.with_session()?;
    client.batch_execute(
        "CREATE TABLE photos (n int PRIMARY KEY, photo bytea, embedding vector(512));
         SELECT pinterest_track('photos', image => 'photo')",
    )?;
    let photo = photo(Family::Barn, 1)?;
    client.execute("INSERT INTO photos SELECT n, $1 FROM generate_series(1, 400) n", &[&photo])?;
    for kill in 1..=3 {
        progress(&mut client, kill * 40)?;
        let embedder = wait_for("the embedder", SOON, || world.cluster.embedder())?;
        world.cluster.kill9(embedder.pid)?;
    }
    settled(&mut client)?;
    let signal = "pinterest-embedder was ended by signal 9";
    assert_eq!(world.cluster.log()?.matches(signal).count(), 3);
    assert_eq!((count(&mut client, "embedded")?, count(&mut client, "failed")?), (400, 0));
    let wrong = "SELECT count(*) FROM photos, (SELECT pinterest_embed_image(photo) AS one FROM photos LIMIT 1) AS alone
          WHERE COALESCE(embedding <=> one > 1e-6, true)";
    assert_eq!(client.value::<i64>(wrong)?, 0);
    Ok(())
}

#[test]
fn killing_the_worker_loses_no_row() -> Result<()> {
    let (world, mut client) = small_world()?.with_session()?;
    texts(&mut client, "venues")?;
    client.batch_execute("INSERT INTO venues SELECT n, 'barn ' || n FROM generate_series(1, 1500) n")?;
    for kill in 1..=2 {
        progress(&mut client, kill * 200)?;
        client = kill_one(&world, TRACKING_WORKER)?;
    }
    settled(&mut client)?;
    assert_eq!((count(&mut client, "embedded")?, count(&mut client, "failed")?), (1500, 0));
    assert_eq!(wrong_texts(&mut client, "venues")?, 0);
    Ok(())
}

#[test]
fn two_workers_never_embed_a_row_twice() -> Result<()> {
    let (_world, mut client) = World::builder()
        .sandbox(quick_board("Beach", 1))
        .setting("pinterest.workers_per_database", "2")
        .start()?
        .with_session()?;
    texts(&mut client, "venues")?;
    client.batch_execute(
        "CREATE TABLE writes (id bigint, pid int);
         CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN INSERT INTO writes VALUES (NEW.id, pg_backend_pid()); RETURN NULL; END $$;
         CREATE TRIGGER note AFTER UPDATE OF embedding ON venues FOR EACH ROW EXECUTE FUNCTION note();
         INSERT INTO venues SELECT n, 'barn ' || n FROM generate_series(1, 600) n",
    )?;
    settled(&mut client)?;
    let row = client.query_one("SELECT count(*), count(DISTINCT id), count(DISTINCT pid) FROM writes", &[])?;
    let (writes, rows, workers): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    assert_eq!((writes, rows), (600, 600));
    assert_eq!(workers, 2, "both workers embedded rows");
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.tracked_row WHERE fence <> 1")?, 0);
    assert_eq!(wrong_texts(&mut client, "venues")?, 0);
    Ok(())
}
