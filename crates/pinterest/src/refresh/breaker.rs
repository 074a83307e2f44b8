//! Detects refusals that are caused by the app and not by the accounts.

use std::time::Duration;

use super::Cause;

/// Refusals of different accounts in a row, without a success between them, that cannot be a coincidence.
const TOO_MANY: u32 = 5;

/// The first pause: long enough to spare a server in trouble, short enough to notice a repaired app.
const SHORTEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// No pause is longer: four requests per day do no harm.
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 60 * 60);

/// Greatest share that is added at random, so that apps paused together do not resume together.
const JITTER: f64 = 0.1;

/// A circuit breaker for one app: after too many refusals its accounts pause, then one of them is tried.
///
/// The caller stores the two numbers and the end of the pause, and does the following:
/// - During a pause no account of the app is refreshed. After it *one* account is, and the others wait for its answer; a
///   refused account is put behind the others, so that one account that was really revoked cannot keep the breaker open.
/// - A pause that starts because of refused accounts restores the accounts that were lost since the app's last success by
///   [`Cause::Rejected`] or [`Cause::LostResponse`].
/// - Answers to requests that were sent before the pause do not count again.
///
/// The default is closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    /// Accounts refused since the last success.
    pub refused_in_row: u32,
    /// Pauses since the last success.
    pub pauses: u32,
}

impl Breaker {
    /// Whether a pause has started since the last success.
    pub fn is_open(self) -> bool {
        self.pauses > 0
    }

    /// After a definite refusal of an account that was not refused before since the last success.
    ///
    /// Each from the fifth on starts a pause. A refusal with a cause on our side, an expired token or a lost answer, does not
    /// count: after two months without a network every account is rightly refused.
    #[must_use]
    pub fn after_account_refusal(self, cause: Cause) -> Self {
        match cause {
            Cause::Expired => self,
            Cause::LostResponse if self.is_open() => self.paused(),
            Cause::LostResponse => self,
            Cause::Rejected => {
                let counted = Self { refused_in_row: self.refused_in_row.saturating_add(1), ..self };
                let opens = counted.refused_in_row >= TOO_MANY || self.is_open();
                if opens { counted.paused() } else { counted }
            }
        }
    }

    /// After a refusal of the app's own credentials: the pause starts at once.
    #[must_use]
    pub fn after_app_refusal(self) -> Self {
        self.paused()
    }

    /// The length of the pause that has just started: 15 minutes, doubled by each further pause up to six hours, plus up to a
    /// tenth by `random`, uniform in `[0, 1)`. Zero while closed.
    pub fn pause(self, random: f64) -> Duration {
        let random = if random.is_finite() { random.clamp(0.0, 1.0) } else { 0.5 };
        let Some(doublings) = self.pauses.checked_sub(1) else {
            return Duration::ZERO;
        };
        let pause = SHORTEST_PAUSE.saturating_mul(2u32.saturating_pow(doublings)).min(LONGEST_PAUSE);
        pause + pause.mul_f64(JITTER * random)
    }

    /// Whether a refusal for this cause loses the account. While the breaker is open it does not, unless the token had
    /// expired, which explains the refusal without a fault of the app. Must be true before and after the refusal is
    /// counted.
    pub fn believes(self, cause: Cause) -> bool {
        cause == Cause::Expired || !self.is_open()
    }

    fn paused(self) -> Self {
        Self { pauses: self.pauses.saturating_add(1), ..self }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(times: u32) -> Breaker {
        (0..times).fold(Breaker::default(), |breaker, _| breaker.after_account_refusal(Cause::Rejected))
    }

    #[test]
    fn the_fifth_refusal_opens_the_breaker() {
        for times in 0..5 {
            assert!(refused(times).believes(Cause::Rejected), "{times}");
            assert_eq!(refused(times).pause(0.0), Duration::ZERO);
        }
        assert!(!refused(5).believes(Cause::Rejected) && !refused(5).believes(Cause::LostResponse));
        assert!(refused(5).believes(Cause::Expired));
        assert_eq!(refused(5), Breaker { refused_in_row: 5, pauses: 1 });
        assert_eq!(refused(7), Breaker { refused_in_row: 7, pauses: 3 });
    }

    #[test]
    fn pauses_double_up_to_six_hours() {
        let minutes: Vec<_> =
            (1..8).map(|pauses| Breaker { refused_in_row: 0, pauses }.pause(0.0).as_secs() / 60).collect();
        assert_eq!(minutes, [15, 30, 60, 120, 240, 360, 360]);
        assert_eq!(Breaker { refused_in_row: 0, pauses: 1 }.pause(1.0), Duration::from_secs(990));
    }

    #[test]
    fn the_apps_own_refusal_opens_at_once() {
        assert!(Breaker::default().after_app_refusal().is_open());
    }

    #[test]
    fn causes_on_our_side_never_open_it() {
        for cause in [Cause::Expired, Cause::LostResponse] {
            let breaker = (0..100).fold(refused(4), |breaker, _| breaker.after_account_refusal(cause));
            assert_eq!(breaker, refused(4));
        }
        // Once open, a failed probe prolongs the pause, whatever the cause.
        assert_eq!(refused(5).after_account_refusal(Cause::LostResponse).pauses, 2);
    }

    proptest! {
        #[test]
        fn every_pause_is_within_its_bounds(pauses in 1u32.., random in prop::num::f64::ANY) {
            let pause = Breaker { refused_in_row: 0, pauses }.pause(random);
            prop_assert!((SHORTEST_PAUSE..=LONGEST_PAUSE.mul_f64(1.1)).contains(&pause), "{:?}", pause);
        }
    }
}
