//! Images at URLs in users' tables are downloaded from the hosts that the administrator allows.

use crate::support::prelude::*;
use crate::support::tracking_work::{count, settled, small_world, state, until_state, urls, world};

fn table(client: &mut Client) -> Result<()> {
    client.batch_execute(
        "CREATE TABLE venues (id bigint PRIMARY KEY, url varchar(4000), embedding vector(512));
         SELECT pinterest_track('venues', image_url => 'url')",
    )?;
    Ok(())
}

#[test]
fn only_images_of_allowed_hosts_are_downloaded() -> Result<()> {
    let (world, mut client) = world(4)?.with_session()?;
    let urls = urls(&world, &mut client)?;
    table(&mut client)?;
    let host = world.sandbox.host();
    for (id, url) in [
        (1_i64, urls[0].clone()),
        (2, urls[1].clone()),
        (3, "https://i.pinimg.com/600x/0d/f6/f1/0df6f1f0bfe7aaca849c1bbc3607a34b.jpg".to_owned()),
        (4, urls[2].replace("https://", "http://")),
        (5, format!("https://{host}/600x/aa/bb/cc/none.jpg")),
        (6, "https://169.254.169.254/latest/meta-data".to_owned()),
        (7, format!("https://user@{host}/x.jpg")),
        (8, "/etc/passwd".to_owned()),
    ] {
        client.execute("INSERT INTO venues VALUES ($1, $2)", &[&id, &url])?;
    }
    settled(&mut client)?;
    for (key, wanted) in [
        ("3", "host not allowed: pinterest.tracked_image_hosts does not name i.pinimg.com"),
        ("4", "does not start with https://"),
        ("5", "403"),
        ("6", "host not allowed: pinterest.tracked_image_hosts does not name 169.254.169.254"),
        ("7", "names a user"),
        ("8", "does not start with https://"),
    ] {
        let (state, reason, _) = state(&mut client, key)?;
        assert_eq!(state, "failed", "{key}: {reason}");
        assert!(reason.contains(wanted), "{key}: {reason}");
    }
    // The import gives the same bytes the same embeddings.
    client.batch_execute("SELECT pinterest_import_board('Beach', keep_images => 'originals')")?;
    client.until("SELECT count(*) FROM pinterest.imports WHERE state = 'completed'", 2_i64)?;
    let right = "SELECT count(*) FROM venues v JOIN pinterest.pin_image i ON v.url = i.candidates -> 0 ->> 'url'
          WHERE v.embedding <=> i.embedding < 1e-6";
    assert_eq!(client.value::<i64>(right)?, 2);
    Ok(())
}

#[test]
fn no_host_is_allowed_unless_named() -> Result<()> {
    let (world, mut client) = small_world()?.with_session()?;
    table(&mut client)?;
    client.execute("INSERT INTO venues VALUES (1, $1)", &[&format!("https://{}/x.jpg", world.sandbox.host())])?;
    settled(&mut client)?;
    let (state, reason, code) = state(&mut client, "1")?;
    assert_eq!((state.as_str(), code.as_str()), ("failed", "42501"), "{reason}");
    assert_eq!(world.sandbox.requests().pictures(), 0);
    Ok(())
}

#[test]
fn rows_survive_transient_download_errors() -> Result<()> {
    let (world, mut client) = world(4)?.with_session()?;
    let urls = urls(&world, &mut client)?;
    table(&mut client)?;
    world.sandbox.faults().add(Rule::on(Kind::Image, Fault::ServerError { status: 503 }).times(2));
    for (id, url) in (1_i64..).zip(&urls) {
        client.execute("INSERT INTO venues VALUES ($1, $2)", &[&id, url])?;
    }
    settled(&mut client)?;
    assert_eq!((count(&mut client, "embedded")?, count(&mut client, "failed")?), (4, 0));
    assert_eq!(client.value::<i64>("SELECT count(embedding) FROM venues")?, 4);
    Ok(())
}

