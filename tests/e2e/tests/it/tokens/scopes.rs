//! Requested and granted scopes.

use sandbox::config::Privacy;

use crate::support::oauth::{USER, refresh};
use crate::support::prelude::*;

fn scopes(client: &mut Client, column: &str) -> Result<Vec<String>> {
    client.value(&format!("SELECT ARRAY(SELECT unnest({column}) ORDER BY 1) FROM pinterest.accounts"))
}

fn connect(world: &World, client: &mut Client, secret_boards: bool) -> Result<i64> {
    let url: String = client.value_with("SELECT pinterest_authorize_url(secret_boards => $1)", &[&secret_boards])?;
    let redirect = world.browser()?.authorize(&url)?;
    client.value_with("SELECT pinterest_connect($1, $2)", &[&redirect.code, &redirect.state])
}

#[test]
fn secret_boards_are_visible_with_their_scope() -> Result<()> {
    let board = |name: &str, privacy| BoardSpec::new(name, &[Family::Beach], 2).privacy(privacy);
    let account = AccountSpec::new(USER).board(board("Open", Privacy::Public)).board(board("Hidden", Privacy::Secret));
    let (world, mut client) =
        World::of(Config { accounts: vec![account], ..quick_board("Open", 2) })?.with_session()?;
    let names = |client: &mut Client| -> Result<Vec<String>> {
        let rows = client.query("SELECT name FROM pinterest_list_boards() ORDER BY name", &[])?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    };
    assert_eq!(names(&mut client)?, ["Open"]);
    assert_eq!(scopes(&mut client, "scopes")?, ["boards:read", "pins:read", "user_accounts:read"]);
    assert_eq!(scopes(&mut client, "scopes_missing")?, Vec::<String>::new());

    assert_eq!(connect(&world, &mut client, true)?, world.account());
    assert_eq!(names(&mut client)?, ["Hidden", "Open"]);
    assert_eq!(scopes(&mut client, "scopes")?.len(), 5);
    refresh(&mut client, None)?;
    assert_eq!(scopes(&mut client, "scopes")?.len(), 5);
    import(&mut client, "Hidden")?;
    Ok(())
}

#[test]
fn missing_scopes_are_shown() -> Result<()> {
    let (world, mut client) = World::of(quick_board("Beach", 1))?.with_session()?;
    let granted = serde_json::json!({ "scope": "boards:read pins:read" });
    let set = match granted {
        serde_json::Value::Object(fields) => fields,
        _ => serde_json::Map::new(),
    };
    world.sandbox.faults().add(Rule::on(Kind::Token, Fault::EditJson { set, remove: Vec::new() }).once());
    connect(&world, &mut client, true)?;
    assert_eq!(scopes(&mut client, "scopes")?, ["boards:read", "pins:read"]);
    assert_eq!(
        scopes(&mut client, "scopes_missing")?,
        ["boards:read_secret", "pins:read_secret", "user_accounts:read"]
    );
    // Connecting again with all of them leaves nothing missing.
    connect(&world, &mut client, true)?;
    assert_eq!(scopes(&mut client, "scopes_missing")?, Vec::<String>::new());
    // An answer that does not name its scopes changes nothing.
    world.sandbox.faults().add(Rule::on(Kind::Token, Fault::WithoutScope).once());
    refresh(&mut client, None)?;
    assert_eq!(scopes(&mut client, "scopes")?.len(), 5);
    Ok(())
}
