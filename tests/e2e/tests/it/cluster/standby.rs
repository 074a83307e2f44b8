//! A hot standby: everything that only reads works there, with an embedder of its own, and also while the standby is
//! behind; what writes is refused. After its promotion it goes on where the primary ended.

use std::collections::BTreeSet;

use crate::support::oauth::{WORKER, generation, refresh};
use crate::support::prelude::*;
use crate::support::tracking_work::settled;

/// What works on a standby as on its primary, by the function that it calls; `true`: with the same result.
const READS: &[(&str, &str, bool)] = &[
    ("pinterest_export", "(pinterest_export(1, vectors => true, images => true)::jsonb - 'exported_at')::text", true),
    ("pinterest_keys", "(SELECT string_agg(k::text, ' ') FROM pinterest_keys() k)", true),
    ("pinterest_workers", "(SELECT count(*) FROM pinterest_workers())::text", false),
    ("pinterest_wait_for_import", "pinterest_wait_for_import(1)", true),
    ("pinterest_wait_for_tracked", "pinterest_wait_for_tracked('venues')::text", true),
    (
        "pinterest_embed_image",
        "(SELECT string_agg(md5(pinterest_embed_image(image)::text), ' ') FROM pinterest.pin_image)",
        true,
    ),
    ("pinterest_embed_text", "pinterest_embed_text('a barn')::text", true),
    (
        "pinterest_embed_images",
        "(SELECT md5(pinterest_embed_images(array_agg(image ORDER BY pin_id))::text) FROM pinterest.pin_image)",
        true,
    ),
    ("pinterest_embed_texts", "md5(pinterest_embed_texts('{a barn,the sea}')::text)", true),
    ("pinterest_board_embedding", "pinterest_board_embedding('Beach', half_life => '90 days')::text", true),
    (
        "pinterest_board_themes",
        "(SELECT string_agg(t::text, ' ') FROM pinterest_board_themes('Beach', labels => '{sea,barn}') t)",
        true,
    ),
    (
        "pinterest_classify",
        "(SELECT string_agg(c::text, ' ') FROM pinterest_classify(pinterest_board_embedding('Beach'), '{sea,barn}') c)",
        true,
    ),
    (
        "pinterest_recommend",
        "(SELECT string_agg(r::text, ' ') FROM pinterest_recommend('Beach', 'venues', 3, explain => true) r)",
        true,
    ),
    (
        "pinterest_recommend",
        "(SELECT string_agg(r::text, ' ') FROM pinterest_recommend('{Beach,Barn}'::text[], 'venues', 3) r)",
        true,
    ),
    (
        "pinterest_pins_like",
        "(SELECT string_agg(p::text, ' ') FROM pinterest_pins_like(pinterest_embed_text('sea'), 3) p)",
        true,
    ),
    ("pinterest_boards_like", "(SELECT string_agg(b::text, ' ') FROM pinterest_boards_like('Beach') b)", true),
    ("pinterest_duplicates", "(SELECT string_agg(d::text, ' ') FROM pinterest_duplicates('Beach') d)", true),
    ("pinterest_gallery", "md5(pinterest_gallery('Beach', embed => true))", true),
    ("pinterest_doctor", "(SELECT string_agg(check_name, ' ' ORDER BY check_name) FROM pinterest_doctor())", false),
    ("pinterest_sizing", "(SELECT string_agg(s::text, ' ') FROM pinterest_sizing(1000, 500) s)", true),
    ("pinterest_stat_reset", "pinterest_stat_reset('stat_imports')::text", true),
    ("pinterest.read_stat_imports", "(SELECT count(*) FROM pinterest.read_stat_imports())::text", true),
    ("pinterest.read_stat_images", "(SELECT count(*) FROM pinterest.read_stat_images())::text", true),
    ("pinterest.read_stat_requests", "(SELECT count(*) FROM pinterest.read_stat_requests())::text", false),
    ("pinterest.read_stat_embedder", "(SELECT count(*) FROM pinterest.read_stat_embedder())::text", true),
    ("pinterest.read_stat_embedders", "(SELECT count(*) FROM pinterest.read_stat_embedders())::text", true),
    ("pinterest.read_stat_refreshes", "(SELECT count(*) FROM pinterest.read_stat_refreshes())::text", true),
    ("pinterest.read_stat_tracked", "(SELECT count(*) FROM pinterest.read_stat_tracked())::text", false),
    ("pinterest.read_stat_workers", "(SELECT count(*) FROM pinterest.read_stat_workers())::text", true),
    ("pinterest.owner_oid", "(SELECT pinterest.owner_oid(owner)::text FROM pinterest.account)", true),
    ("pinterest.is_owner", "(SELECT pinterest.is_owner(owner)::text FROM pinterest.account)", true),
    ("pinterest.has_rights_of", "(SELECT pinterest.has_rights_of(owner)::text FROM pinterest.account)", true),
    ("pinterest.owner_is_gone", "(SELECT pinterest.owner_is_gone(owner)::text FROM pinterest.account)", true),
];

