//! The columns of `pinterest.app` that record whether Pinterest grants the app access. While it does not, the app's
//! imports wait, and one account probes from time to time; the rules are in `pinterest::app_access`.

use std::time::Duration;

use pinterest::app_access::{Consequence, Granted, RECENT, Standing, refused as judge};

use super::{affected, execute, params, read, read_optional, write_optional};
use crate::errors::Failure;

/// Imports released in one transaction; the rest follow with the next round.
const BATCH: i64 = 500;

/// Whether an account may send requests to Pinterest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// The app has access as far as is known.
    Open,
    /// As the probe for all accounts of the app.
    AsProbe,
    /// Not now.
    Closed,
}

/// Requests permission. After the pause of an app that was refused, one of its accounts gets it, for the time of a
/// lease.
pub fn ask(account_id: i64) -> Result<Permission, Failure> {
    let refused = read_optional(
        "SELECT p.app_id, p.access_probe_at <= clock_timestamp() AND COALESCE(p.access_probe_until <= \
         clock_timestamp(), true) FROM pinterest.app p JOIN pinterest.account a ON a.app_id = p.app_id \
         WHERE a.account_id = $1 AND p.access_refused_since IS NOT NULL",
        &params![account_id],
        |row| Ok((row.get::<i64>(1)?, row.get::<bool>(2)?)),
    )?;
    match refused {
        None => Ok(Permission::Open),
        Some((_, false)) => Ok(Permission::Closed),
        Some((app_id, true)) => {
            // Does not wait for a row that a client has locked.
            let taken = affected(
                "UPDATE pinterest.app p SET access_probe_until = clock_timestamp() + '90 seconds'::interval \
                 FROM (SELECT o.app_id FROM pinterest.app o WHERE o.app_id = $1 FOR NO KEY UPDATE SKIP LOCKED) AS free \
                 WHERE p.app_id = free.app_id AND p.access_refused_since IS NOT NULL AND p.access_probe_at <= \
                 clock_timestamp() AND COALESCE(p.access_probe_until <= clock_timestamp(), true)",
                &params![app_id],
            )?;
            Ok(if taken > 0 { Permission::AsProbe } else { Permission::Closed })
        }
    }
}

/// Gives back the lease of a probe that has sent no request.
pub fn give_back(account_id: i64) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.app p SET access_probe_until = NULL FROM pinterest.account a \
         WHERE a.account_id = $1 AND p.app_id = a.app_id AND p.access_probe_until IS NOT NULL",
        &params![account_id],
    )
}

/// Passes the turn to probe to another account if this one was the last to be refused: a held import of the other one
/// continues. So one account that is always refused does not block the others. True if the turn was passed.
pub fn pass_turn(account_id: i64) -> Result<bool, Failure> {
    // Each claim asks, so the accounts of the app are searched only if it is refused.
    let others = affected(
        "UPDATE pinterest.import t SET due = false, wake_at = LEAST(t.wake_at, clock_timestamp()) \
         FROM (SELECT a.account_id, p.app_id FROM pinterest.account a JOIN pinterest.app p ON p.app_id = a.app_id \
               WHERE a.account_id = $1 AND p.access_refused_since IS NOT NULL \
               AND p.access_probe_at <= clock_timestamp() AND p.access_refused_of = a.account_id OFFSET 0) AS refused, \
             LATERAL (SELECT i.account_id, i.import_id FROM pinterest.import i \
               JOIN pinterest.account o ON o.account_id = i.account_id \
               WHERE i.due IS NULL AND i.state IN ('queued', 'waiting_quota', 'waiting_access') \
               AND o.app_id = refused.app_id AND o.account_id <> refused.account_id \
               AND o.status IN ('connected', 'refresh_uncertain') AND o.paused_at IS NULL \
               AND o.identity_due IS NULL ORDER BY random() LIMIT 1 FOR UPDATE OF i SKIP LOCKED) AS next \
         WHERE t.account_id = next.account_id AND t.import_id = next.import_id",
        &params![account_id],
    )?;
    Ok(others > 0)
}

/// For each app whose next probe is due, lets a held import continue: the import that was to probe may have been
/// cancelled.
pub fn start_due_probes() -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.import t SET due = false, wake_at = LEAST(t.wake_at, clock_timestamp()) \
         FROM pinterest.app p, LATERAL (SELECT i.account_id, i.import_id FROM pinterest.account a \
               JOIN pinterest.import i ON i.account_id = a.account_id AND i.due IS NULL \
                   AND i.state IN ('queued', 'waiting_quota', 'waiting_access') \
               WHERE a.app_id = p.app_id AND a.status IN ('connected', 'refresh_uncertain') AND a.paused_at IS NULL \
               AND a.identity_due IS NULL ORDER BY random() LIMIT 1 FOR UPDATE OF i SKIP LOCKED) AS next \
         WHERE p.access_refused_since IS NOT NULL AND p.access_probe_at <= clock_timestamp() \
         AND COALESCE(p.access_probe_until <= clock_timestamp(), true) \
         AND t.account_id = next.account_id AND t.import_id = next.import_id",
        &[],
    )
}

