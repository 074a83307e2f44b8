//! `pinterest.token`: sealed tokens, replaced by compare-and-swap on their generation. This file handles sealed
//! bytes only.

use std::time::Duration;

use pgrx::datum::TimestampWithTimeZone;

use super::{affected, commit_durably, execute, params, read, read_optional, row_as, write, write_one, write_optional};
use crate::errors::{Failure, Kind};

/// An account's row of tokens.
#[derive(Clone, Debug)]
pub struct SealedTokens {
    /// Bound into the sealed bytes.
    pub generation: i64,
    /// Sealed.
    pub access_token: Vec<u8>,
    /// Sealed; `None` if the grant had none.
    pub refresh_token: Option<Vec<u8>>,
    /// Sealed, of the generation before.
    pub previous_refresh_token: Option<Vec<u8>>,
    /// Seconds until the access token expires; negative afterwards.
    pub access_expires_in: f64,
    /// Seconds until the refresh token expires, if that is known; negative afterwards.
    pub refresh_expires_in: Option<f64>,
    /// The app that can refresh them.
    pub app_id: Option<i64>,
    /// The account's status.
    pub status: String,
    /// Refreshes begun since the last response.
    pub attempts: i32,
    /// The response to one of them was lost.
    pub uncertain: bool,
    /// A refresh is running.
    pub attempt_open: bool,
}

/// New tokens, sealed for the generation under which they are to be stored.
#[derive(Clone, Debug)]
pub struct NewTokens {
    /// Sealed.
    pub access_token: Vec<u8>,
    /// Sealed.
    pub refresh_token: Option<Vec<u8>>,
    /// As the response states.
    pub access_expires_in: Duration,
    /// As the response states, otherwise the rest of the old token's lifetime.
    pub refresh_expires_in: Option<Duration>,
    /// When to refresh next.
    pub refresh_after: Duration,
}

/// The account's tokens.
pub fn get(account_id: i64) -> Result<SealedTokens, Failure> {
    read_optional(
        "SELECT t.generation, t.access_token, t.refresh_token, t.previous_refresh_token, \
         EXTRACT(EPOCH FROM t.access_expires_at - clock_timestamp())::float8, \
         CASE WHEN t.unsettled THEN 'connected' ELSE a.status END, a.app_id, t.attempts, \
         EXTRACT(EPOCH FROM t.refresh_expires_at - clock_timestamp())::float8, t.uncertain, t.attempt_by IS NOT NULL \
         FROM pinterest.token t JOIN pinterest.account a USING (account_id) \
         WHERE t.account_id = $1",
        &params![account_id],
        row_as!(SealedTokens {
            generation,
            access_token,
            refresh_token: maybe,
            previous_refresh_token: maybe,
            access_expires_in,
            status,
            app_id: maybe,
            attempts,
            refresh_expires_in: maybe,
            uncertain,
            attempt_open
        }),
    )?
    .ok_or_else(|| Failure::new(Kind::NeedsReauth, format!("account {account_id} has no tokens")))
}

/// When the access token expires.
pub fn access_expiry(account_id: i64) -> Result<TimestampWithTimeZone, Failure> {
    read_optional(
        "SELECT t.access_expires_at FROM pinterest.token t WHERE t.account_id = $1",
        &params![account_id],
        |row| row.get(1),
    )?
    .ok_or_else(|| Failure::new(Kind::NeedsReauth, format!("account {account_id} has no tokens")))
}

/// A new generation for tokens of the account: one that was never given before. If rows were replicated without their
/// sequence, it is greater than those of all of them: consents of two accounts that turn out to be one are compared by
/// it.
pub fn next_generation() -> Result<i64, Failure> {
    write_one(
        "SELECT CASE WHEN d.drawn > d.used THEN d.drawn ELSE setval('pinterest.token_generation', d.used + 1) END \
         FROM (SELECT nextval('pinterest.token_generation') AS drawn, \
             COALESCE((SELECT max(GREATEST(t.generation, t.consent)) FROM pinterest.token t), \
             0) AS used OFFSET 0) AS d",
        &[],
        |row| row.get(1),
    )
}

/// The generation of the account's tokens, if it has any; their row is locked.
pub fn lock_generation(account_id: i64) -> Result<Option<i64>, Failure> {
    write_optional(
        "SELECT t.generation FROM pinterest.token t WHERE t.account_id = $1 FOR NO KEY UPDATE",
        &params![account_id],
        |row| row.get(1),
    )
}

/// The generation of the user's consent that brought the account's tokens, if it has any; their row is locked.
/// Refreshes keep it, so the greater one is the later consent.
pub fn lock_consent(account_id: i64) -> Result<Option<i64>, Failure> {
    write_optional(
        "SELECT t.consent FROM pinterest.token t WHERE t.account_id = $1 FOR NO KEY UPDATE",
        &params![account_id],
        |row| row.get(1),
    )
}

