//! The views pinterest.stat_…: exact counts, resets, restarts, crashes, databases, rights.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::thread;

use e2e::ServerUser;

use crate::support::owners::role;
use crate::support::prelude::*;

const VIEWS: [&str; 6] =
    ["stat_imports", "stat_images", "stat_requests", "stat_embedder", "stat_refreshes", "stat_tracked"];

/// Numbers of a view's row, by column; `which` is a condition.
fn counts(client: &mut Client, view: &str, which: &str) -> Result<BTreeMap<String, f64>> {
    let sql = format!(
        "SELECT e.key, e.value::float8 FROM pinterest.{view} s, jsonb_each_text(to_jsonb(s)) AS e
          WHERE {which} AND jsonb_typeof(to_jsonb(s) -> e.key) = 'number'"
    );
    Ok(client.query(&sql, &[])?.iter().map(|row| (row.get(0), row.get(1))).collect())
}

fn imports(client: &mut Client) -> Result<BTreeMap<String, f64>> {
    counts(client, "stat_imports", "true")
}

fn images_of(client: &mut Client, source: &str) -> Result<BTreeMap<String, f64>> {
    counts(client, "stat_images", &format!("source = '{source}'"))
}

fn resets(client: &mut Client) -> Result<Vec<String>> {
    client.column(
        "SELECT stats_reset::text FROM pinterest.stat_imports UNION ALL SELECT stats_reset::text FROM pinterest.stat_images
         UNION ALL SELECT stats_reset::text FROM pinterest.stat_embedder
         UNION ALL SELECT stats_reset::text FROM pinterest.stat_refreshes ORDER BY 1",
    )
}

/// Waits for the embedder's report, which may come a moment after its answers.
fn embedder(client: &mut Client, column: &str, wanted: i64) -> Result<()> {
    client.until(&format!("SELECT {column} FROM pinterest.stat_embedder"), wanted)
}

#[test]
fn counts_after_a_known_import_are_exact() -> Result<()> {
    const PINS: u64 = 30;
    let (world, mut client) = quick_world("Beach", PINS)?.with_session()?;
    client.batch_execute("SELECT pinterest_stat_reset()")?;
    world.sandbox.requests().reset();
    let row = import(&mut client, "Beach")?;
    let found = imports(&mut client)?;
    for (column, expected) in [
        ("queued", 1.0),
        ("started", 1.0),
        ("completed", 1.0),
        ("failed", 0.0),
        ("cancelled", 0.0),
        ("unchanged", 0.0),
        ("waits_quota", 0.0),
        ("waits_access", 0.0),
        ("waits_reauth", 0.0),
        ("pins_listed", PINS as f64),
        ("imports_queued", 0.0),
        ("imports_running", 0.0),
        ("imports_waiting", 0.0),
    ] {
        assert_eq!(found[column], expected, "{column} {found:?}");
    }
    client.until("SELECT import_time > 0 FROM pinterest.stat_imports", true)?;
    let images = images_of(&mut client, "import")?;
    let outcomes = ["embedded", "reused", "skipped", "failed", "pending"].map(|column| images[column]);
    assert_eq!(outcomes, [row.embedded.into(), row.reused.into(), 0.0, 0.0, 0.0], "{images:?} {row:?}");
    let pictures = world.sandbox.requests().pictures() as f64;
    assert_eq!(images["downloads"], pictures, "{images:?}");
    assert!(images["download_time"] > 0.0 && images["embed_time"] > 0.0, "{images:?}");

    // Every request of the server is in one row.
    let total: i64 = client.value("SELECT sum(requests)::int8 FROM pinterest.stat_requests")?;
    assert_eq!(total as u64, world.sandbox.requests().total());
    assert_eq!(client.column::<String>("SELECT DISTINCT status_class FROM pinterest.stat_requests")?, ["2xx"]);
    let bytes: i64 = client.value("SELECT sum(bytes_received)::int8 FROM pinterest.stat_requests")?;
    assert!(bytes as f64 > images["bytes_downloaded"] && images["bytes_downloaded"] > 0.0, "{bytes} {images:?}");
    assert!(client.value::<bool>("SELECT bool_and(request_time > 0 AND retries = 0) FROM pinterest.stat_requests")?);

    embedder(&mut client, "images", row.embedded.into())?;
    let model = "SELECT loaded AND model <> '' AND \"precision\" IS NOT NULL AND untrained AND batch_time > 0 AND batches BETWEEN 1 AND images
             AND queue_wait_time > 0 AND starts = 1 AND deaths = 0 FROM pinterest.stat_embedder";
    client.until(model, true)?;
    client.batch_execute("SELECT pinterest_embed_text('a barn')")?;
    embedder(&mut client, "texts", 1)?;

    // A second import finds the board unchanged; a third is cancelled, and a fourth is rolled back.
    import(&mut client, "Beach")?;
    client.batch_execute("SELECT pinterest_pause_account(account_id) FROM pinterest.accounts")?;
    let cancelled = queue_board(&mut client, "Beach")?;
    client.execute("SELECT pinterest_cancel_import($1)", &[&cancelled])?;
    client.batch_execute("BEGIN; SELECT pinterest_import_board('Beach'); ROLLBACK")?;
    let found = imports(&mut client)?;
    let ended = ["queued", "completed", "unchanged", "cancelled"].map(|column| found[column]);
    assert_eq!(ended, [3.0, 2.0, 1.0, 1.0], "{found:?}");
    assert_eq!(images_of(&mut client, "import")?["reused"], f64::from(row.reused), "unchanged boards count no image");
    Ok(())
}