/// Procedures, which hold no transaction while they wait.
const PROCEDURES: &[(&str, &str)] = &[
    ("pinterest_await_import", "CALL pinterest_await_import(1)"),
    ("pinterest_await_tracked", "CALL pinterest_await_tracked('venues')"),
];

/// What writes, or sends requests whose answers have to be stored.
const WRITES: &[(&str, &str)] = &[
    ("pinterest_register_app", "'a', '1', 's', 'https://example.com/'"),
    ("pinterest_authorize_url", ""),
    ("pinterest_connect", "'code', repeat('A', 43)"),
    ("pinterest_store_token", "'token'"),
    ("pinterest_refresh", ""),
    ("pinterest_disconnect", "1"),
    ("pinterest_rotate_key", ""),
    ("pinterest_list_boards", ""),
    ("pinterest_import_board", "'Beach'"),
    ("pinterest_sync_board", "'Beach', '1 day'"),
    ("pinterest_retry_failed", "1"),
    ("pinterest_reembed_board", "'Beach'"),
    ("pinterest_pause_account", "1"),
    ("pinterest_pause_workers", ""),
    ("pinterest_resume_workers", ""),
    ("pinterest_cancel_import", "1"),
    ("pinterest_track", "'venues', text => 'description'"),
    ("pinterest_untrack", "'venues'"),
    ("pinterest_retry_tracked", "'venues'"),
    ("pinterest_purge_board", "'Beach'"),
    ("pinterest_grant", "'postgres'"),
    ("pinterest_revoke", "'postgres'"),
    ("pinterest_reassign", "'postgres', 'postgres'"),
    ("pinterest_adopt", ""),
    ("pinterest_distribute", ""),
    ("pinterest_undistribute", ""),
];

/// Called by triggers, which do not fire on a standby, or by the type role_owner, whose columns the views read.
const NOT_CALLED: [&str; 2] = ["pinterest.track_", "pinterest.role_owner_"];

/// A world with two boards whose images are kept, and a tracked table with an index on its vectors.
fn primary() -> Result<(World, Client)> {
    let config = quick_board("Beach", 4);
    let accounts = config.accounts.iter().cloned().map(|account| account.board(beach_board("Barn", 3))).collect();
    let config = Config { accounts, ..config };
    let (world, mut client) = World::of(config)?.with_session()?;
    for board in ["Beach", "Barn"] {
        let queued: i64 =
            client.value_with("SELECT pinterest_import_board($1, keep_images => 'originals')", &[&board])?;
        complete(&mut client, queued)?;
    }
    client.batch_execute(
        "CREATE TABLE venues (id bigint PRIMARY KEY, description text, embedding vector(512));
         INSERT INTO venues SELECT n, 'venue ' || n FROM generate_series(1, 20) n;
         CREATE INDEX ON venues USING hnsw (embedding vector_cosine_ops)",
    )?;
    client.batch_execute("SELECT pinterest_track('venues', text => 'description')")?;
    settled(&mut client)?;
    Ok((world, client))
}

