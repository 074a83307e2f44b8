//! Who calls, and writing with the rights of `pinterest_worker` instead of the caller's.

use std::ffi::CStr;

use pgrx::pg_sys;

use crate::errors::{Failure, Kind};

/// The role that owns every write; made by the install script.
pub const WORKER_ROLE: &CStr = c"pinterest_worker";

/// The current role's name.
pub fn current_role() -> String {
    // SAFETY: the current user is a role that exists, or the call raises an ERROR; the result is palloc'ed text.
    unsafe { CStr::from_ptr(pg_sys::GetUserNameFromId(pg_sys::GetUserId(), false)) }.to_string_lossy().into_owned()
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

/// Restores the caller's identity, also when an ERROR unwinds.
struct Restore {
    user: pg_sys::Oid,
    context: i32,
}

impl Drop for Restore {
    fn drop(&mut self) {
        // SAFETY: values that GetUserIdAndSecContext gave.
        unsafe { pg_sys::SetUserIdAndSecContext(self.user, self.context) };
    }
}

/// Runs `work` as `pinterest_worker`, the way a foreign-key check runs as the table's owner.
///
/// The callers are functions that have checked the caller's rights; they run only statements of `store`, so nobody's
/// code runs with these rights. It spares SECURITY DEFINER and grants on tables that hold tokens.
pub fn as_worker<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let role = worker_role()?;
    let mut restore = Restore { user: pg_sys::InvalidOid, context: 0 };
    // SAFETY: the pair read here is put back by `restore`; an aborting transaction puts it back as well.
    unsafe {
        pg_sys::GetUserIdAndSecContext(&raw mut restore.user, &raw mut restore.context);
        pg_sys::SetUserIdAndSecContext(role, restore.context | pg_sys::SECURITY_LOCAL_USERID_CHANGE as i32);
    }
    work()
}
