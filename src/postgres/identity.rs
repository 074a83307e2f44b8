//! The roles that code runs as: the caller; `pinterest_worker`, which writes the extension's tables; and the owner of a user's
//! table, as which workers read and write that table.

use std::cell::{Cell, OnceCell};
use std::ffi::CStr;
use std::panic::AssertUnwindSafe;

use pgrx::{PgTryBuilder, pg_guard, pg_sys};

use crate::errors::{Failure, Kind};
use crate::owner::Owner;
use crate::owner_code;
use crate::postgres::session_settings::GucLevel;

/// The role that writes the extension's tables; created by the install script.
pub const WORKER_ROLE: &CStr = c"pinterest_worker";

/// The current role, as the owner of the rows that it inserts.
pub fn current_role() -> Owner {
    Owner::current()
}

/// The oid of `pinterest_worker`.
pub fn worker_role() -> Result<pg_sys::Oid, Failure> {
    // SAFETY: a catalog look-up inside a transaction.
    let oid = unsafe { pg_sys::get_role_oid(WORKER_ROLE.as_ptr(), true) };
    if oid == pg_sys::InvalidOid {
        return Err(Failure::new(Kind::NotReady, "the role pinterest_worker does not exist").with_hint(
            "CREATE EXTENSION creates the role. Drop the extension and create it again, or restore the role.",
        ));
    }
    Ok(oid)
}

/// A security-restricted operation with another current user.
pub const RESTRICTED: u32 = pg_sys::SECURITY_LOCAL_USERID_CHANGE | pg_sys::SECURITY_RESTRICTED_OPERATION;

/// Restores the caller's identity, also when an ERROR unwinds.
struct Restore {
    user: pg_sys::Oid,
    context: i32,
}

impl Restore {
    /// Changes the current role, and adds restrictions to the current ones, until this is dropped. An aborting transaction
    /// restores the identity as well.
    fn after_switch(role: pg_sys::Oid, restrictions: u32) -> Self {
        let mut before = Restore { user: pg_sys::InvalidOid, context: 0 };
        // SAFETY: main thread, inside a transaction; the pair read here is restored by `drop`.
        unsafe {
            pg_sys::GetUserIdAndSecContext(&raw mut before.user, &raw mut before.context);
            pg_sys::SetUserIdAndSecContext(role, before.context | restrictions as i32);
        }
        before
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        // SAFETY: values that GetUserIdAndSecContext gave.
        unsafe { pg_sys::SetUserIdAndSecContext(self.user, self.context) };
        FORCED_FROM_HERE.set(false);
    }
}

/// Runs `work` as `pinterest_worker`, the way a foreign-key check runs as the table's owner.
///
/// It is called by functions that have checked the caller's rights, and runs only statements of `store`, so no code of a user
/// runs with these rights. If any did, it could neither set a role nor leave anything behind: the operation is security
/// restricted. This replaces SECURITY DEFINER and grants on tables that contain tokens.
pub fn as_worker<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let _restore = Restore::after_switch(worker_role()?, RESTRICTED);
    work()
}

/// Runs `work` as a role whose rights the caller has, as between SET ROLE and RESET ROLE.
///
/// # Errors
/// [`Kind::NotYours`]: the caller does not have the role's rights.
pub fn as_role<T>(role: pg_sys::Oid, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    // SAFETY: a plain read of a process-wide variable, and a catalog look-up.
    if !unsafe { pg_sys::has_privs_of_role(pg_sys::GetUserId(), role) } {
        return Err(Failure::new(Kind::NotYours, "permission denied to act for another role"));
    }
    let _restore = Restore::after_switch(role, pg_sys::SECURITY_LOCAL_USERID_CHANGE);
    work()
}

/// As [`RESTRICTED`], and exempt from `FORCE ROW LEVEL SECURITY`, as the server itself is when it checks a foreign key as the
/// table's owner. Policies are written for the sessions of an application, which have a tenant; a worker has none, and hidden
/// rows would look like deleted ones.
const UNFORCED: u32 = RESTRICTED | pg_sys::SECURITY_NOFORCE_RLS;

