//! A database's worker: the main thread runs jobs in short transactions and waits; the network thread decides.

use std::sync::Arc;
use std::time::Duration;

use pgrx::pg_sys;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::bridge::{Database, bridge};
use super::chores::Chores;
use super::outcome::{self, Outcome};
use super::registry::{self, Sent, Worker};
use super::requests::Requests;
use super::{embedding, farewell, import, network, presence, process, refresh, track, transaction};
use crate::errors::Failure;
use crate::platform::NoCoreDump;
use crate::store;
use crate::tokens::Sealer;
use crate::{keys, settings, threads};

/// Looks for work that no latch announced: with work waiting, and without.
const POLL: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));
/// Right after its start a worker may have been started by a transaction that is not over yet.
const FIRST_POLLS: (u32, Duration) = (50, Duration::from_millis(200));
/// Between two signs of life of the main loop at the most.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// How long the main loop may run jobs before it goes round, however many wait.
const SLICE: Duration = Duration::from_millis(200);
/// How long the answer to a refresh is waited for when the database is paused.
const LAST_ANSWERS: Duration = Duration::from_secs(3);

/// What the network thread is told at its start, and again after a reload.
#[derive(Clone)]
pub struct Config {
    /// Hosts that requests may go to.
    pub endpoints: pinterest::Endpoints,
    /// Hosts that image URLs of tracked columns may name.
    pub tracked_endpoints: pinterest::Endpoints,
    /// Images downloaded at the same time for one import.
    pub parallel_downloads: usize,
    /// How long to stay without work.
    pub idle_timeout: Duration,
    /// Embeddings may be copied between accounts.
    pub reuse_across_accounts: bool,
    /// How long imported rows live; `None` for ever.
    pub retention: Option<Duration>,
}

/// What every task on the network thread shares.
#[derive(Clone)]
pub struct Context {
    /// The way to the database.
    pub database: Database,
    /// This process' identity in claims.
    pub identity: Arc<str>,
    /// Settings, as of the last reload.
    pub config: watch::Receiver<Config>,
    /// Rings when somebody committed work, or asked for an end.
    pub wake: Arc<Notify>,
}

/// Entry point of a database's worker.
#[pgrx::pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn pinterest_database_main(argument: pg_sys::Datum) {
    let kind = Worker::Database(pg_sys::Oid::from(argument.value() as u32));
    process::begin(kind);
    let _no_core_dump = NoCoreDump::new();
    if kind.is_superfluous() || !may_serve() {
        return;
    }
    kind.start_siblings(Sent::own());
    let started = match serve(Sent::own()) {
        Ok(()) => return,
        Err(error) => error,
    };
    pgrx::log!("pg_pinterest: the worker cannot go on: {started}");
    // SAFETY: status 1, the launcher tries again later.
    unsafe { pg_sys::proc_exit(1) };
}

/// Is the extension here, in this library's version, and may this cluster send requests out? Then the process goes on
/// as `pinterest_worker`, without a way back. Keys come last: most databases of a cluster have nothing to open.
fn may_serve() -> bool {
    // Nothing that is looked at here may keep the launcher from other databases.
    set("lock_timeout", "2s");
    let found = transaction::run(is_here).and_then(|found| {
        if found != Outcome::Serving {
            return Ok(found);
        }
        keys::remember()?;
        transaction::run(become_worker)
    });
    let outcome = found.unwrap_or_else(|failure| {
        let hint = failure.hint().map(|hint| format!(" HINT: {hint}")).unwrap_or_default();
        pgrx::log!("pg_pinterest: idle: {failure}.{hint}");
        Outcome::Failed
    });
    if outcome != Outcome::Serving {
        outcome::tell(outcome);
    }
    outcome == Outcome::Serving
}

fn is_here() -> Result<Outcome, Failure> {
    match store::extension::version()? {
        None => return Ok(Outcome::Nothing),
        Some(version) if version != env!("CARGO_PKG_VERSION") => {
            pgrx::log!(
                "pg_pinterest: the library is {}, the SQL objects are {version}: ALTER EXTENSION pg_pinterest UPDATE",
                env!("CARGO_PKG_VERSION")
            );
            return Ok(Outcome::Failed);
        }
        Some(_) => {}
    }
    if let Some(installation) = store::installation::find()?
        && let Err(copy) = installation.check_not_a_copy()
    {
        pgrx::log!("pg_pinterest: idle: {copy}");
        return Ok(Outcome::Nothing);
    }
    Ok(Outcome::Serving)
}

fn become_worker() -> Result<Outcome, Failure> {
    check_keys()?;
    let role = crate::identity::worker_role()?;
    // SAFETY: the process began as a superuser; from here on it is a role without rights beyond our tables.
    unsafe { pg_sys::SetSessionAuthorization(role, false) };
    Ok(Outcome::Serving)
}

/// Do the keys at hand open what is sealed here? A worker without the right ones would find each account broken.
fn check_keys() -> Result<(), Failure> {
    if store::installation::find()?.is_none() {
        return Ok(());
    }
    let sealer = Sealer::open()?;
    let (known, missing) = sealer.named_keys()?;
    if missing.is_empty() {
        return Ok(());
    }
    let failure = sealer.missing_keys(&missing);
    if known.is_empty() {
        return Err(failure);
    }
    pgrx::log!("pg_pinterest: {failure}");
    Ok(())
}

fn config() -> Result<Config, Failure> {
    Ok(Config {
        endpoints: settings::endpoints()?,
        tracked_endpoints: settings::tracked_endpoints()?,
        parallel_downloads: settings::parallel_downloads(),
        idle_timeout: settings::worker_idle_timeout(),
        reuse_across_accounts: settings::reuse_across_accounts(),
        retention: settings::retention(),
    })
}

