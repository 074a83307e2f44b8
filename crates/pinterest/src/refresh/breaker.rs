//! When refusals say more about the app than about the accounts.

use std::time::Duration;

use super::Cause;

/// Refusals of different accounts in a row, without a success between them, that are no coincidence any more.
const TOO_MANY: u32 = 5;

/// The first pause: long enough to spare a server in trouble, short enough that a mended app is noticed.
const SHORTEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// No pause is longer: four requests a day harm nobody.
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 60 * 60);

/// Added at most, so that apps paused together do not return together.
const JITTER: f64 = 0.1;

/// A circuit breaker for one app: after too many refusals its accounts pause, then one of them asks for all.
///
/// The caller keeps the two numbers and the end of the pause, and acts as follows:
/// - While a pause lasts, nobody of the app asks. After it *one* account does, and the others wait for its answer; a
///   refused one goes behind the others, so that one truly revoked account cannot keep the breaker open.
/// - A pause that refused accounts begin takes back what it casts doubt on: accounts that were lost in this row (since
///   the last success of the app) by [`Cause::Rejected`] or [`Cause::LostResponse`] are what they were before.
/// - Answers to requests sent before the pause began do not count again.
///
/// The default is closed: all is well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    /// Accounts refused since the last success.
    pub refused_in_row: u32,
    /// Pauses since the last success.
    pub pauses: u32,
}

impl Breaker {
    /// Whether a pause has begun that no success has ended.
    pub fn is_open(self) -> bool {
        self.pauses > 0
    }

    /// After a definite refusal of an account other than those refused before it in this row.
    ///
    /// From the fifth on each begins a pause. A refusal that our own side explains, an expired token or a lost answer,
    /// does not count: after two months without a network every account is refused, and rightly so.
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

    /// After a refusal of the app's own credentials: the pause begins at once.
    #[must_use]
    pub fn after_app_refusal(self) -> Self {
        self.paused()
    }

    /// How long the pause that has just begun lasts: a quarter of an hour, doubled by each further one up to six hours,
    /// and up to a tenth more as `random`, uniform in `[0, 1)`, has it. Nothing while closed.
    pub fn pause(self, random: f64) -> Duration {
        let random = if random.is_finite() { random.clamp(0.0, 1.0) } else { 0.5 };
        let Some(doublings) = self.pauses.checked_sub(1) else {
            return Duration::ZERO;
        };
        let pause = SHORTEST_PAUSE.saturating_mul(2u32.saturating_pow(doublings)).min(LONGEST_PAUSE);
        pause + pause.mul_f64(JITTER * random)
    }

    /// Whether a refusal for this cause loses the account. While open it does not, unless the token had expired: no
    /// fault of the app's is needed to explain that. Ask before counting the refusal and after it: both must hold.
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
    fn four_are_believed_and_the_fifth_is_not() {
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
    fn what_our_side_explains_never_opens_it() {
        for cause in [Cause::Expired, Cause::LostResponse] {
            let breaker = (0..100).fold(refused(4), |breaker, _| breaker.after_account_refusal(cause));
            assert_eq!(breaker, refused(4));
        }
        // Once open, a probe that brings no success prolongs the pause, whatever the reason.
        assert_eq!(refused(5).after_account_refusal(Cause::LostResponse).pauses, 2);
    }

    proptest! {
        #[test]
        fn every_pause_lies_between_its_bounds(pauses in 1u32.., random in prop::num::f64::ANY) {
            let pause = Breaker { refused_in_row: 0, pauses }.pause(random);
            prop_assert!((SHORTEST_PAUSE..=LONGEST_PAUSE.mul_f64(1.1)).contains(&pause), "{:?}", pause);
        }
    }
}