/// Locks the tokens' row; false, without waiting, if another session has locked it.
pub fn lock_if_free(account_id: i64) -> Result<bool, Failure> {
    let locked = affected(
        "SELECT FROM pinterest.token t WHERE t.account_id = $1 FOR NO KEY UPDATE SKIP LOCKED",
        &params![account_id],
    )?;
    Ok(locked > 0)
}

/// Stores tokens that did not come from a refresh, but from a connect or pinterest_store_token().
pub fn replace(account_id: i64, generation: i64, new: NewTokens, scopes: &[String]) -> Result<(), Failure> {
    commit_durably();
    execute(
        "INSERT INTO pinterest.token AS t (account_id, generation, consent, access_token, refresh_token, \
         access_expires_at, refresh_expires_at, refresh_after, granted_scopes) \
         VALUES ($1, $2, $2, $3, $4, clock_timestamp() + make_interval(secs => $5), \
         clock_timestamp() + make_interval(secs => $6), \
         clock_timestamp() + make_interval(secs => $7), $8) \
         ON CONFLICT (account_id) DO UPDATE SET generation = EXCLUDED.generation, consent = EXCLUDED.consent, \
         access_token = EXCLUDED.access_token, refresh_token = EXCLUDED.refresh_token, previous_refresh_token = NULL, \
         access_expires_at = EXCLUDED.access_expires_at, refresh_expires_at = EXCLUDED.refresh_expires_at, \
         refresh_after = EXCLUDED.refresh_after, refreshed_at = clock_timestamp(), attempts = 0, \
         attempt_by = NULL, uncertain = false, granted_scopes = EXCLUDED.granted_scopes, unsettled = false",
        &params![
            account_id,
            generation,
            new.access_token,
            new.refresh_token,
            new.access_expires_in.as_secs_f64(),
            new.refresh_expires_in.map(|left| left.as_secs_f64()),
            new.refresh_after.as_secs_f64(),
            scopes.to_vec()
        ],
    )
}

/// Moves tokens to another account of the same person and replaces its tokens; `secrets` are the same tokens (access,
/// refresh), sealed for that row and `generation`.
pub fn take_over(from: i64, into: i64, generation: i64, secrets: (Vec<u8>, Option<Vec<u8>>)) -> Result<(), Failure> {
    commit_durably();
    execute(
        "INSERT INTO pinterest.token AS t (account_id, generation, consent, access_token, refresh_token, \
         access_expires_at, refresh_expires_at, refreshed_at, refresh_after, granted_scopes, unsettled) \
         SELECT $2, $3, f.consent, $4, $5, f.access_expires_at, f.refresh_expires_at, f.refreshed_at, f.refresh_after, \
         f.granted_scopes, true FROM pinterest.token f WHERE f.account_id = $1 \
         ON CONFLICT (account_id) DO UPDATE SET generation = EXCLUDED.generation, consent = EXCLUDED.consent, \
         access_token = EXCLUDED.access_token, refresh_token = EXCLUDED.refresh_token, previous_refresh_token = NULL, \
         access_expires_at = EXCLUDED.access_expires_at, refresh_expires_at = EXCLUDED.refresh_expires_at, \
         refreshed_at = EXCLUDED.refreshed_at, refresh_after = EXCLUDED.refresh_after, attempts = 0, \
         attempt_by = NULL, uncertain = false, granted_scopes = EXCLUDED.granted_scopes, unsettled = true",
        &params![from, into, generation, secrets.0, secrets.1],
    )
}

/// Stores a refresh's response under `generation` if the generation is still `expected`. True if it was stored, by this
/// call or an earlier one.
///
/// Of the account's rows, this writes only that of the tokens, and no key of it, so it waits for no other lock. The
/// rest is marked as [`unsettled`]. The old refresh token is kept, sealed by the caller for the new generation: if
/// Pinterest does not know the new one, the old one is tried once.
pub fn compare_and_swap(
    account_id: i64,
    (expected, generation): (i64, i64),
    new: NewTokens,
    previous_refresh_token: Option<Vec<u8>>,
    scopes: &[String],
) -> Result<bool, Failure> {
    commit_durably();
    match lock_generation(account_id)? {
        Some(found) if found == expected => {}
        Some(found) => return Ok(found == generation),
        None => return Ok(false),
    }
    execute(
        "UPDATE pinterest.token SET generation = $9, access_token = $3, refresh_token = $4, \
         previous_refresh_token = $8, \
         access_expires_at = clock_timestamp() + make_interval(secs => $5), \
         refresh_expires_at = COALESCE(clock_timestamp() + make_interval(secs => $6), refresh_expires_at), \
         refresh_after = clock_timestamp() + make_interval(secs => $7), \
         refreshed_at = clock_timestamp(), attempts = 0, attempt_by = NULL, uncertain = false, \
         granted_scopes = $10, unsettled = true WHERE account_id = $1 AND generation = $2",
        &params![
            account_id,
            expected,
            new.access_token,
            new.refresh_token,
            new.access_expires_in.as_secs_f64(),
            new.refresh_expires_in.map(|left| left.as_secs_f64()),
            new.refresh_after.as_secs_f64(),
            previous_refresh_token,
            generation,
            scopes.to_vec()
        ],
    )?;
    Ok(true)
}