fn serve(sent: Sent) -> Result<(), Failure> {
    // A lock of a VACUUM FULL or DROP EXTENSION is waited for in the next round, not inside a transaction: `lock_timeout`
    // is set already.
    // Claims rest on each statement's seeing what was committed before it, whatever the database's default is.
    set("default_transaction_isolation", "read committed");
    set("default_transaction_deferrable", "off");
    // Nobody waits in a transaction here, and no statement takes long but those of an administrator's making.
    set("statement_timeout", "0");
    set("idle_in_transaction_session_timeout", "0");
    let trouble = |error: std::io::Error| Failure::new(crate::errors::Kind::Busy, error.to_string());
    let (bell, ear) = threads::bell().map_err(trouble)?;
    let (database, jobs) = bridge(bell);
    let (settings_changed, config_watch) = watch::channel(config()?);
    let wake = Arc::new(Notify::new());
    let context =
        Context { database, identity: registry::own_identity().into(), config: config_watch, wake: wake.clone() };
    let identity = context.identity.clone();
    network::start(move || run(context, sent)).map_err(trouble)?;
    process::show_activity(None);
    let mut paused: Option<std::time::Instant> = None;
    let mut more = false;
    loop {
        presence::beat();
        let woken = ear.wait(Some(if more { Duration::ZERO } else { HEARTBEAT }));
        if process::take_reload() {
            if let Err(failure) = keys::remember() {
                pgrx::log!("pg_pinterest: the keys before the reload stay: {failure}");
            }
            match config() {
                Ok(config) => {
                    settings_changed.send_replace(config);
                }
                Err(failure) => pgrx::log!("pg_pinterest: the settings before the reload stay: {failure}"),
            }
        }
        process::show_activity(Some(c"working"));
        if woken.latch {
            wake.notify_one();
        }
        more = jobs.run_waiting(SLICE);
        process::show_activity(None);
        if network::has_ended() {
            while jobs.run_waiting(SLICE) {}
            return Ok(());
        }
        // SAFETY: a plain read of a process-wide variable.
        if presence::is_paused(unsafe { pg_sys::MyDatabaseId }) {
            let since = paused.get_or_insert_with(std::time::Instant::now);
            if !farewell::is_outstanding() || since.elapsed() >= LAST_ANSWERS {
                network::end();
                outcome::tell(Outcome::Told);
                return transaction::run(|| store::import::give_back(&identity));
            }
        }
    }
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

/// The network thread: looks for work whenever somebody woke it, and by the clock; ends when there was none for a while.
async fn run(context: Context, sent: Sent) {
    let gate = embedding::Gate::new();
    let mut imports = import::Imports::new(context.clone(), gate.clone());
    let mut tracked = track::Tracked::new(context.clone(), gate);
    let mut refreshes = refresh::Refreshes::new(context.clone());
    let mut chores = Chores::new(context.clone());
    let requests = match Requests::new(context.clone()) {
        Ok(requests) => requests,
        Err(error) => {
            context.database.log(format!("no socket for requests: {error}")).await;
            return;
        }
    };
    let idle_timeout = || context.config.borrow().idle_timeout;
    // Sent to see whether anything is due, it leaves at once where nothing is.
    let mut stay_until = Instant::now() + if sent == Sent::ToLook { Duration::ZERO } else { idle_timeout() };
    let mut polls = 0;
    let mut leaving = false;
    let mut served = sent == Sent::ToWork;
    loop {
        match context.database.run(store::extension::version).await {
            Ok(Some(version)) if version == env!("CARGO_PKG_VERSION") => {}
            // Dropped, or updated under a library of another version.
            Ok(_) => {
                context.database.have_done(|| outcome::tell(Outcome::Nothing)).await;
                return;
            }
            Err(_) => {}
        }
        imports.look_for_work().await;
        tracked.look_for_work().await;
        refreshes.look_for_work().await;
        chores.look_for_work().await;
        let next_wake = imports.next_wake().into_iter().chain(tracked.next_wake()).min();
        let busy = imports.are_running() || tracked.are_running() || refreshes.are_running() || requests.are_running();
        if busy {
            stay_until = Instant::now() + idle_timeout();
            if !std::mem::replace(&mut served, true) {
                context.database.have_done(|| outcome::tell(Outcome::Serving)).await;
            }
        }
        let due_soon = next_wake.is_some_and(|wake| wake <= idle_timeout());
        if !busy && !chores.are_running() && !due_soon && Instant::now() >= stay_until {
            if leaving {
                if !served {
                    context.database.have_done(|| outcome::tell(Outcome::Rested)).await;
                }
                return;
            }
            // Marked first, then one more look, see `registry`.
            leaving = true;
            context.database.have_done(|| registry::mark_as_leaving(true)).await;
            continue;
        }
        if std::mem::take(&mut leaving) {
            context.database.have_done(|| registry::mark_as_leaving(false)).await;
        }
        polls += 1;
        let pause = match next_wake {
            _ if sent == Sent::ToWork && polls <= FIRST_POLLS.0 && !busy => FIRST_POLLS.1,
            Some(wake) => wake.clamp(Duration::from_millis(50), POLL.0),
            None if busy => POLL.0,
            None => POLL.1.min(idle_timeout()),
        };
        tokio::select! {
            () = context.wake.notified() => {}
            () = imports.one_ends(), if imports.are_running() => {}
            () = tracked.one_ends(), if tracked.are_running() => {}
            () = refreshes.one_ends(), if refreshes.are_running() => {}
            () = chores.one_ends(), if chores.are_running() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
