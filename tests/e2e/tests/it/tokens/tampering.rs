//! Sealed bytes are bound to their row, column and generation, and do not open elsewhere.

use crate::support::oauth::{WORKER, refresh, store_grant, until_status};
use crate::support::prelude::*;

/// Two accounts of one app, each refreshed, so that every sealed column is in use. The first is `World::account`.
fn two_accounts() -> Result<(World, Client, [i64; 2])> {
    let (world, mut client) = World::of(quick_board("Beach", 2))?.with_session()?;
    let accounts = [world.account(), store_grant(&world, &mut client, "second")?];
    for account in accounts {
        refresh(&mut client, Some(account))?;
    }
    Ok((world, client, accounts))
}

/// Sets a column of one account's row to a column of the other's.
fn from_other(target: &str, source: &str) -> String {
    format!(
        "UPDATE pinterest.token AS mine SET {target} = other.{source} FROM pinterest.token AS other
          WHERE mine.account_id = $1 AND other.account_id = $2"
    )
}

#[test]
fn a_tampered_access_token_is_an_error_and_not_sent() -> Result<()> {
    let (world, mut client, [first, second]) = two_accounts()?;
    let asked = world.sandbox.requests().total();
    let own = |change: &str| format!("UPDATE pinterest.token SET {change} WHERE account_id = $1 AND $2::bigint > 0");
    for tampering in [
        from_other("access_token", "access_token"),
        own("access_token = refresh_token"),
        own("access_token = previous_refresh_token"),
        own("generation = generation + 1"),
        own("generation = generation - 1"),
        own("access_token = set_byte(access_token, 40, 255 - get_byte(access_token, 40))"),
        own("access_token = substr(access_token, 1, 20)"),
        own("access_token = ''"),
    ] {
        client.batch_execute("BEGIN")?;
        assert_eq!(client.execute(&tampering, &[&first, &second])?, 1, "{tampering}");
        expect_refusal(client.query("SELECT * FROM pinterest_list_boards($1)", &[&first]), "XX001")
            .hints("Connect the account");
        client.batch_execute("ROLLBACK")?;
    }
    assert_eq!(world.sandbox.requests().total(), asked, "no request was made");
    assert_eq!(client.query("SELECT * FROM pinterest_list_boards($1)", &[&first])?.len(), 1);
    Ok(())
}

#[test]
fn a_tampered_refresh_token_requires_the_user_and_does_not_end_the_worker() -> Result<()> {
    let (world, mut client, [first, second]) = two_accounts()?;
    let worker = world.cluster.wait_for_backend(WORKER, SOON)?;
    for (name, tampering) in [
        ("another row's", from_other("refresh_token", "refresh_token")),
        (
            "another column's",
            "UPDATE pinterest.token SET refresh_token = access_token WHERE account_id = $1 AND $2::bigint > 0".into(),
        ),
        (
            "an older one's",
            "UPDATE pinterest.token SET generation = generation - 1 WHERE account_id = $1 AND $2::bigint > 0".into(),
        ),
        (
            "a damaged one's",
            "UPDATE pinterest.token SET refresh_token = substr(refresh_token, 1, 60) WHERE account_id = $1 AND $2::bigint > 0"
                .into(),
        ),
    ] {
        let asked = world.sandbox.requests().total();
        assert_eq!(client.execute(&tampering, &[&first, &second])?, 1, "{name}");
        client
            .execute("UPDATE pinterest.token SET refresh_after = clock_timestamp() WHERE account_id = $1", &[&first])?;
        // The other account is not affected; its refresh also wakes the worker.
        refresh(&mut client, Some(second))?;
        let status = until_status(&mut client, first, "needs_reauth")?;
        assert!(status.starts_with("needs_reauth: unreadable"), "{name}: {status}");
        expect_refusal(refresh(&mut client, Some(first)), "28000");
        assert_eq!(world.sandbox.requests().total(), asked + 1, "{name}: only the other account's token was sent");
        assert!(until_status(&mut client, second, "connected")?.ends_with("connected"));
        // The user connects the account again.
        assert_eq!(world.connect_account(&mut client)?, first);
        refresh(&mut client, Some(first))?;
    }
    assert_eq!(world.cluster.wait_for_backend(WORKER, SOON)?, worker);
    assert!(!world.cluster.log()?.contains("terminating any other active server processes"));
    Ok(())
}

#[test]
fn an_import_with_a_foreign_access_token_waits_for_its_user() -> Result<()> {
    let (world, mut client, [first, second]) = two_accounts()?;
    client.execute(&from_other("access_token", "access_token"), &[&first, &second])?;
    let asked = world.sandbox.requests().total();
    let import: i64 = client.value_with("SELECT pinterest_import_board('Beach', $1)", &[&first])?;
    let row = until_state(&mut client, import, "needs_reauth")?;
    assert_eq!(row.error_code, "XX001", "{row:?}");
    assert!(until_status(&mut client, first, "needs_reauth")?.starts_with("needs_reauth: unreadable"));
    assert_eq!(world.sandbox.requests().total(), asked);
    world.connect_account(&mut client)?;
    complete(&mut client, import)?;
    Ok(())
}

#[test]
fn a_client_secret_of_another_app_is_refused() -> Result<()> {
    let (world, mut client, [first, _]) = two_accounts()?;
    world.register_app(&mut client, "another")?;
    let exchange = "UPDATE pinterest.app AS one SET client_secret = other.client_secret FROM pinterest.app AS other
                     WHERE one.app_id <> other.app_id";
    assert_eq!(client.execute(exchange, &[])?, 2);
    let asked = world.sandbox.requests().total();
    expect_refusal(refresh(&mut client, Some(first)), "55000");
    assert_eq!(world.sandbox.requests().total(), asked, "no request was made");
    let status = "SELECT status FROM pinterest.accounts WHERE account_id = $1";
    assert_eq!(client.value_with::<String>(status, &[&first])?, "connected", "the account stays connected");
    world.register_app(&mut client, "sandbox")?;
    refresh(&mut client, Some(first))?;
    let import = start_of(&mut client, first)?;
    complete(&mut client, import)?;
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.app")?, 2);
    Ok(())
}

fn start_of(client: &mut Client, account: i64) -> Result<i64> {
    client.value_with("SELECT pinterest_import_board('Beach', $1)", &[&account])
}
