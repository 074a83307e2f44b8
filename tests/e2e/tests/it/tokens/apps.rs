//! Several apps with several accounts and roles; client secrets from a file.

use std::fs;

use e2e::ServerFile;

use crate::support::canaries::{Canary, assert_absent, assert_absent_below};
use crate::support::oauth::{generation, refresh};
use crate::support::prelude::*;

const PEOPLE: [&str; 3] = ["example_amy", "example_ben", "example_cleo"];

/// A world with three Pinterest users, each with one board.
fn three_people() -> Result<World> {
    let accounts = PEOPLE.map(|name| AccountSpec::new(name).board(beach_board(format!("Places of {name}"), 2)));
    let config = Config { accounts: accounts.into(), ..quick_board("Beach", 0) };
    let world = World::builder().sandbox(config).connected(false).start()?;
    world.connect()?.batch_execute("CREATE EXTENSION pg_pinterest CASCADE")?;
    Ok(world)
}

fn connect_through(world: &World, client: &mut Client, app: &str, person: &str) -> Result<i64> {
    world.sandbox.sign_in(person)?;
    let url: String = client.value_with("SELECT pinterest_authorize_url($1)", &[&app])?;
    let redirect = world.browser()?.authorize(&url)?;
    client.value_with("SELECT pinterest_connect($1, $2)", &[&redirect.code, &redirect.state])
}

#[test]
fn an_app_needs_a_secret_or_a_file_of_secrets() -> Result<()> {
    let (_world, mut client) = World::of(quick_board("Beach", 1))?.with_session()?;
    client
        .refused("SELECT pinterest_register_app('venues', '1453111', NULL, 'https://example.com/')", "55000")
        .says("no client secret was given to pinterest_register_app(), and pinterest.app_secret_file is not set");
    Ok(())
}

#[test]
fn roles_apps_and_accounts_are_kept_apart() -> Result<()> {
    let world = three_people()?;
    let mut all = Vec::new();
    for role in ["venues", "weddings"] {
        world.cluster.create_role(role)?;
        world.connect()?.execute("SELECT pinterest_grant($1, 'user')", &[&role])?;
        let mut client = world.cluster.connect_as(role)?;
        for app in ["spring", "autumn"] {
            world.register_app(&mut client, app)?;
        }
        let refused = refusal(client.query_one("SELECT pinterest_authorize_url()", &[]));
        assert_eq!(refused.code, "22023", "ambiguous app: {refused:?}");
        for app in ["spring", "autumn"] {
            for person in &PEOPLE[..2] {
                all.push((role, app, *person, connect_through(&world, &mut client, app, person)?));
            }
        }
        let accounts = client.query(
            "SELECT account_id, owner::text, app, username, status, scopes_missing FROM pinterest.accounts
              ORDER BY account_id",
            &[],
        )?;
        let shown: Vec<(String, String, String, i64)> =
            accounts.iter().map(|row| (row.get(1), row.get(2), row.get(3), row.get(0))).collect();
        let wanted: Vec<_> = all
            .iter()
            .filter(|(owner, ..)| *owner == role)
            .map(|(owner, app, person, id)| (owner.to_string(), app.to_string(), person.to_string(), *id))
            .collect();
        assert_eq!(shown, wanted);
        let refused = refusal(client.query("SELECT * FROM pinterest_list_boards()", &[]));
        assert_eq!(refused.code, "22023", "ambiguous account: {refused:?}");
    }
    let mut ids: Vec<i64> = all.iter().map(|(.., id)| *id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 8, "one user connected through two apps of two roles has four accounts");

    for (role, _, person, account) in &all {
        let mut client = world.cluster.connect_as(role)?;
        let boards = client.query("SELECT name FROM pinterest_list_boards($1)", &[account])?;
        assert_eq!(boards[0].get::<_, String>(0), format!("Places of {person}"));
        let before = generation(&mut world.connect()?, *account)?;
        refresh(&mut client, Some(*account))?;
        assert!(generation(&mut world.connect()?, *account)? > before);
        let other = if *role == "venues" { "weddings" } else { "venues" };
        expect_refusal(refresh(&mut world.cluster.connect_as(other)?, Some(*account)), "42501");
    }
    // A board imported through two accounts is stored twice.
    let mut client = world.cluster.connect_as("venues")?;
    for (.., account) in all.iter().filter(|(role, _, person, _)| *role == "venues" && *person == PEOPLE[0]) {
        let import = client.value_with("SELECT pinterest_import_board('Places of example_amy', $1)", &[account])?;
        assert_eq!(complete(&mut client, import)?.embedded, 2);
    }
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.board")?, 4);
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.pin")?, 4);
    Ok(())
}

