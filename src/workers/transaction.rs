//! Short transactions of a worker. pgrx's `BackgroundWorker::transaction` commits what a closure wrote before it
//! returned `Err`, and leaves an aborted transaction behind after a caught ERROR; this one does neither.

use std::panic::AssertUnwindSafe;

use pgrx::{PgTryBuilder, pg_sys};

use crate::errors::{Failure, Kind};

/// Runs `work` in a transaction of its own: commits on `Ok`, aborts on `Err` and on an ERROR of the server.
pub fn run<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let result = PgTryBuilder::new(AssertUnwindSafe(|| {
        // SAFETY: main thread of a worker, no transaction open.
        unsafe {
            pg_sys::SetCurrentStatementStartTimestamp();
            pg_sys::StartTransactionCommand();
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        }
        let result = work();
        if result.is_ok() {
            // SAFETY: closes what was opened above.
            unsafe {
                pg_sys::PopActiveSnapshot();
                pg_sys::CommitTransactionCommand();
            }
        }
        result
    }))
    .catch_others(|error| Err(Failure::of_error(Kind::Database, error)))
    .execute();
    // SAFETY: aborts what is open, if anything; then reports table statistics, without which autovacuum never sees a
    // worker's writes.
    unsafe {
        if result.is_err() {
            pg_sys::AbortCurrentTransaction();
        }
        pg_sys::pgstat_report_stat(false);
    }
    result
}
