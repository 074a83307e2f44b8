//! The clock, as a parameter of statements and as workers observed it, in `pinterest.installation`: rows are deleted by
//! the time that has passed, and not by a clock that was set.

use std::time::Duration;

use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys;
use pinterest::observed_time::{Observation, Passed, between};

use super::{by_account, execute, params, read, read_optional, row_as};
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
    let [clock, soon, tomorrow, lease] = [0, 5 * 60, 27 * 3600, 90].map(|seconds| since_epoch(now.clock, seconds));
    execute(
        "UPDATE pinterest.pin p SET imported_at = LEAST(p.imported_at, $1::timestamptz), \
         removed_at = LEAST(p.removed_at, $1::timestamptz), first_seen_at = LEAST(p.first_seen_at, $1::timestamptz) \
         WHERE GREATEST(p.imported_at, p.removed_at) > $2",
        &params![clock, soon],
    )?;
    execute(
        "UPDATE pinterest.board b SET confirmed_at = LEAST(b.confirmed_at, $1::timestamptz), \
         imported_at = LEAST(b.imported_at, $1::timestamptz), gap_since = LEAST(b.gap_since, $1::timestamptz) \
         WHERE GREATEST(b.confirmed_at, b.imported_at, b.gap_since) > $2",
        &params![clock, soon],
    )?;
    bring_syncs_back(clock, soon)?;
    // Nothing waits longer than a day, with jitter on top.
    execute(
        "UPDATE pinterest.import i SET wake_at = LEAST(i.wake_at, $1::timestamptz), \
         finished_at = LEAST(i.finished_at, $1::timestamptz), lease_until = LEAST(i.lease_until, $4::timestamptz) \
         WHERE i.wake_at > $3 OR i.finished_at > $2 OR i.lease_until > $2",
        &params![clock, soon, tomorrow, lease],
    )?;
    execute(
        "UPDATE pinterest.pin_image i SET next_attempt_at = LEAST(i.next_attempt_at, $1::timestamptz), \
         lease_until = LEAST(i.lease_until, $4::timestamptz) \
         WHERE i.state = 'pending' AND (i.next_attempt_at > $3 OR i.lease_until > $2)",
        &params![clock, soon, tomorrow, lease],
    )
}

/// Boards that were to be imported again by the clock of before. The times are computed by a statement of its own: a
/// modification of a distributed table may not add an interval to a time, which depends on the time zone.
fn bring_syncs_back(clock: TimestampWithTimeZone, soon: TimestampWithTimeZone) -> Result<(), Failure> {
    let boards = read(
        "SELECT b.account_id, b.board_id, $1::timestamptz + b.sync_every FROM pinterest.board b \
         WHERE b.next_sync_at - b.sync_every > $2::timestamptz",
        &params![clock, soon],
        |row| Ok((row.get(1)?, (row.get::<String>(2)?, row.get::<TimestampWithTimeZone>(3)?))),
    )?;
    for (account_id, boards) in by_account(boards) {
        let (ids, times): (Vec<_>, Vec<_>) = boards.into_iter().unzip();
        execute(
            "UPDATE pinterest.board b SET next_sync_at = LEAST(b.next_sync_at, s.at) \
             FROM unnest($2::text[], $3::timestamptz[]) AS s(board_id, at) \
             WHERE b.account_id = $1 AND b.board_id = s.board_id",
            &params![account_id, ids, times],
        )?;
    }
    Ok(())
}

/// A time given as microseconds since 1970, and seconds.
fn since_epoch(microseconds: i64, seconds: i64) -> TimestampWithTimeZone {
    // Postgres counts from 2000 on.
    let at = microseconds.saturating_add((seconds - 946_684_800) * 1_000_000);
    at.try_into().unwrap_or_else(|_| unreachable!("the clock is out of range"))
}
