//! Short transactions of a worker. pgrx's `BackgroundWorker::transaction` commits what a closure wrote before it
//! returned `Err`, and leaves an aborted transaction behind after a caught ERROR; this one does neither.
//!
//! A worker's session begins as the bootstrap superuser's, because the server lets no role in that cannot log in, and the
//! server remembers that for good: `SET SESSION AUTHORIZATION` would be allowed whatever the session has become since. So
//! every transaction of a worker is a security-restricted operation, from its start until just before its commit. The
//! server then refuses to set or reset the session's user or role, to whatever code is reached from it.

use std::panic::AssertUnwindSafe;

use pgrx::{PgTryBuilder, pg_sys};

use crate::errors::{Failure, Kind};
use crate::postgres::identity;

/// Has the session go on as `pinterest_worker`; false where there is no such role, so no extension either, or where the
/// session is another role's all the same.
pub fn go_on_as_worker() -> bool {
    // SAFETY: main thread of a worker, no transaction open; a look-up in a shared catalog and no SQL.
    unsafe {
        pg_sys::SetCurrentStatementStartTimestamp();
        pg_sys::StartTransactionCommand();
        let role = identity::worker_role();
        if let Ok(role) = role {
            pg_sys::SetSessionAuthorization(role, false);
        }
        pg_sys::CommitTransactionCommand();
        let is_worker = role.as_ref().is_ok_and(|role| pg_sys::GetUserId() == *role);
        if role.is_ok() && !is_worker {
            pgrx::log!("pg_pinterest: idle: the session cannot go on as the role pinterest_worker");
        }
        is_worker
    }
}

/// Runs `work` in a transaction of its own: commits on `Ok`, aborts on `Err` and on an ERROR of the server.
pub fn run<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let result = PgTryBuilder::new(AssertUnwindSafe(|| {
        // SAFETY: main thread of a worker, no transaction open.
        let user = unsafe {
            pg_sys::SetCurrentStatementStartTimestamp();
            pg_sys::StartTransactionCommand();
            let user = restrict();
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
            user
        };
        let result = work();
        if result.is_ok() {
            // SAFETY: closes what was opened above. No code of others is left to run: in a restricted operation the server
            // refuses to put a trigger off until the commit.
            unsafe {
                pg_sys::PopActiveSnapshot();
                pg_sys::SetUserIdAndSecContext(user, 0);
                pg_sys::CommitTransactionCommand();
            }
        }
        result
    }))
    .catch_others(|error| Err(Failure::of_error(Kind::Database, error)))
    .execute();
    // SAFETY: aborts what is open, if anything, which restores user and context; then reports table statistics, without
    // which autovacuum never sees a worker's writes.
    unsafe {
        if result.is_err() {
            pg_sys::AbortCurrentTransaction();
        }
        // What code of others locked for the session, with pg_advisory_lock(), would outlive it, and fill the shared table of
        // locks. A worker has no such lock of its own.
        pg_sys::LockReleaseSession(pg_sys::USER_LOCKMETHOD as pg_sys::LOCKMETHODID);
        pg_sys::pgstat_report_stat(false);
    }
    result
}

/// Restricts what is left of the transaction; the user that it runs as.
///
/// # Safety
/// Main thread, at the start of a transaction.
unsafe fn restrict() -> pg_sys::Oid {
    let (mut user, mut context) = (pg_sys::InvalidOid, 0);
    // SAFETY: the caller's; the pair is put back before the commit, or by the abort.
    unsafe {
        pg_sys::GetUserIdAndSecContext(&raw mut user, &raw mut context);
        pg_sys::SetUserIdAndSecContext(user, context | identity::RESTRICTED as i32);
    }
    user
}
