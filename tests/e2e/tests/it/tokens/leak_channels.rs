//! Secrets that are arguments of a call: which settings of the server write them to the log. The comment of
//! pinterest_store_token() and docs/tokens.md name these settings, and must agree with `CHANNELS`.

use postgres::types::ToSql;

use crate::support::canaries::{Canary, assert_absent, assert_absent_below, log_in_one_line, one_line};
use crate::support::prelude::*;

/// A call under some settings.
struct Channel {
    /// The statements that set the session's settings.
    settings: &'static str,
    /// Whether the call fails.
    on_error: bool,
    /// Whether the log then shows the argument.
    leaks: bool,
    /// The setting's name in the documentation, if it leaks.
    documented: &'static str,
}

const fn quiet(settings: &'static str) -> Channel {
    Channel { settings, on_error: false, leaks: false, documented: "" }
}

const fn leaking(settings: &'static str, documented: &'static str) -> Channel {
    Channel { settings, on_error: false, leaks: true, documented }
}

const CHANNELS: [Channel; 19] = [
    quiet(""),
    Channel { settings: "", on_error: true, leaks: false, documented: "" },
    leaking("SET log_statement = 'all'", "log_statement"),
    quiet("SET log_statement = 'all'; SET log_parameter_max_length = 0"),
    leaking("SET log_min_duration_statement = 0", "log_min_duration_statement"),
    quiet("SET log_min_duration_statement = 0; SET log_parameter_max_length = 0"),
    leaking("SET log_min_duration_sample = 0; SET log_statement_sample_rate = 1", "log_min_duration_sample"),
    leaking("SET log_transaction_sample_rate = 1", "log_transaction_sample_rate"),
    quiet("SET log_duration = on"),
    quiet("SET log_min_messages = 'debug5'"),
    quiet("SET log_min_messages = 'debug5'; SET log_error_verbosity = 'verbose'"),
    quiet("SET log_parameter_max_length_on_error = -1"),
    Channel {
        settings: "SET log_parameter_max_length_on_error = -1",
        on_error: true,
        leaks: true,
        documented: "log_parameter_max_length_on_error",
    },
    quiet("SET debug_print_parse = on"),
    quiet("SET debug_print_rewritten = on"),
    leaking("SET debug_print_plan = on", "debug_print_plan"),
    leaking("SET auto_explain.log_min_duration = 0; SET auto_explain.log_verbose = on", "auto_explain"),
    quiet("SET pg_stat_statements.track = 'all'; SET pg_stat_statements.track_utility = on"),
    quiet("SET log_replication_commands = on"),
];

