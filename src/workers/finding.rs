//! A database worker's report to the launcher, which decides by it when to start the next one.

use std::sync::atomic::{AtomicBool, Ordering};

use pgrx::pg_sys;

use super::presence::{self, Finding};
use super::shutdown;

/// Has this process reported?
static HAS_REPORTED: AtomicBool = AtomicBool::new(false);

/// The number of the launcher's visit that this process was started for.
fn own_visit() -> Option<usize> {
    // SAFETY: set in every background worker, copied from its registration.
    unsafe {
        let entry = pg_sys::MyBgworkerEntry;
        if entry.is_null() { None } else { usize::try_from((*entry).bgw_extra[1]).ok()?.checked_sub(1) }
    }
}

/// Reports a finding, if the launcher has started this process.
pub fn report(finding: Finding) {
    HAS_REPORTED.store(true, Ordering::Relaxed);
    if let Some(visit) = own_visit() {
        // SAFETY: a plain read; the argument of a database worker is its database.
        let database = unsafe { (*pg_sys::MyBgworkerEntry).bgw_main_arg.value() };
        presence::report(visit, pg_sys::Oid::from(database as u32), finding);
    }
}

/// Reports for a process that ends with this status without having done so.
pub fn at_exit(code: i32) {
    if shutdown::was_told() {
        report(Finding::Terminated);
    } else if code != 0 {
        report(Finding::Failed);
    } else if !HAS_REPORTED.load(Ordering::Relaxed) {
        report(Finding::Idle);
    }
}
