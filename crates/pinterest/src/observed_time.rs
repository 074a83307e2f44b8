//! How much time has certainly passed, even if the clock was set.
//!
//! Data that is deleted because of its age cannot be restored, and a clock is easily wrong by years: after a restore of a
//! virtual machine, with an empty battery, or by an operator's mistake. So ages are measured by observed time. The rest of
//! the clock's progress is a *gap*, which is subtracted from the age of everything stored before it.

use std::time::Duration;

/// A smaller difference is an adjustment of the clock, not a jump.
const TOLERANCE: Duration = Duration::from_secs(60);
/// If the uptime cannot be compared, as after a restart of the machine, at most this much time counts between two
/// observations.
pub const LONGEST_UNPROVED: Duration = Duration::from_secs(60 * 60);

/// A reading of the clocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The wall clock, which may be set: microseconds since 1970.
    pub clock: i64,
    /// Time since the machine's start, including sleep: microseconds. It cannot be set.
    pub uptime: i64,
    /// Identifies the machine's start; empty if not known.
    pub boot: String,
}

/// What happened between two observations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed {
    /// As much time as the clock shows.
    AsShown,
    /// The clock shows more: this many microseconds have not certainly passed.
    Gap(i64),
    /// The clock was set back.
    SetBack,
}

/// Compares two observations, the earlier one first.
pub fn between(before: &Observation, now: &Observation) -> Passed {
    let tolerance = microseconds(TOLERANCE);
    let shown = now.clock.saturating_sub(before.clock);
    let proved = if !now.boot.is_empty() && now.boot == before.boot && now.uptime >= before.uptime {
        now.uptime.saturating_sub(before.uptime)
    } else {
        shown.clamp(0, microseconds(LONGEST_UNPROVED))
    };
    match shown.saturating_sub(proved) {
        ahead if ahead > tolerance => Passed::Gap(ahead),
        behind if behind < -tolerance => Passed::SetBack,
        _ => Passed::AsShown,
    }
}

fn microseconds(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: i64 = 60_000_000;
    const YEAR: i64 = 365 * 24 * 60 * MINUTE;

    fn at(clock: i64, uptime: i64, boot: &str) -> Observation {
        Observation { clock, uptime, boot: boot.to_owned() }
    }

    #[test]
    fn only_time_that_passed_counts() {
        for (before, now, expected) in [
            (at(0, 0, "a"), at(MINUTE, MINUTE, "a"), Passed::AsShown),
            // A week without a worker, on a running machine.
            (at(0, 0, "a"), at(YEAR / 52, YEAR / 52, "a"), Passed::AsShown),
            (at(0, 0, "a"), at(10 * YEAR, MINUTE, "a"), Passed::Gap(10 * YEAR - MINUTE)),
            (at(10 * YEAR, 0, "a"), at(MINUTE, MINUTE, "a"), Passed::SetBack),
            (at(0, 0, "a"), at(MINUTE * 2, MINUTE, "a"), Passed::AsShown),
            // Another start of the machine, or another machine.
            (at(0, 5 * MINUTE, "a"), at(30 * MINUTE, MINUTE, "b"), Passed::AsShown),
            (at(0, 0, "a"), at(YEAR, YEAR, "b"), Passed::Gap(YEAR - 60 * MINUTE)),
            (at(YEAR, 0, "a"), at(0, 0, "b"), Passed::SetBack),
            // No uptime to compare.
            (at(0, 0, ""), at(MINUTE, 7 * MINUTE, ""), Passed::AsShown),
            (at(0, 0, ""), at(YEAR, 7 * MINUTE, ""), Passed::Gap(YEAR - 60 * MINUTE)),
        ] {
            assert_eq!(between(&before, &now), expected, "{before:?} {now:?}");
        }
    }

    proptest! {
        #[test]
        fn no_age_grows_faster_than_time(clock: i64, step in 0i64..YEAR, ahead in 0i64..100 * YEAR) {
            let before = at(clock.clamp(-YEAR, YEAR), 0, "a");
            let now = at(before.clock + step + ahead, step, "a");
            let counted = match between(&before, &now) {
                Passed::Gap(gap) => step + ahead - gap,
                _ => step + ahead,
            };
            prop_assert!(counted <= step + 60_000_000);
        }

        #[test]
        fn no_observation_panics(a: i64, b: i64, c: i64, d: i64, same: bool) {
            let _ = between(&at(a, b, "a"), &at(c, d, if same { "a" } else { "b" }));
        }
    }
}
