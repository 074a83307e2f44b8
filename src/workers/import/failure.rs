//! What a failure means for an import: it waits, is parked, or ends.

use std::time::Duration;

use pinterest::{ErrorKind, app_access, retry};

use crate::errors::{Failure, Kind};
use crate::store::import::{ClaimState, Stop};
use crate::workers::in_hand::Unrefreshed;

/// Why an import is interrupted, for a time or finally.
#[derive(Debug)]
pub enum Interruption {
    /// Another worker has it, or it was deleted: nothing is recorded.
    Lost,
    /// A session has cancelled it.
    Cancelled,
    /// Other imports have waited long enough.
    Yield,
    /// Pinterest refuses the tokens of this generation. The user must reconnect the account, unless others are stored by now.
    Refused {
        /// Pinterest's refusal.
        failure: Failure,
        /// Of the refused tokens.
        generation: i64,
    },
    /// The state and the failure are recorded. A queued or waiting import continues after the pause.
    Stopped {
        /// The new state.
        stop: Stop,
        /// Why.
        failure: Failure,
        /// The pause.
        wake_in: Duration,
    },
}

/// Attempts without any progress before an import fails.
const ATTEMPTS: i32 = 8;
/// The pause when a condition on this server has to change first: a model is missing, a lock is held.
pub const LOCAL_PAUSE: Duration = Duration::from_secs(15);
/// The longest pause because of the proxy.
const PROXY_PAUSE: Duration = Duration::from_secs(300);
/// The pause after a rate limit if Pinterest does not send one.
pub const QUOTA_PAUSE: Duration = Duration::from_secs(60);

/// Between tries of an import if the app is refused for this account only: from the first to the second.
const ACCESS_PAUSE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(60 * 60));
/// The same if Pinterest does not state what is missing. So rare that a trial app's 1,000 requests per day are left for others.
const UNSTATED_PAUSE: (Duration, Duration) = (Duration::from_secs(10 * 60), Duration::from_secs(24 * 60 * 60));

impl Interruption {
    /// Ends the import.
    pub fn fail(failure: Failure) -> Self {
        Interruption::Stopped { stop: Stop::Failed, failure, wake_in: Duration::ZERO }
    }

    /// A condition on this server, which may change; it is not due to an image.
    pub fn local(failure: Failure, attempts: i32) -> Self {
        let stop = if attempts >= ATTEMPTS { Stop::Failed } else { Stop::Queued };
        Interruption::Stopped { stop, failure, wake_in: LOCAL_PAUSE }
    }

    /// The proxy lets API calls through, but not images. Each run makes API calls before it downloads images, and their success
    /// resets the count of attempts: so the pause is long from the first time on.
    pub fn proxy_keeps_images(failure: Failure) -> Self {
        Interruption::Stopped { stop: Stop::Queued, failure, wake_in: PROXY_PAUSE }
    }

    /// What the error of an API call means, after `attempts` without progress, `age` after the import's first claim. `random`
    /// is uniform in [0, 1).
    pub fn from_api(error: pinterest::Error, attempts: i32, age: Duration, random: f64) -> Self {
        let (stop, wake_in) = match error.kind() {
            // A 401 without a code, despite new tokens, may not come from Pinterest.
            ErrorKind::Unauthorized if error.code().is_none() && attempts < ATTEMPTS => {
                let ceiling = retry::ceiling(attempts.max(1).unsigned_abs());
                let failure = Failure::new(Kind::BrokenOff, error.to_string());
                return Interruption::Stopped {
                    stop: Stop::Queued,
                    failure,
                    wake_in: (ceiling / 2).mul_f64(1.0 + random),
                };
            }
            ErrorKind::NeedsReauth | ErrorKind::Unauthorized | ErrorKind::MissingScope => {
                (Stop::NeedsReauth, Duration::ZERO)
            }
            ErrorKind::AppAccess => (Stop::WaitingAccess, app_access::wait_alone(age, ACCESS_PAUSE.0, ACCESS_PAUSE.1)),
            ErrorKind::NotPermitted => {
                (Stop::WaitingAccess, app_access::wait_alone(age, UNSTATED_PAUSE.0, UNSTATED_PAUSE.1))
            }
            ErrorKind::RateLimited | ErrorKind::SpamHold => {
                (Stop::WaitingQuota, retry::next_delay(1, &error, random).unwrap_or(QUOTA_PAUSE))
            }
            // This does not concern the import, which waits until the proxy works.
            kind if kind.is_proxy() => {
                let attempt = attempts.max(1).unsigned_abs().min(retry::MAX_ATTEMPTS - 1);
                let delay = retry::next_delay(attempt, &error, random).unwrap_or(LOCAL_PAUSE);
                (Stop::Queued, delay.min(PROXY_PAUSE))
            }
            _ if error.is_retryable() => match retry::next_delay(attempts.max(1).unsigned_abs(), &error, random) {
                Some(delay) => (Stop::Queued, delay),
                None => (Stop::Failed, Duration::ZERO),
            },
            _ => (Stop::Failed, Duration::ZERO),
        };
        Interruption::Stopped { stop, failure: error.into(), wake_in }
    }
}