/// Waits until the standby has what the primary has written.
fn caught_up(primary: &mut Client, standby: &mut Client) -> Result<()> {
    let written: String = primary.value("SELECT pg_current_wal_insert_lsn()::text")?;
    standby.until(&format!("SELECT pg_last_wal_replay_lsn() >= '{written}'::pg_lsn"), true)
}

/// Stops the replay of the primary's WAL: the standby falls behind.
fn pause_replay(standby: &mut Client) -> Result<()> {
    standby.batch_execute("SELECT pg_wal_replay_pause()")?;
    standby.until("SELECT pg_get_wal_replay_pause_state()", "paused".to_owned())
}

#[test]
fn every_function_reads_on_a_standby_or_says_that_it_writes() -> Result<()> {
    let (world, mut client) = primary()?;
    let standby = Cluster::builder().standby_of(&world.cluster).start()?;
    let mut reader = standby.connect()?;
    caught_up(&mut client, &mut reader)?;
    let asked = world.sandbox.requests().total();

    let known: BTreeSet<&str> = READS
        .iter()
        .map(|(function, ..)| *function)
        .chain(PROCEDURES.iter().chain(WRITES).map(|(function, _)| *function))
        .collect();
    let functions: Vec<String> = client.column(
        "SELECT DISTINCT CASE n.nspname WHEN 'pinterest' THEN 'pinterest.' ELSE '' END || p.proname
           FROM pinterest.functions f JOIN pg_proc p ON p.oid = f.function::oid JOIN pg_namespace n ON n.oid = p.pronamespace
          ORDER BY 1",
    )?;
    for function in &functions {
        let called = !NOT_CALLED.iter().any(|prefix| function.starts_with(prefix));
        assert!(!called || known.contains(function.as_str()), "does {function} work on a standby? Add it to a list.");
    }
    for function in &known {
        assert!(functions.iter().any(|found| found == function), "{function} does not exist");
    }

    for (function, call, same) in READS {
        assert!(call.contains(function), "{call} does not call {function}");
        let sql = format!("SELECT {call}");
        let here: Option<String> = reader.value(&sql).map_err(|error| error.context(sql.clone()))?;
        if *same {
            assert_eq!(client.value::<Option<String>>(&sql)?, here, "{sql}");
        }
    }
    for (_, call) in PROCEDURES {
        reader.batch_execute(call)?;
    }
    for (function, arguments) in WRITES {
        reader
            .refused(&format!("SELECT {function}({arguments})"), "25006")
            .says(&format!("cannot execute {function}() during recovery"))
            .hints("standby");
    }
    let relations: Vec<String> = client.column(
        "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relnamespace = 'pinterest'::regnamespace
             AND c.relkind IN ('r', 'v', 'p') ORDER BY 1",
    )?;
    assert!(relations.len() > 20, "{relations:?}");
    for relation in relations {
        reader
            .batch_execute(&format!("SELECT * FROM {relation}"))
            .map_err(|error| anyhow::anyhow!("{relation}: {error}"))?;
    }

    let (there, here) = (world.cluster.embedder()?, standby.embedder()?);
    assert!(here.is_some() && here.map(|process| process.pid) != there.map(|process| process.pid));
    assert!(standby.backends(WORKER)?.is_empty());
    assert!(standby.backends("pg_pinterest launcher")?.is_empty());
    assert_eq!(world.sandbox.requests().total(), asked, "a standby sends no request");
    Ok(())
}

#[test]
fn a_reader_of_a_standby_sees_what_a_reader_of_the_primary_may_see() -> Result<()> {
    let (world, mut client) = primary()?;
    world.cluster.create_role("other")?;
    client.batch_execute("SELECT pinterest_grant('other', 'reader')")?;
    let standby = Cluster::builder().standby_of(&world.cluster).start()?;
    let mut reader = standby.connect_as("other")?;
    for view in ["accounts", "imports", "tracked", "quota", "pin", "pin_image"] {
        assert_eq!(reader.value::<i64>(&format!("SELECT count(*) FROM pinterest.{view}"))?, 0, "{view}");
    }
    reader.refused("SELECT pinterest_board_embedding('Beach')", "42704");
    reader.refused("SELECT pinterest_export(1)", "42501");
    Ok(())
}

