//! A crash of the embedder loses no connection and no image.

use crate::support::prelude::*;

const PINS: u64 = 80;

#[test]
fn repeated_kills_lose_nothing() -> Result<()> {
    let mut config = quick_board("Beach", PINS);
    // Slow enough for the kills to hit a busy embedder.
    config.image_latency = Duration::from_millis(60);
    let (world, mut client) = World::of(config)?.with_session()?;
    let mut bystander = world.connect()?;
    let pid: i32 = bystander.value("SELECT pg_backend_pid()")?;
    bystander.batch_execute("BEGIN; CREATE TEMPORARY TABLE kept AS SELECT 1")?;

    let import = queue_board(&mut client, "Beach")?;
    for kill in 1..=3 {
        until_row(&mut client, import, "progress between two kills", |row| row.embedded >= kill * 15)?;
        let embedder = wait_for("the embedder", SOON, || world.cluster.embedder())?;
        world.cluster.kill9(embedder.pid)?;
    }
    let row = complete(&mut client, import)?;
    assert_eq!((row.embedded, row.failed), (80, 0), "{row:?}");
    assert_eq!(world.sandbox.requests().count(sandbox::Kind::BoardPins), 1 + PINS / 250, "the list was read once");

    // The other session's transaction continues in the same process.
    bystander.batch_execute("INSERT INTO kept VALUES (2); COMMIT")?;
    assert_eq!(bystander.value::<i32>("SELECT pg_backend_pid()")?, pid);
    assert_eq!(bystander.value::<i64>("SELECT count(*) FROM kept")?, 2);
    assert!(!world.cluster.log()?.contains("terminating any other active server processes"));
    let signal = "pinterest-embedder was ended by signal 9";
    assert_eq!(world.cluster.log()?.matches(signal).count(), 3, "the server's log reports each kill");
    Ok(())
}

#[test]
fn a_query_after_a_crash_uses_the_next_embedder() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 1)?.with_session()?;
    let before: String = client.value("SELECT pinterest_embed_text('a barn')::text")?;
    let first = wait_for("the embedder", SOON, || world.cluster.embedder())?;
    world.cluster.kill9(first.pid)?;
    let after: String = client.value("SELECT pinterest_embed_text('a barn')::text")?;
    assert_eq!(before, after);
    let second = wait_for("the embedder", SOON, || world.cluster.embedder())?;
    assert_ne!(first.pid, second.pid);
    Ok(())
}
