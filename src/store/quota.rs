//! `pinterest.quota_ledger`: the requests that Pinterest allows, as its responses state. On trial access all accounts
//! of an app share one budget per day; on standard access each account has a budget per minute. The documented numbers
//! apply until a response states others. All workers share the ledger, and it is stored, so it survives them.

use super::{execute, params, write_optional};
use crate::errors::Failure;

/// The category of reading requests; the extension sends no others.
const CATEGORY: &str = "org_read";

/// No window is longer, and no reset is further away. A later time was computed with a clock that was set, and is
/// ignored.
const LONGEST_WINDOW: f64 = pinterest::LONGEST_WINDOW.as_secs() as f64;

/// No request waits longer for its turn, in seconds. A later time was computed with a clock that was set.
const LONGEST_QUEUE: f64 = 600.0;

/// Whether a request may be made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Turn {
    /// After so many seconds. It is subtracted from the budget and has its place among the paced requests.
    In(f64),
    /// The budget is used up, and renewed after so many seconds.
    Spent(f64),
}

/// Whether a request may be made for the account. Subtracts it from the budget if it may.
pub fn take(account_id: i64) -> Result<Turn, Failure> {
    let turn = write_optional(
        "INSERT INTO pinterest.quota_ledger AS q (app_id, account_id, category, request_limit, remaining, \
         window_length, reset_at) SELECT k.app_id, k.account_id, $2, 1000, 999, k.window_length, \
         clock_timestamp() + k.window_length FROM pinterest.account a LEFT JOIN pinterest.app p USING (app_id), \
         LATERAL (SELECT CASE WHEN p.tier = 'trial' THEN p.app_id END AS app_id, \
             CASE WHEN p.tier = 'trial' THEN NULL ELSE a.account_id END AS account_id, \
             CASE WHEN p.tier = 'trial' THEN '1 day'::interval ELSE '1 minute'::interval END AS window_length) AS k \
         WHERE a.account_id = $1 \
         ON CONFLICT ((COALESCE(app_id, 0)), (COALESCE(account_id, 0)), category) DO UPDATE SET \
             remaining = CASE WHEN q.reset_at <= clock_timestamp() OR \
                 q.reset_at > clock_timestamp() + '25 hours'::interval \
                 THEN q.request_limit - 1 ELSE GREATEST(q.remaining - 1, -1) END, \
             reset_at = CASE WHEN q.reset_at <= clock_timestamp() OR \
                 q.reset_at > clock_timestamp() + '25 hours'::interval \
                 THEN clock_timestamp() + LEAST(q.window_length, '1 day'::interval) ELSE q.reset_at END, \
             paced_until = CASE WHEN q.remaining <= 0 AND q.reset_at > clock_timestamp() THEN q.paced_until \
                 ELSE COALESCE(q.pace, '0') + CASE WHEN q.paced_until > clock_timestamp() \
                     AND q.paced_until < clock_timestamp() + make_interval(secs => $3) THEN q.paced_until \
                     ELSE clock_timestamp() END END \
         RETURNING CASE WHEN q.remaining < 0 THEN EXTRACT(EPOCH FROM q.reset_at - clock_timestamp())::float8 END, \
             EXTRACT(EPOCH FROM q.paced_until - COALESCE(q.pace, '0') - clock_timestamp())::float8",
        &params![account_id, CATEGORY, LONGEST_QUEUE],
        |row| {
            let turn = row.maybe::<f64>(2)?.unwrap_or_default().clamp(0.0, LONGEST_QUEUE);
            Ok(row.maybe::<f64>(1)?.map_or(Turn::In(turn), |seconds| Turn::Spent(seconds.max(0.0))))
        },
    )?;
    Ok(turn.unwrap_or(Turn::In(0.0)))
}

// The statements below find the row by the expressions of the index quota_ledger_key.

/// What a response states, in requests and seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Observed {
    /// Requests of the budget.
    pub limit: Option<i64>,
    /// Length of the budget's window.
    pub window: Option<f64>,
    /// Requests left in the budget.
    pub remaining: Option<i64>,
    /// Time until the budget is renewed.
    pub reset_in: Option<f64>,
    /// Minimum time between two requests; 0 for none.
    pub pace: Option<f64>,
}

