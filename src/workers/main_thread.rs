//! The main thread of a database's worker: starts the network thread, then runs its jobs in short transactions and waits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pgrx::pg_sys;
use tokio::sync::{Notify, watch};

use super::database::{Config, Context};
use super::jobs::bridge;
use super::outcome::{self, Outcome};
use super::{network, presence, registry, shutdown, transaction, worker_process};
use crate::errors::{Failure, Kind};
use crate::postgres::threads;
use crate::settings;

/// Between two signs of life of the main loop at the most.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// How long the main loop may run jobs before it goes round, however many wait.
const SLICE: Duration = Duration::from_millis(200);
/// How long the answer to a refresh is waited for when the database is paused.
const LAST_ANSWERS: Duration = Duration::from_secs(3);

/// A job that takes longer may have waited for a lock, or run code that sleeps. Such waits swallow a wake-up.
const LONG_JOB: Duration = Duration::from_millis(50);

/// Settings that the database or the role may have otherwise, and that a worker does not work with.
const PINNED: [(&str, &str); 11] = [
    // One that the database sets would stay the current role when the session becomes pinterest_worker's.
    ("role", "none"),
    // A lock of a VACUUM FULL or DROP EXTENSION is waited for in the next round, not inside a transaction.
    ("lock_timeout", "2s"),
    // Claims rest on each statement's seeing what was committed before it.
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_deferrable", "off"),
    ("default_transaction_read_only", "off"),
    // No client waits in a transaction here, and no statement takes long but those of an administrator's making.
    ("statement_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("idle_session_timeout", "0"),
    // Foreign keys of our tables hold, and triggers on users' tables run.
    ("session_replication_role", "origin"),
    // Statements find a row by its key. To compile one takes longer than to run it.
    ("jit", "off"),
    // A table owner's code runs in this process or not at all.
    ("max_parallel_workers_per_gather", "0"),
];

/// Sets for this process what [`PINNED`] names. Before anything is read.
pub fn pin_settings() {
    PINNED.iter().for_each(|(name, value)| set(name, value));
    #[cfg(any(feature = "pg17", feature = "pg18"))]
    set("transaction_timeout", "0");
}

fn set(name: &str, value: &str) {
    let (Ok(name), Ok(value)) = (std::ffi::CString::new(name), std::ffi::CString::new(value)) else { return };
    // SAFETY: NUL-terminated strings, copied by the callee; main thread.
    unsafe {
        pg_sys::SetConfigOption(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_SUSET,
            pg_sys::GucSource::PGC_S_OVERRIDE,
        );
    }
}

fn config() -> Result<Config, Failure> {
    Ok(Config {
        endpoints: settings::endpoints()?,
        tracked_endpoints: settings::tracked_endpoints()?,
        max_image_bytes: settings::max_image_bytes(),
        parallel_downloads: settings::parallel_downloads(),
        idle_timeout: settings::worker_idle_timeout(),
        animated_images: settings::animated_images(),
        reuse_across_accounts: settings::reuse_across_accounts(),
        retention: settings::retention(),
    })
}

/// What a kind of worker does beside its jobs.
pub struct Duties {
    /// After each reload.
    pub reloaded: fn(),
    /// Gives back what the process of that identity has in hand.
    pub give_back: fn(&str) -> Result<(), Failure>,
}

/// Runs `network` on the network thread, and here its jobs, until it ends or the database is paused.
///
/// # Errors
/// [`Kind::Config`] where a setting is of no use, [`Kind::Busy`] where no thread can be started.
pub fn serve<F: Future<Output = ()>>(
    network: impl FnOnce(Context) -> F + Send + 'static,
    duties: &Duties,
) -> Result<(), Failure> {
    let trouble = |error: std::io::Error| Failure::new(Kind::Busy, error.to_string());
    let (bell, waiter) = threads::bell().map_err(trouble)?;
    let (database, jobs) = bridge(bell);
    let (settings_changed, config_watch) = watch::channel(config()?);
    let wake = Arc::new(Notify::new());
    let context = Context {
        database,
        identity: registry::own_identity().into(),
        config: config_watch,
        wake: wake.clone(),
        in_hand: Arc::default(),
    };
    let identity = context.identity.clone();
    network::start(move || network(context)).map_err(trouble)?;
    worker_process::show_activity(None);
    let mut paused: Option<Instant> = None;
    let mut more = false;
    loop {
        presence::beat();
        let woken = waiter.wait(Some(if more { Duration::ZERO } else { HEARTBEAT }));
        if worker_process::take_reload() {
            (duties.reloaded)();
            match config() {
                Ok(config) => {
                    settings_changed.send_replace(config);
                }
                Err(failure) => pgrx::log!("pg_pinterest: the settings before the reload stay: {failure}"),
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
                outcome::tell(Outcome::Told);
                return transaction::run(|| (duties.give_back)(&identity));
            }
        }
    }
}