impl From<Failure> for Interruption {
    fn from(failure: Failure) -> Self {
        let stop = match failure.kind {
            Kind::NeedsReauth | Kind::SealBroken => Stop::NeedsReauth,
            Kind::AppAccess => Stop::WaitingAccess,
            // It may pass, or an administrator may solve it: the keys, a setting, the app.
            Kind::Database | Kind::Busy | Kind::NotReady | Kind::KeyMissing | Kind::Config => Stop::Queued,
            _ => Stop::Failed,
        };
        Interruption::Stopped { stop, failure, wake_in: LOCAL_PAUSE }
    }
}

impl From<Unrefreshed> for Interruption {
    fn from(unrefreshed: Unrefreshed) -> Self {
        match unrefreshed {
            Unrefreshed::Again { failure, after, .. } => {
                Interruption::Stopped { stop: Stop::Queued, failure, wake_in: after }
            }
            Unrefreshed::Failed(failure) => failure.into(),
        }
    }
}

/// Turns a claim that does not hold into an interruption.
///
/// # Errors
/// [`Interruption::Cancelled`] or [`Interruption::Lost`].
pub fn held(claim: ClaimState) -> Result<(), Interruption> {
    match claim {
        ClaimState::Held => Ok(()),
        ClaimState::CancelRequested => Err(Interruption::Cancelled),
        ClaimState::Lost => Err(Interruption::Lost),
    }
}

#[cfg(test)]
mod tests {
    use pinterest::{Client, Endpoints, Proxy};

    use super::*;

    /// The error of a proxy whose password cannot be read.
    fn refused() -> pinterest::Error {
        let address = "http://127.0.0.1:9".parse().unwrap();
        let credentials_file = Some("/nonexistent/proxy".into());
        let proxy = Some(Proxy { address, credentials_file, bypass: Vec::new() });
        let client = Client::with_image_limit(Endpoints { proxy, ..Endpoints::default() }, 1 << 20).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(client.ask_proxy()).unwrap_err()
    }

    #[test]
    fn an_import_waits_for_the_proxy_without_end() {
        for attempts in [0, 1, ATTEMPTS, ATTEMPTS + 1, i32::MAX] {
            for random in [0.0, 0.999] {
                let interruption = Interruption::from_api(refused(), attempts, Duration::ZERO, random);
                let Interruption::Stopped { stop, failure, wake_in } = interruption else { panic!("{interruption:?}") };
                assert_eq!(stop, Stop::Queued, "{attempts}");
                assert!(failure.kind.is_proxy(), "the store keeps attempts by this: {failure:?}");
                assert!((retry::SHORTEST_DELAY..=PROXY_PAUSE).contains(&wake_in), "{attempts}: {wake_in:?}");
            }
        }
    }

    /// The API answers meanwhile, which resets the count of attempts: the pause must not depend on it.
    #[test]
    fn images_that_the_proxy_keeps_cost_few_requests() {
        let interruption = Interruption::proxy_keeps_images(refused().into());
        let Interruption::Stopped { stop, failure, wake_in } = interruption else { panic!("{interruption:?}") };
        assert_eq!((stop, failure.kind), (Stop::Queued, Kind::ProxyCredentials));
        assert!(wake_in >= Duration::from_secs(300), "{wake_in:?}");
    }
}
