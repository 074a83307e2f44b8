//! What every worker process does at its start, and how it waits.

use std::ffi::CStr;

use pgrx::pg_sys;

use super::registry::{self, Worker};
use super::{deaths, shutdown};
use crate::owner_code;
use crate::postgres::platform;

/// Installs the handlers, unblocks signals, enters the process among those that run, and connects: to the worker's
/// database, or to the shared catalogs alone. Ends the process where it may not start.
///
/// SIGTERM ends the process inside any wait or statement (`die`, as in a client backend); pgrx's own handler sets a
/// flag that statement execution ignores. SIGUSR1 keeps the server's handler, without which DROP DATABASE would hang.
pub fn begin(worker: Worker) {
    platform::remember_search_path();
    // SAFETY: first calls of a worker's main function, in the order that bgworker.c asks for.
    unsafe {
        pg_sys::pqsignal(libc::SIGTERM, Some(die));
        pg_sys::pqsignal(libc::SIGHUP, Some(reload));
        pg_sys::pqsignal(libc::SIGQUIT, Some(quit));
        pg_sys::BackgroundWorkerUnblockSignals();
        match registry::join(worker) {
            Ok(true) => {}
            Ok(false) => pg_sys::proc_exit(0),
            Err(failure) => {
                pgrx::log!("pg_pinterest: {failure}");
                pg_sys::proc_exit(1);
            }
        }
        match worker.database() {
            pg_sys::InvalidOid => pg_sys::BackgroundWorkerInitializeConnection(std::ptr::null(), std::ptr::null(), 0),
            oid => pg_sys::BackgroundWorkerInitializeConnectionByOid(oid, pg_sys::InvalidOid, 0),
        }
    }
}

// The bindings' own wrappers guard against longjmp, which a signal handler neither needs nor may do.
unsafe extern "C-unwind" fn die(signal: i32) {
    shutdown::on_sigterm(signal);
}

/// The server ends this process at once, because another has crashed or it is told not to wait.
unsafe extern "C-unwind" fn quit(signal: i32) {
    deaths::ended_in_order();
    owner_code::withdraw();
    // SAFETY: what a background worker has for this signal by default.
    unsafe { pg_sys::SignalHandlerForCrashExit(signal) }
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
