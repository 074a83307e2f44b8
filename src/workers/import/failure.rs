//! What a failure means for an import: wait, park, or end.

use std::time::Duration;

use pinterest::{ErrorKind, app_access, retry};

use crate::errors::{Failure, Kind};
use crate::store::import::{ClaimState, Stop};

/// Why an import is not worked on any more, for now or for good.
#[derive(Debug)]
pub enum Interruption {
    /// Another worker has it, or it is deleted: not a word to record.
    Lost,
    /// The user asked for the end.
    Cancelled,
    /// Others' imports have waited long enough for this one's place.
    Yield,
    /// Pinterest refuses the tokens of this generation: only the user can help, unless others stand by now.
    Refused {
        /// What Pinterest said.
        failure: Failure,
        /// Of the refused tokens.
        generation: i64,
    },
    /// To be recorded, and gone on with after the pause where the state allows.
    Stopped {
        /// The state to leave it in.
        stop: Stop,
        /// Why.
        failure: Failure,
        /// The pause.
        wake_in: Duration,
    },
}

/// Attempts without any progress before an import fails.
const ATTEMPTS: i32 = 8;
/// A pause when a condition on this server has to change first: a model put in place, a lock released.
pub const LOCAL_PAUSE: Duration = Duration::from_secs(15);
/// The longest pause for a proxy that does not let requests through.
const PROXY_PAUSE: Duration = Duration::from_secs(300);
/// A rate limit without a word on how long.
pub const QUOTA_PAUSE: Duration = Duration::from_secs(60);

/// Between tries of an import whose app is refused for its account alone: from the first to the second.
const ACCESS_PAUSE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(60 * 60));
/// The same where Pinterest does not say what is missing. Few enough to leave a trial app's 1,000 requests a day to others.
const UNSAID_PAUSE: (Duration, Duration) = (Duration::from_secs(10 * 60), Duration::from_secs(24 * 60 * 60));

impl Interruption {
    /// Ends the import.
    pub fn fail(failure: Failure) -> Self {
        Interruption::Stopped { stop: Stop::Failed, failure, wake_in: Duration::ZERO }
    }

    /// Something on this server is not as it has to be: nobody's image is to blame, and it may heal.
    pub fn local(failure: Failure, attempts: i32) -> Self {
        let stop = if attempts >= ATTEMPTS { Stop::Failed } else { Stop::Queued };
        Interruption::Stopped { stop, failure, wake_in: LOCAL_PAUSE }
    }

    /// The proxy lets API calls through and images not. Each run makes API calls before it comes to the images, and their
    /// success begins the count of attempts anew: so the pause is long from the first time on.
    pub fn proxy_keeps_images(failure: Failure) -> Self {
        Interruption::Stopped { stop: Stop::Queued, failure, wake_in: PROXY_PAUSE }
    }

    /// What an API call's error means, after `attempts` without progress, `age` after the import's first claim.
    pub fn from_api(error: pinterest::Error, attempts: i32, age: Duration, random: f64) -> Self {
        let (stop, wake_in) = match error.kind() {
            // A 401 without a code, in spite of fresh tokens: that need not be Pinterest's.
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
                (Stop::WaitingAccess, app_access::wait_alone(age, UNSAID_PAUSE.0, UNSAID_PAUSE.1))
            }
            ErrorKind::RateLimited | ErrorKind::SpamHold => {
                (Stop::WaitingQuota, retry::next_delay(1, &error, random).unwrap_or(QUOTA_PAUSE))
            }
            // It says nothing of the import, which waits for as long as it takes to put the proxy right.
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
            // It may heal, or somebody may mend it: the keys, a setting, the app.
            Kind::Database | Kind::Busy | Kind::NotReady | Kind::KeyMissing | Kind::Config => Stop::Queued,
            _ => Stop::Failed,
        };
        Interruption::Stopped { stop, failure, wake_in: LOCAL_PAUSE }
    }
}

/// Turns a claim that does not hold into an interruption.
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

    /// Of a proxy whose password cannot be read.
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

    /// The API answers meanwhile, which begins the count of attempts anew: the pause is not to come of it.
    #[test]
    fn images_that_the_proxy_keeps_cost_few_requests() {
        let interruption = Interruption::proxy_keeps_images(refused().into());
        let Interruption::Stopped { stop, failure, wake_in } = interruption else { panic!("{interruption:?}") };
        assert_eq!((stop, failure.kind), (Stop::Queued, Kind::ProxyCredentials));
        assert!(wake_in >= Duration::from_secs(300), "{wake_in:?}");
    }
}
