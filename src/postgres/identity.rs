//! Who calls, writing with the rights of `pinterest_worker` instead of the caller's, and touching a user's table with
//! its owner's instead of a worker's.

use std::cell::{Cell, OnceCell};
use std::ffi::CStr;
use std::panic::AssertUnwindSafe;

use pgrx::{PgTryBuilder, pg_guard, pg_sys};

use crate::errors::{Failure, Kind};
use crate::owner::Owner;
use crate::postgres::session_settings::GucLevel;
use crate::trial;

/// The role that owns every write; made by the install script.
pub const WORKER_ROLE: &CStr = c"pinterest_worker";

/// The current role, as the owner of what it makes.
pub fn current_role() -> Owner {
    Owner::current()
}

/// The oid of `pinterest_worker`.
pub fn worker_role() -> Result<pg_sys::Oid, Failure> {
    // SAFETY: a catalog look-up inside a transaction.
    let oid = unsafe { pg_sys::get_role_oid(WORKER_ROLE.as_ptr(), true) };
    if oid == pg_sys::InvalidOid {
        return Err(Failure::new(Kind::NotReady, "the role pinterest_worker does not exist").with_hint(
            "CREATE EXTENSION made it and something dropped it: drop the extension and create it again, or restore the role.",
        ));
    }
    Ok(oid)
}

/// What the server calls a security-restricted operation, with a user of its own.
pub const RESTRICTED: u32 = pg_sys::SECURITY_LOCAL_USERID_CHANGE | pg_sys::SECURITY_RESTRICTED_OPERATION;

/// Restores the caller's identity, also when an ERROR unwinds.
struct Restore {
    user: pg_sys::Oid,
    context: i32,
}

impl Restore {
    /// Has the process act as `role` in addition to what restricts it already, until this is dropped. An aborting transaction
    /// puts the identity back as well.
    fn after_switch(role: pg_sys::Oid, restrictions: u32) -> Self {
        let mut before = Restore { user: pg_sys::InvalidOid, context: 0 };
        // SAFETY: main thread, inside a transaction; the pair read here is put back by `drop`.
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
/// The callers are functions that have checked the caller's rights; they run only statements of `store`, so nobody's
/// code runs with these rights. Were any to get there, it could neither set a role nor leave anything behind: the operation
/// is security restricted. It spares SECURITY DEFINER and grants on tables that hold tokens.
pub fn as_worker<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let _restore = Restore::after_switch(worker_role()?, RESTRICTED);
    work()
}

/// Runs `work` as a role whose rights the caller has: what SET ROLE would do, and undo, around one statement.
pub fn as_role<T>(role: pg_sys::Oid, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    // SAFETY: a plain read of a process-wide variable, and a catalog look-up.
    if !unsafe { pg_sys::has_privs_of_role(pg_sys::GetUserId(), role) } {
        return Err(Failure::new(Kind::NotYours, "permission denied to act for another role"));
    }
    let _restore = Restore::after_switch(role, pg_sys::SECURITY_LOCAL_USERID_CHANGE);
    work()
}

/// As [`RESTRICTED`], and without the policies that `FORCE ROW LEVEL SECURITY` has the owner obey: what the server itself does
/// where it checks a foreign key as the table's owner. A policy is made for the sessions of an application, which have a
/// tenant; a worker has none, and rows that it is not shown would look like rows that are gone.
const UNFORCED: u32 = RESTRICTED | pg_sys::SECURITY_NOFORCE_RLS;

/// Whether the owner's tables show everything to the owner, also where `FORCE ROW LEVEL SECURITY` says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policies {
    /// They do.
    Unforced,
    /// The first statement finds its rows whatever the policies are, which become part of it before it runs; what it fires
    /// obeys them. In triggers, a policy that keeps tenants apart has to do so.
    UnforcedUntilItRuns,
}

thread_local! {
    /// The next statement that runs ends [`UNFORCED`].
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
        // SAFETY: takes a bit from what is in force; `Restore` puts the whole back.
        unsafe {
            let (mut user, mut context) = (pg_sys::InvalidOid, 0);
            pg_sys::GetUserIdAndSecContext(&raw mut user, &raw mut context);
            pg_sys::SetUserIdAndSecContext(user, context & !(pg_sys::SECURITY_NOFORCE_RLS as i32));
        }
    }
    // SAFETY: what the server gave this hook.
    unsafe {
        match BEFORE.with(|before| before.get().copied().flatten()) {
            Some(before) => before(query, flags),
            None => pg_sys::standard_ExecutorStart(query, flags),
        }
    }
}

/// Runs `work` with the rights of a table's owner in a security-restricted operation, as REINDEX does whoever calls it:
/// what an index of the table's runs has no right of the caller's. No row is hidden from it.
pub fn in_owners_name<T>(owner: pg_sys::Oid, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let _restore = Restore::after_switch(owner, UNFORCED);
    work()
}

/// How long a lock on a user's table or row is waited for. Shorter than `deadlock_timeout` by default: of a worker and a
/// user who wait for each other it is always the worker that gives way.
const OWNERS_LOCK_TIMEOUT: &CStr = c"200ms";

/// Runs `work` as the owner of a user's table, in a tracking worker, inside of [`trial::of`]. Whatever of the owner's is
/// run on the way (triggers, constraints, index expressions) has the owner's rights, never a worker's, and cannot put them off:
/// the operation is security restricted, as for autovacuum and the workers of logical replication, so that no role can be
/// set, no session user restored and nothing left behind that runs later. Settings are put back. An ERROR becomes
/// [`Kind::TableRefused`]; the transaction is then of no use any more and has to be aborted, which is what a worker does on
/// every `Err`. Where it takes longer than it may, the process ends.
///
/// Deferred triggers are refused in such an operation; `SET CONSTRAINTS ALL IMMEDIATE` has to come before.
pub fn as_table_owner<T>(
    owner: pg_sys::Oid,
    policies: Policies,
    work: impl FnOnce(&GucLevel) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let _restore = Restore::after_switch(owner, UNFORCED);
    watch_executor();
    FORCED_FROM_HERE.set(policies == Policies::UnforcedUntilItRuns);
    let settings = GucLevel::open();
    let result = trial::limited(|| {
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