#[test]
fn a_client_secret_from_a_file_is_stored_nowhere() -> Result<()> {
    let file = ServerFile::new(".secrets", b"# none yet\n")?;
    let world = World::builder()
        .sandbox(quick_board("Beach", 2))
        .connected(false)
        .setting("pinterest.app_secret_file", &file.setting())
        .start()?;
    let app = world.sandbox.config().app.clone();
    let secret = Canary::new("client secret", app.client_secret.clone());
    let mut client = world.connect()?;
    client.batch_execute("CREATE EXTENSION pg_pinterest CASCADE")?;
    let register = "SELECT pinterest_register_app('sandbox', $1, NULL, $2)";
    let line = format!("# the sandbox's\n{} {}\n", app.client_id, app.client_secret);
    file.write(line.as_bytes())?;
    client.query_one(register, &[&app.client_id, &app.redirect_uris[0]])?;
    let account = world.connect_account(&mut client)?;
    refresh(&mut client, None)?;
    assert!(client.value::<bool>("SELECT client_secret IS NULL FROM pinterest.app")?);

    // The file is read at each use. Errors do not show the secret.
    let asked = world.sandbox.requests().total();
    let mode = |mode| fs::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(mode));
    for (name, text, permissions, rule) in [
        ("another app's", "1000002 something-else-altogether\n".to_owned(), 0o600, app.client_id.as_str()),
        ("malformed", format!("# first\n{}\n", app.client_secret), 0o600, "line 2"),
        ("world-readable", line.clone(), 0o644, "0644"),
    ] {
        file.write(text.as_bytes())?;
        mode(permissions)?;
        let refused = refusal(refresh(&mut client, None));
        assert!(["F0000", "55000"].contains(&refused.code.as_str()), "{name}: {refused:?}");
        assert!(refused.message.contains(rule), "{name}: {refused:?}");
        assert!(!secret.is_in(format!("{refused:?}").as_bytes()), "{name}: {refused:?}");
        assert_eq!(client.value::<String>("SELECT status FROM pinterest.accounts")?, "connected", "{name}");
    }
    assert_eq!(world.sandbox.requests().total(), asked);
    file.write(line.as_bytes())?;
    mode(0o600)?;
    refresh(&mut client, Some(account))?;
    client.batch_execute("CHECKPOINT")?;
    let secret = [secret];
    assert_absent(&secret, "the server's log", world.cluster.log()?.as_bytes());
    assert_absent_below(&secret, &world.cluster.data_directory())
}

#[test]
fn secrets_are_restricted_to_the_roles_in_the_file() -> Result<()> {
    let file = ServerFile::new(".secrets", b"# none yet\n")?;
    let cluster =
        Cluster::builder().own_identity().preload(true).setting("pinterest.app_secret_file", file.setting()).start()?;
    let mut client = cluster.connect()?;
    client.batch_execute("CREATE EXTENSION pg_pinterest CASCADE; CREATE ROLE \"Venue owners\"")?;
    for (name, level) in [("ann", "user"), ("ben", "user"), ("cleo", "user"), ("chief", "admin")] {
        cluster.create_role(name)?;
        client.execute("SELECT pinterest_grant($1, $2)", &[&name, &level])?;
    }
    client.batch_execute("GRANT \"Venue owners\" TO cleo")?;
    file.write(
        b"1000001 canary-one\n1000002 canary-two ann, nobody # hers\n1000003 canary-three \"Venue owners\"\n1000004 canary-four nobody\n",
    )?;
    let register = "SELECT pinterest_register_app($1, $1, NULL, 'https://example.com/')";
    for (role, ids) in [
        ("postgres", &["1000001", "1000002", "1000003"][..]),
        ("chief", &["1000001"]),
        ("ann", &["1000002"]),
        ("ben", &[]),
        ("cleo", &["1000003"]),
    ] {
        let mut client = cluster.connect_as(role)?;
        for id in ["1000001", "1000002", "1000003", "1000004", "1000005"] {
            let answer = client.query_one(register, &[&id]);
            if ids.contains(&id) {
                answer?;
                continue;
            }
            // Unknown ids and other roles' ids are refused with the same message.
            let refused = refusal(answer);
            assert_eq!(refused.code, "42704", "{role} {id}: {refused:?}");
            let message = format!("pinterest.app_secret_file has no secret for client id {id} for role \"{role}\"");
            assert_eq!(refused.message, message);
        }
    }
    // After a rename, the line applies to the role that has the name now.
    client.batch_execute("ALTER ROLE ann RENAME TO anna; ALTER ROLE ben RENAME TO ann")?;
    for (role, may) in [("anna", false), ("ann", true)] {
        let answer = cluster.connect_as(role)?.query_one(register, &[&"1000002"]);
        assert_eq!(answer.is_ok(), may, "{role}");
    }
    Ok(())
}