/// A call that takes a secret.
struct Call {
    name: &'static str,
    sql: &'static str,
    /// The arguments other than the secret, which is `$2`.
    good: [&'static str; 3],
    bad: [&'static str; 3],
}

const CALLS: [Call; 2] = [
    Call {
        name: "pinterest_store_token",
        sql: "SELECT pinterest_store_token(username => $1, access_token => $2, refresh_token => $2, app => $3, scopes => $4)",
        good: ["example_user", "app", "pins:read"],
        bad: ["example_user", "no such app", "pins:read"],
    },
    Call {
        name: "pinterest_register_app",
        sql: "SELECT pinterest_register_app($1, client_secret => $2, redirect_uri => $3, client_id => $4)",
        good: ["app", "http://localhost:8085/", "1000001"],
        bad: ["app", "nowhere", "1000001"],
    },
];

/// Makes the call with a canary as the secret. Returns whether the log then shows it.
fn log_shows(world: &World, client: &mut Client, call: &Call, on_error: bool, canary: &str) -> Result<bool> {
    let before = world.cluster.log()?.len();
    let others = if on_error { &call.bad } else { &call.good };
    let arguments: [&(dyn ToSql + Sync); 4] = [&others[0], &canary, &others[1], &others[2]];
    let result = client.query(call.sql, &arguments);
    if on_error {
        let refused = refusal(result);
        assert!(!format!("{refused:?}").contains(canary), "{}: the client is shown {refused:?}", call.name);
    } else {
        result?;
    }
    let activity: String = world.connect()?.value("SELECT string_agg(query, ' ') FROM pg_stat_activity")?;
    assert!(activity.contains(call.name), "{activity}");
    assert!(!activity.contains(canary), "{activity}");
    // When the session has answered another statement, the call's log lines are written.
    client.batch_execute("SELECT 1")?;
    let log = one_line(&world.cluster.log()?[before..]);
    Ok(Canary::new("argument", canary).is_in(log.as_bytes()))
}

#[test]
fn only_documented_settings_log_secrets() -> Result<()> {
    if let Some(reason) = lacking(&["auto_explain", "pg_stat_statements", "test_decoding"])? {
        return skip(&reason);
    }
    let (world, mut client) = World::builder()
        .sandbox(quick_board("Beach", 2))
        .connected(false)
        .setting("shared_preload_libraries", "pg_pinterest, auto_explain, pg_stat_statements")
        .setting("wal_level", "logical")
        .setting("full_page_writes", "on")
        .start()?
        .with_session()?;
    client.batch_execute("CREATE EXTENSION pg_pinterest CASCADE; CREATE EXTENSION pg_stat_statements")?;
    client.batch_execute("SELECT pg_create_logical_replication_slot('text', 'test_decoding')")?;
    let mut canaries = Vec::new();
    let mut next_canary = || {
        let canary = format!("canary-argument-{:04}-8d1f0c55aa", canaries.len());
        canaries.push(Canary::new("argument", canary.as_str()));
        canary
    };
    client.query_one(
        "SELECT pinterest_register_app('app', '1000001', $1, 'http://localhost:8085/')",
        &[&next_canary()],
    )?;
    let comment: String = client.value(
        "SELECT string_agg(obj_description(oid, 'pg_proc'), ' ') FROM pg_proc WHERE proname = 'pinterest_store_token'",
    )?;
    let manual = std::fs::read_to_string(e2e::checkout().join("docs/tokens.md"))?;
    for channel in CHANNELS {
        for call in &CALLS {
            // A new session has no other channel's settings.
            let mut session = world.connect()?;
            session.batch_execute(channel.settings)?;
            let shows = log_shows(&world, &mut session, call, channel.on_error, &next_canary())?;
            let way = if channel.on_error { "with an error" } else { "without an error" };
            assert_eq!(shows, channel.leaks, "{} called {way} under {:?}", call.name, channel.settings);
        }
        for page in [&comment, &manual] {
            assert!(page.contains(channel.documented), "{} is not named in: {page}", channel.documented);
        }
    }

    // A constraint violation shows the row as it would be stored.
    client.batch_execute("ALTER TABLE pinterest.app ADD CONSTRAINT never CHECK (client_id <> '1000002')")?;
    let register = "SELECT pinterest_register_app('two', '1000002', $1, 'http://localhost:8085/')";
    let canary = next_canary();
    let before = world.cluster.log()?.len();
    expect_refusal(client.query_one(register, &[&canary]), "23514");
    let log = world.cluster.log()?;
    assert!(log[before..].contains("violates check constraint"), "{}", &log[before..]);
    assert!(!Canary::new("argument", canary).is_in(&log.as_bytes()[before..]));

    for (place, query) in [
        ("pg_stat_statements", "SELECT string_agg(query, ' ') FROM pg_stat_statements"),
        ("the stream", "SELECT string_agg(data, ' ') FROM pg_logical_slot_get_changes('text', NULL, NULL)"),
    ] {
        let content: String = client.value(query)?;
        assert!(content.contains("pinterest"), "{place} has nothing to search");
        assert_absent(&canaries, place, content.as_bytes());
    }
    let dump = world.cluster.program("pg_dump")?.arg("postgres").output()?;
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    assert_absent(&canaries, "the dump", &dump.stdout);
    client.batch_execute("CHECKPOINT")?;
    assert_absent_below(&canaries, &world.cluster.data_directory())
}

#[test]
fn a_refused_argument_is_not_repeated() -> Result<()> {
    let (world, mut client) =
        World::builder().sandbox(quick_board("Beach", 2)).connected(false).start()?.with_session()?;
    client.batch_execute("CREATE EXTENSION pg_pinterest CASCADE")?;
    let secret = "canary-client-secret-7d1f0c55aa";
    let register = "SELECT pinterest_register_app($1, $2, $3, $4)";
    for (name, redirect) in [("", "http://localhost:8085/"), ("app", "nowhere"), ("a\u{7}pp", "http://localhost/")] {
        let refused = expect_refusal(client.query_one(register, &[&name, &"1000001", &secret, &redirect]), "22023");
        assert!(!format!("{refused:?}").contains(secret));
    }
    let store = "SELECT pinterest_store_token($1, expires_in => $2)";
    for (token, expires_in) in [(secret.to_owned(), 0), (secret.to_owned(), -1), (format!("{secret}\n"), 60)] {
        let refused = expect_refusal(client.query_one(store, &[&token, &expires_in]), "22023");
        assert!(!format!("{refused:?}").contains(secret));
    }
    assert_absent(&[Canary::new("argument", secret)], "the server's log", log_in_one_line(&world)?.as_bytes());
    Ok(())
}
