//! `pinterest.account`: connected accounts.

use super::{execute, read, write};
use crate::errors::{Failure, Kind};
use crate::owner::Owner;

/// Whether an account that is not disconnected can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Its tokens work, as far as is known.
    Connected,
    /// The answer to a refresh got lost; the next attempt settles it.
    RefreshUncertain,
    /// Only the user can help.
    NeedsReauth,
}

impl Status {
    /// As the column holds it.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Connected => "connected",
            Status::RefreshUncertain => "refresh_uncertain",
            Status::NeedsReauth => "needs_reauth",
        }
    }
}

/// The account that a caller means: the one named, else the only one. Runs with the caller's rights.
///
/// A foreign account and one that does not exist give the same answer.
pub fn resolve(owner: &Owner, account_id: Option<i64>) -> Result<i64, Failure> {
    if let Some(account_id) = account_id {
        let found = read(
            "SELECT a.account_id FROM pinterest.account a WHERE a.account_id = $1",
            &[account_id.into()],
            |row| row.get(1),
        )?;
        return found.into_iter().next().ok_or_else(|| {
            Failure::new(Kind::NotYours, format!("account {account_id} does not exist or belongs to another role"))
        });
    }
    let ids = read(
        "SELECT a.account_id FROM pinterest.account a WHERE a.owner OPERATOR(pinterest.=) $1 \
         AND a.status <> 'disconnected' ORDER BY a.account_id",
        &[owner.parameter()],
        |row| row.get::<i64>(1),
    )?;
    match ids.as_slice() {
        [only] => Ok(*only),
        [] => Err(Failure::new(Kind::NotFound, "you have no connected account").with_hint(
            "Connect one: open the URL that pinterest_authorize_url() returns, then call pinterest_connect(code, state).",
        )),
        several => Err(Failure::new(Kind::BadArgument, format!("you have {} accounts: say which one", several.len()))
            .with_hint("Pass account_id; SELECT * FROM pinterest.accounts lists them.")),
    }
}

/// Inserts the account, or finds the one that the same user connected through the same app before.
pub fn upsert(
    owner: &Owner,
    app_id: Option<i64>,
    user_id: Option<&str>,
    username: Option<&str>,
    scopes: &[String],
    requested: &[String],
) -> Result<i64, Failure> {
    let ids = write(
        "INSERT INTO pinterest.account AS a (owner, app_id, pinterest_user_id, username, scopes, scopes_requested) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (owner, app_id, pinterest_user_id) DO UPDATE SET \
         username = EXCLUDED.username, scopes = EXCLUDED.scopes, scopes_requested = EXCLUDED.scopes_requested, \
         status = 'connected', cause = NULL, status_since = clock_timestamp(), connected_at = clock_timestamp() \
         RETURNING a.account_id",
        &[
            owner.parameter(),
            app_id.into(),
            user_id.into(),
            username.into(),
            scopes.to_vec().into(),
            requested.to_vec().into(),
        ],
        |row| row.get(1),
    )?;
    ids.into_iter().next().ok_or_else(|| Failure::new(Kind::Internal, "the account's row cannot be written"))
}

/// Marks an account that got new tokens by hand as connected.
pub fn reconnect(account_id: i64, app_id: Option<i64>, scopes: &[String]) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.account SET status = 'connected', cause = NULL, status_since = clock_timestamp(), \
         app_id = COALESCE($2, app_id), scopes = CASE WHEN cardinality($3) = 0 \
         THEN scopes ELSE $3 END, connected_at = clock_timestamp() \
         WHERE account_id = $1",
        &[account_id.into(), app_id.into(), scopes.to_vec().into()],
    )?;
    Ok(())
}

/// Sets the status with its cause.
pub fn set_status(account_id: i64, status: Status, cause: Option<&str>) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.account SET cause = $3, status = $2, \
         status_since = CASE status WHEN $2 THEN status_since ELSE clock_timestamp() END WHERE account_id = $1",
        &[account_id.into(), status.as_str().into(), cause.into()],
    )?;
    Ok(())
}

/// Only the user can help: the account's waiting imports are parked, and listeners told the id, nothing else.
pub fn needs_reauth(account_id: i64, cause: &str) -> Result<(), Failure> {
    set_status(account_id, Status::NeedsReauth, Some(cause))?;
    super::import::park(account_id, cause)?;
    write("SELECT pg_notify('pinterest_needs_reauth', $1::text)", &[account_id.into()], |_| Ok(()))?;
    Ok(())
}

/// Pauses the account's imports, or lets them go on; true where that changed something.
pub fn pause(account_id: i64, pause: bool) -> Result<bool, Failure> {
    let changed = execute(
        "UPDATE pinterest.account SET paused_at = CASE WHEN $2 THEN clock_timestamp() END \
         WHERE account_id = $1 AND (paused_at IS NOT NULL) <> $2",
        &[account_id.into(), pause.into()],
    )?;
    Ok(changed > 0)
}

/// What a disconnect erased.
#[derive(Clone, Copy, Debug, Default)]
pub struct Erased {
    /// Tokens of every kind: access, refresh and previous refresh token.
    pub tokens: i64,
    /// Boards.
    pub boards: i64,
    /// Pins.
    pub pins: i64,
    /// Images.
    pub images: i64,
    /// Embeddings among them.
    pub vectors: i64,
    /// Imports, past and under way.
    pub imports: i64,
}

/// Deletes the tokens, or the account with everything imported through it. One transaction, the caller's: all or
/// nothing.
pub fn disconnect(account_id: i64, purge: bool) -> Result<Erased, Failure> {
    // First, so that nothing is added to what is counted.
    write("SELECT FROM pinterest.account WHERE account_id = $1 FOR UPDATE", &[account_id.into()], |_| Ok(()))?;
    let counts = write(
        "WITH gone AS (DELETE FROM pinterest.token t WHERE t.account_id = $1 \
             RETURNING num_nonnulls(t.access_token, t.refresh_token, t.previous_refresh_token) AS tokens) \
         SELECT (SELECT COALESCE(sum(tokens), 0) FROM gone)::int8, \
             (SELECT count(*) FROM pinterest.board WHERE account_id = $1), \
             (SELECT count(*) FROM pinterest.pin WHERE account_id = $1), \
             count(*), count(i.embedding), \
             (SELECT count(*) FROM pinterest.import WHERE account_id = $1) \
         FROM pinterest.pin_image i WHERE i.account_id = $1",
        &[account_id.into()],
        |row| {
            Ok(Erased {
                tokens: row.get(1)?,
                boards: row.get(2)?,
                pins: row.get(3)?,
                images: row.get(4)?,
                vectors: row.get(5)?,
                imports: row.get(6)?,
            })
        },
    )?;
    let counts = counts.into_iter().next().ok_or_else(|| Failure::new(Kind::Internal, "a count returned no row"))?;
    if purge {
        execute("DELETE FROM pinterest.account WHERE account_id = $1", &[account_id.into()])?;
        return Ok(counts);
    }
    execute(
        "UPDATE pinterest.account SET status = 'disconnected', cause = NULL, status_since = clock_timestamp() \
         WHERE account_id = $1",
        &[account_id.into()],
    )?;
    super::import::end_all(account_id, "the account was disconnected")?;
    Ok(Erased { tokens: counts.tokens, ..Erased::default() })
}
