//! The database worker: imports, refreshes and housekeeping. It runs no statement on tables of users.

use std::time::Duration;

use pgrx::pg_sys;

use super::context::Context;
use super::housekeeping::Housekeeping;
use super::lifetime::{Found, Lifetime, Next};
use super::log::{self, About};
use super::main_thread::Duties;
use super::presence::Finding;
use super::refresh_socket::Requests;
use super::registry::{self, Sent, Worker};
use super::{answers, embedding, finding, import, main_thread, refresh, track, transaction, worker_process};
use crate::errors::Failure;
use crate::postgres::majors;
use crate::postgres::platform::NoCoreDump;
use crate::secrets::keys;
use crate::secrets::sealer::Sealer;
use crate::store;

/// Entry point of a database worker.
#[pgrx::pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn pinterest_database_main(argument: pg_sys::Datum) {
    let kind = Worker::Database(pg_sys::Oid::from(argument.value() as u32));
    worker_process::begin(kind);
    let _no_core_dump = NoCoreDump::new();
    if kind.is_superfluous() || !may_serve() {
        return;
    }
    worker_process::attach_statistics();
    registry::replace_outdated();
    answers::store_at_exit();
    let duties = Duties { reloaded: remember_keys, release_claims: store::import::give_back };
    let sent = Sent::own();
    let Err(error) = main_thread::serve(move |context| run(kind, sent, context), &duties) else { return };
    log::line(About::Database, format_args!("the worker cannot continue: {error}"));
    // SAFETY: status 1; the launcher tries again later.
    unsafe { majors::exit(1) };
}

fn remember_keys() {
    if let Err(failure) = keys::remember() {
        log::line(About::Database, format_args!("keeping the previous keys: {failure}"));
    }
}

/// Does the extension exist here, in this library's version, and may this cluster send requests? The keys come last: most
/// databases of a cluster contain no sealed values.
fn may_serve() -> bool {
    // Before anything is read that may keep the launcher from other databases.
    main_thread::pin_settings();
    if !transaction::become_worker() {
        finding::report(Finding::NoExtension);
        return false;
    }
    let found = transaction::run(check_extension).and_then(|found| {
        if found == Finding::Work {
            keys::remember()?;
            transaction::run(check_keys)?;
        }
        Ok(found)
    });
    let found = found.unwrap_or_else(|failure| {
        let hint = failure.hint().map(|hint| format!(" HINT: {hint}")).unwrap_or_default();
        log::line(About::Database, format_args!("idle: {failure}.{hint}"));
        Finding::Failed
    });
    if found != Finding::Work {
        finding::report(found);
    }
    found == Finding::Work
}

/// [`Finding::Work`] if there may be any.
fn check_extension() -> Result<Finding, Failure> {
    match store::extension::version()? {
        None => return Ok(Finding::NoExtension),
        Some(version) if version != env!("CARGO_PKG_VERSION") => {
            let library = env!("CARGO_PKG_VERSION");
            let hint = "HINT: Run ALTER EXTENSION pg_pinterest UPDATE.";
            let line = format_args!("idle: the library is {library}, the SQL objects are {version}. {hint}");
            log::line(About::Database, line);
            return Ok(Finding::Failed);
        }
        Some(_) => {}
    }
    if let Some(elsewhere) = store::citus::elsewhere()? {
        log::line(About::Database, format_args!("idle: {elsewhere}"));
        return Ok(Finding::NoExtension);
    }
    if let Some(installation) = store::installation::find()?
        && let Err(copy) = installation.check_not_a_copy()
    {
        log::line(About::Database, format_args!("idle: {copy}"));
        return Ok(Finding::NoExtension);
    }
    Ok(Finding::Work)
}

/// Do the available keys open the sealed values of this database? Without them every account would seem damaged.
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
    log::line(About::Database, failure);
    Ok(())
}

/// The network thread: checks for work when a session wakes it, and periodically; ends after a while without work.
async fn run(kind: Worker, sent: Sent, context: Context) {
    let mut imports = import::Imports::new(context.clone(), embedding::Gate::new(context.config.clone()));
    let mut tracked = track::Starter::new(context.clone());
    let mut refreshes = refresh::Refreshes::new(context.clone());
    let mut housekeeping = Housekeeping::new(context.clone());
    let requests = match Requests::new(context.clone()) {
        Ok(requests) => requests,
        Err(error) => {
            let line = format!("could not listen for requests of sessions: {error}");
            context.database.log(About::Database, line).await;
            return;
        }
    };
    let mut lifetime = Lifetime::new(kind, sent, &context);
    loop {
        match lifetime.begin_check(&context.database).await {
            Ok(Some(version)) if version == env!("CARGO_PKG_VERSION") => {}
            // Updated to another version than this library's. Answers from Pinterest must still be stored.
            Ok(Some(_)) if context.in_hand.is_any() => {
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
            // That, or the extension was dropped, or the server was added to a coordinator of Citus.
            Ok(_) => {
                context.database.run_infallible(|| finding::report(Finding::NoExtension)).await;
                return;
            }
            Err(_) => {}
        }
        imports.look_for_work().await;
        tracked.look_for_rows().await;
        refreshes.look_for_work().await;
        housekeeping.look_for_work().await;
        let found = Found {
            busy: imports.are_running() || context.in_hand.is_any() || requests.are_running(),
            more_is_due: imports.more_are_due(),
            finishing: housekeeping.are_running(),
            next_wake: imports.next_wake().into_iter().chain(tracked.next_check()).min(),
        };
        let pause = match lifetime.after(&context, found).await {
            Next::Check => continue,
            Next::Leave => return,
            Next::Wait(pause) => pause,
        };
        tokio::select! {
            () = context.wake.notified() => {}
            () = imports.one_ends(), if imports.are_running() => {}
            () = housekeeping.one_ends(), if housekeeping.are_running() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