#[test]
fn calls_and_tracked_columns_are_counted() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 2)?.with_session()?;
    client.batch_execute("SELECT pinterest_import_board('Beach', keep_images => 'originals')")?;
    client.until("SELECT count(*) FROM pinterest.imports WHERE state = 'completed'", 1_i64)?;
    client.batch_execute(
        "SELECT pinterest_stat_reset('stat_images');
         SELECT pinterest_embed_image(image) FROM pinterest.pin_image;
         CREATE TABLE venues (id int PRIMARY KEY, photo bytea, about text, e vector(512), f vector(512));
         INSERT INTO venues SELECT 1, image, 'a barn' FROM pinterest.pin_image LIMIT 1;
         INSERT INTO venues VALUES (2, 'not an image', NULL);
         SELECT pinterest_track('venues', image => 'photo', embedding => 'e'),
                pinterest_track('venues', text => 'about', embedding => 'f')",
    )?;
    client.refused("SELECT pinterest_embed_image('not an image')", "0A000");
    let pending: i64 = client.value("SELECT pinterest_wait_for_tracked('venues', interval '1 minute')")?;
    assert_eq!(pending, 0);
    let calls = images_of(&mut client, "call")?;
    assert_eq!((calls["embedded"], calls["failed"]), (2.0, 1.0), "{calls:?}");
    assert!(calls["embed_time"] > 0.0);
    let tracked = images_of(&mut client, "tracked")?;
    assert_eq!((tracked["embedded"], tracked["failed"], tracked["pending"]), (1.0, 1.0, 0.0), "{tracked:?}");
    for (column, embedded, failed) in [("e", 1.0, 1.0), ("f", 1.0, 0.0)] {
        let found = counts(&mut client, "stat_tracked", &format!("embedding_column = '{column}'"))?;
        assert_eq!((found["embedded"], found["failed"], found["failed_rows"]), (embedded, failed, failed), "{found:?}");
        assert_eq!((found["pending"], found["retries"], found["skipped"]), (0.0, 0.0, 0.0), "{found:?}");
    }
    let table: bool = client.value("SELECT bool_and(table_oid = 'venues'::regclass) FROM pinterest.stat_tracked")?;
    assert!(table);
    client.batch_execute("UPDATE venues SET about = NULL; SELECT pinterest_stat_reset('pinterest.stat_tracked')")?;
    assert_eq!(client.value::<i64>("SELECT sum(embedded + failed)::int8 FROM pinterest.stat_tracked")?, 0);
    // The counters of a column end with its declaration: another one does not inherit them.
    client.batch_execute("SELECT pinterest_untrack('venues')")?;
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.stat_tracked")?, 0);
    drop(world);
    Ok(())
}