#[test]
fn a_standby_that_is_behind_answers_from_what_it_has() -> Result<()> {
    let (world, mut client) = primary()?;
    let standby = Cluster::builder()
        .standby_of(&world.cluster)
        // The primary keeps what the standby still reads.
        .setting("hot_standby_feedback", "on")
        .setting("wal_receiver_status_interval", "1s")
        .start()?;
    let mut reader = standby.connect()?;
    caught_up(&mut client, &mut reader)?;
    let picks = "SELECT string_agg(r.key, ' ' ORDER BY rank) FROM pinterest_recommend('Beach', 'venues', 5) r";
    let venues = "SELECT string_agg(id::text, ' ' ORDER BY id) FROM venues WHERE embedding IS NOT NULL";
    let before: (String, String) = (reader.value(picks)?, reader.value(venues)?);

    hold_pictures_after(&world, 0);
    world.sandbox.add_pins(&world.sandbox.board_id("Beach")?, 2)?;
    let held = queue_board(&mut client, "Beach")?;
    until_row(&mut client, held, "the listing", |row| row.total == 6)?;
    caught_up(&mut client, &mut reader)?;
    pause_replay(&mut reader)?;
    client.batch_execute("INSERT INTO venues VALUES (21, 'the sea'); DELETE FROM venues WHERE id = 1")?;
    settled(&mut client)?;
    world.sandbox.faults().release(GATE);
    complete(&mut client, held)?;

    // The recommendation and the import are those of the moment at which the standby fell behind.
    assert_eq!((reader.value(picks)?, reader.value(venues)?), before);
    let wait = format!("SELECT pinterest_wait_for_import({held}, '200 milliseconds')");
    assert_eq!(reader.value::<String>(&wait)?, "running");
    assert_eq!(reader.value::<i64>("SELECT pinterest_wait_for_tracked('venues', '1 second')")?, 0);

    // A call that waits on the standby returns when the replay has brought the end of the import.
    let mut waiter = standby.connect()?;
    let waiting =
        std::thread::spawn(move || waiter.value::<String>(&format!("SELECT pinterest_wait_for_import({held})")));
    let active =
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%wait_for_import%' AND pid <> pg_backend_pid()
        AND state = 'active'";
    reader.until(active, 1_i64)?;
    reader.batch_execute("SELECT pg_wal_replay_resume()")?;
    let Ok(waited) = waiting.join() else { panic!("the session that waits panicked") };
    assert_eq!(waited?, "completed");
    caught_up(&mut client, &mut reader)?;
    let after: (String, String) = (reader.value(picks)?, reader.value(venues)?);
    assert!(after.1.starts_with("2 ") && after.1.ends_with(" 21"), "{after:?}");
    assert_eq!((client.value(picks)?, client.value(venues)?), after);
    Ok(())
}

#[test]
fn a_promoted_standby_goes_on_where_the_primary_ended() -> Result<()> {
    let (world, mut client) = primary()?;
    let account = world.account();
    let standby = Cluster::builder().standby_of(&world.cluster).start()?;
    let mut reader = standby.connect()?;
    // The pause is a file, which is not replicated.
    client.batch_execute("SELECT pinterest_pause_workers()")?;
    client.batch_execute("INSERT INTO venues VALUES (21, 'a lake')")?;
    world.sandbox.add_pins(&world.sandbox.board_id("Beach")?, 2)?;
    let queued = queue_board(&mut client, "Beach")?;
    let before = generation(&mut client, account)?;
    caught_up(&mut client, &mut reader)?;
    reader.refused("SELECT pinterest_refresh()", "25006");
    let pending = "SELECT count(*) FROM pinterest.tracked_row WHERE state = 'pending'";
    assert_eq!(reader.value::<i64>(pending)?, 1);

    world.cluster.stop(Stop::Fast)?;
    assert!(reader.value::<bool>("SELECT pg_promote()")?);
    standby.wait_for_backend("pg_pinterest launcher", SOON)?;
    // Nothing has to be called for what was queued on the primary.
    reader.until(pending, 0_i64)?;
    let row = complete(&mut reader, queued)?;
    assert_eq!((row.embedded, row.reused), (2, 4), "{row:?}");
    assert_eq!(reader.value::<i64>("SELECT count(embedding) FROM venues")?, 21);
    // A session that began on the standby can write now. The tokens of the dead primary are this server's.
    refresh(&mut reader, None)?;
    assert!(generation(&mut reader, account)? > before);
    world.sandbox.add_pins(&world.sandbox.board_id("Beach")?, 1)?;
    let row = import(&mut reader, "Beach")?;
    assert_eq!((row.embedded, row.reused), (1, 6), "{row:?}");
    reader.batch_execute("UPDATE venues SET description = 'the sea' WHERE id = 2")?;
    settled(&mut reader)
}

