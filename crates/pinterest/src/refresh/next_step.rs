//! What to do after a failed refresh.

use std::time::Duration;

use crate::retry::{self, LONGEST_DELAY, SHORTEST_DELAY};
use crate::{Error, ErrorKind};

/// The state of the failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Attempts since the last stored answer, including this one: from 1.
    pub number: u32,
    /// An earlier attempt with this refresh token may have been processed: its answer was lost, or the worker crashed.
    pub uncertain: bool,
    /// The refresh token has expired.
    pub refresh_token_expired: bool,
}

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// Retry with the same refresh token.
    Again {
        /// After this long; see [`judge`].
        again_in: Duration,
        /// This attempt, or one before it, may have been processed: the next one is [`Attempt::uncertain`].
        uncertain: bool,
    },
    /// The app's credentials were refused: the account keeps its state.
    AppRefused,
    /// The account is lost until its owner consents again. See [`crate::refresh::Breaker::believes`].
    Lost(Cause),
}

/// Why an account is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The refresh token was refused without a cause on our side: it was revoked, or the password was changed.
    Rejected,
    /// The refresh token was refused after its expiry: it was not refreshed in time.
    Expired,
    /// The refresh token was refused after an attempt with a lost answer, which most likely replaced it.
    LostResponse,
}

impl Cause {
    /// A word for tables and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::LostResponse => "lost_response",
        }
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Decides what to do after a failed attempt.
///
/// Only a definite refusal of this refresh token loses an account; failed attempts alone never do. Waits grow threefold
/// from seconds to one hour; `random`, uniform in `[0, 1)`, chooses from the upper half of each. A wait requested by the
/// server is used instead, up to a day ([`retry::LONGEST_RETRY_AFTER`]).
pub fn judge(attempt: &Attempt, error: &Error, random: f64) -> NextStep {
    match error.kind() {
        ErrorKind::AppCredentials => NextStep::AppRefused,
        // An expired token explains the refusal, whatever else happened.
        ErrorKind::NeedsReauth if attempt.refresh_token_expired => NextStep::Lost(Cause::Expired),
        ErrorKind::NeedsReauth if attempt.uncertain => NextStep::Lost(Cause::LostResponse),
        ErrorKind::NeedsReauth => NextStep::Lost(Cause::Rejected),
        _ => NextStep::Again {
            again_in: wait(attempt.number, error, random),
            uncertain: attempt.uncertain || error.may_have_been_processed(),
        },
    }
}

/// Unlike [`retry::next_delay`] this never gives up, and never falls below half its ceiling: this limits the requests per
/// day, however long the trouble lasts.
fn wait(number: u32, error: &Error, random: f64) -> Duration {
    let random = if random.is_finite() { random.clamp(0.0, 1.0) } else { 0.5 };
    if let Some(asked) = retry::asked_for(error, random) {
        return asked;
    }
    let ceiling = retry::ceiling(number.max(1));
    (ceiling / 2).mul_f64(1.0 + random).clamp(SHORTEST_DELAY, LONGEST_DELAY)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIRST: Attempt = Attempt { number: 1, uncertain: false, refresh_token_expired: false };

    fn error(kind: ErrorKind) -> Error {
        Error::new(kind, "")
    }

    #[test]
    fn only_a_definite_refusal_loses_the_account() {
        use Cause::*;
        let refused = error(ErrorKind::NeedsReauth);
        for (uncertain, refresh_token_expired, cause) in
            [(false, false, Rejected), (true, false, LostResponse), (false, true, Expired), (true, true, Expired)]
        {
            let attempt = Attempt { number: 1, uncertain, refresh_token_expired };
            assert_eq!(judge(&attempt, &refused, 0.5), NextStep::Lost(cause), "{attempt:?}");
        }
    }

    #[test]
    fn a_refused_app_does_not_lose_the_account() {
        for uncertain in [false, true] {
            let attempt = Attempt { uncertain, refresh_token_expired: true, ..FIRST };
            assert_eq!(judge(&attempt, &error(ErrorKind::AppCredentials), 0.5), NextStep::AppRefused);
        }
    }

    #[test]
    fn an_attempt_that_may_have_been_processed_stays_uncertain() {
        let uncertain = |attempt: Attempt, error: Error| match judge(&attempt, &error, 0.5) {
            NextStep::Again { uncertain, .. } => uncertain,
            next_step => panic!("{next_step:?}"),
        };
        assert!(!uncertain(FIRST, error(ErrorKind::Unreachable)));
        assert!(uncertain(FIRST, error(ErrorKind::Protocol).outcome_unknown()));
        assert!(uncertain(Attempt { uncertain: true, ..FIRST }, error(ErrorKind::Unreachable)));
    }

    #[test]
    fn the_servers_wait_is_used() {
        let limited = error(ErrorKind::RateLimited).with_retry_after(Some(Duration::from_secs(67_150)));
        let next_step = judge(&Attempt { number: 30, ..FIRST }, &limited, 0.0);
        assert_eq!(next_step, NextStep::Again { again_in: Duration::from_secs(67_150), uncertain: false });
    }

    /// With the upper half of each ceiling: seven attempts up to the hour, then two per hour.
    #[test]
    fn a_day_of_trouble_costs_some_fifty_requests() {
        let mut elapsed = Duration::ZERO;
        let mut number = 0;
        while elapsed < Duration::from_secs(24 * 60 * 60) {
            number += 1;
            elapsed += wait(number, &error(ErrorKind::Unreachable), 0.0);
        }
        assert!(number <= 55, "{number} requests");
    }

    proptest! {
        #[test]
        fn no_trouble_gives_up_or_waits_more_than_an_hour(
            number in any::<u32>(),
            uncertain in any::<bool>(),
            refresh_token_expired in any::<bool>(),
            processed in any::<bool>(),
            kind in prop::sample::select(vec![
                ErrorKind::Transient, ErrorKind::Unreachable, ErrorKind::Tls, ErrorKind::RateLimited, ErrorKind::Refused,
                ErrorKind::TooLarge, ErrorKind::Protocol, ErrorKind::Config,
            ]),
            random in prop::num::f64::ANY,
        ) {
            let attempt = Attempt { number, uncertain, refresh_token_expired };
            let error = if processed { error(kind).outcome_unknown() } else { error(kind) };
            match judge(&attempt, &error, random) {
                NextStep::Again { again_in, uncertain: then } => {
                    prop_assert!((SHORTEST_DELAY..=LONGEST_DELAY).contains(&again_in), "{:?}", again_in);
                    prop_assert_eq!(then, uncertain || processed);
                }
                next_step => prop_assert!(false, "{:?}", next_step),
            }
        }

        #[test]
        fn waits_grow(number in 1u32..6, random in 0.0..1.0, next in 0.0..1.0) {
            let error = error(ErrorKind::Unreachable);
            prop_assert!(wait(number, &error, random) < wait(number + 1, &error, next));
        }
    }
}
