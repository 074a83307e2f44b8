//! Grants that will expire are reported in time.

use postgres::fallible_iterator::FallibleIterator;

use crate::support::oauth::{USER, WORKER, restart_worker, until_status};
use crate::support::prelude::*;

#[test]
fn a_grant_that_expires_soon_is_notified_once() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 1)?.with_session()?;
    let mut listener = world.connect()?;
    listener.batch_execute("LISTEN pinterest_reauth_soon")?;
    // An access token without a refresh token cannot be renewed.
    let account: i64 = client.value_with(
        "SELECT pinterest_store_token($1, expires_in => 6 * 86400, username => 'short')",
        &[&world.sandbox.issue_grant(USER)?.access_token],
    )?;
    // One of its six days is left, less than a quarter.
    client.execute(
        "UPDATE pinterest.token SET refreshed_at = refreshed_at - interval '5 days',
                access_expires_at = access_expires_at - interval '5 days' WHERE account_id = $1",
        &[&account],
    )?;
    restart_worker(&world, &mut client)?;
    let notice = listener.notifications().timeout_iter(SOON).next()?;
    assert_eq!(notice.map(|notice| notice.payload().to_owned()), Some(account.to_string()));
    let warning: Option<String> =
        client.value_with("SELECT warning FROM pinterest.accounts WHERE account_id = $1", &[&account])?;
    assert!(warning.is_some_and(|text| !text.is_empty()));
    let warning = "SELECT warning FROM pinterest.accounts WHERE account_id = $1";
    assert_eq!(
        client.value_with::<Option<String>>(warning, &[&world.account()])?,
        None,
        "a renewable grant has no warning"
    );
    // Another worker does not repeat the notification.
    restart_worker(&world, &mut client)?;
    world.cluster.wait_for_backend(WORKER, SOON)?;
    assert!(listener.notifications().timeout_iter(Duration::from_secs(1)).next()?.is_none());
    Ok(())
}

#[test]
fn an_expired_grant_requires_its_user() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 1)?.with_session()?;
    let account: i64 = client.value_with(
        "SELECT pinterest_store_token($1, expires_in => 60, username => 'short')",
        &[&world.sandbox.issue_grant(USER)?.access_token],
    )?;
    client.execute(
        "UPDATE pinterest.token SET access_expires_at = clock_timestamp() WHERE account_id = $1",
        &[&account],
    )?;
    restart_worker(&world, &mut client)?;
    let status = until_status(&mut client, account, "needs_reauth")?;
    assert!(status.starts_with("needs_reauth: expired"), "{status}");
    Ok(())
}