/// Accounts with a stored response that has not been applied to the account and its imports.
pub fn unsettled(except: &[i64]) -> Result<Vec<i64>, Failure> {
    read(
        "SELECT t.account_id FROM pinterest.token t WHERE t.unsettled AND t.account_id <> ALL ($1) LIMIT 100",
        &params![except.to_vec()],
        |row| row.get(1),
    )
}

/// Marks the account's stored response as applied.
pub(super) fn settled(account_id: i64) -> Result<(), Failure> {
    execute("UPDATE pinterest.token SET unsettled = false WHERE account_id = $1 AND unsettled", &params![account_id])
}

/// Leaves the tokens of an account that needs its user alone, until there are others. The consequences of earlier ones
/// do not matter any more.
pub(super) fn rest(account_id: i64) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.token SET unsettled = false, dormant_generation = generation \
         WHERE account_id = $1 AND (unsettled OR dormant_generation IS DISTINCT FROM generation)",
        &params![account_id],
    )
}

/// Refreshes the tokens of accounts again that do not need their users after all.
pub(super) fn awaken(account_ids: Vec<i64>) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.token SET dormant_generation = NULL \
         WHERE account_id = ANY ($1) AND dormant_generation IS NOT NULL",
        &params![account_ids],
    )
}

/// A refresh attempt that was opened.
pub struct Opened {
    /// The app that refreshes.
    pub app_id: i64,
    /// The process that began the attempt before did not record its result.
    pub interrupted: bool,
}

/// Opens a refresh attempt, if the tokens are due (or are of generation `force`) and no other process has one open.
/// This is a lock that survives a crash and is not held during the request. An attempt whose process has ended is taken
/// over: it may have been answered, and the next refusal must be judged with this in mind. `others` are the running
/// processes that may have attempts open; the caller knows its own.
pub fn open_attempt(
    account_id: i64,
    by: &str,
    others: &[String],
    force: Option<i64>,
) -> Result<Option<Opened>, Failure> {
    write_optional(
        "UPDATE pinterest.token t SET attempt_by = $2, attempts = t.attempts + 1, \
         uncertain = t.uncertain OR was.attempt_by IS NOT NULL \
         FROM (SELECT o.account_id, a.app_id, o.attempt_by FROM pinterest.token o \
               JOIN pinterest.account a USING (account_id) \
               WHERE o.account_id = $1 AND o.refresh_token IS NOT NULL AND a.app_id IS NOT NULL \
               AND (CASE WHEN $4 IS NULL THEN (o.refresh_after <= clock_timestamp() OR o.attempt_by IS NOT NULL) \
                        AND (o.unsettled OR a.status = ANY (ARRAY['connected', 'refresh_uncertain'])) \
                    ELSE o.generation = $4 END) \
               AND (o.attempt_by IS NULL OR o.attempt_by <> ALL ($3)) \
               AND NOT EXISTS (SELECT FROM pinterest.token_answer w WHERE w.account_id = $1) \
               FOR NO KEY UPDATE OF o SKIP LOCKED) AS was \
         WHERE t.account_id = was.account_id RETURNING was.app_id, was.attempt_by IS NOT NULL",
        &params![account_id, by, others.to_vec(), force],
        |row| Ok(Opened { app_id: row.get(1)?, interrupted: row.get(2)? }),
    )
}

/// Withdraws an attempt that was opened in this transaction.
pub fn withdraw_attempt(account_id: i64, by: &str) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.token SET attempt_by = NULL, attempts = attempts - 1 \
         WHERE account_id = $1 AND attempt_by = $2",
        &params![account_id, by],
    )
}

/// Closes a failed attempt and sets the time of the next one. `uncertain`: a response may have been lost.
pub fn close_attempt(account_id: i64, by: &str, again_in: Duration, uncertain: bool) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.token SET attempt_by = NULL, uncertain = uncertain OR $4, \
         refresh_after = clock_timestamp() + make_interval(secs => $3) \
         WHERE account_id = $1 AND attempt_by = $2",
        &params![account_id, by, again_in.as_secs_f64(), uncertain],
    )
}

