//! `pinterest.token`: sealed tokens, replaced by compare-and-swap on their generation. Only sealed bytes come here.

use std::time::Duration;

use super::{execute, read, write};
use crate::errors::{Failure, Kind};

/// An account's tokens as they lie in the table.
#[derive(Clone, Debug)]
pub struct SealedTokens {
    /// Bound into the sealed bytes.
    pub generation: i64,
    /// Sealed.
    pub access_token: Vec<u8>,
    /// Sealed; absent where the grant had none.
    pub refresh_token: Option<Vec<u8>>,
    /// Sealed under the generation before.
    pub previous_refresh_token: Option<Vec<u8>>,
    /// Seconds until the access token expires; negative once it has.
    pub access_expires_in: f64,
    /// The app that can refresh.
    pub app_id: Option<i64>,
    /// The account's status.
    pub status: String,
    /// Refreshes begun since the last answer.
    pub attempts: i32,
}

/// New tokens to store, sealed for the generation they will have.
#[derive(Clone, Debug)]
pub struct NewTokens {
    /// Sealed.
    pub access_token: Vec<u8>,
    /// Sealed.
    pub refresh_token: Option<Vec<u8>>,
    /// From the answer.
    pub access_expires_in: Duration,
    /// From the answer, or what is left of the old token's life.
    pub refresh_expires_in: Option<Duration>,
    /// When to refresh next.
    pub refresh_after: Duration,
}

/// The account's tokens.
pub fn get(account_id: i64) -> Result<SealedTokens, Failure> {
    let rows = read(
        "SELECT t.generation, t.access_token, t.refresh_token, t.previous_refresh_token, \
         EXTRACT(EPOCH FROM t.access_expires_at - clock_timestamp())::float8, \
         a.app_id, a.status, t.attempts FROM pinterest.token t JOIN pinterest.account a USING (account_id) \
         WHERE t.account_id = $1",
        &[account_id.into()],
        |row| {
            Ok(SealedTokens {
                generation: row.get(1)?,
                access_token: row.get(2)?,
                refresh_token: row.maybe(3)?,
                previous_refresh_token: row.maybe(4)?,
                access_expires_in: row.get(5)?,
                app_id: row.maybe(6)?,
                status: row.get(7)?,
                attempts: row.get(8)?,
            })
        },
    )?;
    rows.into_iter()
        .next()
        .ok_or_else(|| Failure::new(Kind::NeedsReauth, format!("account {account_id} has no tokens")))
}

/// The generation that tokens stored by a user's own act will have: one above whatever is there, its row locked.
pub fn lock_next_generation(account_id: i64) -> Result<i64, Failure> {
    let generations = write(
        "SELECT t.generation FROM pinterest.token t WHERE t.account_id = $1 FOR UPDATE",
        &[account_id.into()],
        |row| row.get::<i64>(1),
    )?;
    Ok(generations.first().map_or(1, |generation| generation + 1))
}

/// Stores tokens that the user's own act brought: a connect, or pinterest_store_token().
pub fn replace(account_id: i64, generation: i64, new: NewTokens) -> Result<(), Failure> {
    execute(
        "INSERT INTO pinterest.token AS t (account_id, generation, access_token, refresh_token, access_expires_at, \
         refresh_expires_at, refresh_after) VALUES ($1, $2, $3, $4, \
         clock_timestamp() + make_interval(secs => $5), \
         clock_timestamp() + make_interval(secs => $6), \
         clock_timestamp() + make_interval(secs => $7)) \
         ON CONFLICT (account_id) DO UPDATE SET generation = EXCLUDED.generation, \
         access_token = EXCLUDED.access_token, refresh_token = EXCLUDED.refresh_token, previous_refresh_token = NULL, \
         access_expires_at = EXCLUDED.access_expires_at, refresh_expires_at = EXCLUDED.refresh_expires_at, \
         refresh_after = EXCLUDED.refresh_after, refreshed_at = clock_timestamp(), attempts = 0, \
         attempt_by = NULL, attempt_until = NULL",
        &[
            account_id.into(),
            generation.into(),
            new.access_token.into(),
            new.refresh_token.into(),
            new.access_expires_in.as_secs_f64().into(),
            new.refresh_expires_in.map(|left| left.as_secs_f64()).into(),
            new.refresh_after.as_secs_f64().into(),
        ],
    )?;
    Ok(())
}