#[test]
fn failed_requests_and_refreshes_are_counted() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 6)?.with_session()?;
    client.batch_execute("SELECT pinterest_stat_reset()")?;
    world.sandbox.faults().add(Rule::on(Kind::Image, Fault::ServerError { status: 503 }).times(2));
    let row = import(&mut client, "Beach")?;
    assert_eq!(row.failed, 0, "{row:?}");
    let class = "SELECT COALESCE(sum(requests), 0)::int8 FROM pinterest.stat_requests WHERE status_class = ";
    assert_eq!(client.value::<i64>(&format!("{class} '5xx'"))?, 2);
    assert_eq!(client.value::<i64>("SELECT sum(retries)::int8 FROM pinterest.stat_requests")?, 2);
    world.sandbox.faults().clear();

    client.batch_execute("SELECT pinterest_refresh(account_id) FROM pinterest.accounts")?;
    let found = counts(&mut client, "stat_refreshes", "true")?;
    assert_eq!((found["succeeded"], found["failed"], found["rejected"]), (1.0, 0.0, 0.0), "{found:?}");
    assert_eq!((found["accounts_connected"], found["accounts_needs_reauth"]), (1.0, 0.0), "{found:?}");
    let times = "SELECT last_success > stats_reset AND last_failure IS NULL AND next_expiry > now() FROM pinterest.stat_refreshes";
    assert!(client.value::<bool>(times)?);
    world.sandbox.faults().add(Rule::on(Kind::Token, Fault::ServerError { status: 503 }));
    assert!(client.batch_execute("SELECT pinterest_refresh(account_id) FROM pinterest.accounts").is_err());
    let found = counts(&mut client, "stat_refreshes", "true")?;
    assert_eq!((found["succeeded"], found["failed"]), (1.0, 1.0), "{found:?}");
    assert!(client.value::<bool>("SELECT last_failure > last_success FROM pinterest.stat_refreshes")?);
    Ok(())
}

#[test]
fn counts_survive_a_clean_restart_and_no_crash() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 3)?.with_session()?;
    let row = import(&mut client, "Beach")?;
    embedder(&mut client, "images", row.embedded.into())?;
    client.until("SELECT import_time > 0 FROM pinterest.stat_imports", true)?;
    let read = |client: &mut Client| -> Result<_> {
        let requests: String = client.value(
            "SELECT string_agg(format('%s %s %s %s', host, status_class, requests, request_time), ',' ORDER BY 1)
               FROM pinterest.stat_requests",
        )?;
        let embedder: i64 = client.value("SELECT images FROM pinterest.stat_embedder")?;
        Ok((imports(client)?, images_of(client, "import")?, requests, embedder, resets(client)?))
    };
    let before = read(&mut client)?;
    for stop in [Stop::Fast, Stop::Smart] {
        drop(client);
        world.cluster.restart(stop)?;
        client = world.connect()?;
        assert_eq!(read(&mut client)?, before, "{stop:?}");
    }
    let file = world.cluster.data_directory().join("pg_stat/pg_pinterest.stat");
    assert!(!file.exists(), "a crash must not bring back what was read");

    // A crash of any session ends all processes, and shared memory with them.
    let pid: i32 = client.value("SELECT pg_backend_pid()")?;
    world.cluster.kill9(pid)?;
    client = wait_for("the server after a crash", SOON, || Ok(world.connect().ok()))?;
    let after = imports(&mut client)?;
    assert_eq!((after["queued"], after["completed"]), (0.0, 0.0), "{after:?}");
    assert!(resets(&mut client)?.iter().zip(&before.4).all(|(after, before)| after > before));

    // A damaged file is ignored, and the log says so.
    import(&mut client, "Beach")?;
    drop(client);
    world.cluster.stop(Stop::Fast)?;
    // The group has access to the file if it has to the data directory.
    let directory = std::fs::metadata(world.cluster.data_directory())?.permissions().mode();
    assert_eq!(std::fs::metadata(&file)?.permissions().mode() & 0o777, directory & 0o640);
    let mut bytes = std::fs::read(&file)?;
    let last = bytes.len() - 3;
    bytes[last] ^= 1;
    std::fs::write(&file, bytes)?;
    world.cluster.launch()?;
    client = world.connect()?;
    assert_eq!(imports(&mut client)?["completed"], 0.0);
    assert!(world.cluster.log()?.contains("ignoring invalid file \"pg_stat/pg_pinterest.stat\""));
    Ok(())
}