/// The subscriber has the extension for searches, and no account.
#[test]
fn a_subscriber_searches_the_venues_of_its_publisher() -> Result<()> {
    let config = quick_board("Beach", 1);
    let (world, mut client) =
        World::builder().sandbox(config).setting("wal_level", "logical").start()?.with_session()?;
    client.batch_execute(
        "CREATE TABLE venues (id bigint PRIMARY KEY, description text, embedding vector(512));
         INSERT INTO venues VALUES (1, 'a barn'), (2, 'the sea'), (3, 'a lake'); CREATE PUBLICATION venues FOR TABLE venues",
    )?;
    client.batch_execute("SELECT pinterest_track('venues', text => 'description')")?;
    settled(&mut client)?;
    let model: String = client.value("SHOW pinterest.model_dir")?;
    let subscriber = Cluster::builder()
        .own_identity()
        .preload(true)
        .setting("pinterest.model_dir", model)
        .setting("max_worker_processes", "20")
        .start()?;
    let mut there = subscriber.connect()?;
    there.batch_execute(
        "CREATE EXTENSION pg_pinterest CASCADE;
         CREATE TABLE venues (id bigint PRIMARY KEY, description text, embedding vector(512));
         CREATE INDEX ON venues USING hnsw (embedding vector_cosine_ops)",
    )?;
    let address = format!(
        "host={} port={} user=postgres dbname=postgres",
        world.cluster.socket_directory().display(),
        world.cluster.port()
    );
    there.batch_execute(&format!("CREATE SUBSCRIPTION venues CONNECTION '{address}' PUBLICATION venues"))?;
    let vectors = "SELECT COALESCE(string_agg(concat_ws(' ', id, description, md5(embedding::text)), ', ' ORDER BY id), '') FROM venues";
    let same = |client: &mut Client, there: &mut Client| -> Result<()> {
        let expected: String = client.value(vectors)?;
        there.until(vectors, expected)
    };
    same(&mut client, &mut there)?;

    // While the subscription rests, its rows stay searchable; it follows later, and embeds nothing itself.
    there.batch_execute("ALTER SUBSCRIPTION venues DISABLE")?;
    client
        .batch_execute("UPDATE venues SET description = 'a red barn' WHERE id = 1; DELETE FROM venues WHERE id = 3")?;
    settled(&mut client)?;
    let nearest = "SELECT id FROM venues ORDER BY embedding <=> pinterest_embed_text('a lake') LIMIT 1";
    assert_eq!(there.value::<i64>(nearest)?, 3);
    there.batch_execute("ALTER SUBSCRIPTION venues ENABLE")?;
    same(&mut client, &mut there)?;
    assert_eq!(
        there
            .value::<i64>("SELECT count(*) FROM venues WHERE embedding <=> pinterest_embed_text(description) > 1e-6")?,
        0
    );
    assert_eq!(there.value::<i64>("SELECT count(*) FROM pinterest.tracked_row")?, 0);
    there.batch_execute("DROP SUBSCRIPTION venues")?;
    Ok(())
}
