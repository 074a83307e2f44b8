//! What a failure means: for the row, for its whole column, or for nobody but the moment.

use std::time::Duration;

use pgrx::PgSqlErrorCode;

use crate::errors::{Failure, Kind};
use crate::store::track::work::Embedding;
use crate::workers::embedding::ATTEMPTS;

/// Before a row is tried again that another session had locked.
const LOCKED_PAUSE: Duration = Duration::from_secs(2);
/// Before a row is tried again whose table was being renamed.
const MOVED_PAUSE: Duration = Duration::from_millis(200);
/// Before a row is tried again that the server had no room for.
const FULL_PAUSE: Duration = Duration::from_secs(15);

/// Before a row comes to the head of its column again that met a proxy which is not there or wants another password.
/// Shorter than the column's own pause: where nothing but such rows waits, it takes no longer for it.
pub const BEHIND_OTHERS: Duration = Duration::from_secs(10);

/// What is known after an attempt on a row.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// To be recorded.
    Embedded(Box<Embedding>),
    /// There is no such row, or no source in it.
    Gone,
    /// It cannot be embedded, or could not after all attempts.
    Failed(Failure),
    /// Again after a pause. Without blame the attempt does not count.
    Again {
        /// Why this attempt failed.
        failure: Failure,
        /// The pause.
        after: Duration,
        /// The row may be at fault.
        blame: bool,
    },
    /// Again after a pause that starts with this one and doubles: the table refused the row with an error that passes.
    Refused(Failure, Duration),
    /// Again at once: the table or the model is not what it was when the row was claimed.
    Overtaken,
    /// The embedder died while it had this row and others.
    Suspect,
    /// No row of the column can be worked on now.
    Column(Failure),
    /// The same, because of the proxy, and the next look is at another row: some proxies want a password for some hosts only.
    Proxy(Failure),
}

impl Verdict {
    /// What it means that the database refused to read or write a row that was tried `attempts` times.
    pub fn of_database(failure: Failure, attempts: i32) -> Self {
        match failure.kind {
            Kind::TableRefused => Self::of_table(failure, attempts),
            Kind::Database => Verdict::Again { failure, after: LOCKED_PAUSE, blame: false },
            Kind::TableMoved => Verdict::Again { failure, after: MOVED_PAUSE, blame: false },
            _ => Verdict::Column(failure),
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
                return Verdict::Refused(failure, LOCKED_PAUSE);
            }
            Some(
                Code::ERRCODE_INSUFFICIENT_RESOURCES
                | Code::ERRCODE_DISK_FULL
                | Code::ERRCODE_OUT_OF_MEMORY
                | Code::ERRCODE_TOO_MANY_CONNECTIONS,
            ) => {
                return Verdict::Refused(failure, FULL_PAUSE);
            }
            _ => {}
        }
        if attempts >= ATTEMPTS {
            return Verdict::Failed(failure);
        }
        // 1, 3 and 9 seconds: what the table's trigger wants may come with another session's commit.
        let after = Duration::from_secs(3_u64.pow(attempts.clamp(1, ATTEMPTS).unsigned_abs() - 1));
        Verdict::Again { failure, after, blame: true }
    }
}
