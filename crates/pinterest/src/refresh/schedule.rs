//! When to refresh: early enough that days of trouble do not lose an account, often enough that no refresh token expires.

use std::time::Duration;

/// A long weekend without a network must not outlast a token.
const LEAST_LEAD: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// Refresh tokens are valid for 60 days and are renewed only with the access token: unused accounts are refreshed too.
const LONGEST_INTERVAL: Duration = Duration::from_secs(20 * 24 * 60 * 60);

/// The interval before the expiry of a refresh token that is never renewed is halved each time, down to this.
const LEAST_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// The minimum, for a server that grants tokens of seconds.
const NEVER_BEFORE: Duration = Duration::from_secs(1);

/// Warn if a grant cannot be renewed after less than this time: no refresh has succeeded for weeks, or there is no refresh
/// token.
pub const WARN_BEFORE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The time after a grant at which to refresh it.
///
/// Three days or a tenth of its lifetime, whichever is longer, before the access token expires, and as long before the
/// refresh token expires; but not before half of the deciding lifetime, and not after 20 days. `refresh_expires_in` is the
/// refresh token's remaining lifetime, if known. `random`, uniform in `[0, 1)`, brings the time forward by up to a
/// twentieth, so that accounts connected together are not refreshed together.
///
/// ```
/// # use std::time::Duration;
/// use pinterest::refresh::after;
///
/// let day = Duration::from_secs(86_400);
/// assert_eq!(after(30 * day, Some(60 * day), 0.0), 20 * day);
/// assert_eq!(after(30 * day, Some(10 * day), 0.0), 7 * day);
/// assert_eq!(after(day, None, 0.0), day / 2);
/// ```
pub fn after(expires_in: Duration, refresh_expires_in: Option<Duration>, random: f64) -> Duration {
    let random = if random.is_finite() { random.clamp(0.0, 1.0) } else { 0.5 };
    let renewable = refresh_expires_in.map_or(LONGEST_INTERVAL, |left| latest(left).max(LEAST_INTERVAL));
    let latest = latest(expires_in).min(renewable).min(LONGEST_INTERVAL);
    latest.mul_f64(1.0 - random / 20.0).max(NEVER_BEFORE)
}

/// The latest time for a token of this lifetime.
fn latest(life: Duration) -> Duration {
    life.saturating_sub(LEAST_LEAD.max(life / 10)).max(life / 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    #[test]
    fn leaves_three_days_or_a_tenth() {
        assert_eq!(after(10 * DAY, None, 0.0), 7 * DAY);
        assert_eq!(after(22 * DAY, None, 0.0), 19 * DAY);
        assert_eq!(after(365 * DAY, None, 0.0), 20 * DAY);
        assert_eq!(after(30 * DAY, Some(22 * DAY), 0.0), 19 * DAY);
    }

    /// At two thirds of its lifetime, whatever the jitter: ten days of trouble do no harm.
    #[test]
    fn a_month_is_renewed_ten_days_early() {
        for random in [0.0, 0.5, 1.0] {
            assert!(after(30 * DAY, Some(60 * DAY), random) <= 20 * DAY);
            assert!(after(30 * DAY, Some(60 * DAY), random) >= 19 * DAY);
        }
    }

    /// A server that never returns a new refresh token.
    #[test]
    fn a_refresh_token_that_is_never_renewed_is_used_a_few_times() {
        let mut left = 60 * DAY;
        let mut requests = 0;
        while !left.is_zero() {
            left = left.saturating_sub(after(30 * DAY, Some(left), 0.0));
            requests += 1;
        }
        assert!(requests <= 15, "{requests} requests");
    }

    proptest! {
        #[test]
        fn before_either_expiry_but_never_soon(
            access in 60u64..400 * 86_400,
            refresh in prop::option::of(2 * 3_600u64..400 * 86_400),
            random in 0.0..1.0,
        ) {
            let life = Duration::from_secs(access);
            let left = refresh.map(Duration::from_secs);
            let shorter = left.map_or(life, |left| left.min(life));
            let after = after(life, left, random);
            prop_assert!(after < shorter, "{:?}", after);
            prop_assert!(after >= shorter.min(LONGEST_INTERVAL).mul_f64(0.47), "{:?}", after);
            prop_assert!(after <= LONGEST_INTERVAL);
        }

        #[test]
        fn never_zero(access in any::<u64>(), refresh in prop::option::of(any::<u64>()), random in prop::num::f64::ANY) {
            let after = after(Duration::from_secs(access), refresh.map(Duration::from_secs), random);
            prop_assert!((NEVER_BEFORE..=LONGEST_INTERVAL).contains(&after), "{:?}", after);
        }
    }
}
