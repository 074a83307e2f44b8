//! Tokens received over HTTPS are stored only sealed, and a client secret from a file is not stored. Neither is in the
//! most verbose log, nor in the files, dumps, replication streams and views of the server.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use e2e::process::Process;
use e2e::{ServerFile, ServerUser};
use postgres::SimpleQueryMessage;

use crate::support::canaries::{Canary, assert_absent, assert_absent_below, log_in_one_line};
use crate::support::oauth::{USER, WORKER, refresh, until_status};
use crate::support::prelude::*;

/// The settings that make a server log as much as possible.
const TALKATIVE: [(&str, &str); 20] = [
    ("shared_preload_libraries", "pg_pinterest, auto_explain, pg_stat_statements"),
    ("log_min_messages", "debug5"),
    ("log_error_verbosity", "verbose"),
    ("log_statement", "all"),
    ("log_duration", "on"),
    ("log_min_duration_statement", "0"),
    ("log_parameter_max_length", "-1"),
    ("log_parameter_max_length_on_error", "-1"),
    ("log_replication_commands", "on"),
    ("debug_print_parse", "on"),
    ("debug_print_rewritten", "on"),
    ("debug_print_plan", "on"),
    ("auto_explain.log_min_duration", "0"),
    ("auto_explain.log_analyze", "on"),
    ("auto_explain.log_verbose", "on"),
    ("auto_explain.log_nested_statements", "on"),
    ("pg_stat_statements.track", "all"),
    ("pg_stat_statements.track_utility", "on"),
    ("wal_level", "logical"),
    ("full_page_writes", "on"),
];

const TEST_DECODING: &str = "SELECT data FROM pg_logical_slot_get_changes('text', NULL, NULL)";
const PGOUTPUT: &str = "SELECT data FROM pg_logical_slot_get_binary_changes('binary', NULL, NULL,
    'proto_version', '1', 'publication_names', 'everything')";

/// A world with these settings, whose client secret comes from a file.
fn talkative_world(secrets: &ServerFile) -> Result<(World, Client)> {
    let settings = TALKATIVE
        .iter()
        .fold(World::builder().sandbox(quick_board("Beach", 2)).connected(false), |world, (name, value)| {
            world.setting(name, value)
        });
    let world = settings.setting("pinterest.app_secret_file", &secrets.setting()).start()?;
    let app = &world.sandbox.config().app;
    secrets.write(format!("{} {}\n", app.client_id, app.client_secret).as_bytes())?;
    let mut client = world.connect()?;
    client.batch_execute(
        "CREATE EXTENSION pg_pinterest CASCADE;
         CREATE EXTENSION pg_stat_statements;
         CREATE PUBLICATION everything FOR ALL TABLES",
    )?;
    for (slot, plugin) in [("text", "test_decoding"), ("binary", "pgoutput")] {
        client.execute("SELECT pg_create_logical_replication_slot($1, $2)", &[&slot, &plugin])?;
    }
    client.query_one(
        "SELECT pinterest_register_app('sandbox', $1, NULL, $2)",
        &[&app.client_id, &app.redirect_uris[0]],
    )?;
    Ok((world, client))
}

/// Connects, imports, refreshes the tokens on demand and by an import, and causes errors; returns all tokens.
fn whole_flow(world: &World, client: &mut Client) -> Result<Vec<Canary>> {
    let account = world.connect_account(client)?;
    let mut canaries = Vec::from(Canary::tokens(world, USER));
    import(client, "Beach")?;
    refresh(client, Some(account))?;
    canaries.extend(Canary::tokens(world, USER));
    assert!(canaries[3] != canaries[1], "the refresh token was rotated");
    world.sandbox.expire_access_tokens(USER)?;
    world.sandbox.add_pins(&world.sandbox.board_id("Beach")?, 1)?;
    import(client, "Beach")?;
    canaries.extend(Canary::tokens(world, USER));

    // A constraint violation shows the whole row of the token table.
    client.batch_execute("ALTER TABLE pinterest.token ADD CONSTRAINT never CHECK (attempts < 0) NOT VALID")?;
    refusal(client.execute("UPDATE pinterest.token SET attempts = 1", &[]));
    client.batch_execute("ALTER TABLE pinterest.token DROP CONSTRAINT never")?;

    // Unusable answers with tokens.
    let broken = world.sandbox.faults().add(Rule::on(Kind::Token, Fault::TruncatedBody));
    let refused = refusal(client.query_one("SELECT pinterest_refresh()", &[]));
    canaries.extend(Canary::tokens(world, USER));
    assert_absent(&canaries, "an error", format!("{refused:?}").as_bytes());
    world.sandbox.faults().remove(broken);
    world.sandbox.revoke(USER)?;
    client.batch_execute("UPDATE pinterest.token SET refresh_after = clock_timestamp()")?;
    refusal(client.query_one("SELECT pinterest_refresh()", &[]));
    until_status(client, account, "needs_reauth")?;
    refusal(client.query("SELECT * FROM pinterest_list_boards()", &[]));
    world.connect_account(client)?;
    canaries.extend(Canary::tokens(world, USER));
    import(client, "Beach")?;
    Ok(canaries)
}

