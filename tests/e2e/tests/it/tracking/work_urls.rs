//! Pictures behind URLs in users' tables: from the hosts that the administrator named, and only while the row wants them.

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
fn only_pictures_of_named_hosts_come() -> Result<()> {
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
    // The same bytes by SQL: the import keeps them.
    client.batch_execute("SELECT pinterest_import_board('Beach', keep_images => true)")?;
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
fn trouble_that_passes_costs_nothing() -> Result<()> {
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
fn a_row_that_changes_meanwhile_keeps_the_newest_alone() -> Result<()> {
    let (world, mut client) = world(6)?.with_session()?;
    let urls = urls(&world, &mut client)?;
    table(&mut client)?;
    world.sandbox.faults().add(Rule::on(Kind::Image, Fault::Hold { gate: GATE.into() }).times(4));
    for (id, url) in (1_i64..).zip(&urls[..4]) {
        client.execute("INSERT INTO venues VALUES ($1, $2)", &[&id, url])?;
    }
    assert!(world.sandbox.requests().wait_for(Kind::Image, 4, SOON), "all are being downloaded");
    client.execute("UPDATE venues SET url = $1 WHERE id = 1", &[&urls[4]])?;
    client.batch_execute("DELETE FROM venues WHERE id = 2")?;
    // Gone and there again, with another picture.
    client.batch_execute("DELETE FROM venues WHERE id = 3")?;
    client.execute("INSERT INTO venues VALUES (3, $1)", &[&urls[5]])?;
    world.sandbox.faults().release(GATE);
    settled(&mut client)?;
    let rows: i64 = client.value("SELECT count(embedding) FROM venues")?;
    assert_eq!((rows, count(&mut client, "embedded")?), (3, 3));
    client.batch_execute("CREATE TABLE control AS SELECT id, embedding FROM venues")?;
    // What each picture gives in a row that nothing happens to.
    client.batch_execute("UPDATE venues SET embedding = NULL; SELECT pinterest_track('venues', image_url => 'url')")?;
    settled(&mut client)?;
    let same = "SELECT count(*) FROM venues v JOIN control c USING (id) WHERE v.embedding <=> c.embedding < 1e-6";
    assert_eq!(client.value::<i64>(same)?, 3);
    assert_eq!(client.value::<i64>("SELECT count(DISTINCT embedding::text) FROM venues")?, 3);
    Ok(())
}

#[test]
fn a_change_that_is_long_in_coming_is_waited_for() -> Result<()> {
    let (world, mut client) = world(3)?.with_session()?;
    let urls = urls(&world, &mut client)?;
    table(&mut client)?;
    world.sandbox.faults().add(Rule::on(Kind::Image, Fault::Hold { gate: GATE.into() }).times(2));
    client.execute("INSERT INTO venues VALUES (1, $1), (2, 'nowhere'), (3, $2)", &[&urls[0], &urls[1]])?;
    assert!(world.sandbox.requests().wait_for(Kind::Image, 2, SOON));
    // Another session changes one of them and takes its time, while the worker comes back with both.
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
fn a_table_is_emptied_and_dropped_without_waiting() -> Result<()> {
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
        wait_for("the problem to be said", SOON, || client.value("SELECT max(problem) FROM pinterest.tracked_column"))?;
    assert!(problem.contains("public.venues does not exist"), "{problem}");
    client.batch_execute("SET statement_timeout = '10s'; DROP EXTENSION pg_pinterest CASCADE")?;
    Ok(())
}
