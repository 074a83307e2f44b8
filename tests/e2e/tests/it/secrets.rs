//! Tokens and the client secret are nowhere but with Pinterest, and sealed in their table.

use std::fs;
use std::path::Path;

use e2e::{Result, World};
use postgres::Client;

use crate::support::{import, quick_board, refusal, value};

const USER: &str = "example_user";

/// A secret and where it came from.
struct Canary {
    name: &'static str,
    secret: String,
}

fn canary(name: &'static str, secret: Option<String>) -> Canary {
    let Some(secret) = secret else { panic!("the sandbox has given out no {name}") };
    assert!(secret.len() > 20, "{name} is too short to be found by chance alone");
    Canary { name, secret }
}

/// What the sandbox has given out last.
fn tokens(world: &World) -> [Canary; 2] {
    [
        canary("access token", world.sandbox.valid_access_token(USER)),
        canary("refresh token", world.sandbox.valid_refresh_token(USER)),
    ]
}

fn assert_absent(canaries: &[Canary], place: &str, content: &[u8]) {
    for Canary { name, secret } in canaries {
        let hexadecimal: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        for shape in [secret.as_bytes(), hexadecimal.as_bytes()] {
            assert!(!content.windows(shape.len()).any(|window| window == shape), "the {name} stands in {place}");
        }
    }
}