/// A server with something else in the place of the file starts and stops, and begins at 0.
#[test]
fn nothing_in_the_place_of_the_file_holds_the_server_up() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 2)?.with_session()?;
    let directory = world.cluster.data_directory().join("pg_stat");
    let (file, written) = (directory.join("pg_pinterest.stat"), directory.join("pg_pinterest.stat.tmp"));
    let fifo = |path: &Path| -> Result<()> {
        anyhow::ensure!(Command::new("mkfifo").arg(path).status()?.success(), "mkfifo");
        ServerUser::get()?.own(path)
    };
    for (kind, reason) in [
        ("fifo", "not a regular file"),
        ("link", "symbolic link"),
        ("large", "larger than 4194304 bytes"),
        ("directory", "not a regular file"),
    ] {
        import(&mut client, "Beach")?;
        drop(client);
        world.cluster.stop(Stop::Fast)?;
        match kind {
            "fifo" => std::fs::remove_file(&file).map_err(Into::into).and_then(|()| fifo(&file))?,
            // What it points to is valid.
            "link" => {
                std::fs::rename(&file, directory.join("elsewhere"))?;
                std::os::unix::fs::symlink("elsewhere", &file)?;
            }
            "large" => std::fs::OpenOptions::new().write(true).open(&file)?.set_len(1 << 30)?,
            _ => {
                std::fs::remove_file(&file)?;
                std::fs::create_dir(&file)?;
                ServerUser::get()?.own(&file)?;
            }
        }
        let before = world.cluster.log()?.len();
        world.cluster.launch()?;
        client = world.connect()?;
        assert_eq!(imports(&mut client)?["completed"], 0.0, "{kind}");
        let log = world.cluster.log()?[before..].to_owned();
        let line = log.lines().find(|line| line.contains("could not read file \"pg_stat/pg_pinterest.stat\""));
        assert!(line.is_some_and(|line| line.contains(reason)), "{kind}: {log}");
        assert_eq!(file.symlink_metadata().is_ok(), kind == "directory", "{kind}");
    }
    std::fs::remove_dir(&file)?;

    // The file is written in spite of a FIFO in the place where it is made; a directory there is reported.
    fifo(&written)?;
    import(&mut client, "Beach")?;
    drop(client);
    world.cluster.restart(Stop::Fast)?;
    client = world.connect()?;
    assert_eq!(imports(&mut client)?["completed"], 1.0);
    drop(client);
    std::fs::create_dir(&written)?;
    world.cluster.restart(Stop::Fast)?;
    client = world.connect()?;
    assert_eq!(imports(&mut client)?["completed"], 0.0);
    assert!(world.cluster.log()?.contains("could not write file \"pg_stat/pg_pinterest.stat.tmp\""));
    Ok(())
}

