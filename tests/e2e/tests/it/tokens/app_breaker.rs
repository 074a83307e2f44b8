//! An app that Pinterest refuses is paused; its accounts stay connected.

use crate::support::oauth::{arrived, doctor, refresh, store_grant, until_status};
use crate::support::prelude::*;

const NOT_CONNECTED: &str = "SELECT count(*) FROM pinterest.accounts WHERE status <> 'connected'";

/// A world with `number` further accounts.
fn accounts(number: usize) -> Result<(World, Client, Vec<i64>)> {
    let (world, mut client) = World::of(quick_board("Beach", 1))?.with_session()?;
    let accounts = (0..number).map(|n| store_grant(&world, &mut client, &format!("user{n}"))).collect::<Result<_>>()?;
    Ok((world, client, accounts))
}

fn paused(client: &mut Client) -> Result<bool> {
    client.value("SELECT COALESCE(paused_until > clock_timestamp(), false) FROM pinterest.app")
}

#[test]
fn a_refused_client_secret_pauses_the_app_until_it_is_registered_again() -> Result<()> {
    let (world, mut client, accounts) = accounts(6)?;
    let rule = world.sandbox.faults().add(Rule::on(Kind::Token, Fault::AuthenticationFailed));
    let refused = refusal(refresh(&mut client, Some(accounts[0])));
    assert_eq!(refused.code, "55000", "the user cannot fix it: {refused:?}");
    assert!(paused(&mut client)?);
    let (status, text) = doctor(&mut client, "apps")?;
    assert!(status == "problem" && text.contains("sandbox"), "{status}: {text}");

    // During the pause, due accounts make no requests; an explicit refresh makes one.
    let asked = arrived(&world);
    client.batch_execute("UPDATE pinterest.token SET refresh_after = clock_timestamp()")?;
    for _ in 0..2 {
        refusal(refresh(&mut client, Some(accounts[0])));
    }
    assert_eq!(arrived(&world), asked + 2);
    assert_eq!(client.value::<i64>(NOT_CONNECTED)?, 0);

    world.sandbox.faults().remove(rule);
    world.register_app(&mut client, "sandbox")?;
    assert!(!paused(&mut client)?);
    for account in &accounts {
        refresh(&mut client, Some(*account))?;
    }
    assert_eq!(client.value::<i64>(NOT_CONNECTED)?, 0);
    assert_eq!(doctor(&mut client, "apps")?.0, "ok");
    Ok(())
}

#[test]
fn refusals_of_many_accounts_pause_the_app() -> Result<()> {
    let (world, mut client, accounts) = accounts(12)?;
    let rule = world.sandbox.faults().add(Rule::on(Kind::Token, Fault::InvalidGrant));
    let before = arrived(&world);
    client.batch_execute("UPDATE pinterest.token SET refresh_after = clock_timestamp()")?;
    refusal(refresh(&mut client, Some(accounts[0])));
    until("the pause", || paused(&mut client))?;
    refusal(refresh(&mut client, Some(accounts[0])));
    let asked = arrived(&world) - before;
    assert!((6..12).contains(&asked), "{asked} requests before the pause");
    let lost: i64 = client.value("SELECT count(*) FROM pinterest.accounts WHERE status = 'needs_reauth'")?;
    assert_eq!(lost, 0, "accounts refused before the pause are connected again");

    // A successful refresh ends the pause for all accounts, and those that were refused are refreshed by themselves.
    world.sandbox.faults().remove(rule);
    let newest: i64 = client.value("SELECT max(generation) FROM pinterest.token")?;
    refresh(&mut client, Some(accounts[11]))?;
    assert!(!paused(&mut client)?);
    client.until(NOT_CONNECTED, 0_i64)?;
    client.until(&format!("SELECT count(*) FROM pinterest.token WHERE generation <= {newest}"), 0_i64)?;
    Ok(())
}

#[test]
fn one_revoked_account_does_not_pause_the_app() -> Result<()> {
    let (world, mut client, _) = accounts(0)?;
    world.sandbox.revoke(crate::support::oauth::USER)?;
    let others: Vec<i64> =
        (0..2).map(|n| store_grant(&world, &mut client, &format!("late{n}"))).collect::<Result<_>>()?;
    refusal(refresh(&mut client, Some(world.account())));
    let status = until_status(&mut client, world.account(), "needs_reauth")?;
    assert!(status.starts_with("needs_reauth: rejected"), "{status}");
    for account in others {
        refresh(&mut client, Some(account))?;
    }
    assert!(!paused(&mut client)?);
    Ok(())
}
