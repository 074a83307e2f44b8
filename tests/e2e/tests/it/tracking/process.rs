//! Code of a table's owner runs in a separate process, and cannot stop imports, refreshes or other roles' rows.

use crate::support::oauth::{WORKER, doctor};
use crate::support::prelude::*;
use crate::support::tracking_process::{TRACKING_WORKER, on_trial, problem, trap};
use crate::support::tracking_work::table_of;
use crate::support::tracking_work::{count, settled, small_world, state, texts, until_state, wrong_texts};

/// The limit for an end without delay: the three seconds of a process, and a margin for a busy machine.
const AT_ONCE: Duration = Duration::from_secs(5);

#[test]
fn code_that_never_ends_fails_only_its_own_row() -> Result<()> {
    let world = World::of(quick_board("Beach", 3))?;
    let (mut superuser, mut owner) = table_of(&world, "ann")?;
    trap(&mut owner, "NEW.id = 1")?;
    owner.batch_execute("INSERT INTO venues VALUES (1, 'barn')")?;
    let (message, code) = problem(&mut superuser)?;
    assert!(message.contains("took longer than 1 second") && code == "57014", "{message} {code}");
    let (status, detail) = doctor(&mut superuser, "tracked columns")?;
    assert!(status == "problem" && detail.contains("took longer than 1 second"), "{status}: {detail}");
    // Imports and refreshes continue while the row is tried again.
    import(&mut superuser, "Beach")?;
    superuser.query_one("SELECT pinterest_refresh()", &[])?;
    let (reason, code) = until_state(&mut superuser, "1", "failed")?;
    assert!(reason.contains("took longer than 1 second") && code == "57014", "{reason}");
    assert_eq!(superuser.value::<i32>("SELECT deaths FROM pinterest.tracked_row")?, 3);
    // The column continues after its pause and has no problem.
    owner.batch_execute("INSERT INTO venues VALUES (2, 'beach')")?;
    until_state(&mut superuser, "2", "embedded")?;
    assert_eq!(superuser.value::<i64>("SELECT count(problem) FROM pinterest.tracked_column")?, 0);
    assert_eq!(state(&mut superuser, "1")?.0, "failed");
    // The server has not restarted, and both sessions still work.
    assert!(!world.cluster.log()?.contains("terminating any other active server processes"));
    owner.batch_execute("SELECT 1")?;
    Ok(())
}

#[test]
fn code_that_never_ends_delays_no_shutdown() -> Result<()> {
    let world = small_world()?;
    world.cluster.change("pinterest.tracked_row_timeout", "1min")?;
    let mut client = world.connect()?;
    client.batch_execute("CREATE DATABASE shop")?;
    let mut shop = world.cluster.connect_to("postgres", "shop")?;
    shop.batch_execute("CREATE EXTENSION pg_pinterest CASCADE")?;
    texts(&mut shop, "venues")?;
    trap(&mut shop, "true")?;
    shop.batch_execute("INSERT INTO venues VALUES (1, 'barn')")?;
    let worker = on_trial(&mut shop)?;
    let begun = Instant::now();
    let ended: bool = client.value_with("SELECT pg_terminate_backend($1, 5000)", &[&worker])?;
    assert!(ended && begun.elapsed() < AT_ONCE);
    // No row is blamed for a process that was terminated.
    let again = on_trial(&mut shop)?;
    assert_ne!(worker, again);
    assert_eq!(shop.value::<i32>("SELECT deaths FROM pinterest.tracked_row")?, 0);
    drop(shop);
    let begun = Instant::now();
    client.batch_execute("DROP DATABASE shop WITH (FORCE)")?;
    assert!(begun.elapsed() < AT_ONCE, "DROP DATABASE took {:?}", begun.elapsed());

    texts(&mut client, "venues")?;
    trap(&mut client, "true")?;
    client.batch_execute("INSERT INTO venues VALUES (1, 'barn')")?;
    on_trial(&mut client)?;
    let begun = Instant::now();
    world.cluster.stop(Stop::Fast)?;
    assert!(begun.elapsed() < AT_ONCE, "the stop took {:?}", begun.elapsed());
    world.cluster.launch()?;
    let mut client = world.connect()?;
    on_trial(&mut client)?;
    assert_eq!(client.value::<i32>("SELECT deaths FROM pinterest.tracked_row")?, 0);
    Ok(())
}

