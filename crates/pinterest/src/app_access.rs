//! What it means if Pinterest refuses a call because the app has no access. Pinterest reviews an app before the app may
//! call the API, and may withdraw the access: then every account of the app is refused, and no account can change that.
//! One request now and then (a probe) detects when access is granted.

use std::time::Duration;

/// The first probe comes soon: the review may have ended while the app was being set up.
const FIRST_PROBE: Duration = Duration::from_secs(30);
/// Each pause is twice the last, up to this. A review takes days.
const LONGEST_PROBE: Duration = Duration::from_secs(60 * 60);
/// This share of a pause is added at random.
const JITTER: f64 = 0.1;
/// An older success does not count any more.
pub const RECENT: Duration = Duration::from_secs(60 * 60);

/// The state of an app when one of its accounts was refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Probes refused in a row.
    pub refusals: u32,
    /// Time until the next probe; zero if it is due, `None` if the app was not refused.
    pub probe_in: Option<Duration>,
    /// A pause that has ended recently ([`RECENT`]).
    pub granted: Option<Granted>,
}

/// The account whose probe ended a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granted {
    /// The account that is refused now.
    ToIt,
    /// Another one.
    ToAnother,
}

/// What follows from a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// Other accounts of the app are accepted: only this account is refused.
    OfAccount,
    /// The app is paused already, for this long.
    Known(Duration),
    /// The app's imports pause.
    Pause {
        /// Refusals in a row, including this one.
        refusals: u32,
        /// Time until the next probe.
        probe_in: Duration,
    },
}

/// Judges a refusal. `random`, uniform in `[0, 1)`, spreads the probes of many apps.
pub fn refused(standing: &Standing, random: f64) -> Consequence {
    let refusals = match (standing.probe_in, standing.granted) {
        (Some(left), _) if !left.is_zero() => return Consequence::Known(left),
        (Some(_), _) | (None, Some(Granted::ToIt)) => standing.refusals.saturating_add(1),
        (None, Some(Granted::ToAnother)) => return Consequence::OfAccount,
        (None, None) => 1,
    };
    Consequence::Pause { refusals, probe_in: pause(refusals, random) }
}

/// The pause after this number of refusals in a row.
fn pause(refusals: u32, random: f64) -> Duration {
    let random = if random.is_finite() { random.clamp(0.0, 1.0) } else { 0.5 };
    let doubled = 2u32.saturating_pow(refusals.saturating_sub(1));
    let pause = FIRST_PROBE.saturating_mul(doubled).min(LONGEST_PROBE);
    pause + pause.mul_f64(JITTER * random)
}

/// How long an import waits if it alone is refused, `since` after its first attempt: as long as it has waited so far, so
/// that the pauses double, within `shortest` and `longest`.
pub fn wait_alone(since: Duration, shortest: Duration, longest: Duration) -> Duration {
    since.clamp(shortest, longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_an_hour() {
        let pauses: Vec<_> = [0, 1, 2, 3, 7, 8, 9, 40, u32::MAX].map(|refusals| pause(refusals, 0.0).as_secs()).into();
        assert_eq!(pauses, [30, 30, 60, 120, 1920, 3600, 3600, 3600, 3600]);
        assert_eq!(pause(1, 1.0), Duration::from_secs(33));
        assert!(pause(1, f64::NAN) < Duration::from_secs(33));
    }

    #[test]
    fn one_refusal_pauses_the_app_and_only_probes_count() {
        let of = |refusals, probe_in: Option<u64>, granted| {
            let probe_in = probe_in.map(Duration::from_secs);
            match refused(&Standing { refusals, probe_in, granted }, 0.0) {
                Consequence::Pause { refusals, probe_in } => Ok((refusals, probe_in.as_secs())),
                other => Err(other),
            }
        };
        assert_eq!(of(0, None, None), Ok((1, 30)));
        assert_eq!(of(9, None, None), Ok((1, 30)), "an old success does not count");
        assert_eq!(of(1, Some(0), None), Ok((2, 60)));
        assert_eq!(of(1, Some(7), None), Err(Consequence::Known(Duration::from_secs(7))));
        // An app that is granted access and refused in turn keeps its long pauses.
        assert_eq!(of(4, None, Some(Granted::ToIt)), Ok((5, 480)));
        // One account that is always refused does not stop the others.
        assert_eq!(of(1, None, Some(Granted::ToAnother)), Err(Consequence::OfAccount));
    }
}