/// Stores a refresh's answer, only if nobody stored another since generation `expected`. True where it was stored.
///
/// The old refresh token is kept, re-sealed by the caller under the new generation: should this answer's token turn
/// out to be one that Pinterest does not know, the one before it is tried once.
pub fn compare_and_swap(
    account_id: i64,
    expected: i64,
    new: NewTokens,
    previous_refresh_token: Option<Vec<u8>>,
    scopes: &[String],
) -> Result<bool, Failure> {
    let swapped = execute(
        "UPDATE pinterest.token SET generation = $2 + 1, access_token = $3, refresh_token = $4, \
         previous_refresh_token = $8, \
         access_expires_at = clock_timestamp() + make_interval(secs => $5), \
         refresh_expires_at = COALESCE(clock_timestamp() + make_interval(secs => $6), refresh_expires_at), \
         refresh_after = clock_timestamp() + make_interval(secs => $7), \
         refreshed_at = clock_timestamp(), attempts = 0, attempt_by = NULL, attempt_until = NULL \
         WHERE account_id = $1 AND generation = $2",
        &[
            account_id.into(),
            expected.into(),
            new.access_token.into(),
            new.refresh_token.into(),
            new.access_expires_in.as_secs_f64().into(),
            new.refresh_expires_in.map(|left| left.as_secs_f64()).into(),
            new.refresh_after.as_secs_f64().into(),
            previous_refresh_token.into(),
        ],
    )? > 0;
    if swapped {
        execute(
            "UPDATE pinterest.account SET status = 'connected', cause = NULL, \
             scopes = CASE WHEN cardinality($2) = 0 THEN scopes ELSE $2 END \
             WHERE account_id = $1",
            &[account_id.into(), scopes.to_vec().into()],
        )?;
    }
    Ok(swapped)
}

/// Opens a refresh attempt, if the tokens are due (or `force`d at generation `force`) and nobody else has one open:
/// this is the lock, it survives a crash and is not held over the request. Returns the tokens to refresh.
pub fn open_attempt(account_id: i64, by: &str, live: &[String], force: Option<i64>) -> Result<bool, Failure> {
    let opened = execute(
        "UPDATE pinterest.token SET attempt_by = $2, attempts = attempts + 1, \
         attempt_until = clock_timestamp() + '90 seconds'::interval \
         WHERE account_id = $1 AND refresh_token IS NOT NULL \
         AND (CASE WHEN $4 IS NULL THEN refresh_after <= clock_timestamp() \
              ELSE generation = $4 END) \
         AND (attempt_by IS NULL OR attempt_until < clock_timestamp() \
              OR attempt_by <> ALL ($3))",
        &[account_id.into(), by.into(), live.to_vec().into(), force.into()],
    )?;
    Ok(opened > 0)
}

/// Closes an attempt that brought nothing, and says when to try again.
pub fn close_attempt(account_id: i64, by: &str, again_in: Duration) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.token SET attempt_by = NULL, attempt_until = NULL, \
         refresh_after = clock_timestamp() + make_interval(secs => $3) \
         WHERE account_id = $1 AND attempt_by = $2",
        &[account_id.into(), by.into(), again_in.as_secs_f64().into()],
    )?;
    Ok(())
}

/// Accounts whose tokens are due for a refresh.
pub fn due(limit: i64) -> Result<Vec<i64>, Failure> {
    read(
        "SELECT t.account_id FROM pinterest.token t JOIN pinterest.account a USING (account_id) \
         WHERE t.refresh_after <= clock_timestamp() AND t.refresh_token IS NOT NULL \
         AND a.app_id IS NOT NULL AND a.status = ANY (ARRAY['connected', 'refresh_uncertain']) \
         AND (t.attempt_until IS NULL OR t.attempt_until < clock_timestamp()) \
         ORDER BY t.refresh_after LIMIT $1",
        &[limit.into()],
        |row| row.get(1),
    )
}
