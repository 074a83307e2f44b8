//! A database's worker: imports, refreshes and chores. It runs no statement on a table of a user's.

use std::sync::Arc;
use std::time::Duration;

use pgrx::pg_sys;
use tokio::sync::{Notify, watch};

use super::housekeeping::Chores;
use super::jobs::Database;
use super::lifetime::{Found, Stay, Then};
use super::main_thread::Duties;
use super::outcome::{self, Outcome};
use super::refresh::InHand;
use super::refresh_socket::Requests;
use super::registry::{Sent, Worker};
use super::{answers, embedding, import, main_thread, refresh, track, transaction, worker_process};
use crate::errors::Failure;
use crate::postgres::platform::NoCoreDump;
use crate::secrets::keys;
use crate::secrets::sealer::Sealer;
use crate::store;

/// What the network thread is told at its start, and again after a reload.
#[derive(Clone)]
pub struct Config {
    /// Hosts that requests may go to.
    pub endpoints: pinterest::Endpoints,
    /// Hosts that image URLs of tracked columns may name.
    pub tracked_endpoints: pinterest::Endpoints,
    /// Bytes of an image at most.
    pub max_image_bytes: usize,
    /// Images downloaded at the same time for one import.
    pub parallel_downloads: usize,
    /// How long to stay without work.
    pub idle_timeout: Duration,
    /// What becomes of images of several frames.
    pub animated_images: embedder::Animations,
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
    /// Refreshes under way, and answers that are not stored or settled yet.
    pub in_hand: Arc<InHand>,
}

/// Entry point of a database's worker.
#[pgrx::pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn pinterest_database_main(argument: pg_sys::Datum) {
    let kind = Worker::Database(pg_sys::Oid::from(argument.value() as u32));
    worker_process::begin(kind);
    let _no_core_dump = NoCoreDump::new();
    if kind.is_superfluous() || !may_serve() {
        return;
    }
    kind.start_siblings(Sent::own());
    let sent = Sent::own();
    answers::store_at_exit();
    let duties = Duties { reloaded: remember_keys, give_back: store::import::give_back };
    let Err(error) = main_thread::serve(move |context| run(context, sent), &duties) else { return };
    pgrx::log!("pg_pinterest: the worker cannot go on: {error}");
    // SAFETY: status 1, the launcher tries again later.
    unsafe { pg_sys::proc_exit(1) };
}

fn remember_keys() {
    if let Err(failure) = keys::remember() {
        pgrx::log!("pg_pinterest: the keys before the reload stay: {failure}");
    }
}

/// Is the extension here, in this library's version, and may this cluster send requests out? Keys come last: most databases of a cluster have nothing to open.
fn may_serve() -> bool {
    // Nothing that is looked at here may keep the launcher from other databases.
    main_thread::pin_settings();
    if !transaction::go_on_as_worker() {
        outcome::tell(Outcome::Nothing);
        return false;
    }
    let found = transaction::run(is_here).and_then(|found| {
        if found == Outcome::Serving {
            keys::remember()?;
            transaction::run(check_keys)?;
        }
        Ok(found)
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

/// The network thread: looks for work whenever somebody woke it, and by the clock; ends when there was none for a while.
async fn run(context: Context, sent: Sent) {
    let mut imports = import::Imports::new(context.clone(), embedding::Gate::new());
    let mut tracked = track::Starter::new(context.clone());
    let mut refreshes = refresh::Refreshes::new(context.clone());
    let mut chores = Chores::new(context.clone());
    let requests = match Requests::new(context.clone()) {
        Ok(requests) => requests,
        Err(error) => {
            context.database.log(format!("no socket for requests: {error}")).await;
            return;
        }
    };
    let mut stay = Stay::new(&context, sent);
    loop {
        match context.database.run(store::extension::version).await {
            Ok(Some(version)) if version == env!("CARGO_PKG_VERSION") => {}
            // Updated under a library of another version. What Pinterest gave has no other place to go.
            Ok(Some(_)) if context.in_hand.is_any() => {
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
            // That, or dropped.
            Ok(_) => {
                context.database.have_done(|| outcome::tell(Outcome::Nothing)).await;
                return;
            }
            Err(_) => {}
        }
        imports.look_for_work().await;
        tracked.look_for_rows().await;
        refreshes.look_for_work().await;
        chores.look_for_work().await;
        let found = Found {
            busy: imports.are_running() || context.in_hand.is_any() || requests.are_running(),
            finishing: chores.are_running(),
            next_wake: imports.next_wake().into_iter().chain(tracked.next_look()).min(),
        };
        let pause = match stay.after(&context, found).await {
            Then::LookAgain => continue,
            Then::Leave => return,
            Then::Wait(pause) => pause,
        };
        tokio::select! {
            () = context.wake.notified() => {}
            () = imports.one_ends(), if imports.are_running() => {}
            () = chores.one_ends(), if chores.are_running() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