#[test]
fn databases_count_for_themselves_and_leave_no_counts() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 3)?.with_session()?;
    import(&mut client, "Beach")?;
    client.batch_execute("CREATE DATABASE other")?;
    let mut other = world.cluster.connect_to("postgres", "other")?;
    other.batch_execute("CREATE EXTENSION pg_pinterest CASCADE")?;
    let found = imports(&mut other)?;
    assert_eq!((found["queued"], found["completed"], found["pins_listed"]), (0.0, 0.0, 0.0), "{found:?}");
    assert_eq!(other.value::<i64>("SELECT count(*) FROM pinterest.stat_requests")?, 0);
    let of_cluster = "SELECT images FROM pinterest.stat_embedder";
    assert_eq!(other.value::<i64>(of_cluster)?, client.value::<i64>(of_cluster)?);
    other.batch_execute("SELECT pinterest_stat_reset('stat_imports')")?;
    assert_eq!(imports(&mut client)?["completed"], 1.0);
    other.refused("SELECT pinterest_stat_reset('stat_nothing')", "22023").hints("The views are stat_imports,");

    // A creation that is rolled back resets nothing.
    assert_ne!(images_of(&mut client, "import")?["embedded"], 0.0);
    client.batch_execute("SET statement_timeout = '20s'")?;
    client.batch_execute("BEGIN; DROP EXTENSION pg_pinterest CASCADE; CREATE EXTENSION pg_pinterest; ROLLBACK")?;
    assert_ne!(images_of(&mut client, "import")?["embedded"], 0.0);
    // An extension that is created again does not have the counts of the one before.
    client.batch_execute("DROP EXTENSION pg_pinterest CASCADE")?;
    client.batch_execute("CREATE EXTENSION pg_pinterest")?;
    let (found, images) = (imports(&mut client)?, images_of(&mut client, "import")?);
    assert_eq!((found["queued"], found["completed"], found["pins_listed"]), (0.0, 0.0, 0.0), "{found:?}");
    assert_eq!((images["embedded"], images["downloads"]), (0.0, 0.0), "{images:?}");
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.stat_requests")?, 0);
    Ok(())
}

#[test]
fn without_preloading_counts_last_until_the_server_stops() -> Result<()> {
    let (world, mut client) =
        World::builder().sandbox(quick_board("Beach", 3)).preload(false).start()?.with_session()?;
    let row = import(&mut client, "Beach")?;
    assert_eq!(imports(&mut client)?["completed"], 1.0);
    embedder(&mut client, "images", row.embedded.into())?;
    let doctor = "SELECT status || ': ' || detail FROM pinterest_doctor() WHERE check_name = 'statistics'";
    let said: String = client.value(doctor)?;
    assert_eq!(said, "note: kept in shared memory until the server stops, because the library is not preloaded");
    drop(client);
    world.cluster.restart(Stop::Fast)?;
    let mut client = world.connect()?;
    assert_eq!(imports(&mut client)?["completed"], 0.0);
    Ok(())
}

#[test]
fn only_admins_and_monitoring_read_statistics() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 1)?.with_session()?;
    import(&mut client, "Beach")?;
    let mut chief = role(&world.cluster, "chief", "admin")?;
    let mut user = role(&world.cluster, "ann", "user")?;
    world.cluster.create_role("exporter")?;
    client.batch_execute("GRANT pg_monitor TO exporter")?;
    let mut exporter = world.cluster.connect_as("exporter")?;
    for view in VIEWS {
        let sql = format!("SELECT * FROM pinterest.{view}");
        user.refused(&sql, "42501");
        chief.query(&sql, &[])?;
        exporter.query(&sql, &[])?;
    }
    // The rows of all owners are counted.
    assert_eq!(counts(&mut exporter, "stat_refreshes", "true")?["accounts_connected"], 1.0);
    assert_eq!(imports(&mut chief)?["completed"], 1.0);
    for call in ["SELECT pinterest_stat_reset()", "SELECT * FROM pinterest.account", "SELECT * FROM pinterest.imports"]
    {
        exporter.refused(call, "42501");
    }
    user.refused("SELECT pinterest_stat_reset()", "42501");
    chief.batch_execute("SELECT pinterest_stat_reset('stat_imports')")?;
    assert_eq!(imports(&mut exporter)?["completed"], 0.0);
    assert_ne!(images_of(&mut exporter, "import")?["downloads"], 0.0, "another view's counters stay");

    // The embedder's counters are those of all databases.
    embedder(&mut exporter, "starts", 1)?;
    chief.batch_execute("SELECT pinterest_stat_reset()")?;
    assert_eq!(images_of(&mut exporter, "import")?["downloads"], 0.0);
    let refused = chief.refused("SELECT pinterest_stat_reset('stat_embedder')", "42501");
    refused.hints("Its counters are those of all databases of the cluster.");
    embedder(&mut exporter, "starts", 1)?;
    client.batch_execute("SELECT pinterest_stat_reset('stat_embedder')")?;
    embedder(&mut exporter, "starts", 0)?;
    Ok(())
}

