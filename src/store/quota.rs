//! `pinterest.quota`: what Pinterest last said about an account's requests.

use super::execute;
use crate::errors::Failure;

/// Records the rate-limit headers of an answer in the category of reading requests.
pub fn observe(
    account_id: i64,
    limit: Option<i64>,
    remaining: Option<i64>,
    reset_in: Option<f64>,
) -> Result<(), Failure> {
    execute(
        "INSERT INTO pinterest.quota AS q (account_id, category, app_id, request_limit, remaining, reset_at) \
         SELECT a.account_id, 'org_read', a.app_id, $2, $3, clock_timestamp() + make_interval(secs => $4) \
         FROM pinterest.account a WHERE a.account_id = $1 \
         ON CONFLICT (account_id, category) DO UPDATE SET app_id = EXCLUDED.app_id, \
         request_limit = COALESCE(EXCLUDED.request_limit, q.request_limit), \
         remaining = COALESCE(EXCLUDED.remaining, q.remaining), reset_at = COALESCE(EXCLUDED.reset_at, q.reset_at), \
         observed_at = clock_timestamp()",
        &[account_id.into(), limit.into(), remaining.into(), reset_in.into()],
    )?;
    Ok(())
}
