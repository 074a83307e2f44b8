//! The main thread of a worker of a database: starts the network thread, then runs its jobs in short transactions and waits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pgrx::pg_sys;
use tokio::sync::{Notify, watch};

use super::context::{Config, Context};
use super::in_hand::InHand;
use super::log::{self, About};
use super::presence::{self, Finding};
use super::{finding, jobs, network, registry, shutdown, transaction, worker_process};
use crate::errors::{Failure, Kind};
use crate::postgres::majors;
use crate::postgres::threads::{self, WaitEvent};

/// The longest time between two heartbeats of the main loop.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// How long the main loop may run jobs before it checks signals and settings again, even if more wait.
const SLICE: Duration = Duration::from_millis(200);
/// How long a paused worker waits for the answer to a refresh.
const LAST_ANSWERS: Duration = Duration::from_secs(3);

/// A job that takes longer may have waited for a lock or run code that sleeps, and such waits reset the latch.
const LONG_JOB: Duration = Duration::from_millis(50);

/// Settings that a worker needs, whatever the database or the role sets.
const PINNED: [(&str, &str); 11] = [
    // A role that the database sets would remain the current role when the session becomes pinterest_worker's.
    ("role", "none"),
    // A worker does not wait long inside a transaction for VACUUM FULL or DROP EXTENSION; it tries again later.
    ("lock_timeout", "2s"),
    // Claims depend on each statement seeing what was committed before it.
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_deferrable", "off"),
    ("default_transaction_read_only", "off"),
    // No client waits in a transaction here, and only statements that an administrator has slowed down take long.
    ("statement_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("idle_session_timeout", "0"),
    // Foreign keys of the extension's tables are checked, and triggers of users' tables run.
    ("session_replication_role", "origin"),
    // Statements find rows by key. Compiling one takes longer than running it.
    ("jit", "off"),
    // Code of a table's owner must not run in another process.
    ("max_parallel_workers_per_gather", "0"),
];

/// Sets [`PINNED`] and the like of newer majors for this process. Before anything is read.
pub fn pin_settings() {
    PINNED.iter().chain(&majors::PINNED_SETTINGS).for_each(|(name, value)| set(name, value));
}

fn set(name: &str, value: &str) {
    let (Ok(name), Ok(value)) = (std::ffi::CString::new(name), std::ffi::CString::new(value)) else { return };
    // SAFETY: NUL-terminated strings, copied by the server; main thread.
    unsafe {
        pg_sys::SetConfigOption(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_SUSET,
            pg_sys::GucSource::PGC_S_OVERRIDE,
        );
    }
}

/// Duties of a kind of worker besides its jobs.
pub struct Duties {
    /// After each reload.
    pub reloaded: fn(),
    /// Releases the claims of the process with that identity.
    pub release_claims: fn(&str) -> Result<(), Failure>,
}

/// Runs `network` on the network thread and its jobs on this one, until it ends or the database is paused.
///
/// # Errors
/// [`Kind::Config`] if a setting cannot be used, [`Kind::Busy`] if a thread cannot be started.
pub fn serve<F: Future<Output = ()>>(
    network: impl FnOnce(Context) -> F + Send + 'static,
    duties: &Duties,
) -> Result<(), Failure> {
    let busy = |error: std::io::Error| Failure::new(Kind::Busy, error.to_string());
    let (bell, waiter) = threads::bell().map_err(busy)?;
    let (database, jobs) = jobs::queue(bell);
    let (settings_changed, config) = watch::channel(Config::current()?);
    let wake = Arc::new(Notify::new());
    let context = Context {
        database,
        identity: registry::own_identity().into(),
        config,
        in_hand: InHand::new(wake.clone()),
        wake: wake.clone(),
    };
    let identity = context.identity.clone();
    network::start(move || network(context)).map_err(busy)?;
    worker_process::show_activity(None);
    let mut paused: Option<Instant> = None;
    let mut more = false;
    loop {
        presence::beat();
        let woken = waiter.wait(WaitEvent::Main, Some(if more { Duration::ZERO } else { HEARTBEAT }));
        if worker_process::take_reload() {
            (duties.reloaded)();
            match Config::current() {
                Ok(config) => {
                    settings_changed.send_replace(config);
                }
                Err(failure) => log::line(About::Database, format_args!("keeping the previous settings: {failure}")),
            }
        }
        worker_process::show_activity(Some(c"working"));
        let begun = Instant::now();
        more = jobs.run_waiting(SLICE);
        if woken.latch || begun.elapsed() >= LONG_JOB {
            wake.notify_one();
        }
        worker_process::show_activity(None);
        if network::has_ended() {
            while jobs.run_waiting(SLICE) {}
            return Ok(());
        }
        if presence::is_paused(crate::postgres::platform::current_database()) {
            let since = paused.get_or_insert_with(Instant::now);
            if !shutdown::is_outstanding() || since.elapsed() >= LAST_ANSWERS {
                network::end();
                finding::report(Finding::Terminated);
                return transaction::run(|| (duties.release_claims)(&identity));
            }
        }
    }
}