#[test]
fn sessions_that_count_at_the_same_time_lose_nothing() -> Result<()> {
    const SESSIONS: usize = 8;
    const EACH: usize = 25;
    let (world, mut client) = quick_world("Beach", 1)?.with_session()?;
    import(&mut client, "Beach")?;
    client.batch_execute(
        "SELECT pinterest_pause_account(account_id) FROM pinterest.accounts; SELECT pinterest_stat_reset()",
    )?;
    thread::scope(|scope| {
        let sessions: Vec<_> = (0..SESSIONS)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    let mut session = world.connect()?;
                    for _ in 0..EACH {
                        session.batch_execute(
                            "BEGIN; SELECT pinterest_import_board('Beach');
                             SAVEPOINT a; SELECT pinterest_import_board('Beach');
                             SAVEPOINT b; SELECT pinterest_import_board('Beach'); RELEASE b; ROLLBACK TO a;
                             SAVEPOINT c; SELECT pinterest_import_board('Beach'); RELEASE c; COMMIT;
                             BEGIN; SELECT pinterest_import_board('Beach'); ROLLBACK",
                        )?;
                    }
                    Ok(())
                })
            })
            .collect();
        sessions.into_iter().try_for_each(|session| session.join().unwrap())
    })?;
    assert_eq!(imports(&mut client)?["queued"], (2 * SESSIONS * EACH) as f64);
    Ok(())
}

#[test]
fn hosts_beyond_the_limit_are_counted_together() -> Result<()> {
    hosts_are_limited_to(32, true)
}

#[test]
fn without_preloading_a_database_takes_fewer_places_for_hosts() -> Result<()> {
    hosts_are_limited_to(8, false)
}

fn hosts_are_limited_to(limit: i64, preload: bool) -> Result<()> {
    let hosts: Vec<String> = (0..40).map(|number| format!("h{number}.invalid")).collect();
    let (_world, mut client) = World::builder()
        .sandbox(quick_board("Beach", 1))
        .setting("pinterest.tracked_image_hosts", &hosts.join(","))
        .preload(preload)
        .start()?
        .with_session()?;
    client.batch_execute(
        "SELECT pinterest_stat_reset('stat_requests');
         CREATE TABLE venues (id int PRIMARY KEY, url text, e vector(512));
         INSERT INTO venues SELECT n, format('https://h%s.invalid/x.jpg', n) FROM generate_series(0, 39) AS n;
         SELECT pinterest_track('venues', image_url => 'url', embedding => 'e')",
    )?;
    client.until(
        "SELECT COALESCE(sum(requests), 0) >= 40 FROM pinterest.stat_requests WHERE status_class = 'error'",
        true,
    )?;
    let named = "SELECT count(DISTINCT host) FROM pinterest.stat_requests WHERE host LIKE 'h%.invalid'";
    assert!(client.value::<i64>(named)? <= limit);
    let others: i64 = client.value("SELECT sum(requests)::int8 FROM pinterest.stat_requests WHERE host = 'other'")?;
    assert!(others >= 40 - limit, "{others}");
    Ok(())
}