/// All rows of pg_stat_activity that are seen while `flow` runs.
fn sampled<T>(world: &World, flow: impl FnOnce() -> Result<T>) -> Result<(T, String)> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sampler = scope.spawn(|| -> Result<String> {
            let mut observer = world.connect()?;
            let mut seen = std::collections::BTreeSet::new();
            while !over.load(Ordering::Relaxed) {
                let rows = observer.query("SELECT activity::text FROM pg_stat_activity AS activity", &[])?;
                seen.extend(rows.iter().map(|row| row.get::<_, String>(0)));
            }
            Ok(seen.into_iter().collect())
        });
        let result = flow();
        over.store(true, Ordering::Relaxed);
        let Ok(seen) = sampler.join() else { panic!("the sampler failed") };
        Ok((result?, seen?))
    })
}

#[test]
fn secrets_from_https_or_a_file_leak_nowhere() -> Result<()> {
    if let Some(reason) = lacking(&["auto_explain", "pg_stat_statements", "test_decoding"])? {
        return skip(&reason);
    }
    let secrets = ServerFile::new(".secrets", b"")?;
    let (world, mut client) = talkative_world(&secrets)?;
    let (mut canaries, activity) = sampled(&world, || whole_flow(&world, &mut client))?;
    canaries.push(Canary::new("client secret", world.sandbox.config().app.client_secret.clone()));
    assert!(activity.contains("pinterest_refresh"), "the sampler has seen the calls");
    assert_absent(&canaries, "pg_stat_activity", activity.as_bytes());

    for (place, query, witness) in [
        ("pg_stat_statements", "SELECT query FROM pg_stat_statements", "pinterest.token"),
        ("the views", "SELECT (i, a)::text FROM pinterest.imports i, pinterest.accounts a", "Beach"),
        ("pinterest_doctor()", "SELECT d::text FROM pinterest_doctor() AS d", "clone fence"),
        ("the text stream", TEST_DECODING, "table pinterest.token: INSERT"),
        ("the binary stream", PGOUTPUT, ""),
        ("the settings", "SELECT s::text FROM pg_settings AS s", "app_secret_file"),
    ] {
        let content = everything(&mut client, query)?;
        assert!(!content.is_empty() && content.contains(witness), "{place} has nothing to search: {content}");
        assert_absent(&canaries, place, content.as_bytes());
    }
    for (program, arguments, witness) in [
        ("pg_dump", &["postgres"][..], "COPY pinterest.token"),
        ("pg_dump", &["--inserts", "postgres"], "INSERT INTO pinterest.token"),
        ("pg_dumpall", &["--roles-only"], "pinterest_worker"),
        ("pg_dumpall", &[], "COPY pinterest.app"),
    ] {
        let dump = world.cluster.program(program)?.args(arguments).output()?;
        assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
        assert!(String::from_utf8_lossy(&dump.stdout).contains(witness), "{program} {arguments:?} has {witness}");
        assert_absent(&canaries, program, &dump.stdout);
    }
    client.batch_execute("CHECKPOINT")?;
    assert_absent_below(&canaries, &world.cluster.data_directory())?;
    let backup = world.cluster.directory().join("backup");
    let made = world.cluster.program("pg_basebackup")?.args(["--checkpoint=fast", "--pgdata"]).arg(&backup).output()?;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert_absent_below(&canaries, &backup)?;

    let log = log_in_one_line(&world)?;
    for witness in ["Query Text", "pinterest.token", "parameters: $1", "violates check constraint", ":targetList"] {
        assert!(log.contains(witness), "the log is not verbose: no {witness:?}");
    }
    assert_absent(&canaries, "the server's log", log.as_bytes());
    Ok(())
}

/// All rows of a query, as psql would show them.
fn everything(client: &mut Client, query: &str) -> Result<String> {
    let messages = client.simple_query(query)?;
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    Ok(rows.collect::<Vec<_>>().join("\n"))
}

#[test]
fn sealing_never_repeats_a_nonce_or_tag() -> Result<()> {
    let (_world, mut client) = quick_world("Beach", 1)?.with_session()?;
    refresh(&mut client, None)?;
    let row =
        client.query_one("SELECT access_token, refresh_token, previous_refresh_token FROM pinterest.token", &[])?;
    let sealed: Vec<Vec<u8>> = (0..3).map(|index| row.get(index)).collect();
    for (index, one) in sealed.iter().enumerate() {
        for other in &sealed[index + 1..] {
            // Nonce and tag.
            assert_ne!(one[10..34], other[10..34]);
            assert_ne!(one[one.len() - 16..], other[other.len() - 16..]);
        }
    }
    Ok(())
}

#[test]
fn a_worker_with_a_key_cannot_be_dumped_or_read() -> Result<()> {
    let world = quick_world("Beach", 1)?;
    refresh(&mut world.connect()?, None)?;
    let worker = world.cluster.wait_for_backend(WORKER, SOON)?;
    let writer = world.cluster.wait_for_backend("checkpointer", SOON)?;
    // In /proc, the kernel makes root the owner of the files of a process that may not be dumped.
    assert_eq!(owner(worker.pid)?, "root");
    assert_eq!(owner(writer.pid)?, ServerUser::get()?.name());
    assert!(Process::get(worker.pid).is_some());
    Ok(())
}

fn owner(pid: i32) -> Result<String> {
    let path = format!("/proc/{pid}/environ");
    let output = std::process::Command::new("stat").args(["--format", "%U"]).arg(Path::new(&path)).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