#[test]
fn a_changed_application_name_starts_no_second_worker() -> Result<()> {
    let world = small_world()?;
    world.cluster.change("pinterest.tracked_row_timeout", "1min")?;
    let (mut superuser, mut owner) = table_of(&world, "ann")?;
    trap(&mut owner, "NEW.id = 1")?;
    owner.batch_execute(
        "ALTER FUNCTION stay() SET application_name = 'leaving'; INSERT INTO venues VALUES (1, 'barn')",
    )?;
    on_trial(&mut superuser)?;
    let begun = Instant::now();
    let mut id = 1_i64;
    until("ten seconds to pass", || {
        id += 1;
        owner.execute("INSERT INTO venues VALUES ($1, 'beach')", &[&id])?;
        let (tracking, others) =
            (world.cluster.backends(TRACKING_WORKER)?.len(), world.cluster.backends(WORKER)?.len());
        assert!(tracking == 1 && others <= 1, "{tracking} tracking workers, {others} others");
        Ok(begun.elapsed() > Duration::from_secs(10))
    })
}

#[test]
fn slow_triggers_of_one_role_do_not_delay_anothers_row() -> Result<()> {
    let world = small_world()?;
    let (mut superuser, mut ann) = table_of(&world, "ann")?;
    let (_, mut ben) = table_of(&world, "ben")?;
    ann.batch_execute(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.8); RETURN NEW; END $$;
         CREATE TRIGGER slow BEFORE UPDATE OF embedding ON venues FOR EACH ROW EXECUTE FUNCTION slow();
         INSERT INTO venues SELECT n, 'barn ' || n FROM generate_series(1, 100) n",
    )?;
    until("two slow rows", || Ok(count(&mut superuser, "embedded")? >= 2))?;
    let mut longest = Duration::ZERO;
    for id in 1_i64..=3 {
        let begun = Instant::now();
        ben.execute("INSERT INTO venues VALUES ($1, 'beach')", &[&id])?;
        ben.until("SELECT count(embedding) FROM venues", id)?;
        longest = longest.max(begun.elapsed());
    }
    assert!(longest < Duration::from_secs(4), "{longest:?}");
    // A column that has used up its time pauses and reports it.
    let (message, code) = problem(&mut superuser)?;
    assert!(message.contains("used up their time") && code == "53400", "{message} {code}");
    assert!(count(&mut superuser, "embedded")? < 40);
    assert_eq!(superuser.value::<i64>("SELECT count(*) FROM pinterest.tracked_row WHERE deaths > 0")?, 0);
    Ok(())
}

#[test]
fn rows_that_queue_themselves_without_end_fail() -> Result<()> {
    let (_world, mut client) = small_world()?.with_session()?;
    // Each update changes the source (dots), another row's source, whose update changes the first one's (rings), or the
    // key (keys). The trigger on `lower` changes the source only once.
    for table in ["dots", "rings", "keys", "lower"] {
        texts(&mut client, table)?;
    }
    client.batch_execute(
        "CREATE FUNCTION dot() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN NEW.description = NEW.description || '.'; RETURN NEW; END $$;
         CREATE TRIGGER dot BEFORE UPDATE ON dots FOR EACH ROW EXECUTE FUNCTION dot();
         CREATE FUNCTION ring() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN UPDATE rings SET description = description || '.' WHERE id = 3 - NEW.id; RETURN NULL; END $$;
         CREATE TRIGGER ring AFTER UPDATE OF embedding ON rings FOR EACH ROW
             WHEN (NEW.embedding IS NOT NULL) EXECUTE FUNCTION ring();
         CREATE FUNCTION next_key() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.id = NEW.id + 1; RETURN NEW; END $$;
         CREATE TRIGGER next_key BEFORE UPDATE ON keys FOR EACH ROW EXECUTE FUNCTION next_key();
         CREATE FUNCTION lower() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN NEW.description = pg_catalog.lower(NEW.description); RETURN NEW; END $$;
         CREATE TRIGGER lower BEFORE UPDATE ON lower FOR EACH ROW EXECUTE FUNCTION lower();
         INSERT INTO dots VALUES (1, 'barn');
         INSERT INTO rings VALUES (1, 'barn'), (2, 'beach');
         INSERT INTO keys VALUES (1, 'barn');
         INSERT INTO lower VALUES (1, 'Barn')",
    )?;
    settled(&mut client)?;
    for table in ["dots", "rings", "keys"] {
        let rows = client.query(
            "SELECT r.reason, r.reason_code FROM pinterest.tracked_row r JOIN pinterest.tracked_column c USING (tracked_column_id)
              WHERE c.table_name = $1 AND r.state = 'failed'",
            &[&table],
        )?;
        assert!(!rows.is_empty(), "no row of {table} has failed");
        for row in rows {
            let (reason, code): (String, String) = (row.get(0), row.get(1));
            assert!(reason.contains("queue the row again") && code == "09000", "{table}: {reason} {code}");
        }
    }
    assert_eq!(wrong_texts(&mut client, "lower")?, 0);
    assert_eq!(client.value::<String>("SELECT description FROM lower")?, "barn");
    Ok(())
}

