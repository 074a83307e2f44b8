//! The start of every worker process, reloads, and the activity that it shows.

use std::ffi::CStr;

use pgrx::pg_sys;

use super::kind::Worker;
use super::log::{self, About};
use super::{deaths, registry, shutdown};
use crate::postgres::{majors, platform};
use crate::{owner_code, statistics};

/// Installs the signal handlers, unblocks signals, lists the process among the running workers, and connects to the worker's
/// database, or only to the shared catalogs. Ends the process if it may not start. Workers of a database attach to its
/// statistics by [`attach_statistics`] later.
///
/// SIGTERM ends the process inside any wait or statement, as `die` does in a client backend; pgrx's handler sets a flag that
/// statement execution ignores. SIGUSR1 keeps the server's handler, without which DROP DATABASE would hang.
pub fn begin(worker: Worker) {
    platform::remember_search_path();
    // SAFETY: first calls of a worker's main function, in the order that bgworker.c requires.
    unsafe {
        majors::on_signal(libc::SIGTERM, die);
        majors::on_signal(libc::SIGHUP, reload);
        majors::on_signal(libc::SIGQUIT, quit);
        pg_sys::BackgroundWorkerUnblockSignals();
        match registry::join(worker) {
            Ok(true) => {}
            Ok(false) => majors::exit(0),
            Err(failure) => {
                log::line(About::Server, failure);
                majors::exit(1);
            }
        }
        match worker.database() {
            pg_sys::InvalidOid => pg_sys::BackgroundWorkerInitializeConnection(std::ptr::null(), std::ptr::null(), 0),
            oid => pg_sys::BackgroundWorkerInitializeConnectionByOid(oid, pg_sys::InvalidOid, 0),
        }
    }
    if worker.database() == pg_sys::InvalidOid {
        attach_statistics();
    }
}

/// Attaches this process to the statistics, where its database takes a place. So a worker of a database calls this once it knows
/// that the extension exists there: the launcher visits other databases too.
pub fn attach_statistics() {
    if let Err(failure) = statistics::attach() {
        log::line(About::Server, format_args!("no statistics: {failure}"));
    }
}

// Not the wrappers of the bindings: they guard against longjmp, which a signal handler must not use.
unsafe extern "C-unwind" fn die(signal: i32) {
    shutdown::on_sigterm(signal);
}

/// The server ends this process at once, because another one crashed or because of an immediate shutdown.
unsafe extern "C-unwind" fn quit(signal: i32) {
    deaths::ended_in_order();
    owner_code::withdraw();
    // SAFETY: the default handler of a background worker for this signal.
    unsafe { pg_sys::SignalHandlerForCrashExit(signal) }
}

unsafe extern "C-unwind" fn reload(signal: i32) {
    // SAFETY: a signal handler of the server.
    unsafe { pg_sys::SignalHandlerForConfigReload(signal) }
}

/// Reads the configuration again if a reload was requested; true if so.
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

/// Shows the worker's activity in pg_stat_activity; `None`: idle.
pub fn show_activity(activity: Option<&CStr>) {
    // SAFETY: a NUL-terminated string, copied by the server.
    unsafe {
        match activity {
            Some(text) => pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, text.as_ptr()),
            None => pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_IDLE, std::ptr::null()),
        }
    }
}
