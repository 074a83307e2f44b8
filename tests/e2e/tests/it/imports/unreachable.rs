//! Pinterest cannot be reached safely: no address, no trusted certificate, no connection. Nothing is sent; the import
//! waits, shows the reason, and continues when it can.

use std::net::TcpListener;

use sandbox::config::Certificate;

use crate::support::prelude::*;

/// A world whose account is stored from a token, as it cannot be connected over these connections.
fn world(config: Config, settings: &[(&str, &str)]) -> Result<(World, Client)> {
    let builder = World::builder().sandbox(config).connected(false);
    let (world, mut client) =
        settings.iter().fold(builder, |builder, (name, value)| builder.setting(name, value)).start()?.with_session()?;
    client.batch_execute("CREATE EXTENSION pg_pinterest CASCADE")?;
    world.register_app(&mut client, "sandbox")?;
    let grant = world.sandbox.issue_grant("example_user")?;
    client.query_one("SELECT pinterest_store_token($1, $2)", &[&grant.access_token, &grant.refresh_token])?;
    Ok((world, client))
}

/// Starts an import that cannot connect, and returns its row while it waits.
fn waits(client: &mut Client) -> Result<(i64, Row)> {
    let import = queue_board(client, "Beach")?;
    let row = until_row(client, import, "a failed attempt", |row| !row.reason.is_empty())?;
    assert_eq!(
        (row.state.as_str(), row.phase.as_str(), row.error_code.as_str()),
        ("queued", "resolving", "08001"),
        "{row:?}"
    );
    let later = "SELECT wake_at > clock_timestamp() AND attempts = 1 FROM pinterest.imports WHERE import_id = $1";
    assert!(client.value_with::<bool>(later, &[&import])?, "it is retried later");
    Ok((import, row))
}

#[test]
fn no_token_is_sent_to_an_untrusted_server() -> Result<()> {
    for (certificate, words) in [
        (Certificate::Expired, "expired"),
        (Certificate::WrongHost, "not valid for"),
        (Certificate::SelfSigned, "certificate"),
    ] {
        let (world, mut client) = world(Config { certificate, ..quick_board("Beach", 2) }, &[])?;
        let (_, row) = waits(&mut client)?;
        assert!(row.reason.contains("TLS failed") && row.reason.contains(words), "{certificate:?}: {row:?}");
        assert_eq!(world.sandbox.requests().total(), 0, "{certificate:?}: no request was made");
    }
    Ok(())
}

#[test]
fn an_import_waits_for_a_name_that_does_not_resolve() -> Result<()> {
    // A name that never resolves (RFC 2606).
    let (world, mut client) = world(quick_board("Beach", 2), &[("pinterest.api_host", "api.pinterest.invalid")])?;
    let (_, row) = waits(&mut client)?;
    assert!(!row.reason.contains("pina_"), "{row:?}");
    assert_eq!(world.sandbox.requests().total(), 0);
    Ok(())
}

#[test]
fn an_import_continues_when_the_server_is_reachable() -> Result<()> {
    // A port on which no process listens.
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let (world, mut client) = world(quick_board("Beach", 2), &[("pinterest.api_host", &format!("localhost:{port}"))])?;
    let (import, row) = waits(&mut client)?;
    assert!(row.reason.contains("could not connect"), "{row:?}");
    world.cluster.set("pinterest.api_host", &world.sandbox.host())?;
    world.cluster.restart(e2e::Stop::Fast)?;
    let mut client = world.connect()?;
    let row = complete(&mut client, import)?;
    assert_eq!((row.embedded, row.reason.as_str()), (2, ""), "{row:?}");
    Ok(())
}