/// Records that Pinterest refused the app's access for the account; the seconds until an import of the app tries again,
/// `None` if only this account was refused or it has no app.
pub fn refused(account_id: i64, cause: &str) -> Result<Option<f64>, Failure> {
    super::wait_briefly_for_locks();
    let standing = write_optional(
        "SELECT p.app_id, p.access_refusals, \
             CASE WHEN p.access_refused_since IS NOT NULL \
                 THEN GREATEST(EXTRACT(EPOCH FROM p.access_probe_at - clock_timestamp()), 0)::float8 END, \
             CASE WHEN p.access_granted_at > clock_timestamp() - make_interval(secs => $2) \
             THEN p.access_granted_by = a.account_id END \
         FROM pinterest.app p JOIN pinterest.account a ON a.app_id = p.app_id WHERE a.account_id = $1 FOR NO KEY \
         UPDATE OF p",
        &params![account_id, RECENT.as_secs_f64()],
        |row| {
            let granted = row.maybe::<bool>(4)?.map(|same| if same { Granted::ToIt } else { Granted::ToAnother });
            let probe_in = row.maybe::<f64>(3)?.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default());
            let refusals = row.get::<i32>(2)?.unsigned_abs();
            Ok((row.get::<i64>(1)?, Standing { refusals, probe_in, granted }))
        },
    )?;
    let Some((app_id, standing)) = standing else { return Ok(None) };
    match judge(&standing, fastrand::f64()) {
        Consequence::OfAccount => Ok(None),
        Consequence::Known(left) => Ok(Some(left.as_secs_f64())),
        Consequence::Pause { refusals, probe_in } => {
            execute(
                "UPDATE pinterest.app SET access_refused_since = COALESCE(access_refused_since, clock_timestamp()), \
                 access_refusals = $2, access_probe_at = clock_timestamp() + make_interval(secs => $3), \
                 access_probe_until = NULL, access_cause = $4, access_refused_of = $5 WHERE app_id = $1",
                &params![
                    app_id,
                    i32::try_from(refusals).unwrap_or(i32::MAX),
                    probe_in.as_secs_f64(),
                    cause,
                    account_id
                ],
            )?;
            Ok(Some(probe_in.as_secs_f64()))
        }
    }
}

/// Records that Pinterest has served the account, so the app has access. If it was refused before, all waiting imports
/// continue, and the result is true.
pub fn granted(account_id: i64) -> Result<bool, Failure> {
    let refused = read_optional(
        "SELECT p.app_id FROM pinterest.app p JOIN pinterest.account a ON a.app_id = p.app_id \
         WHERE a.account_id = $1 AND p.access_refused_since IS NOT NULL",
        &params![account_id],
        |row| row.get::<i64>(1),
    )?;
    let Some(app_id) = refused else { return Ok(false) };
    super::wait_briefly_for_locks();
    let ended = affected(
        "UPDATE pinterest.app SET access_refused_since = NULL, access_cause = NULL, access_probe_at = NULL, \
         access_probe_until = NULL, access_granted_at = clock_timestamp(), access_granted_by = $2 \
         WHERE app_id = $1 AND access_refused_since IS NOT NULL",
        &params![app_id, account_id],
    )?;
    if ended == 0 {
        return Ok(false);
    }
    wake(app_id)?;
    // The rest are released with the next round, see `workers::housekeeping`.
    execute(
        "UPDATE pinterest.import t SET due = false FROM (SELECT i.account_id, i.import_id FROM pinterest.account a \
             JOIN pinterest.import i ON i.account_id = a.account_id AND i.due IS NULL \
                 AND i.state IN ('queued', 'waiting_quota', 'waiting_access') \
             WHERE a.app_id = $1 LIMIT $2 FOR UPDATE OF i SKIP LOCKED) AS held \
         WHERE t.account_id = held.account_id AND t.import_id = held.import_id",
        &params![app_id, BATCH],
    )?;
    execute(
        "UPDATE pinterest.account a SET identity_due = clock_timestamp() \
         FROM (SELECT o.account_id FROM pinterest.account o WHERE o.app_id = $1 AND o.identity_due > clock_timestamp() \
               FOR NO KEY UPDATE SKIP LOCKED) AS nameless WHERE a.account_id = nameless.account_id",
        &params![app_id],
    )?;
    Ok(true)
}

/// Makes the next probe due now: the app was registered again.
pub fn probe_now(app_id: i64) -> Result<(), Failure> {
    let refused = affected(
        "UPDATE pinterest.app SET access_probe_at = clock_timestamp(), access_probe_until = NULL \
         WHERE app_id = $1 AND access_refused_since IS NOT NULL",
        &params![app_id],
    )?;
    if refused > 0 { wake(app_id) } else { Ok(()) }
}

/// Wakes the imports that wait for the app's access.
fn wake(app_id: i64) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.import t SET due = false, wake_at = clock_timestamp() \
         FROM (SELECT i.account_id, i.import_id FROM pinterest.account a \
             JOIN pinterest.import i ON i.account_id = a.account_id \
             WHERE a.app_id = $1 AND i.state = 'waiting_access' FOR UPDATE OF i SKIP LOCKED) AS w \
         WHERE t.account_id = w.account_id AND t.import_id = w.import_id",
        &params![app_id],
    )
}

/// Apps that Pinterest refuses, with their owners, since when and why.
pub fn without() -> Result<Vec<String>, Failure> {
    read(
        "SELECT format('%s of %s since %s, asked for again at %s: %s', p.name, p.owner::text, \
             date_trunc('second', p.access_refused_since), date_trunc('second', p.access_probe_at), p.access_cause) \
         FROM pinterest.app p WHERE p.access_refused_since IS NOT NULL ORDER BY p.app_id",
        &[],
        |row| row.get(1),
    )
}