#[test]
fn a_database_takes_a_quarter_of_the_places_for_tracked_columns() -> Result<()> {
    const MOST: i64 = 16;
    let (world, mut client) =
        World::builder().sandbox(quick_board("Beach", 1)).preload(false).start()?.with_session()?;
    let columns: Vec<String> = (0..MOST + 2).map(|number| format!("e{number} vector(512)")).collect();
    client.batch_execute(&format!(
        "CREATE TABLE venues (id int PRIMARY KEY, about text, {});
         SELECT pinterest_track('venues', text => 'about', embedding => 'e' || n) FROM generate_series(0, {MOST} + 1) AS n;
         INSERT INTO venues VALUES (1, 'a barn')",
        columns.join(", ")
    ))?;
    assert_eq!(client.value::<i64>("SELECT pinterest_wait_for_tracked('venues', interval '1 minute')")?, 0);
    let counted = "SELECT count(embedded) FROM pinterest.stat_tracked";
    assert_eq!(client.value::<i64>(counted)?, MOST);
    let doctor = "SELECT status || ': ' || detail FROM pinterest_doctor() WHERE check_name = 'statistics'";
    let said: String = client.value(doctor)?;
    assert!(said.starts_with("note: not kept for some tracked columns, "), "{said}");

    // Another database has places of its own.
    client.batch_execute("CREATE DATABASE other")?;
    let mut other = world.cluster.connect_to("postgres", "other")?;
    other.batch_execute(
        "CREATE EXTENSION pg_pinterest CASCADE;
         CREATE TABLE venues (id int PRIMARY KEY, about text, e vector(512));
         SELECT pinterest_track('venues', text => 'about', embedding => 'e');
         INSERT INTO venues VALUES (1, 'a barn')",
    )?;
    other.until("SELECT embedded FROM pinterest.stat_tracked", Some(1_i64))?;

    // Columns that are no longer tracked leave theirs.
    client
        .batch_execute("SELECT pinterest_untrack('venues', embedding => 'e' || n) FROM generate_series(0, 9) AS n")?;
    client.batch_execute("UPDATE venues SET about = 'a tent'")?;
    assert_eq!(client.value::<i64>("SELECT pinterest_wait_for_tracked('venues', interval '1 minute')")?, 0);
    assert_eq!(client.value::<i64>(counted)?, MOST + 2 - 10);
    let said: String = client.value(doctor)?;
    assert!(said.starts_with("note: kept in shared memory"), "{said}");
    Ok(())
}

#[test]
fn a_standby_has_statistics_of_its_own() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 2)?.with_session()?;
    import(&mut client, "Beach")?;
    let standby = Cluster::builder().standby_of(&world.cluster).start()?;
    let mut reader = standby.connect()?;
    let found = imports(&mut reader)?;
    assert_eq!((found["completed"], found["imports_queued"]), (0.0, 0.0), "{found:?}");
    reader.batch_execute("SELECT pinterest_embed_text('a barn'); SELECT pinterest_stat_reset('stat_imports')")?;
    embedder(&mut reader, "texts", 1)?;
    assert_eq!(imports(&mut client)?["completed"], 1.0);
    for view in VIEWS {
        reader.query(&format!("SELECT * FROM pinterest.{view}"), &[])?;
    }
    Ok(())
}

#[test]
fn deaths_of_the_embedder_are_counted() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 1)?.with_session()?;
    client.batch_execute("SELECT pinterest_embed_text('a barn')")?;
    embedder(&mut client, "starts", 1)?;
    client.until("SELECT loaded FROM pinterest.stat_embedder", true)?;
    // Reported before it dies.
    embedder(&mut client, "texts", 1)?;
    let first = wait_for("the embedder", SOON, || world.cluster.embedder())?;
    world.cluster.kill9(first.pid)?;
    embedder(&mut client, "deaths", 1)?;
    client.until("SELECT loaded FROM pinterest.stat_embedder", false)?;
    client.batch_execute("SELECT pinterest_embed_text('a tent')")?;
    embedder(&mut client, "starts", 2)?;
    embedder(&mut client, "texts", 2)?;
    // Ended in order: no death.
    world.cluster.change("pinterest.embedder_threads", "1")?;
    embedder(&mut client, "starts", 3)?;
    embedder(&mut client, "deaths", 1)
}

/// Lines of the log that contain this.
fn logged(world: &World, words: &str) -> Result<Vec<String>> {
    Ok(world.cluster.log()?.lines().filter(|line| line.contains(words)).map(str::to_owned).collect())
}

