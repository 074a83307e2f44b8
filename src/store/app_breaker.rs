//! The circuit breaker columns of `pinterest.app`: while Pinterest refuses every account of an app, no single account
//! is at fault.

use std::time::Duration;

use pinterest::refresh::Breaker;

use super::{affected, execute, params, read, read_optional, write, write_optional};
use crate::errors::Failure;

/// Whether tokens of an app may be refreshed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Permission {
    /// Without restriction.
    Granted,
    /// As the probe for all accounts.
    AsProbe,
    /// Not for this number of seconds.
    Paused(f64),
}

/// Requests permission. After the pause of an app, one of its accounts gets it, for the time of a lease.
pub fn permission(app_id: i64) -> Result<Permission, Failure> {
    let left = read_optional(
        "SELECT CASE WHEN p.pauses > 0 THEN EXTRACT(EPOCH FROM p.paused_until - clock_timestamp())::float8 END \
         FROM pinterest.app p WHERE p.app_id = $1",
        &params![app_id],
        |row| row.maybe::<f64>(1),
    )?;
    match left.flatten() {
        None => Ok(Permission::Granted),
        Some(left) if left > 0.0 => Ok(Permission::Paused(left)),
        Some(_) => {
            let taken = affected(
                "UPDATE pinterest.app SET paused_until = clock_timestamp() + '90 seconds'::interval \
                 WHERE app_id = $1 AND pauses > 0 AND paused_until <= clock_timestamp()",
                &params![app_id],
            )?;
            Ok(if taken > 0 { Permission::AsProbe } else { Permission::Paused(1.0) })
        }
    }
}

/// The breaker, and whether a pause is in effect. The row is locked: what the caller decides is recorded in this
/// transaction.
pub fn lock(app_id: i64) -> Result<(Breaker, bool), Failure> {
    Ok(write_optional(
        "SELECT p.refused_in_row, p.pauses, p.pauses > 0 AND p.paused_until > clock_timestamp() FROM pinterest.app p \
         WHERE p.app_id = $1 FOR NO KEY UPDATE",
        &params![app_id],
        |row| {
            let count = |column| row.get::<i32>(column).map(i32::unsigned_abs);
            Ok((Breaker { refused_in_row: count(1)?, pauses: count(2)? }, row.get(3)?))
        },
    )?
    .unwrap_or_default())
}

/// Records a refusal; `pause` if one begins with it. A pause casts doubt on the preceding refusals, so accounts that
/// were lost by them are connected again.
pub fn refused(app_id: i64, breaker: Breaker, pause: Option<Duration>, cause: &str) -> Result<(), Failure> {
    let count = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    execute(
        "UPDATE pinterest.app SET refused_in_row = $2, pauses = $3, \
         paused_until = COALESCE(clock_timestamp() + make_interval(secs => $4), paused_until), \
         refused_since = COALESCE(refused_since, clock_timestamp()), cause = $5 WHERE app_id = $1",
        &params![
            app_id,
            count(breaker.refused_in_row),
            count(breaker.pauses),
            pause.map(|pause| pause.as_secs_f64()),
            cause
        ],
    )?;
    if pause.is_some() {
        let connected = write(
            "UPDATE pinterest.account a SET status = CASE split_part(a.cause, ':', 1) WHEN 'rejected' THEN 'connected' \
             ELSE 'refresh_uncertain' END, cause = 'refused with every account of the app', \
             status_since = clock_timestamp() FROM pinterest.app p \
             WHERE p.app_id = $1 AND a.app_id = $1 AND a.status = 'needs_reauth' AND a.status_since >= p.refused_since \
             AND split_part(a.cause, ':', 1) IN ('rejected', 'lost_response') RETURNING a.account_id",
            &params![app_id],
            |row| row.get::<i64>(1),
        )?;
        super::token::awaken(connected)?;
    }
    Ok(())
}

/// Ends the pause and forgets the refusals: Pinterest has accepted the app, or it was registered again. Waiting work
/// continues.
pub fn resume(app_id: i64) -> Result<(), Failure> {
    let resumed = write_optional(
        "UPDATE pinterest.app p SET refused_in_row = 0, refused_since = NULL, pauses = 0, paused_until = NULL, \
         cause = NULL FROM (SELECT o.app_id, o.pauses FROM pinterest.app o WHERE o.app_id = $1 FOR NO KEY UPDATE) AS \
         was WHERE p.app_id = was.app_id AND (p.refused_since IS NOT NULL OR p.pauses > 0) RETURNING was.pauses > 0",
        &params![app_id],
        |row| row.get::<bool>(1),
    )?;
    if resumed == Some(true) {
        execute(
            "UPDATE pinterest.token t SET refresh_after = LEAST(t.refresh_after, clock_timestamp()) \
             FROM pinterest.account a WHERE a.account_id = t.account_id AND a.app_id = $1 AND t.attempts > 0",
            &params![app_id],
        )?;
        execute(
            "UPDATE pinterest.import i SET wake_at = clock_timestamp() FROM pinterest.account a \
             WHERE a.account_id = i.account_id AND a.app_id = $1 AND i.state = 'queued' AND i.error_code = '28000'",
            &params![app_id],
        )?;
    }
    Ok(())
}

/// Apps that are paused, with their owners and why.
pub fn paused() -> Result<Vec<String>, Failure> {
    read(
        "SELECT format('%s of %s until %s: %s', p.name, p.owner::text, date_trunc('second', p.paused_until), p.cause) \
         FROM pinterest.app p WHERE p.pauses > 0 ORDER BY p.app_id",
        &[],
        |row| row.get(1),
    )
}
