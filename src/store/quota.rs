//! `pinterest.quota_ledger`: requests that Pinterest allows, kept by what its answers say. On trial access all accounts
//! of an app share one budget a day, on standard access each has its own a minute; the documented numbers hold until an
//! answer tells others. All workers share the ledger, and it survives them.

use super::{execute, write};
use crate::errors::Failure;

/// Reading requests, which all of ours are.
const CATEGORY: &str = "org_read";

/// No window is longer, and no reset further away. A time beyond that comes from a clock that was set, and says nothing.
const LONGEST_WINDOW: f64 = pinterest::LONGEST_WINDOW.as_secs() as f64;

/// May a request be made for the account? Takes it from the budget where it may; else the seconds until it renews.
pub fn take(account_id: i64) -> Result<Option<f64>, Failure> {
    let left = write(
        "INSERT INTO pinterest.quota_ledger AS q (app_id, account_id, category, request_limit, remaining, window_length, reset_at) \
         SELECT k.app_id, k.account_id, $2, 1000, 999, k.window_length, clock_timestamp() + k.window_length \
         FROM pinterest.account a LEFT JOIN pinterest.app p USING (app_id), \
         LATERAL (SELECT CASE WHEN p.tier = 'trial' THEN p.app_id END AS app_id, \
             CASE WHEN p.tier = 'trial' THEN NULL ELSE a.account_id END AS account_id, \
             CASE WHEN p.tier = 'trial' THEN '1 day'::interval ELSE '1 minute'::interval END AS window_length) AS k \
         WHERE a.account_id = $1 \
         ON CONFLICT ((COALESCE(app_id, 0)), (COALESCE(account_id, 0)), category) DO UPDATE SET \
             remaining = CASE WHEN q.reset_at <= clock_timestamp() OR q.reset_at > clock_timestamp() + '25 hours'::interval \
                 THEN q.request_limit - 1 ELSE GREATEST(q.remaining - 1, -1) END, \
             reset_at = CASE WHEN q.reset_at <= clock_timestamp() OR q.reset_at > clock_timestamp() + '25 hours'::interval \
                 THEN clock_timestamp() + LEAST(q.window_length, '1 day'::interval) ELSE q.reset_at END \
         RETURNING CASE WHEN q.remaining < 0 THEN EXTRACT(EPOCH FROM q.reset_at - clock_timestamp())::float8 END",
        &[account_id.into(), CATEGORY.into()],
        |row| row.maybe::<f64>(1),
    )?;
    Ok(left.into_iter().next().flatten().map(|seconds| seconds.max(0.0)))
}

/// What an answer said. The longest time to a reset that was seen is the length of the window.
pub fn observe(
    account_id: i64,
    limit: Option<i64>,
    remaining: Option<i64>,
    reset_in: Option<f64>,
) -> Result<(), Failure> {
    update(account_id, limit, remaining, reset_in, true)
}

/// An answer said that nothing is left for so many seconds; that says nothing about the length of the window.
pub fn exhausted(account_id: i64, seconds: f64) -> Result<(), Failure> {
    update(account_id, None, Some(0), Some(seconds), false)
}

fn update(
    account_id: i64,
    limit: Option<i64>,
    remaining: Option<i64>,
    reset_in: Option<f64>,
    tells_window: bool,
) -> Result<(), Failure> {
    let reset_in = reset_in.map(|seconds| seconds.clamp(0.0, LONGEST_WINDOW));
    execute(
        "UPDATE pinterest.quota_ledger q SET request_limit = GREATEST(COALESCE($2, q.request_limit), 1), \
         remaining = COALESCE($3, q.remaining), \
         reset_at = COALESCE(clock_timestamp() + make_interval(secs => $4), q.reset_at), \
         window_length = CASE WHEN $4 IS NULL OR NOT $6 THEN q.window_length \
             WHEN q.observed_at IS NULL THEN make_interval(secs => GREATEST($4, 1)) \
             ELSE GREATEST(q.window_length, make_interval(secs => $4)) END, \
         observed_at = CASE WHEN $6 THEN clock_timestamp() ELSE q.observed_at END \
         FROM pinterest.account a LEFT JOIN pinterest.app p USING (app_id) \
         WHERE a.account_id = $1 AND q.category = $5 \
         AND CASE WHEN p.tier = 'trial' THEN q.app_id = p.app_id ELSE q.account_id = a.account_id END",
        &[account_id.into(), limit.into(), remaining.into(), reset_in.into(), CATEGORY.into(), tells_window.into()],
    )?;
    Ok(())
}