/// The condition under which tokens may be refreshed, for `pinterest.token t` whose account is not in `$3`.
macro_rules! refreshable {
    () => {
        "t.refresh_token IS NOT NULL AND t.dormant_generation IS DISTINCT FROM t.generation \
         AND t.account_id <> ALL ($3) \
         AND EXISTS (SELECT FROM pinterest.account a JOIN pinterest.app p USING (app_id) \
             WHERE a.account_id = t.account_id \
             AND (t.unsettled OR a.status = ANY (ARRAY['connected', 'refresh_uncertain'])) \
             AND (p.pauses = 0 OR p.paused_until <= clock_timestamp()) OFFSET 0) \
         AND NOT EXISTS (SELECT FROM pinterest.token_answer w WHERE w.account_id = t.account_id OFFSET 0)"
    };
}

/// Accounts whose tokens are due for a refresh, or whose last refresh was interrupted, without those of paused apps.
/// `others` as in [`open_attempt`]; `in_hand` are the caller's own.
pub fn due(limit: i64, others: &[String], in_hand: &[i64]) -> Result<Vec<i64>, Failure> {
    // Each branch reads the head of an index. OFFSET 0 keeps the conditions subqueries, one for each row read: joins of
    // all accounts would cost more the more there are.
    read(
        concat!(
            "SELECT d.account_id FROM ( \
             (SELECT t.account_id, t.refresh_after FROM pinterest.token t \
              WHERE t.refresh_after <= (SELECT clock_timestamp()) AND t.attempt_by IS NULL AND ",
            refreshable!(),
            " ORDER BY t.refresh_after LIMIT $1) UNION ALL \
             (SELECT t.account_id, t.refresh_after FROM pinterest.token t \
              WHERE t.attempt_by IS NOT NULL AND t.attempt_by <> ALL ($2) AND ",
            refreshable!(),
            " LIMIT $1)) AS d ORDER BY d.refresh_after LIMIT $1"
        ),
        &params![limit, others.to_vec(), in_hand.to_vec()],
        |row| row.get(1),
    )
}

/// Tokens of which a worker has to know when they cannot be renewed any more: those that expire within `$1` seconds, by
/// the indexes for them.
macro_rules! lapsing {
    () => {
        "ARRAY(SELECT r.account_id FROM pinterest.token r WHERE r.refresh_token IS NOT NULL \
             AND r.dormant_generation IS DISTINCT FROM r.generation \
             AND r.refresh_expires_at < (SELECT clock_timestamp() + make_interval(secs => $1)) \
         UNION ALL SELECT f.account_id FROM pinterest.token f WHERE f.refresh_token IS NULL \
             AND f.dormant_generation IS DISTINCT FROM f.generation \
             AND f.access_expires_at < (SELECT clock_timestamp() + make_interval(secs => $1)))"
    };
}

/// Marks, once per grant, tokens that cannot be renewed after `days`, or after a quarter of their lifetime if that is
/// shorter, and notifies listeners of the ids alone. Returns the ids with their expiry.
pub fn warn_of_lapses(days: f64) -> Result<Vec<(i64, String)>, Failure> {
    let lapsing = write(
        concat!(
            "UPDATE pinterest.token t SET warned_generation = t.generation \
             FROM (SELECT o.account_id, l.at FROM pinterest.token o JOIN pinterest.account a USING (account_id), \
                       LATERAL (SELECT CASE WHEN o.refresh_token IS NULL THEN o.access_expires_at \
                           ELSE o.refresh_expires_at END AS at) AS l \
                   WHERE o.account_id = ANY (",
            lapsing!(),
            ") AND a.status IN ('connected', 'refresh_uncertain') \
                   AND o.warned_generation IS DISTINCT FROM o.generation AND l.at < clock_timestamp() \
                       + LEAST(make_interval(secs => $1), (l.at - o.refreshed_at) / 4) \
                   FOR NO KEY UPDATE OF o SKIP LOCKED) AS lapse \
             WHERE t.account_id = lapse.account_id \
             RETURNING t.account_id, date_trunc('second', lapse.at)::text"
        ),
        &params![days * 86_400.0],
        |row| Ok((row.get::<i64>(1)?, row.get::<String>(2)?)),
    )?;
    for (account_id, _) in &lapsing {
        execute("SELECT pg_notify('pinterest_reauth_soon', $1::text)", &params![*account_id])?;
    }
    Ok(lapsing)
}

/// Accounts with the status connected whose access token has expired and cannot be renewed, each with the generation of
/// its tokens.
pub fn lapsed() -> Result<Vec<(i64, i64)>, Failure> {
    read(
        "SELECT t.account_id, t.generation FROM pinterest.token t JOIN pinterest.account a USING (account_id) \
         WHERE t.refresh_token IS NULL AND t.dormant_generation IS DISTINCT FROM t.generation \
         AND t.access_expires_at <= (SELECT clock_timestamp()) \
         AND a.status IN ('connected', 'refresh_uncertain')",
        &[],
        |row| Ok((row.get(1)?, row.get(2)?)),
    )
}
