//! When to retry. The caller sleeps, or stores the time and parks the work.

use std::time::Duration;

use crate::{Error, ErrorKind};

/// Most attempts, including the first one.
pub const MAX_ATTEMPTS: u32 = 8;

/// The shortest wait: a fault that lasts a second should not cost two attempts.
pub const SHORTEST_DELAY: Duration = Duration::from_secs(2);

/// The longest wait unless the server requests more.
pub const LONGEST_DELAY: Duration = Duration::from_secs(60 * 60);

/// Bounds of the wait that a server requests. A day is the longest quota window that Pinterest documents; without a lower
/// bound `Retry-After: 0` would cause a busy loop.
pub const SHORTEST_RETRY_AFTER: Duration = Duration::from_secs(1);
/// See [`SHORTEST_RETRY_AFTER`].
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// The wait after a spam block, if the server gives none.
const SPAM_HOLD: Duration = Duration::from_secs(6 * 60 * 60);

/// Each ceiling is three times the last one, so that seven waits grow from seconds to an hour.
const GROWTH: u32 = 3;

/// This share of a requested wait is added at random, so that accounts do not resume together.
const RETRY_AFTER_JITTER: f64 = 0.1;

/// How long to wait before trying again, or `None` to give up.
///
/// `attempt` is the number of the failed attempt, from 1. `random` is uniform in `[0, 1)`. If the server requested a wait,
/// that is used (plus up to a tenth); otherwise the wait is uniform between two seconds and a ceiling of 2 s · 3^attempt, at
/// most one hour ("full jitter").
pub fn next_delay(attempt: u32, error: &Error, random: f64) -> Option<Duration> {
    if !error.is_retryable() || attempt >= MAX_ATTEMPTS {
        return None;
    }
    let random = if random.is_finite() { random.clamp(0.0, 1.0) } else { 0.5 };
    if let Some(asked) = asked_for(error, random) {
        return Some(asked);
    }
    Some(SHORTEST_DELAY + ceiling(attempt).saturating_sub(SHORTEST_DELAY).mul_f64(random))
}

/// The wait that the server requested, or that follows a spam block, with its jitter.
pub(crate) fn asked_for(error: &Error, random: f64) -> Option<Duration> {
    let asked = error.retry_after().or((error.kind() == ErrorKind::SpamHold).then_some(SPAM_HOLD))?;
    let asked = clamp_retry_after(asked);
    Some(asked + asked.mul_f64(RETRY_AFTER_JITTER * random))
}

/// The longest wait after this many attempts, unless the server requests more.
pub fn ceiling(attempt: u32) -> Duration {
    SHORTEST_DELAY.saturating_mul(GROWTH.saturating_pow(attempt)).min(LONGEST_DELAY)
}

/// Limits a requested wait to one second up to 24 hours.
pub(crate) fn clamp_retry_after(asked: Duration) -> Duration {
    asked.clamp(SHORTEST_RETRY_AFTER, LONGEST_RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn transient() -> Error {
        Error::new(ErrorKind::Transient, "")
    }

    #[test]
    fn eight_attempts_reach_the_hour() {
        let ceilings: Vec<_> = (1..10).map_while(|n| next_delay(n, &transient(), 1.0)).map(|d| d.as_secs()).collect();
        assert_eq!(ceilings, [6, 18, 54, 162, 486, 1458, 3600]);
        let floors: Vec<_> = (1..10).map_while(|n| next_delay(n, &transient(), 0.0)).map(|d| d.as_secs()).collect();
        assert_eq!(floors, [2; 7]);
    }

    #[test]
    fn permanent_failures_are_not_retried() {
        for kind in [ErrorKind::NotFound, ErrorKind::NeedsReauth, ErrorKind::Refused, ErrorKind::ListingLimit] {
            assert_eq!(next_delay(1, &Error::new(kind, ""), 0.5), None);
        }
    }

    #[test]
    fn the_servers_wait_is_used_within_bounds() {
        let limited =
            |seconds| Error::new(ErrorKind::RateLimited, "").with_retry_after(Some(Duration::from_secs(seconds)));
        assert_eq!(next_delay(1, &limited(67_150), 0.0), Some(Duration::from_secs(67_150)));
        assert_eq!(next_delay(1, &limited(0), 0.0), Some(SHORTEST_RETRY_AFTER));
        assert_eq!(next_delay(1, &limited(315_360_000), 0.0), Some(LONGEST_RETRY_AFTER));
        assert_eq!(next_delay(1, &limited(100), 1.0), Some(Duration::from_secs(110)));
    }

    #[test]
    fn a_spam_hold_lasts_hours() {
        let delay = next_delay(1, &Error::new(ErrorKind::SpamHold, ""), 0.0).unwrap();
        assert!(delay >= Duration::from_secs(3600), "{delay:?}");
    }

    proptest! {
        #[test]
        fn every_wait_is_from_two_seconds_to_an_hour(attempt in 1u32..u32::MAX, random in prop::num::f64::ANY) {
            if let Some(delay) = next_delay(attempt, &transient(), random) {
                prop_assert!(attempt < MAX_ATTEMPTS);
                prop_assert!((SHORTEST_DELAY..=LONGEST_DELAY).contains(&delay), "{:?}", delay);
            }
        }
    }
}
