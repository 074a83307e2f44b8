//! The kinds of worker.

use std::ffi::CStr;

use pgrx::pg_sys;

/// A kind of worker, with its database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worker {
    /// One per cluster: starts a database worker wherever one is due.
    Launcher,
    /// One per cluster, on standbys too: owns the embedder's socket and process.
    Supervisor,
    /// In a database while it has work: imports, refreshes, housekeeping.
    Database(pg_sys::Oid),
    /// In a database while rows of tracked columns wait. Code of the tables' owners runs in this kind of process only.
    Tracking(pg_sys::Oid),
}

impl Worker {
    /// Its number in shared memory and in names of files.
    pub fn code(self) -> u32 {
        match self {
            Worker::Launcher => 1,
            Worker::Supervisor => 2,
            Worker::Database(_) => 3,
            Worker::Tracking(_) => 4,
        }
    }

    /// The kind with that number, in that database.
    pub fn of(code: u32, database: pg_sys::Oid) -> Option<Self> {
        match code {
            1 => Some(Worker::Launcher),
            2 => Some(Worker::Supervisor),
            3 => Some(Worker::Database(database)),
            4 => Some(Worker::Tracking(database)),
            _ => None,
        }
    }

    /// Its database; `InvalidOid` if it has none.
    pub fn database(self) -> pg_sys::Oid {
        match self {
            Worker::Launcher | Worker::Supervisor => pg_sys::InvalidOid,
            Worker::Database(database) | Worker::Tracking(database) => database,
        }
    }

    /// `backend_type` in pg_stat_activity.
    pub fn type_name(self) -> &'static CStr {
        match self {
            Worker::Launcher => c"pg_pinterest launcher",
            Worker::Supervisor => c"pg_pinterest supervisor",
            Worker::Database(_) => c"pg_pinterest worker",
            Worker::Tracking(_) => c"pg_pinterest tracking worker",
        }
    }
}
