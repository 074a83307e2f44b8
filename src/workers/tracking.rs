//! The tracking worker. User code of tracked tables (triggers, policies, expressions) runs in this kind of worker only. This
//! process has no key, token or account. If such code ends the process, imports and refreshes continue in another one.

use pgrx::pg_sys;

use super::context::Context;
use super::lifetime::{Found, Lifetime, Next};
use super::log::{self, About};
use super::main_thread::Duties;
use super::registry::{self, Sent, Worker};
use super::{embedding, main_thread, shutdown, track, transaction, worker_process};
use crate::postgres::majors;
use crate::{owner_code, store};

/// Entry point of a tracking worker.
#[pgrx::pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn pinterest_tracking_main(argument: pg_sys::Datum) {
    let kind = Worker::Tracking(pg_sys::Oid::from(argument.value() as u32));
    worker_process::begin(kind);
    main_thread::pin_settings();
    if kind.is_superfluous() || !transaction::become_worker() || !may_serve() {
        return;
    }
    worker_process::attach_statistics();
    let identity = registry::own_identity();
    if let Err(error) = owner_code::begin(crate::postgres::platform::current_database(), &identity, shutdown::was_told)
    {
        log::line(
            About::Database,
            format_args!("tracked columns wait: could not record the row that is worked on: {error}"),
        );
        return;
    }
    // The next claim takes over the claims of a process that has ended.
    let duties = Duties { reloaded: || {}, release_claims: |_| Ok(()) };
    let sent = Sent::own();
    let Err(error) = main_thread::serve(move |context| run(kind, sent, context), &duties) else { return };
    log::line(About::Database, format_args!("the tracking worker cannot continue: {error}"));
    // SAFETY: status 1; another one is started later.
    unsafe { majors::exit(1) };
}

/// Does the extension exist here, in this library's version, and is this not an inactive copy? The database worker checks
/// that too and logs the reason.
fn may_serve() -> bool {
    let ready = transaction::run(|| {
        let version = store::extension::version_to_serve()?;
        let copy = store::installation::find()?.is_some_and(|installation| installation.check_not_a_copy().is_err());
        Ok(version.as_deref() == Some(env!("CARGO_PKG_VERSION")) && !copy)
    });
    ready.unwrap_or_else(|failure| {
        log::line(About::Database, format_args!("tracked columns wait: {failure}"));
        false
    })
}

/// The network thread: checks for rows when a session wakes it, and periodically.
async fn run(kind: Worker, sent: Sent, context: Context) {
    let mut tracked = track::Tracked::new(context.clone(), embedding::Gate::new(context.config.clone()));
    let mut lifetime = Lifetime::new(kind, sent, &context);
    loop {
        match lifetime.begin_check(&context.database).await {
            Ok(Some(version)) if version == env!("CARGO_PKG_VERSION") => {}
            // The extension was dropped, or updated to another version than this library's, or the server was added to a
            // coordinator of Citus.
            Ok(_) => return,
            Err(_) => {}
        }
        tracked.look_for_work().await;
        let found = Found {
            busy: tracked.are_running(),
            more_is_due: tracked.more_are_due(),
            finishing: false,
            next_wake: tracked.next_wake(),
        };
        let pause = match lifetime.after(&context, found).await {
            Next::Check => continue,
            Next::Leave => return,
            Next::Wait(pause) => pause,
        };
        tokio::select! {
            // Without the rest of the loop, which waits for the main thread.
            () = context.wake.notified() => drop(tracked.take_more()),
            () = tracked.one_ends(), if tracked.are_running() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