/// Whether the owner is exempt from `FORCE ROW LEVEL SECURITY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policies {
    /// It is.
    Unforced,
    /// The first statement is, because policies become part of a statement before it runs; the triggers that it fires are not.
    /// In triggers, a policy that separates tenants must apply.
    UnforcedUntilItRuns,
}

thread_local! {
    /// The exemption of [`UNFORCED`] ends when the next statement runs.
    static FORCED_FROM_HERE: Cell<bool> = const { Cell::new(false) };
    static BEFORE: OnceCell<pg_sys::ExecutorStart_hook_type> = const { OnceCell::new() };
}

fn watch_executor() {
    BEFORE.with(|before| {
        before.get_or_init(|| {
            // SAFETY: the main thread; hooks are plain pointers of this process.
            unsafe {
                let before = pg_sys::ExecutorStart_hook;
                pg_sys::ExecutorStart_hook = Some(started);
                before
            }
        });
    });
}

#[pg_guard]
unsafe extern "C-unwind" fn started(query: *mut pg_sys::QueryDesc, flags: i32) {
    if FORCED_FROM_HERE.replace(false) {
        // SAFETY: clears a bit of the current restrictions; `Restore` restores them.
        unsafe {
            let (mut user, mut context) = (pg_sys::InvalidOid, 0);
            pg_sys::GetUserIdAndSecContext(&raw mut user, &raw mut context);
            pg_sys::SetUserIdAndSecContext(user, context & !(pg_sys::SECURITY_NOFORCE_RLS as i32));
        }
    }
    // SAFETY: the arguments that the server gave this hook.
    unsafe {
        match BEFORE.with(|before| before.get().copied().flatten()) {
            Some(before) => before(query, flags),
            None => pg_sys::standard_ExecutorStart(query, flags),
        }
    }
}

/// Runs `work` with the rights of a table's owner in a security-restricted operation, as REINDEX does for any caller: functions
/// in the table's indexes do not get the caller's rights. No row is hidden from it.
pub fn in_owners_name<T>(owner: pg_sys::Oid, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let _restore = Restore::after_switch(owner, UNFORCED);
    work()
}

/// How long a worker waits for a lock on a user's table or row. Shorter than the default of `deadlock_timeout`: in a deadlock
/// with a user's session, the worker is always the one that gives up.
const OWNERS_LOCK_TIMEOUT: &CStr = c"200ms";

/// Runs `work` as the owner of a user's table, in a tracking worker, inside [`owner_code::for_row`]. Code of the owner (triggers,
/// constraints, index expressions) runs with the owner's rights, never a worker's, and cannot drop them: the operation is
/// security restricted, as in autovacuum and in workers of logical replication, so that it can neither set a role nor restore the
/// session user nor leave anything behind that runs later. Settings made on the level that `work` gets are restored. If the code
/// takes longer than its limit, the process ends.
///
/// Deferred triggers are refused in such an operation; `SET CONSTRAINTS ALL IMMEDIATE` has to come before.
///
/// # Errors
/// [`Kind::TableRefused`] for any ERROR. The transaction must then be aborted, as a worker does on every `Err`.
pub fn as_table_owner<T>(
    owner: pg_sys::Oid,
    policies: Policies,
    work: impl FnOnce(&GucLevel) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let _restore = Restore::after_switch(owner, UNFORCED);
    watch_executor();
    FORCED_FROM_HERE.set(policies == Policies::UnforcedUntilItRuns);
    let settings = GucLevel::open();
    let result = owner_code::limited(|| {
        PgTryBuilder::new(AssertUnwindSafe(|| {
            settings.set(c"lock_timeout", OWNERS_LOCK_TIMEOUT);
            work(&settings)
        }))
        .catch_others(|error| Err(Failure::of_error(Kind::TableRefused, error)))
        .execute()
    });
    if result.is_err() {
        settings.leave_to_abort();
    }
    result
}