#[test]
fn a_row_changed_during_a_download_gets_the_newest_image() -> Result<()> {
    let (world, mut client) = world(6)?.with_session()?;
    let urls = urls(&world, &mut client)?;
    table(&mut client)?;
    world.sandbox.faults().add(Rule::on(Kind::Image, Fault::Hold { gate: GATE.into() }).times(4));
    for (id, url) in (1_i64..).zip(&urls[..4]) {
        client.execute("INSERT INTO venues VALUES ($1, $2)", &[&id, url])?;
    }
    assert!(world.sandbox.requests().wait_for(Kind::Image, 4, SOON), "four downloads have started");
    client.execute("UPDATE venues SET url = $1 WHERE id = 1", &[&urls[4]])?;
    client.batch_execute("DELETE FROM venues WHERE id = 2")?;
    // Deleted and inserted again with another image.
    client.batch_execute("DELETE FROM venues WHERE id = 3")?;
    client.execute("INSERT INTO venues VALUES (3, $1)", &[&urls[5]])?;
    world.sandbox.faults().release(GATE);
    settled(&mut client)?;
    let rows: i64 = client.value("SELECT count(embedding) FROM venues")?;
    assert_eq!((rows, count(&mut client, "embedded")?), (3, 3));
    client.batch_execute("CREATE TABLE control AS SELECT id, embedding FROM venues")?;
    // Computed again without changes in between.
    client.batch_execute("UPDATE venues SET embedding = NULL; SELECT pinterest_track('venues', image_url => 'url')")?;
    settled(&mut client)?;
    let same = "SELECT count(*) FROM venues v JOIN control c USING (id) WHERE v.embedding <=> c.embedding < 1e-6";
    assert_eq!(client.value::<i64>(same)?, 3);
    assert_eq!(client.value::<i64>("SELECT count(DISTINCT embedding::text) FROM venues")?, 3);
    Ok(())
}

#[test]
fn a_claim_waits_for_the_open_transaction_that_changes_its_row() -> Result<()> {
    let (world, mut client) = world(3)?.with_session()?;
    let urls = urls(&world, &mut client)?;
    table(&mut client)?;
    world.sandbox.faults().add(Rule::on(Kind::Image, Fault::Hold { gate: GATE.into() }).times(2));
    client.execute("INSERT INTO venues VALUES (1, $1), (2, 'nowhere'), (3, $2)", &[&urls[0], &urls[1]])?;
    assert!(world.sandbox.requests().wait_for(Kind::Image, 2, SOON));
    // Another session's transaction with a change to one of them is open when both downloads end.
    let mut slow = world.connect()?;
    slow.execute("BEGIN", &[])?;
    slow.execute("UPDATE venues SET url = $1 WHERE id = 1", &[&urls[2]])?;
    world.sandbox.faults().release(GATE);
    until_state(&mut client, "3", "embedded")?;
    let busy = "SELECT count(*) FROM pinterest.tracked_row WHERE key = '{1}' AND claimed_by IS NOT NULL";
    assert_eq!(client.value::<i64>(busy)?, 1, "its claim cannot be ended yet");
    slow.execute("COMMIT", &[])?;
    let begun = Instant::now();
    settled(&mut client)?;
    assert!(begun.elapsed() < Duration::from_secs(20), "long before the lease runs out");
    assert_eq!((count(&mut client, "embedded")?, count(&mut client, "failed")?), (2, 1));
    Ok(())
}

#[test]
fn truncate_and_drop_do_not_wait_for_downloads() -> Result<()> {
    let (world, mut client) = world(6)?.with_session()?;
    let urls = urls(&world, &mut client)?;
    table(&mut client)?;
    world.sandbox.faults().add(Rule::on(Kind::Image, Fault::Hold { gate: GATE.into() }));
    for (id, url) in (1_i64..).zip(&urls) {
        client.execute("INSERT INTO venues VALUES ($1, $2)", &[&id, url])?;
    }
    assert!(world.sandbox.requests().wait_for(Kind::Image, 4, SOON));
    client.batch_execute("SET statement_timeout = '2s'; TRUNCATE venues; RESET statement_timeout")?;
    client.execute("INSERT INTO venues VALUES (1, $1)", &[&urls[5]])?;
    world.sandbox.faults().release(GATE);
    settled(&mut client)?;
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.tracked_row WHERE state = 'embedded'")?, 1);
    assert_eq!(client.value::<i64>("SELECT count(embedding) FROM venues")?, 1);

    world.sandbox.faults().add(Rule::on(Kind::Image, Fault::Hold { gate: "again".into() }));
    client.execute("UPDATE venues SET url = $1", &[&urls[0]])?;
    client.batch_execute("SET statement_timeout = '2s'; DROP TABLE venues; RESET statement_timeout")?;
    world.sandbox.faults().release("again");
    let problem: String =
        wait_for("a problem", SOON, || client.value("SELECT max(problem) FROM pinterest.tracked_column"))?;
    assert!(problem.contains("public.venues does not exist"), "{problem}");
    client.batch_execute("SET statement_timeout = '10s'; DROP EXTENSION pg_pinterest CASCADE")?;
    Ok(())
}