/// Records what a response states. Requests before the first stated pace may have used up the current second. If no
/// window is stated, its length is the longest observed time to a reset.
pub fn observe(account_id: i64, stated: &Observed) -> Result<(), Failure> {
    let within_a_window = |seconds: Option<f64>| seconds.map(|seconds| seconds.clamp(0.0, LONGEST_WINDOW));
    execute(
        "UPDATE pinterest.quota_ledger q SET request_limit = GREATEST(COALESCE($2, q.request_limit), 1), \
         remaining = COALESCE($3, CASE WHEN $2 IS NULL OR q.remaining <= 0 THEN LEAST(q.remaining, $2) \
             ELSE GREATEST($2 - (q.request_limit - q.remaining), 0) END, q.remaining), \
         reset_at = COALESCE(clock_timestamp() + make_interval(secs => $4), \
             LEAST(q.reset_at, clock_timestamp() + make_interval(secs => $6))), \
         window_length = CASE WHEN $6 IS NOT NULL THEN make_interval(secs => GREATEST($6, 1)) \
             WHEN $4 IS NULL THEN q.window_length \
             WHEN q.observed_at IS NULL THEN make_interval(secs => GREATEST($4, 1)) \
             ELSE GREATEST(q.window_length, make_interval(secs => $4)) END, \
         pace = COALESCE(make_interval(secs => $7), q.pace), \
         paced_until = CASE WHEN $7 > 0 AND q.pace IS NULL \
             THEN GREATEST(q.paced_until, clock_timestamp() + make_interval(secs => GREATEST($7, 1))) \
             ELSE q.paced_until END, \
         refused_in_row = 0, observed_at = clock_timestamp() \
         FROM pinterest.account a LEFT JOIN pinterest.app p USING (app_id) \
         WHERE a.account_id = $1 AND q.category = $5 \
         AND COALESCE(q.app_id, 0) = CASE WHEN p.tier = 'trial' THEN p.app_id ELSE 0 END \
         AND COALESCE(q.account_id, 0) = CASE WHEN p.tier = 'trial' THEN 0 ELSE a.account_id END",
        &params![
            account_id,
            stated.limit,
            stated.remaining,
            within_a_window(stated.reset_in),
            CATEGORY,
            within_a_window(stated.window),
            within_a_window(stated.pace)
        ],
    )
}

/// Records a response that was not a refusal and stated nothing about the quota.
pub fn accepted(account_id: i64) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.quota_ledger q SET refused_in_row = 0 \
         FROM pinterest.account a LEFT JOIN pinterest.app p USING (app_id) \
         WHERE a.account_id = $1 AND q.category = $2 AND q.refused_in_row > 0 \
         AND COALESCE(q.app_id, 0) = CASE WHEN p.tier = 'trial' THEN p.app_id ELSE 0 END \
         AND COALESCE(q.account_id, 0) = CASE WHEN p.tier = 'trial' THEN 0 ELSE a.account_id END",
        &params![account_id, CATEGORY],
    )
}

/// Records that the budget is used up, and when it is renewed, in seconds, if the response states it; that says nothing
/// about the length of the window. Returns the seconds to wait: if Pinterest states none, they triple with each
/// refusal, from six to an hour, the lower half at random.
pub fn exhausted(account_id: i64, stated: Option<f64>) -> Result<Option<f64>, Failure> {
    let stated = stated.map(|seconds| seconds.clamp(0.0, LONGEST_WINDOW));
    write_optional(
        "UPDATE pinterest.quota_ledger q SET remaining = 0, \
         refused_in_row = CASE WHEN $2 IS NULL THEN LEAST(q.refused_in_row + 1, 20) ELSE q.refused_in_row END, \
         reset_at = clock_timestamp() + make_interval(secs => \
             COALESCE($2, (0.5 + $4 / 2) * LEAST(2 * power(3, q.refused_in_row + 1), 3600))) \
         FROM pinterest.account a LEFT JOIN pinterest.app p USING (app_id) \
         WHERE a.account_id = $1 AND q.category = $3 \
         AND COALESCE(q.app_id, 0) = CASE WHEN p.tier = 'trial' THEN p.app_id ELSE 0 END \
         AND COALESCE(q.account_id, 0) = CASE WHEN p.tier = 'trial' THEN 0 ELSE a.account_id END \
         RETURNING EXTRACT(EPOCH FROM q.reset_at - clock_timestamp())::float8",
        &params![account_id, stated, CATEGORY, fastrand::f64()],
        |row| row.get::<f64>(1),
    )
}

/// Records that requests came too fast: none is made for so many seconds. The budget is not used up.
pub fn pause(account_id: i64, seconds: f64) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.quota_ledger q \
         SET paced_until = GREATEST(q.paced_until, clock_timestamp() + make_interval(secs => $2)) \
         FROM pinterest.account a LEFT JOIN pinterest.app p USING (app_id) \
         WHERE a.account_id = $1 AND q.category = $3 \
         AND COALESCE(q.app_id, 0) = CASE WHEN p.tier = 'trial' THEN p.app_id ELSE 0 END \
         AND COALESCE(q.account_id, 0) = CASE WHEN p.tier = 'trial' THEN 0 ELSE a.account_id END",
        &params![account_id, seconds.clamp(0.0, LONGEST_QUEUE), CATEGORY],
    )
}
