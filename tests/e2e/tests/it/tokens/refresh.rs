//! Access tokens expire, refresh tokens rotate, and grants end.

use postgres::fallible_iterator::FallibleIterator;
use sandbox::config::{OldRefreshToken, TokenRules};

use crate::support::oauth::{USER, refreshes, status, with_tokens};
use crate::support::prelude::*;

#[test]
fn a_token_that_pinterest_refuses_is_refreshed_once() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 3)?.with_session()?;
    let board = world.sandbox.board_id("Beach")?;
    for round in 1..=2 {
        // A used refresh token is invalid: the second round works only with the one that the first has stored.
        world.sandbox.expire_access_tokens(USER)?;
        let row = import(&mut client, "Beach")?;
        assert!(row.embedded > 0, "{row:?}");
        assert_eq!(refreshes(&world), round);
        assert_eq!(status(&mut client)?, "connected");
        world.sandbox.add_pins(&board, 1)?;
    }
    world.sandbox.expire_access_tokens(USER)?;
    import(&mut client, "Beach")?;
    assert_eq!(client.query("SELECT * FROM pinterest_list_boards()", &[])?.len(), 1);
    assert_eq!(refreshes(&world), 3);
    Ok(())
}

#[test]
fn tokens_are_refreshed_before_they_expire() -> Result<()> {
    let world = with_tokens(TokenRules { access_lifetime: Duration::from_secs(6), ..TokenRules::default() }).start()?;
    // No session makes a call.
    until("two refreshes", || Ok(refreshes(&world) >= 2))?;
    let mut client = world.connect()?;
    assert_eq!(status(&mut client)?, "connected");
    Ok(())
}

#[test]
fn an_expired_token_is_refreshed_before_it_is_used() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 3)?.with_session()?;
    for (round, call) in [(1, "SELECT * FROM pinterest_list_boards()"), (2, "SELECT pinterest_import_board('Beach')")] {
        client.batch_execute(
            "UPDATE pinterest.token SET access_expires_at = clock_timestamp(), refresh_after = clock_timestamp()",
        )?;
        assert_eq!(client.query(call, &[])?.len(), 1);
        until("the refresh", || Ok(refreshes(&world) == round))?;
    }
    let id: i64 = client.value("SELECT max(import_id) FROM pinterest.imports")?;
    complete(&mut client, id)?;
    assert_eq!(refreshes(&world), 2, "one refresh per expiry, however many need it");
    Ok(())
}

#[test]
fn an_import_of_a_revoked_grant_waits_for_its_user() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 3)?.with_session()?;
    let mut listener = world.connect()?;
    listener.batch_execute("LISTEN pinterest_needs_reauth")?;
    world.sandbox.revoke(USER)?;
    let id = queue_board(&mut client, "Beach")?;
    assert_eq!(client.value_with::<String>("SELECT pinterest_wait_for_import($1)", &[&id])?, "needs_reauth");
    let row = until_state(&mut client, id, "needs_reauth")?;
    assert_eq!(row.error_code, "28000", "{row:?}");
    assert!(row.hint.contains("pinterest_authorize_url"), "{row:?}");
    assert!(status(&mut client)?.starts_with("needs_reauth: "), "{}", status(&mut client)?);
    let notice = listener.notifications().timeout_iter(SOON).next()?;
    assert_eq!(notice.map(|notice| notice.payload().to_owned()), Some(world.account().to_string()));

    // Meanwhile, no requests are made.
    let asked = world.sandbox.requests().total();
    let parked = queue_board(&mut client, "Beach")?;
    until_state(&mut client, parked, "needs_reauth")?;
    let refused = refusal(client.query("SELECT * FROM pinterest_list_boards()", &[]));
    assert_eq!(refused.code, "28000", "{refused:?}");
    assert_eq!(world.sandbox.requests().total(), asked);

    assert_eq!(world.connect_account(&mut client)?, world.account());
    for id in [id, parked] {
        let state = "SELECT pinterest_wait_for_import($1, interval '1 minute')";
        assert_eq!(client.value_with::<String>(state, &[&id])?, "completed");
    }
    assert_eq!(status(&mut client)?, "connected");
    Ok(())
}

#[test]
fn a_missing_scope_does_not_trigger_a_refresh() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 3)?.with_session()?;
    let rule = world.sandbox.faults().add(Rule::on(Kind::BoardPins, Fault::MissingScope));
    let id = queue_board(&mut client, "Beach")?;
    let row = until_state(&mut client, id, "needs_reauth")?;
    assert_eq!(row.error_code, "42501", "{row:?}");
    assert!(row.hint.contains("scopes"), "{row:?}");
    assert_eq!(refreshes(&world), 0);
    assert_eq!(status(&mut client)?, "connected", "its tokens are valid");
    // The user grants the scope by connecting again.
    world.sandbox.faults().remove(rule);
    world.connect_account(&mut client)?;
    complete(&mut client, id)?;
    Ok(())
}

#[test]
fn errors_of_the_token_endpoint_only_delay_an_import() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 3)?.with_session()?;
    world.sandbox.faults().add(Rule::on(Kind::Token, Fault::ServerError { status: 503 }).once());
    world.sandbox.expire_access_tokens(USER)?;
    import(&mut client, "Beach")?;
    assert_eq!(status(&mut client)?, "connected");
    Ok(())
}

#[test]
fn a_refresh_is_repeated_after_a_lost_answer() -> Result<()> {
    let grace = OldRefreshToken::AliveFor(Duration::from_secs(600));
    let (world, mut client) =
        with_tokens(TokenRules { old_refresh_token: grace, ..TokenRules::default() }).start()?.with_session()?;
    world.sandbox.faults().add(Rule::on(Kind::Token, Fault::LostAnswer).once());
    world.sandbox.expire_access_tokens(USER)?;
    import(&mut client, "Beach")?;
    assert_eq!(status(&mut client)?, "connected");
    assert!(refreshes(&world) >= 2);
    Ok(())
}

#[test]
fn a_wrong_client_secret_leaves_accounts_connected() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 3)?.with_session()?;
    let rule = world.sandbox.faults().add(Rule::on(Kind::Token, Fault::AuthenticationFailed));
    world.sandbox.expire_access_tokens(USER)?;
    let id = queue_board(&mut client, "Beach")?;
    let row = until_row(&mut client, id, "the app's pause", |row| row.error_code == "28000")?;
    assert_eq!(row.state, "queued", "{row:?}");
    assert!(row.hint.contains("pinterest_register_app"), "{row:?}");
    assert!(status(&mut client)?.starts_with("connected: "), "{}", status(&mut client)?);
    world.sandbox.faults().remove(rule);
    // The import continues immediately, not at the end of the pause.
    world.register_app(&mut client, "sandbox")?;
    complete(&mut client, id)?;
    assert_eq!(status(&mut client)?, "connected");
    Ok(())
}