fn assert_absent_below(canaries: &[Canary], directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        match entry.file_type()? {
            kind if kind.is_dir() => assert_absent_below(canaries, &entry.path())?,
            // Sockets have no content; a file may be gone by now.
            kind if kind.is_file() => {
                if let Ok(content) = fs::read(entry.path()) {
                    assert_absent(canaries, &entry.path().display().to_string(), &content);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Connects, imports, has the tokens refreshed, imports again; returns all tokens that there were.
fn whole_flow(world: &World, client: &mut Client) -> Result<Vec<Canary>> {
    let mut canaries = Vec::from(tokens(world));
    import(client, "Beach")?;
    world.sandbox.expire_access_tokens(USER)?;
    world.sandbox.add_pins(&world.sandbox.board_id("Beach")?, 1)?;
    import(client, "Beach")?;
    let refreshed = tokens(world);
    assert_ne!(refreshed[1].secret, canaries[1].secret, "the refresh token was rotated");
    canaries.extend(refreshed);
    client.query("SELECT * FROM pinterest_list_boards()", &[])?;
    client.query("SELECT * FROM pinterest_doctor()", &[])?;
    client.query("SELECT * FROM pinterest.accounts, pinterest.imports", &[])?;
    Ok(canaries)
}

#[test]
fn what_comes_over_https_is_found_nowhere_even_in_the_most_talkative_log() -> Result<()> {
    let world = World::builder()
        .sandbox(quick_board("Beach", 2))
        .setting("shared_preload_libraries", "pg_pinterest, auto_explain")
        .setting("log_min_messages", "debug5")
        .setting("log_statement", "all")
        .setting("log_min_duration_statement", "0")
        .setting("log_parameter_max_length_on_error", "-1")
        .setting("debug_print_plan", "on")
        .setting("auto_explain.log_min_duration", "0")
        .setting("auto_explain.log_nested_statements", "on")
        .setting("auto_explain.log_analyze", "on")
        .setting("auto_explain.log_verbose", "on")
        .start()?;
    let mut client = world.connect()?;
    let canaries = whole_flow(&world, &mut client)?;
    // Errors as well, with the statements and parameters that led to them.
    refusal(client.query_one("SELECT pinterest_connect($1, $2)", &[&"no code", &"no state"]));
    world.sandbox.revoke(USER)?;
    refusal(client.query("SELECT * FROM pinterest_list_boards()", &[]));
    let log = world.cluster.log()?;
    assert!(log.contains("Query Text") && log.contains("pinterest.token"), "the log is talkative");
    assert_absent(&canaries, "the server's log", log.as_bytes());

    let activity: String = value(&mut client, "SELECT string_agg(query, ' ') FROM pg_stat_activity")?;
    assert_absent(&canaries, "pg_stat_activity", activity.as_bytes());
    Ok(())
}

#[test]
fn tables_files_and_dumps_hold_them_sealed() -> Result<()> {
    let world = World::builder().sandbox(quick_board("Beach", 2)).setting("full_page_writes", "on").start()?;
    let mut client = world.connect()?;
    let mut canaries = whole_flow(&world, &mut client)?;
    let secret = world.sandbox.config().app.client_secret.clone();
    canaries.push(Canary { name: "client secret", secret });
    client.batch_execute("CHECKPOINT")?;
    assert_absent_below(&canaries, &world.cluster.data_directory())?;
    let dump = world.cluster.program("pg_dump")?.arg("postgres").output()?;
    let text = String::from_utf8_lossy(&dump.stdout);
    assert!(dump.status.success() && text.contains("COPY pinterest.token"), "the dump has the sealed tokens");
    assert_absent(&canaries, "the dump", &dump.stdout);

    // Three values sealed under one key have nothing in common.
    let row =
        client.query_one("SELECT access_token, refresh_token, previous_refresh_token FROM pinterest.token", &[])?;
    let sealed: Vec<Vec<u8>> = (0..3).map(|index| row.get(index)).collect();
    for (index, one) in sealed.iter().enumerate() {
        for other in &sealed[index + 1..] {
            assert_ne!(one[one.len() - 16..], other[other.len() - 16..]);
        }
    }
    Ok(())
}

#[test]
fn a_bound_client_secret_does_not_reach_the_log() -> Result<()> {
    let world = World::builder().sandbox(quick_board("Beach", 2)).connected(false).start()?;
    let mut client = world.connect()?;
    client.batch_execute("CREATE EXTENSION pg_pinterest CASCADE")?;
    let secret = "canary-client-secret-7d1f0c55aa";
    let register = "SELECT pinterest_register_app($1, $2, $3, $4)";
    client.query_one(register, &[&"app", &"1000001", &secret, &"http://localhost:8085/"])?;
    for (name, redirect) in [("", "http://localhost:8085/"), ("app", "nowhere"), ("a\u{7}pp", "http://localhost/")] {
        let refused = refusal(client.query_one(register, &[&name, &"1000001", &secret, &redirect]));
        assert_eq!(refused.code, "22023", "{refused:?}");
        assert!(!format!("{refused:?}").contains(secret));
    }
    // A constraint that fails may show the row as it would have been stored.
    client.batch_execute("ALTER TABLE pinterest.app ADD CONSTRAINT never CHECK (client_id <> '1000002')")?;
    let refused = refusal(client.query_one(register, &[&"two", &"1000002", &secret, &"http://localhost:8085/"]));
    assert_eq!(refused.code, "23514", "{refused:?}");
    let canaries = [Canary { name: "client secret", secret: secret.into() }];
    let log = world.cluster.log()?;
    assert!(log.contains("violates check constraint"), "{log}");
    assert_absent(&canaries, "the server's log", log.as_bytes());
    assert_absent_below(&canaries, &world.cluster.data_directory())
}

#[test]
fn sealed_bytes_are_good_in_their_own_place_alone() -> Result<()> {
    let world = World::builder().sandbox(quick_board("Beach", 2)).start()?;
    let mut client = world.connect()?;
    let asked = world.sandbox.requests().total();
    for tampering in [
        "UPDATE pinterest.token SET access_token = refresh_token",
        "UPDATE pinterest.token SET generation = generation + 1",
        "UPDATE pinterest.token SET access_token = set_byte(access_token, 40, 255 - get_byte(access_token, 40))",
        "UPDATE pinterest.token SET access_token = substr(access_token, 1, 20)",
        "UPDATE pinterest.token SET access_token = ''",
    ] {
        client.batch_execute("BEGIN")?;
        client.batch_execute(tampering)?;
        let refused = refusal(client.query("SELECT * FROM pinterest_list_boards()", &[]));
        assert_eq!(refused.code, "XX001", "{tampering}: {refused:?}");
        assert!(refused.hint.contains("pinterest.key_file"), "{refused:?}");
        client.batch_execute("ROLLBACK")?;
    }
    assert_eq!(world.sandbox.requests().total(), asked, "no half-opened token was sent anywhere");
    assert_eq!(client.query("SELECT * FROM pinterest_list_boards()", &[])?.len(), 1);
    Ok(())
}
