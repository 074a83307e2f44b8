//! The differences between major versions of Postgres, in one place: no other file asks for the major.
//!
//! The supported majors are the Cargo features `pg15` to `pg18`; build.rs refuses others. What only a newer major has is offered
//! here with the same signature for all: a no-op, an empty list or `None` on an older one.

use std::ffi::{CStr, c_int};

use pgrx::pg_sys;

/// Settings that exist from some major on, which a worker needs whatever its database or role sets.
#[cfg(any(feature = "pg15", feature = "pg16"))]
pub const PINNED_SETTINGS: [(&str, &str); 0] = [];
/// Settings that exist from some major on, which a worker needs whatever its database or role sets.
#[cfg(not(any(feature = "pg15", feature = "pg16")))]
pub const PINNED_SETTINGS: [(&str, &str); 1] = [("transaction_timeout", "0")];

/// The privilege to run VACUUM, ANALYZE, REINDEX and the like on another role's table, if there is one.
pub const MAINTENANCE: Option<&str> =
    if cfg!(any(feature = "pg15", feature = "pg16")) { None } else { Some("MAINTAIN") };

/// Installs the handler of a signal.
///
/// # Safety
/// The handler calls only what is safe in a signal handler of the server.
pub unsafe fn on_signal(signal: c_int, handler: unsafe extern "C-unwind" fn(c_int)) {
    // SAFETY: the caller's promise. Postgres 18 has another function of the old name for programs outside the server.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        pg_sys::pqsignal(signal, Some(handler));
        #[cfg(feature = "pg18")]
        pg_sys::pqsignal_be(signal, Some(handler));
    }
}

/// Ends this process; 1 as the status of a background worker lets the postmaster start it again.
///
/// # Safety
/// On the main thread, and as for `proc_exit` of the server: callbacks of the process' end run.
pub unsafe fn exit(status: c_int) -> ! {
    // SAFETY: the caller's promise.
    unsafe { pg_sys::proc_exit(status) };
    // The bindings of Postgres 18 do not say that it never returns.
    #[cfg(feature = "pg18")]
    std::process::abort()
}

/// The entry of a session in the local copy of the states of all sessions; null if there is none.
///
/// # Safety
/// `index` is between 1 and `pgstat_fetch_stat_numbackends()`.
pub unsafe fn local_session(index: c_int) -> *mut pg_sys::LocalPgBackendStatus {
    // SAFETY: the caller's promise.
    unsafe {
        #[cfg(feature = "pg15")]
        return pg_sys::pgstat_fetch_stat_local_beentry(index);
        #[cfg(not(feature = "pg15"))]
        return pg_sys::pgstat_get_local_beentry_by_index(index);
    }
}

/// The number of a wait event of this library, which is shown by this name in pg_stat_activity. Before Postgres 17 extensions have
/// one event, `Extension`.
pub fn wait_event(name: &CStr) -> u32 {
    #[cfg(any(feature = "pg15", feature = "pg16"))]
    let number = {
        let _ = name;
        pg_sys::PG_WAIT_EXTENSION
    };
    #[cfg(not(any(feature = "pg15", feature = "pg16")))]
    let number = {
        // SAFETY: a plain read of a process-wide variable.
        let held = unsafe { pg_sys::InterruptHoldoffCount };
        // Fails if all extensions together have too many names.
        pgrx::PgTryBuilder::new(std::panic::AssertUnwindSafe(|| {
            // SAFETY: main thread of a process with access to shared memory; a NUL-terminated string, which the server copies.
            unsafe { pg_sys::WaitEventExtensionNew(name.as_ptr()) }
        }))
        .catch_others(move |_| {
            // SAFETY: main thread. The server raises that ERROR with the lock of the names held, which the next process to ask
            // for a name would wait for; a process that is about to wait holds no other lock of this kind. An ERROR has set
            // the count of held interrupts to zero.
            unsafe {
                pg_sys::LWLockReleaseAll();
                pg_sys::InterruptHoldoffCount = held;
            }
            pg_sys::PG_WAIT_EXTENSION
        })
        .execute()
    };
    number
}