#[test]
fn the_log_is_searched_by_ids() -> Result<()> {
    let (world, mut client) = quick_world("A very private board", 2)?.with_session()?;
    let account = world.account();
    let import = queue_board(&mut client, "A very private bord")?;
    assert_eq!(wait(&mut client, import)?, "failed");
    let code: String = client.value("SELECT error_code FROM pinterest.imports")?;
    let suffix = format!("[import={import} account={account} run=1]");
    let line = format!("pg_pinterest: the import has failed: SQLSTATE {code}, see pinterest.imports {suffix}");
    until("the line", || Ok(logged(&world, &line)?.len() == 1))?;

    world.sandbox.faults().add(Rule::on(Kind::Token, Fault::ServerError { status: 503 }));
    assert!(client.execute("SELECT pinterest_refresh($1)", &[&account]).is_err());
    let line = "pg_pinterest: a refresh has failed, and is repeated: ";
    let found = logged(&world, line)?;
    assert!(found.len() == 1 && found[0].ends_with(&format!(" [account={account}]")), "{found:?}");
    world.sandbox.faults().clear();
    world.sandbox.faults().add(Rule::on(Kind::Token, Fault::InvalidGrant));
    assert!(client.execute("SELECT pinterest_refresh($1)", &[&account]).is_err());
    let found = logged(&world, "pg_pinterest: the account must be reconnected: ")?;
    assert!(found.len() == 1 && found[0].ends_with(&format!(" [account={account}]")), "{found:?}");
    assert_eq!(client.value::<i64>("SELECT rejected FROM pinterest.stat_refreshes")?, 1);

    client.batch_execute("SELECT pinterest_embed_text('a barn')")?;
    let embedder = wait_for("the embedder", SOON, || world.cluster.embedder())?;
    world.cluster.kill9(embedder.pid)?;
    let line = format!("pg_pinterest: pinterest-embedder was ended by signal 9 [embedder={}]", embedder.pid);
    until("the line", || Ok(logged(&world, &line)?.len() == 1))?;
    for private in ["private b", "example_couple"] {
        let found: Vec<_> = logged(&world, private)?.into_iter().filter(|line| line.contains("pg_pinterest")).collect();
        assert!(found.is_empty(), "{found:?}");
    }
    Ok(())
}

#[test]
fn waits_have_names_from_postgres_17_on() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 2)?.with_session()?;
    let named = client.value::<i32>("SELECT current_setting('server_version_num')::int / 10000")? >= 17;
    let event = |name: &str| if named { name.to_owned() } else { "Extension".to_owned() };
    hold_pictures_after(&world, 0);
    let import = queue_board(&mut client, "Beach")?;
    let mut waiting = |whose: &str, name: &str| {
        let waits = "wait_event_type = 'Extension' AND pid <> pg_backend_pid()";
        let sql = format!("SELECT COALESCE(min(wait_event), '') FROM pg_stat_activity WHERE {whose} AND {waits}");
        client.until(&sql, event(name))
    };
    waiting("backend_type = 'pg_pinterest launcher'", "PinterestMain")?;
    waiting("backend_type = 'pg_pinterest supervisor'", "PinterestMain")?;
    let session = |sql: String| {
        let mut session = world.connect().unwrap();
        thread::spawn(move || session.batch_execute(&sql))
    };
    let waits = session(format!("SELECT pinterest_wait_for_import({import})"));
    waiting("query LIKE 'SELECT pinterest_wait_for%'", "PinterestWorker")?;
    waiting("backend_type = 'pg_pinterest worker'", "PinterestMain")?;
    world.sandbox.faults().add(Rule::on(Kind::Boards, Fault::Hold { gate: "boards".into() }));
    let lists = session("SELECT count(*) FROM pinterest_list_boards()".to_owned());
    waiting("query LIKE '%pinterest_list_boards%'", "PinterestApi")?;
    world.sandbox.faults().release("boards");
    world.sandbox.faults().release(GATE);
    lists.join().unwrap()?;
    waits.join().unwrap()?;
    Ok(())
}
