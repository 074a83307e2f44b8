//! Connecting accounts.

use std::time::{Duration, Instant};

use pgrx::prelude::*;
use pinterest::{Secret, TokenGrant, oauth_state};

use super::{Answer, access_token, given, none_long, not_empty, without_control_characters, writes_here};
use crate::errors::{Failure, Kind};
use crate::postgres::identity::{as_worker, current_role};
use crate::postgres::platform::NoCoreDump;
use crate::secrets::keys;
use crate::secrets::sealer::Sealer;
use crate::settings;
use crate::store::{account, app, import, oauth_state as states, token, with_latest_snapshot};
use crate::workers::connect::{Connection, unknown_state};
use crate::workers::refresh_socket::{LONGEST_CODE, Request};
use crate::workers::registry;

/// The scopes of an import.
const SCOPES: [&str; 3] = ["boards:read", "pins:read", "user_accounts:read"];
/// The additional scopes for secret boards.
const SECRET_SCOPES: [&str; 2] = ["boards:read_secret", "pins:read_secret"];
/// The time within which a worker has to listen, including its start on a slow machine.
const WORKER_PATIENCE: Duration = Duration::from_secs(30);

/// The page on which a user lets the app read their boards.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_authorize_url(
    app: default!(Option<&str>, "NULL"),
    secret_boards: default!(Option<bool>, "false"),
) -> Answer<String> {
    writes_here("pinterest_authorize_url()")?;
    let secret_boards = given(secret_boards, "secret_boards")?;
    none_long(&[("app", app)])?;
    let owner = current_role();
    let endpoints = settings::endpoints()?;
    let state = oauth_state::from_random(keys::random()?);
    let hash = oauth_state::digest(state.expose())
        .ok_or_else(|| Failure::new(Kind::Internal, "a generated state is malformed"))?;
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
    Ok(pinterest::authorize_url(&endpoints, &app.client_id, &app.redirect_uri, &scopes, &state)
        .map_err(Failure::from)?)
}

/// Exchanges the code and state of the redirect for tokens; returns the account's id.
///
/// A worker does it in separate transactions: the code can be exchanged only once, and the tokens must be stored even if the
/// caller's transaction is rolled back. Everything that can be checked before the code is sent is checked first.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_connect(code: &str, state: &str) -> Answer<i64> {
    writes_here("pinterest_connect()")?;
    not_empty(code, "code")?;
    none_long(&[("state", Some(state))])?;
    if code.len() > LONGEST_CODE {
        return Err(Failure::new(Kind::BadArgument, format!("code must have at most {LONGEST_CODE} bytes")).into());
    }
    let owner = current_role();
    let hash = oauth_state::digest(state).ok_or_else(unknown_state)?;
    settings::endpoints()?;
    let _no_core_dump = NoCoreDump::new();
    let look_up = || with_latest_snapshot(|| as_worker(|| states::find(&hash, &owner)?.ok_or_else(unknown_state)));
    let found = look_up()?;
    // SAFETY: compares numbers that this process holds.
    if unsafe { pg_sys::TransactionIdIsCurrentTransactionId(found.made_by.into()) } {
        return Err(Failure::new(Kind::NotReady, "state was created by this transaction, which has not committed")
            .with_hint("Commit the transaction, then call pinterest_connect(): a worker looks up the state.")
            .into());
    }
    // Refuses in a copy, without the keys, and if the app's secret cannot be read.
    as_worker(|| Sealer::open()?.credentials(found.app_id))?;
    let request =
        Request::Connect(Connection { owner: owner.role().to_u32(), state_hash: hash, code: Secret::new(code) });
    let connected = access_token::ask(request, Instant::now() + WORKER_PATIENCE, || {
        // A state that still exists was not used.
        look_up().map(drop).map_err(|_| {
            Failure::new(Kind::BrokenOff, "the worker ended while it exchanged the code").with_hint(
                "SELECT * FROM pinterest.accounts shows whether the account is connected. If it is not, start again with pinterest_authorize_url().",
            )
        })
    })?;
    Ok(connected?)
}

/// Stores tokens that the app obtained.
///
/// The recommended way is `pinterest_connect()`, with which no token passes through SQL.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_store_token(
    access_token: Option<&str>,
    refresh_token: default!(Option<&str>, "NULL"),
    expires_in: default!(Option<i32>, "2592000"),
    refresh_token_expires_in: default!(Option<i32>, "NULL"),
    scopes: default!(Option<&str>, "NULL"),
    app: default!(Option<&str>, "NULL"),
    account_id: default!(Option<i64>, "NULL"),
    username: default!(Option<&str>, "NULL"),
) -> Answer<i64> {
    writes_here("pinterest_store_token()")?;
    let access_token = given(access_token, "access_token")?;
    let expires_in = given(expires_in, "expires_in")?;
    without_control_characters(access_token, "access_token")?;
    none_long(&[("scopes", scopes), ("app", app), ("username", username)])?;
    if let Some(token) = refresh_token {
        without_control_characters(token, "refresh_token")?;
    }
    let owner = current_role();
    let grant = TokenGrant::from_parts(
        Secret::new(access_token),
        expires_in.into(),
        refresh_token.map(Secret::new),
        refresh_token_expires_in.map(i64::from),
        scopes.unwrap_or_default(),
    )
    .map_err(|error| Failure::new(Kind::BadArgument, error.to_string()))?;
    let known = account_id.map(|id| account::resolve(&owner, Some(id))).transpose()?;
    let account_id = as_worker(|| {
        // First, because it refuses in a copy of the database.
        let sealer = Sealer::open()?;
        // An access token alone can be used until it expires, without an app.
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
        sealer.store_grant(account_id, &grant)?;
        import::unpark(account_id)?;
        Ok(account_id)
    })?;
    registry::wake_at_commit()?;
    Ok(account_id)
}

/// Renews the account's tokens now; returns the expiry of the new access token.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_refresh(account_id: default!(Option<i64>, "NULL")) -> Answer<TimestampWithTimeZone> {
    writes_here("pinterest_refresh()")?;
    let account_id = account::resolve(&current_role(), account_id)?;
    // Also if Pinterest has refused the account: that may have been a mistake, and then a success ends it.
    let generation = access_token::stored(account_id)?.generation;
    access_token::renew(account_id, generation)?;
    Ok(with_latest_snapshot(|| as_worker(|| token::access_expiry(account_id)))?)
}
