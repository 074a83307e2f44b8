//! The worker of a database's tracked columns. What belongs to a tracked table, its triggers, policies and expressions,
//! runs in this process and in no other of ours: it has no key, no token and no account, and when such code does not end
//! the process does, while imports and refreshes go on in another.

use pgrx::pg_sys;

use super::database::Context;
use super::lifetime::{Found, Stay, Then};
use super::main_thread::Duties;
use super::registry::{self, Sent, Worker};
use super::{embedding, main_thread, shutdown, track, transaction, worker_process};
use crate::{owner_code, store};

/// Entry point of a database's worker of tracked columns.
#[pgrx::pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn pinterest_tracking_main(argument: pg_sys::Datum) {
    let kind = Worker::Tracking(pg_sys::Oid::from(argument.value() as u32));
    worker_process::begin(kind);
    main_thread::pin_settings();
    if kind.is_superfluous() || !transaction::go_on_as_worker() || !may_serve() {
        return;
    }
    let identity = registry::own_identity();
    if let Err(error) = owner_code::begin(crate::postgres::platform::current_database(), &identity, shutdown::was_told)
    {
        pgrx::log!("pg_pinterest: tracked columns wait: no note can be taken of the row that is worked on: {error}");
        return;
    }
    kind.start_siblings(Sent::own());
    let sent = Sent::own();
    // What a process claimed that is no more, the next claim takes.
    let duties = Duties { reloaded: || {}, give_back: |_| Ok(()) };
    let Err(error) = main_thread::serve(move |context| run(context, sent), &duties) else { return };
    pgrx::log!("pg_pinterest: the worker of tracked columns cannot go on: {error}");
    // SAFETY: status 1, another is started later.
    unsafe { pg_sys::proc_exit(1) };
}

/// Is the extension here, in this library's version, and is this no copy that rests? The database's worker, which looks
/// too, says in the log what is the matter.
fn may_serve() -> bool {
    let ready = transaction::run(|| {
        let version = store::extension::version()?;
        let copy = store::installation::find()?.is_some_and(|installation| installation.check_not_a_copy().is_err());
        Ok(version.as_deref() == Some(env!("CARGO_PKG_VERSION")) && !copy)
    });
    ready.unwrap_or_else(|failure| {
        pgrx::log!("pg_pinterest: tracked columns wait: {failure}");
        false
    })
}

/// The network thread: looks for rows whenever a session woke it, and by the clock.
async fn run(context: Context, sent: Sent) {
    let mut tracked = track::Tracked::new(context.clone(), embedding::Gate::new());
    let mut stay = Stay::new(&context, sent);
    loop {
        match context.database.run(store::extension::version).await {
            Ok(Some(version)) if version == env!("CARGO_PKG_VERSION") => {}
            // Dropped, or updated under a library of another version.
            Ok(_) => return,
            Err(_) => {}
        }
        tracked.look_for_work().await;
        let found = Found { busy: tracked.are_running(), finishing: false, next_wake: tracked.next_wake() };
        let pause = match stay.after(&context, found).await {
            Then::LookAgain => continue,
            Then::Leave => return,
            Then::Wait(pause) => pause,
        };
        tokio::select! {
            // Before the rest, which waits for the main thread.
            () = context.wake.notified() => drop(tracked.take_more()),
            () = tracked.one_ends(), if tracked.are_running() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
