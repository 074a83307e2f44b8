//! What a failure means for an import: wait, park, or end.

use std::time::Duration;

use pinterest::{ErrorKind, retry};

use crate::errors::{Failure, Kind};
use crate::store::import::{Claim, Stop};

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
/// A rate limit without a word on how long.
pub const QUOTA_PAUSE: Duration = Duration::from_secs(60);

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

    /// What an API call's error means, after `attempts` without progress.
    pub fn from_api(error: pinterest::Error, attempts: i32, random: f64) -> Self {
        let (stop, wake_in) = match error.kind() {
            ErrorKind::NeedsReauth | ErrorKind::Unauthorized | ErrorKind::MissingScope => {
                (Stop::NeedsReauth, Duration::ZERO)
            }
            ErrorKind::RateLimited | ErrorKind::SpamHold => {
                (Stop::WaitingQuota, retry::next_delay(1, &error, random).unwrap_or(QUOTA_PAUSE))
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
            // It may heal, or somebody may mend it: the keys, a setting, the app.
            Kind::Database | Kind::Busy | Kind::NotReady | Kind::KeyMissing | Kind::Config => Stop::Queued,
            _ => Stop::Failed,
        };
        Interruption::Stopped { stop, failure, wake_in: LOCAL_PAUSE }
    }
}

/// Turns a claim that does not hold into an interruption.
pub fn held(claim: Claim) -> Result<(), Interruption> {
    match claim {
        Claim::Held => Ok(()),
        Claim::CancelRequested => Err(Interruption::Cancelled),
        Claim::Lost => Err(Interruption::Lost),
    }
}
