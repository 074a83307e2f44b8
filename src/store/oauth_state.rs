//! `pinterest.oauth_state`: pending authorizations, by the hash of their single-use state.

use super::{execute, params, read_optional, write_optional};
use crate::errors::Failure;
use crate::owner::Owner;

/// Pending authorizations that one role may have.
const LIMIT_PER_OWNER: i64 = 100;

/// The authorization that a state belongs to.
#[derive(Clone, Debug)]
pub struct Authorization {
    /// The app that requests it.
    pub app_id: i64,
    /// The redirect URI of the request; the exchange must repeat it.
    pub redirect_uri: String,
    /// The requested scopes.
    pub scopes: Vec<String>,
    /// Seconds until the state expires.
    pub left: f64,
}

/// A pending state.
pub struct Found {
    /// The app that requests the authorization.
    pub app_id: i64,
    /// The transaction that inserted it.
    pub made_by: u32,
}

/// Finds a state without removing it.
pub fn find(state_hash: &[u8], owner: &Owner) -> Result<Option<Found>, Failure> {
    read_optional(
        "SELECT s.app_id, s.xmin::text::int8 FROM pinterest.oauth_state s WHERE s.state_hash = $1 \
         AND s.owner OPERATOR(pinterest.=) $2 AND s.expires_at > clock_timestamp()",
        &params![state_hash.to_vec(), owner.parameter()],
        |row| Ok(Found { app_id: row.get(1)?, made_by: u32::try_from(row.get::<i64>(2)?).unwrap_or_default() }),
    )
}

/// Inserts a state again whose code was not used.
pub fn give_back(state_hash: &[u8], owner: &Owner, authorization: &Authorization) -> Result<(), Failure> {
    execute(
        "INSERT INTO pinterest.oauth_state (state_hash, owner, app_id, redirect_uri, scopes, expires_at) VALUES \
         ($1, $2, $3, $4, $5, clock_timestamp() + make_interval(secs => $6)) ON CONFLICT DO NOTHING",
        &params![
            state_hash.to_vec(),
            owner.parameter(),
            authorization.app_id,
            authorization.redirect_uri.as_str(),
            authorization.scopes.clone(),
            authorization.left
        ],
    )
}

/// Stores the hash of a new state for ten minutes; deletes expired states, and the owner's oldest ones beyond the
/// limit.
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
        &params![owner.parameter(), LIMIT_PER_OWNER - 1],
    )?;
    execute(
        "INSERT INTO pinterest.oauth_state (state_hash, owner, app_id, redirect_uri, scopes, expires_at) VALUES \
         ($1, $2, $3, $4, $5, clock_timestamp() + '10 minutes'::interval)",
        &params![state_hash.to_vec(), owner.parameter(), app_id, redirect_uri, scopes.to_vec()],
    )
}

/// Removes the state in one statement, so that of two callers with one state only one gets it.
pub fn consume(state_hash: &[u8], owner: &Owner) -> Result<Option<Authorization>, Failure> {
    write_optional(
        "DELETE FROM pinterest.oauth_state s WHERE s.state_hash = $1 \
         AND s.owner OPERATOR(pinterest.=) $2 \
         AND s.expires_at > clock_timestamp() RETURNING s.app_id, s.redirect_uri, s.scopes, \
         EXTRACT(EPOCH FROM s.expires_at - clock_timestamp())::float8",
        &params![state_hash.to_vec(), owner.parameter()],
        |row| {
            Ok(Authorization {
                app_id: row.get(1)?,
                redirect_uri: row.get(2)?,
                scopes: row.get(3)?,
                left: row.get::<f64>(4)?.max(0.0),
            })
        },
    )
}
