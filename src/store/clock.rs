//! The clock, as a parameter of statements and as workers observed it, in `pinterest.installation`: rows are deleted by
//! the time that has passed, and not by a clock that was set.

use std::time::Duration;

use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys;
use pinterest::observed_time::{Observation, Passed, between};

use super::{execute, params, read_optional, row_as};
use crate::errors::Failure;

/// The clock, not the transaction's start, as a parameter: in a shard, a statement cannot read it, and a modification with
/// a volatile function is refused.
pub fn now() -> TimestampWithTimeZone {
    later(Duration::ZERO)
}

/// The clock in a while.
pub fn later(by: Duration) -> TimestampWithTimeZone {
    // At most a century.
    let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX).min(100 * 366 * 86_400_000_000);
    // SAFETY: reads the clock, in the representation of the type.
    let at = unsafe { pg_sys::GetCurrentTimestamp() }.saturating_add(by);
    at.try_into().unwrap_or_else(|_| unreachable!("the clock is out of range"))
}

/// Records the clocks; what happened since the last time.
pub fn observe(now: &Observation) -> Result<Passed, Failure> {
    let before = read_optional(
        "SELECT (EXTRACT(EPOCH FROM n.clock_seen_at) * 1000000)::int8, n.clock_uptime, n.clock_boot \
         FROM pinterest.installation n WHERE n.clock_seen_at IS NOT NULL",
        &[],
        row_as!(Observation { clock, uptime, boot }),
    )?;
    let passed = before.map_or(Passed::AsShown, |before| between(&before, now));
    match passed {
        Passed::AsShown => {}
        Passed::Gap(microseconds) => add_gap(now, microseconds)?,
        Passed::SetBack => bring_back(now)?,
    }
    execute(
        "UPDATE pinterest.installation SET clock_seen_at = 'epoch'::timestamptz + $1 * '1 microsecond'::interval, \
         clock_uptime = $2, clock_boot = $3",
        &params![now.clock, now.uptime, now.boot.as_str()],
    )?;
    Ok(passed)
}

/// Rows older than this moment become younger by the gap. If there are many gaps, they are merged into one, by which
/// some rows become younger than necessary.
fn add_gap(now: &Observation, microseconds: i64) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.installation n SET (clock_gaps, clock_gap_lengths) = (SELECT k.gaps, k.lengths \
             FROM (VALUES (true, ARRAY[g.at], ARRAY[g.length + (SELECT sum(l.length) \
                 FROM unnest(n.clock_gap_lengths) AS l(length))]), \
                 (false, n.clock_gaps || g.at, n.clock_gap_lengths || g.length)) AS k(many, gaps, lengths) \
             WHERE k.many = (cardinality(n.clock_gaps) >= 100)) \
         FROM (SELECT 'epoch'::timestamptz + $1 * '1 microsecond'::interval AS at, $2 * '1 microsecond'::interval AS \
         length) AS g",
        &params![now.clock, microseconds],
    )
}

/// The clock was set back: times in the future would be waited for, or never grow old.
fn bring_back(now: &Observation) -> Result<(), Failure> {
    let at = || [now.clock.into()];
    // Gaps that are in the future of the new clock are forgotten.
    execute(
        "UPDATE pinterest.installation n SET (clock_gaps, clock_gap_lengths) = (SELECT \
             COALESCE(array_agg(g.at), '{}'), \
             COALESCE(array_agg(g.length), '{}') FROM unnest(n.clock_gaps, n.clock_gap_lengths) AS g(at, length) \
             WHERE g.at <= 'epoch'::timestamptz + $1 * '1 microsecond'::interval)",
        &at(),
    )?;
    for statement in [
        "UPDATE pinterest.pin p SET imported_at = LEAST(p.imported_at, n.at), removed_at = LEAST(p.removed_at, n.at), \
             first_seen_at = LEAST(p.first_seen_at, n.at) \
         FROM (SELECT 'epoch'::timestamptz + $1 * '1 microsecond'::interval AS at) AS n \
         WHERE GREATEST(p.imported_at, p.removed_at) > n.at + '5 minutes'::interval",
        "UPDATE pinterest.board b SET confirmed_at = LEAST(b.confirmed_at, n.at), imported_at = LEAST(b.imported_at, \
         n.at), gap_since = LEAST(b.gap_since, n.at), next_sync_at = LEAST(b.next_sync_at, n.at + b.sync_every) \
         FROM (SELECT 'epoch'::timestamptz + $1 * '1 microsecond'::interval AS at) AS n \
         WHERE GREATEST(b.confirmed_at, b.imported_at, b.gap_since, b.next_sync_at - b.sync_every) > n.at + '5 \
         minutes'::interval",
        // Nothing waits longer than a day, with jitter on top.
        "UPDATE pinterest.import i SET wake_at = LEAST(i.wake_at, n.at), finished_at = LEAST(i.finished_at, n.at), \
         lease_until = LEAST(i.lease_until, n.at + '90 seconds'::interval) \
         FROM (SELECT 'epoch'::timestamptz + $1 * '1 microsecond'::interval AS at) AS n \
         WHERE i.wake_at > n.at + '27 hours'::interval OR i.finished_at > n.at + '5 minutes'::interval \
         OR i.lease_until > n.at + '5 minutes'::interval",
        "UPDATE pinterest.pin_image i SET next_attempt_at = LEAST(i.next_attempt_at, n.at), \
         lease_until = LEAST(i.lease_until, n.at + '90 seconds'::interval) \
         FROM (SELECT 'epoch'::timestamptz + $1 * '1 microsecond'::interval AS at) AS n WHERE i.state = 'pending' \
         AND (i.next_attempt_at > n.at + '27 hours'::interval OR i.lease_until > n.at + '5 minutes'::interval)",
    ] {
        execute(statement, &at())?;
    }
    Ok(())
}
