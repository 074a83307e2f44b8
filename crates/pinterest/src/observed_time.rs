//! How much time has passed for sure: a clock that is set says nothing about the age of what was stored before.
//!
//! What is deleted by its age is gone for good, and a clock is easily wrong by years: a virtual machine that was restored,
//! a dead battery, an operator's slip. So ages are counted by time that was observed. What the clock says beyond that is
//! a *gap*, which everything older than it is younger by.

use std::time::Duration;

/// Clocks are adjusted by so much without having jumped.
const TOLERANCE: Duration = Duration::from_secs(60);
/// Without a clock that nobody sets, after a restart of the machine above all, this much is believed between two
/// observations.
pub const LONGEST_UNPROVED: Duration = Duration::from_secs(60 * 60);

/// What the clocks showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The clock that may be set: microseconds since 1970.
    pub clock: i64,
    /// Time since the machine's start, sleep included: microseconds. Nobody sets it.
    pub uptime: i64,
    /// Names the machine's start; empty where that is not known.
    pub boot: String,
}

/// What happened between two observations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed {
    /// As much time as the clock says.
    AsTold,
    /// The clock says more: so many microseconds have not passed for all that is known.
    Gap(i64),
    /// The clock was set back.
    SetBack,
}

/// Compares two observations, the earlier one first.
pub fn between(before: &Observation, now: &Observation) -> Passed {
    let tolerance = microseconds(TOLERANCE);
    let told = now.clock.saturating_sub(before.clock);
    let proved = if !now.boot.is_empty() && now.boot == before.boot && now.uptime >= before.uptime {
        now.uptime.saturating_sub(before.uptime)
    } else {
        told.clamp(0, microseconds(LONGEST_UNPROVED))
    };
    match told.saturating_sub(proved) {
        ahead if ahead > tolerance => Passed::Gap(ahead),
        behind if behind < -tolerance => Passed::SetBack,
        _ => Passed::AsTold,
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
            (at(0, 0, "a"), at(MINUTE, MINUTE, "a"), Passed::AsTold),
            // A week without a worker, on a machine that went on.
            (at(0, 0, "a"), at(YEAR / 52, YEAR / 52, "a"), Passed::AsTold),
            (at(0, 0, "a"), at(10 * YEAR, MINUTE, "a"), Passed::Gap(10 * YEAR - MINUTE)),
            (at(10 * YEAR, 0, "a"), at(MINUTE, MINUTE, "a"), Passed::SetBack),
            (at(0, 0, "a"), at(MINUTE * 2, MINUTE, "a"), Passed::AsTold),
            // Another start of the machine, or another machine.
            (at(0, 5 * MINUTE, "a"), at(30 * MINUTE, MINUTE, "b"), Passed::AsTold),
            (at(0, 0, "a"), at(YEAR, YEAR, "b"), Passed::Gap(YEAR - 60 * MINUTE)),
            (at(YEAR, 0, "a"), at(0, 0, "b"), Passed::SetBack),
            // No clock that nobody sets.
            (at(0, 0, ""), at(MINUTE, 7 * MINUTE, ""), Passed::AsTold),
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