#[test]
fn each_kind_of_worker_starts_for_its_own_work() -> Result<()> {
    let (world, mut client) = World::builder()
        .sandbox(quick_board("Beach", 3))
        .setting("pinterest.worker_idle_timeout", "1s")
        .start()?
        .with_session()?;
    let gone = |kind: &str| until("no worker", || Ok(world.cluster.backends(kind)?.is_empty()));
    texts(&mut client, "venues")?;
    gone(WORKER)?;
    gone(TRACKING_WORKER)?;
    client.batch_execute("INSERT INTO venues VALUES (1, 'barn')")?;
    settled(&mut client)?;
    assert!(!world.cluster.backends(TRACKING_WORKER)?.is_empty(), "the worker stays until it is idle long enough");
    let listed = "SELECT string_agg(kind, ', ' ORDER BY kind) FROM pinterest.workers WHERE kind LIKE '%tracking%'";
    assert_eq!(client.value::<String>(listed)?, TRACKING_WORKER);
    gone(TRACKING_WORKER)?;
    gone(WORKER)?;
    import(&mut client, "Beach")?;
    assert!(world.cluster.backends(TRACKING_WORKER)?.is_empty(), "an import starts no tracking worker");
    Ok(())
}

#[test]
fn a_restarted_server_embeds_pending_rows_without_a_call() -> Result<()> {
    let (world, mut client) = small_world()?.with_session()?;
    texts(&mut client, "venues")?;
    client.batch_execute("INSERT INTO venues SELECT n, 'barn ' || n FROM generate_series(1, 400) n")?;
    until("some embedded rows", || Ok(count(&mut client, "embedded")? > 10))?;
    world.cluster.restart(Stop::Fast)?;
    let mut client: Client = world.connect()?;
    settled(&mut client)?;
    assert_eq!(count(&mut client, "embedded")?, 400);
    Ok(())
}

#[test]
fn an_open_transaction_of_one_role_does_not_delay_anothers_row() -> Result<()> {
    let world = small_world()?;
    let (mut superuser, mut ann) = table_of(&world, "ann")?;
    let (_, mut ben) = table_of(&world, "ben")?;
    trap(&mut ann, "NEW.id = 1")?;
    ann.batch_execute("INSERT INTO venues VALUES (1, 'barn')")?;
    on_trial(&mut superuser)?;
    // The first statement locks the column, as a foreign key does. The second waits for the process to end and then
    // holds the row that is to be blamed.
    ann.batch_execute(
        "BEGIN; INSERT INTO venues VALUES (2, 'beach'); UPDATE venues SET description = 'late' WHERE id = 1",
    )?;
    ben.batch_execute("INSERT INTO venues VALUES (1, 'beach')")?;
    ben.until("SELECT count(embedding) FROM venues", 1_i64)?;
    ann.batch_execute("COMMIT")?;
    until_state(&mut superuser, "2", "embedded")?;
    Ok(())
}

#[test]
fn session_locks_taken_by_a_trigger_end_with_its_row() -> Result<()> {
    let (world, mut client) = small_world()?.with_session()?;
    texts(&mut client, "venues")?;
    client.batch_execute(
        "CREATE SEQUENCE taken;
         CREATE FUNCTION hoard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             PERFORM pg_advisory_lock(g), nextval('taken') FROM generate_series(1, 200) g;
             IF NEW.id = 2 THEN RAISE EXCEPTION 'no'; END IF;
             RETURN NEW;
         END $$;
         CREATE TRIGGER hoard BEFORE UPDATE OF embedding ON venues FOR EACH ROW EXECUTE FUNCTION hoard();
         INSERT INTO venues VALUES (1, 'barn'), (2, 'beach')",
    )?;
    until_state(&mut client, "1", "embedded")?;
    until("both rows", || Ok(client.value::<i64>("SELECT last_value FROM taken")? >= 400))?;
    client.until("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", 0_i64)?;
    assert!(!world.cluster.backends(TRACKING_WORKER)?.is_empty(), "the process is still there");
    Ok(())
}
