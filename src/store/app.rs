//! `pinterest.app`: the apps as registered with Pinterest; a secret is sealed, or not stored here. `store::app_breaker`
//! and `store::app_access` keep further columns.

use super::{Row, affected, params, read, read_optional, write_one, write_optional};
use crate::errors::{Failure, Kind};
use crate::owner::Owner;

/// An app without its secret.
#[derive(Clone, Debug)]
pub struct App {
    /// Its key.
    pub app_id: i64,
    /// Its owner's name for it.
    pub name: String,
    /// Pinterest's id for it.
    pub client_id: String,
    /// Exactly as registered with Pinterest.
    pub redirect_uri: String,
    /// trial or standard.
    pub tier: String,
}

/// A new key for a row whose secret must be sealed, with the key bound in, before the row is inserted.
pub fn next_id() -> Result<i64, Failure> {
    write_one("SELECT nextval('pinterest.app_app_id_seq')", &[], |row| row.get(1))
}

/// The key of `owner`'s app of that name, its row locked.
pub fn lock_id(owner: &Owner, name: &str) -> Result<Option<i64>, Failure> {
    write_optional(
        "SELECT a.app_id FROM pinterest.app a WHERE a.owner OPERATOR(pinterest.=) $1 \
         AND a.name = $2 FOR NO KEY UPDATE",
        &params![owner.parameter(), name],
        |row| row.get(1),
    )
}

/// Locks the app's row against deletion, as a row that refers to it does; false, without waiting, if another session
/// blocks that.
pub fn lock_if_free(app_id: i64) -> Result<bool, Failure> {
    let locked =
        affected("SELECT FROM pinterest.app a WHERE a.app_id = $1 FOR KEY SHARE SKIP LOCKED", &params![app_id])?;
    Ok(locked > 0)
}

/// Inserts an app, or replaces the one that the owner registered under that name. A missing secret is read from a file
/// whenever it is needed.
pub fn upsert(owner: &Owner, app: &App, sealed_secret: Option<Vec<u8>>) -> Result<i64, Failure> {
    write_one(
        "INSERT INTO pinterest.app AS a (app_id, owner, name, client_id, client_secret, redirect_uri, tier) \
         OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (app_id) DO UPDATE SET client_id = EXCLUDED.client_id, \
         client_secret = EXCLUDED.client_secret, redirect_uri = EXCLUDED.redirect_uri, \
         tier = EXCLUDED.tier RETURNING a.app_id",
        &params![
            app.app_id,
            owner.parameter(),
            app.name.as_str(),
            app.client_id.as_str(),
            sealed_secret,
            app.redirect_uri.as_str(),
            app.tier.as_str()
        ],
        |row| row.get(1),
    )
}

fn app_of(row: &Row<'_, '_>) -> Result<App, Failure> {
    Ok(App {
        app_id: row.get(1)?,
        name: row.get(2)?,
        client_id: row.get(3)?,
        redirect_uri: row.get(4)?,
        tier: row.get(5)?,
    })
}

/// `owner`'s app of that name, or its only one.
pub fn of_owner(owner: &Owner, name: Option<&str>) -> Result<App, Failure> {
    let mut apps = read(
        "SELECT a.app_id, a.name, a.client_id, a.redirect_uri, a.tier FROM pinterest.app a \
         WHERE a.owner OPERATOR(pinterest.=) $1 \
         AND ($2 IS NULL OR a.name = $2) ORDER BY a.app_id",
        &params![owner.parameter(), name],
        |row| app_of(&row),
    )?;
    match (apps.len(), name) {
        (1, _) => Ok(apps.remove(0)),
        (0, Some(name)) => Err(Failure::new(Kind::NotFound, format!("you have no app named \"{name}\""))
            .with_hint("Register it with pinterest_register_app().")),
        (0, None) => Err(Failure::new(Kind::NotFound, "you have not registered an app")
            .with_hint("Register one with pinterest_register_app(name, client_id, client_secret, redirect_uri).")),
        _ => Err(Failure::new(Kind::BadArgument, format!("you have {} apps: app is required", apps.len())).with_hint(
            format!("Your apps are {}.", apps.iter().map(|app| app.name.as_str()).collect::<Vec<_>>().join(", ")),
        )),
    }
}

/// The app, its owner, and its sealed secret, if it is stored here.
pub fn with_secret(app_id: i64) -> Result<(App, Owner, Option<Vec<u8>>), Failure> {
    read_optional(
        "SELECT a.app_id, a.name, a.client_id, a.redirect_uri, a.tier, a.owner, a.client_secret FROM pinterest.app a \
         WHERE a.app_id = $1",
        &params![app_id],
        |row| Ok((app_of(&row)?, row.get(6)?, row.maybe(7)?)),
    )?
    .ok_or_else(|| Failure::new(Kind::NotFound, format!("app {app_id} does not exist")))
}
