//! `pinterest.token`: sealed tokens, replaced by compare-and-swap on their generation. Only sealed bytes come here.

use std::time::Duration;

use pgrx::datum::TimestampWithTimeZone;

use super::{commit_durably, execute, read, write};
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
    /// Seconds until the refresh token expires, where that is known; negative once it has.
    pub refresh_expires_in: Option<f64>,
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
         a.app_id, a.status, t.attempts, EXTRACT(EPOCH FROM t.refresh_expires_at - clock_timestamp())::float8 FROM pinterest.token t JOIN pinterest.account a USING (account_id) \
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
                refresh_expires_in: row.maybe(9)?,
            })
        },
    )?;
    rows.into_iter()
        .next()
        .ok_or_else(|| Failure::new(Kind::NeedsReauth, format!("account {account_id} has no tokens")))
}

/// When the access token expires.
pub fn access_expiry(account_id: i64) -> Result<TimestampWithTimeZone, Failure> {
    let found = read(
        "SELECT t.access_expires_at FROM pinterest.token t WHERE t.account_id = $1",
        &[account_id.into()],
        |row| row.get(1),
    )?;
    found
        .into_iter()
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
    commit_durably();
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
    commit_durably();
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
             status_since = CASE status WHEN 'connected' THEN status_since ELSE clock_timestamp() END, scopes = CASE WHEN cardinality($2) = 0 THEN scopes ELSE $2 END \
             WHERE account_id = $1",
            &[account_id.into(), scopes.to_vec().into()],
        )?;
    }
    Ok(swapped)
}

/// An attempt that was opened.
pub struct Opened {
    /// The app that refreshes.
    pub app_id: i64,
    /// Another process began one before and never said how it ended.
    pub interrupted: bool,
}

/// Opens a refresh attempt, if the tokens are due (or are of generation `force`) and nobody else has one open: this is
/// the lock, it survives a crash and is not held over the request. An attempt whose owner is gone is taken over.
pub fn open_attempt(account_id: i64, by: &str, live: &[String], force: Option<i64>) -> Result<Option<Opened>, Failure> {
    let opened = write(
        "UPDATE pinterest.token t SET attempt_by = $2, attempts = t.attempts + 1, \
         attempt_until = clock_timestamp() + '90 seconds'::interval \
         FROM (SELECT o.account_id, a.app_id, o.attempt_by FROM pinterest.token o \
               JOIN pinterest.account a USING (account_id) \
               WHERE o.account_id = $1 AND o.refresh_token IS NOT NULL AND a.app_id IS NOT NULL \
               AND (CASE WHEN $4 IS NULL THEN o.refresh_after <= clock_timestamp() OR o.attempt_by IS NOT NULL \
                    ELSE o.generation = $4 END) \
               AND (o.attempt_by IS NULL OR o.attempt_until < clock_timestamp() OR o.attempt_by <> ALL ($3)) \
               FOR UPDATE OF o SKIP LOCKED) AS was \
         WHERE t.account_id = was.account_id RETURNING was.app_id, was.attempt_by IS NOT NULL",
        &[account_id.into(), by.into(), live.to_vec().into(), force.into()],
        |row| Ok(Opened { app_id: row.get(1)?, interrupted: row.get(2)? }),
    )?;
    Ok(opened.into_iter().next())
}

/// Takes back an attempt that was opened in this transaction.
pub fn withdraw_attempt(account_id: i64, by: &str) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.token SET attempt_by = NULL, attempt_until = NULL, attempts = attempts - 1 \
         WHERE account_id = $1 AND attempt_by = $2",
        &[account_id.into(), by.into()],
    )?;
    Ok(())
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

/// Accounts whose tokens are due for a refresh, or whose last refresh was interrupted; none of an app that is paused.
pub fn due(limit: i64, live: &[String]) -> Result<Vec<i64>, Failure> {
    read(
        "SELECT t.account_id FROM pinterest.token t JOIN pinterest.account a USING (account_id) \
         JOIN pinterest.app p USING (app_id) \
         WHERE t.refresh_token IS NOT NULL AND a.status = ANY (ARRAY['connected', 'refresh_uncertain']) \
         AND CASE WHEN t.attempt_by IS NULL THEN t.refresh_after <= clock_timestamp() \
             ELSE t.attempt_until < clock_timestamp() OR t.attempt_by <> ALL ($2) END \
         AND (p.pauses = 0 OR p.paused_until <= clock_timestamp()) \
         ORDER BY t.refresh_after LIMIT $1",
        &[limit.into(), live.to_vec().into()],
        |row| row.get(1),
    )
}

/// Says once per grant that its last means of renewal lapses within `days`, or within a quarter of its life where that
/// is shorter; listeners are told the ids, nothing else. Returns the ids with their expiry.
pub fn warn_of_lapses(days: f64) -> Result<Vec<(i64, String)>, Failure> {
    let lapsing = write(
        "UPDATE pinterest.token t SET warned_generation = t.generation \
         FROM (SELECT o.account_id, o.refreshed_at, \
                   CASE WHEN o.refresh_token IS NULL OR a.app_id IS NULL THEN o.access_expires_at \
                   ELSE o.refresh_expires_at END AS at \
               FROM pinterest.token o JOIN pinterest.account a USING (account_id) \
               WHERE a.status IN ('connected', 'refresh_uncertain') \
               AND o.warned_generation IS DISTINCT FROM o.generation) AS lapse \
         WHERE t.account_id = lapse.account_id AND lapse.at < clock_timestamp() \
             + LEAST(make_interval(secs => $1 * 86400), (lapse.at - lapse.refreshed_at) / 4) \
         RETURNING t.account_id, date_trunc('second', lapse.at)::text",
        &[days.into()],
        |row| Ok((row.get::<i64>(1)?, row.get::<String>(2)?)),
    )?;
    for (account_id, _) in &lapsing {
        write("SELECT pg_notify('pinterest_reauth_soon', $1::text)", &[(*account_id).into()], |_| Ok(()))?;
    }
    Ok(lapsing)
}

/// Accounts that still count as connected although their access token has run out and nothing can renew it.
pub fn lapsed() -> Result<Vec<i64>, Failure> {
    read(
        "SELECT t.account_id FROM pinterest.token t JOIN pinterest.account a USING (account_id) \
         WHERE a.status IN ('connected', 'refresh_uncertain') AND (t.refresh_token IS NULL OR a.app_id IS NULL) \
         AND t.access_expires_at <= clock_timestamp()",
        &[],
        |row| row.get(1),
    )
}
