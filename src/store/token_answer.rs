//! `pinterest.token_answer`: responses to refreshes that wait for a lock on the row of their tokens, stored in case
//! they outlive their worker.

use super::token::NewTokens;
use super::{commit_durably, execute, params, read, token};
use crate::errors::Failure;

/// Stores a response until the row of its tokens is free.
pub fn keep(
    account_id: i64,
    (expected, generation): (i64, i64),
    new: NewTokens,
    previous_refresh_token: Option<Vec<u8>>,
    scopes: &[String],
) -> Result<(), Failure> {
    commit_durably();
    execute(
        "INSERT INTO pinterest.token_answer (account_id, expected, generation, access_token, refresh_token, \
         previous_refresh_token, access_expires_at, refresh_expires_at, refresh_after, granted_scopes) \
         VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp() + make_interval(secs => $7), \
         clock_timestamp() + make_interval(secs => $8), clock_timestamp() + make_interval(secs => $9), $10) \
         ON CONFLICT DO NOTHING",
        &params![
            account_id,
            expected,
            generation,
            new.access_token,
            new.refresh_token,
            previous_refresh_token,
            new.access_expires_in.as_secs_f64(),
            new.refresh_expires_in.map(|left| left.as_secs_f64()),
            new.refresh_after.as_secs_f64(),
            scopes.to_vec()
        ],
    )
}

/// Accounts with a waiting response that no process has in memory.
pub fn waiting(except: &[i64]) -> Result<Vec<i64>, Failure> {
    read(
        "SELECT DISTINCT w.account_id FROM pinterest.token_answer w WHERE w.account_id <> ALL ($1) LIMIT 100",
        &params![except.to_vec()],
        |row| row.get(1),
    )
}

/// Applies the account's responses, and deletes those whose tokens have been replaced meanwhile.
pub fn apply(account_id: i64) -> Result<(), Failure> {
    commit_durably();
    token::lock_generation(account_id)?;
    execute(
        "UPDATE pinterest.token t SET generation = w.generation, access_token = w.access_token, \
         refresh_token = w.refresh_token, previous_refresh_token = w.previous_refresh_token, \
         access_expires_at = w.access_expires_at, refresh_expires_at = COALESCE(w.refresh_expires_at, \
         t.refresh_expires_at), refresh_after = w.refresh_after, refreshed_at = clock_timestamp(), attempts = 0, \
         attempt_by = NULL, uncertain = false, granted_scopes = w.granted_scopes, unsettled = true \
         FROM pinterest.token_answer w \
         WHERE t.account_id = $1 AND w.account_id = $1 AND w.expected = t.generation",
        &params![account_id],
    )?;
    // A response that was stored after the statement above began and belongs to the current tokens stays for the next
    // call.
    execute(
        "DELETE FROM pinterest.token_answer w WHERE w.account_id = $1 AND NOT EXISTS ( \
             SELECT FROM pinterest.token t WHERE t.account_id = $1 AND t.generation = w.expected)",
        &params![account_id],
    )
}

/// Deletes the responses of an account whose tokens have been stored or deleted.
pub fn forget(account_id: i64) -> Result<(), Failure> {
    execute("DELETE FROM pinterest.token_answer WHERE account_id = $1", &params![account_id])
}
