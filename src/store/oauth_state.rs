//! `pinterest.oauth_state`: authorizations under way, by the hash of their single-use state.

use super::{execute, write};
use crate::errors::Failure;
use crate::owner::Owner;

/// Authorizations that one role may have under way at a time.
const LIMIT_PER_OWNER: i64 = 100;

/// What a state was made for.
pub struct Authorization {
    /// The app that asked.
    pub app_id: i64,
    /// The redirect URI that was sent along; the exchange must repeat it.
    pub redirect_uri: String,
    /// What the user was asked for.
    pub scopes: Vec<String>,
}

/// Keeps the hash of a new state for ten minutes; drops expired ones, and the oldest beyond the limit.
pub fn insert(
    state_hash: &[u8],
    owner: &Owner,
    app_id: i64,
    redirect_uri: &str,
    scopes: &[String],
) -> Result<(), Failure> {
    execute(
        "DELETE FROM pinterest.oauth_state s WHERE s.expires_at < clock_timestamp() \
         OR s.state_hash IN (SELECT o.state_hash FROM pinterest.oauth_state o \
             WHERE o.owner OPERATOR(pinterest.=) $1 ORDER BY o.expires_at DESC OFFSET $2)",
        &[owner.parameter(), (LIMIT_PER_OWNER - 1).into()],
    )?;
    execute(
        "INSERT INTO pinterest.oauth_state (state_hash, owner, app_id, redirect_uri, scopes, expires_at) VALUES \
         ($1, $2, $3, $4, $5, clock_timestamp() + '10 minutes'::interval)",
        &[state_hash.to_vec().into(), owner.parameter(), app_id.into(), redirect_uri.into(), scopes.to_vec().into()],
    )?;
    Ok(())
}

/// Takes the state out: one statement, so that of two callers with one state only one gets it.
pub fn consume(state_hash: &[u8], owner: &Owner) -> Result<Option<Authorization>, Failure> {
    let found = write(
        "DELETE FROM pinterest.oauth_state s WHERE s.state_hash = $1 \
         AND s.owner OPERATOR(pinterest.=) $2 \
         AND s.expires_at > clock_timestamp() RETURNING s.app_id, s.redirect_uri, s.scopes",
        &[state_hash.to_vec().into(), owner.parameter()],
        |row| Ok(Authorization { app_id: row.get(1)?, redirect_uri: row.get(2)?, scopes: row.get(3)? }),
    )?;
    Ok(found.into_iter().next())
}
