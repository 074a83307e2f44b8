//! When to refresh: early enough that days of trouble cost no account, often enough that no refresh token lapses.

use std::time::Duration;

#[cfg(test)]
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A long weekend without a network must not outlast the token.
const LEAST_LEAD: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// Refresh tokens live 60 days and are renewed with the access token only: an account nobody uses needs it too.
const LONGEST_INTERVAL: Duration = Duration::from_secs(20 * 24 * 60 * 60);

/// How long after a grant to refresh it: at the larger of three days and a tenth of its life before it expires, after 20
/// days at the latest, after half its life at the earliest.
///
/// `random` is uniform in `[0, 1)`; it brings the time forward by up to a twentieth, so that accounts connected together
/// do not refresh together.
///
/// ```
/// # use std::time::Duration;
/// let day = Duration::from_secs(86_400);
/// assert_eq!(pinterest::refresh_after(30 * day, 0.0), 20 * day);
/// assert_eq!(pinterest::refresh_after(day, 0.0), day / 2);
/// ```
pub fn refresh_after(expires_in: Duration, random: f64) -> Duration {
    let lead = LEAST_LEAD.max(expires_in / 10);
    let latest = expires_in.saturating_sub(lead).max(expires_in / 2).min(LONGEST_INTERVAL);
    latest.mul_f64(1.0 - random.clamp(0.0, 1.0) / 20.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_three_days_or_a_tenth() {
        assert_eq!(refresh_after(10 * DAY, 0.0), 7 * DAY);
        assert_eq!(refresh_after(22 * DAY, 0.0), 19 * DAY);
        assert_eq!(refresh_after(365 * DAY, 0.0), 20 * DAY);
    }

    #[test]
    fn never_after_expiry_and_never_at_once() {
        for seconds in [1, 60, 3_600, 86_400, 4 * 86_400, 30 * 86_400] {
            let life = Duration::from_secs(seconds);
            for random in [0.0, 0.5, 0.999] {
                let after = refresh_after(life, random);
                assert!(
                    after < life && after >= life.mul_f64(0.47).min(LONGEST_INTERVAL.mul_f64(0.95)),
                    "{life:?} {random}"
                );
            }
        }
    }
}
