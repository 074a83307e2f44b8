//! Connecting accounts.

use std::time::Duration;

use pgrx::prelude::*;
use pinterest::{Client, Error, Secret, TokenGrant, oauth_state};

use super::{Answer, none_long, not_empty, usable, without_control_characters};
use crate::errors::{Failure, Kind};
use crate::identity::{as_worker, current_role};
use crate::interruptible::block_on;
use crate::platform::NoCoreDump;
use crate::store::{
    account, app, app_pause, import, oauth_state as states, refuse_if_read_only, token, with_latest_snapshot,
};
use crate::tokens::Sealer;
use crate::workers::registry;
use crate::{keys, settings};

/// What an import reads.
const SCOPES: [&str; 3] = ["boards:read", "pins:read", "user_accounts:read"];
/// What it needs beside that for secret boards.
const SECRET_SCOPES: [&str; 2] = ["boards:read_secret", "pins:read_secret"];
/// Longest life of a token that is not a typing error.
const LONGEST_LIFE_DAYS: i32 = 400;

/// The page on which a user lets the app read their boards.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_authorize_url(
    app: default!(Option<&str>, "NULL"),
    secret_boards: default!(bool, "false"),
) -> Answer<String> {
    none_long(&[("app", app)])?;
    let owner = current_role();
    let endpoints = settings::endpoints()?;
    let state = oauth_state::from_random(keys::random()?);
    let hash = oauth_state::digest(state.expose())
        .ok_or_else(|| Failure::new(Kind::Internal, "a state of our own making is malformed"))?;
    let mut scopes = SCOPES.to_vec();
    if secret_boards {
        scopes.extend(SECRET_SCOPES);
    }
    let app = as_worker(|| {
        let app = app::of_owner(&owner, app)?;
        let scopes: Vec<_> = scopes.iter().map(ToString::to_string).collect();
        states::insert(&hash, &owner, app.app_id, &app.redirect_uri, &scopes)?;
        Ok(app)
    })?;
    Ok(pinterest::authorize_url(&endpoints, &app.client_id, &app.redirect_uri, &scopes, &state))
}

/// Exchanges what came back in the redirect for tokens; returns the account's id.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_connect(code: &str, state: &str) -> Answer<i64> {
    not_empty(code, "code")?;
    none_long(&[("state", Some(state))])?;
    let owner = current_role();
    // One text for a state that is malformed, unknown, another role's, used or expired.
    let unknown = || Failure::new(Kind::BadAuthorization, "the state is unknown, used or expired");
    let hash = oauth_state::digest(state).ok_or_else(unknown)?;
    let endpoints = settings::endpoints()?;
    let _no_core_dump = NoCoreDump::new();
    let (app_id, requested, credentials) = as_worker(|| {
        let authorization = states::consume(&hash, &owner)?.ok_or_else(unknown)?;
        let mut credentials = Sealer::open()?.credentials(authorization.app_id)?;
        credentials.redirect_uri = authorization.redirect_uri;
        Ok((authorization.app_id, authorization.scopes, credentials))
    })?;
    let code = Secret::new(code);
    let (grant, user) = block_on(move || async move {
        let client = Client::new(endpoints)?;
        let grant = client.exchange_code(&credentials, &code).await?;
        // The code is spent: the tokens are kept even where the user's name cannot be had.
        let user = client.user_account(&grant.access_token).await.ok().map(|answer| answer.value);
        Ok::<_, Error>((grant, user))
    })?;
    let (user_id, username) = user.map(|user| (user.id, user.username)).unwrap_or_default();
    let account_id = as_worker(|| {
        let sealer = Sealer::open()?;
        let (user_id, username) = (user_id.as_deref(), username.as_deref());
        let account_id = account::upsert(&owner, Some(app_id), user_id, username, &grant.scopes, &requested)?;
        store_grant(&sealer, account_id, &grant)?;
        app_pause::resume(app_id)?;
        Ok(account_id)
    })?;
    registry::wake_at_commit()?;
    Ok(account_id)
}

/// Stores tokens that the app obtained itself.
///
/// The recommended way is `pinterest_connect()`, where a token never passes through SQL.
#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments)] // Named arguments of an SQL function.
fn pinterest_store_token(
    access_token: &str,
    refresh_token: default!(Option<&str>, "NULL"),
    expires_in: default!(i32, "2592000"),
    refresh_token_expires_in: default!(Option<i32>, "NULL"),
    scopes: default!(Option<&str>, "NULL"),
    app: default!(Option<&str>, "NULL"),
    account_id: default!(Option<i64>, "NULL"),
    username: default!(Option<&str>, "NULL"),
) -> Answer<i64> {
    without_control_characters(access_token, "access_token")?;
    none_long(&[("scopes", scopes), ("app", app), ("username", username)])?;
    if let Some(token) = refresh_token {
        without_control_characters(token, "refresh_token")?;
    }
    let owner = current_role();
    let mut grant = TokenGrant::new(Secret::new(access_token), lifetime(expires_in, "expires_in")?);
    grant.refresh_token = refresh_token.map(Secret::new);
    grant.refresh_token_expires_in =
        refresh_token_expires_in.map(|seconds| lifetime(seconds, "refresh_token_expires_in")).transpose()?;
    grant.scopes =
        scopes.unwrap_or_default().split([' ', ',']).filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
    let known = account_id.map(|id| account::resolve(&owner, Some(id))).transpose()?;
    let account_id = as_worker(|| {
        // First of all: it refuses in a copy of the database.
        let sealer = Sealer::open()?;
        // An access token alone is good for as long as it lives, without any app.
        let app_id = match (app, refresh_token) {
            (None, None) => None,
            _ => Some(app::of_owner(&owner, app)?.app_id),
        };
        let account_id = match known {
            Some(account_id) => {
                account::reconnect(account_id, app_id, &grant.scopes)?;
                account_id
            }
            None => account::upsert(&owner, app_id, None, username, &grant.scopes, &SCOPES.map(str::to_owned))?,
        };
        store_grant(&sealer, account_id, &grant)?;
        Ok(account_id)
    })?;
    registry::wake_at_commit()?;
    Ok(account_id)
}

fn store_grant(sealer: &Sealer, account_id: i64, grant: &TokenGrant) -> Result<(), Failure> {
    let generation = token::lock_next_generation(account_id)?;
    let sealed = sealer.seal_grant(account_id, generation, grant, None)?;
    token::replace(account_id, generation, sealed)?;
    import::unpark(account_id)?;
    Ok(())
}

fn lifetime(seconds: i32, argument: &str) -> Result<Duration, Failure> {
    match u64::try_from(seconds) {
        Ok(positive) if seconds > 0 && seconds <= LONGEST_LIFE_DAYS * 86_400 => Ok(Duration::from_secs(positive)),
        _ => Err(Failure::new(
            Kind::BadArgument,
            format!("{argument} must be from 1 second to {LONGEST_LIFE_DAYS} days, not {seconds} seconds"),
        )),
    }
}

/// Renews the account's tokens now; returns when the new access token expires.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_refresh(account_id: default!(Option<i64>, "NULL")) -> Answer<TimestampWithTimeZone> {
    refuse_if_read_only(c"pinterest_refresh()");
    let account_id = account::resolve(&current_role(), account_id)?;
    let generation = usable::standing(account_id)?.generation;
    usable::renew(account_id, generation)?;
    Ok(with_latest_snapshot(|| as_worker(|| token::access_expiry(account_id)))?)
}
