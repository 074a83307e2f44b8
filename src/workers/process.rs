//! What every worker process does at its start, and how it waits.

use std::ffi::CStr;

use pgrx::pg_sys;

use super::farewell;

/// Installs the handlers, unblocks signals, and connects: to `database`, or to the shared catalogs alone.
///
/// SIGTERM ends the process inside any wait or statement (`die`, as in a client backend); pgrx's own handler sets a
/// flag that statement execution ignores. SIGUSR1 keeps the server's handler, without which DROP DATABASE would hang.
pub fn begin(database: Option<pg_sys::Oid>) {
    // SAFETY: first calls of a worker's main function, in the order that bgworker.c asks for.
    unsafe {
        pg_sys::pqsignal(libc::SIGTERM, Some(die));
        pg_sys::pqsignal(libc::SIGHUP, Some(reload));
        pg_sys::BackgroundWorkerUnblockSignals();
        match database {
            Some(oid) => pg_sys::BackgroundWorkerInitializeConnectionByOid(oid, pg_sys::InvalidOid, 0),
            None => pg_sys::BackgroundWorkerInitializeConnection(std::ptr::null(), std::ptr::null(), 0),
        }
    }
}

// The bindings' own wrappers guard against longjmp, which a signal handler neither needs nor may do.
unsafe extern "C-unwind" fn die(signal: i32) {
    farewell::on_sigterm(signal);
}

unsafe extern "C-unwind" fn reload(signal: i32) {
    // SAFETY: async-signal-safe by its purpose.
    unsafe { pg_sys::SignalHandlerForConfigReload(signal) }
}

/// Reads the configuration anew where a reload was asked for; true where it was.
pub fn take_reload() -> bool {
    // SAFETY: main thread, outside a transaction.
    unsafe {
        let pending = pg_sys::ConfigReloadPending != 0;
        if pending {
            pg_sys::ConfigReloadPending = 0;
            pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP);
        }
        pending
    }
}

/// Shows in pg_stat_activity what the worker does; `None`: idle.
pub fn show_activity(activity: Option<&CStr>) {
    // SAFETY: a NUL-terminated string, copied by the callee.
    unsafe {
        match activity {
            Some(text) => pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, text.as_ptr()),
            None => pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_IDLE, std::ptr::null()),
        }
    }
}
