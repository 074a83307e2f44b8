//! Why a row was not embedded, and what that means for the row or its column.

use std::time::Duration;

use pgrx::PgSqlErrorCode;

use crate::errors::{Failure, Kind};
use crate::workers::embedding::ATTEMPTS;

/// Before a row is tried again that another session has locked.
const LOCKED_PAUSE: Duration = Duration::from_secs(2);
/// Before a row is tried again whose table was renamed.
const MOVED_PAUSE: Duration = Duration::from_millis(200);
/// Before a row is tried again for which the server lacked resources.
const FULL_PAUSE: Duration = Duration::from_secs(15);

/// Before a row is tried again after the proxy was not available or refused the password. Shorter than the column's pause,
/// so if only such rows wait, they wait no longer for it.
pub const BEHIND_OTHERS: Duration = Duration::from_secs(10);

/// Why a row was not embedded.
#[derive(Clone, Debug)]
pub enum Unembedded {
    /// The row does not exist, or it has no source.
    Gone,
    /// It cannot be embedded, or all attempts failed.
    Failed(Failure),
    /// It is tried again after a pause.
    Again {
        /// Why this attempt failed.
        failure: Failure,
        /// The pause.
        after: Duration,
        /// The row may be at fault. Otherwise the attempt does not count.
        blame: bool,
    },
    /// It is tried again after a pause that doubles from this one: the table, or the queue, refused the row with an error that may
    /// pass.
    Refused(Failure, Duration),
    /// It is tried again at once: the table or the model has changed since the row was claimed.
    Overtaken,
    /// No row of the column can be worked on now.
    Column(Failure),
    /// The same, because of the proxy. Another row is tried next: some proxies require a password for some hosts only.
    Proxy(Failure),
}

impl Unembedded {
    /// What a failure to read or write a row means that was tried `attempts` times.
    pub fn of_database(failure: Failure, attempts: i32) -> Self {
        match failure.kind {
            Kind::TableRefused => Self::of_table(failure, attempts),
            Kind::Database => Unembedded::Refused(failure, LOCKED_PAUSE),
            Kind::TableMoved => Unembedded::Again { failure, after: MOVED_PAUSE, blame: false },
            _ => Unembedded::Column(failure),
        }
    }

    fn of_table(mut failure: Failure, attempts: i32) -> Self {
        use PgSqlErrorCode as Code;
        match failure.raised() {
            Some(
                Code::ERRCODE_LOCK_NOT_AVAILABLE
                | Code::ERRCODE_T_R_DEADLOCK_DETECTED
                | Code::ERRCODE_T_R_SERIALIZATION_FAILURE,
            ) => {
                failure.message = "another session holds a lock on the row or its table".to_owned();
                return Unembedded::Refused(failure, LOCKED_PAUSE);
            }
            Some(
                Code::ERRCODE_INSUFFICIENT_RESOURCES
                | Code::ERRCODE_DISK_FULL
                | Code::ERRCODE_OUT_OF_MEMORY
                | Code::ERRCODE_TOO_MANY_CONNECTIONS,
            ) => {
                return Unembedded::Refused(failure, FULL_PAUSE);
            }
            _ => {}
        }
        if attempts >= ATTEMPTS {
            return Unembedded::Failed(failure);
        }
        // 1, 3 and 9 seconds: another session may commit what the table's trigger requires.
        let after = Duration::from_secs(3_u64.pow(attempts.clamp(1, ATTEMPTS).unsigned_abs() - 1));
        Unembedded::Again { failure, after, blame: true }
    }
}
