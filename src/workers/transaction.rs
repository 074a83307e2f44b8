//! Short transactions of a worker. pgrx's `BackgroundWorker::transaction` commits the writes of a closure that returns
//! `Err`, and leaves an aborted transaction open after a caught ERROR; this one does neither.
//!
//! A worker's session begins as the bootstrap superuser, because the server does not accept a role without LOGIN, and the
//! server remembers that: `SET SESSION AUTHORIZATION` would always be allowed. So every transaction of a worker is a
//! security-restricted operation, from its start until just before its commit. The server then refuses to set or reset the
//! session's user or role in all code that runs in it.
//!
//! From Postgres 17 on a session could begin as such a role (`BGWORKER_BYPASS_ROLELOGINCHECK`). That is not used: such a session
//! needs CONNECT on its database, which administrators revoke from PUBLIC, and takes over the settings of the role in the
//! database; it ends with FATAL where the role is missing; and the restricted operation would be needed all the same.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU32, Ordering};

use pgrx::{PgTryBuilder, pg_sys};

use super::log::{self, About};
use crate::errors::{Failure, Kind};
use crate::postgres::identity;

/// Makes the session `pinterest_worker`'s; false if that role does not exist, so the extension neither, or if the session
/// still has another role.
pub fn become_worker() -> bool {
    // SAFETY: main thread of a worker, no transaction open; reads a shared catalog and runs no SQL.
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
            log::line(About::Database, "idle: could not set the session's role to pinterest_worker");
        }
        is_worker
    }
}

static FAILURES: AtomicU32 = AtomicU32::new(0);

/// How many transactions of this process have failed.
pub fn failures() -> u32 {
    FAILURES.load(Ordering::Relaxed)
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
            // SAFETY: closes the transaction that was opened above. No user code is left to run: in a restricted operation the
            // server refuses to defer a trigger until the commit.
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
    // SAFETY: aborts an open transaction, which restores user and context; then reports table statistics, without which
    // autovacuum does not notice a worker's writes.
    unsafe {
        if result.is_err() {
            FAILURES.fetch_add(1, Ordering::Relaxed);
            pg_sys::AbortCurrentTransaction();
        }
        // Session-level advisory locks of user code would outlive the transaction and fill the shared lock table. The worker
        // itself takes none.
        pg_sys::LockReleaseSession(pg_sys::USER_LOCKMETHOD as pg_sys::LOCKMETHODID);
        pg_sys::pgstat_report_stat(false);
    }
    result
}

/// Restricts the rest of the transaction; returns the user that it runs as.
///
/// # Safety
/// Main thread, at the start of a transaction.
unsafe fn restrict() -> pg_sys::Oid {
    let (mut user, mut context) = (pg_sys::InvalidOid, 0);
    // SAFETY: as the caller ensures; the pair is restored before the commit, or by the abort.
    unsafe {
        pg_sys::GetUserIdAndSecContext(&raw mut user, &raw mut context);
        pg_sys::SetUserIdAndSecContext(user, context | identity::RESTRICTED as i32);
    }
    user
}
