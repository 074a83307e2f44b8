//! The network thread of a worker: a current-thread runtime. It blocks all signals and never calls Postgres.

use std::sync::Mutex;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pgrx::pg_sys;
use tokio::sync::watch;

use super::shutdown;
use crate::postgres::threads;

/// How long the thread may take to end. Its tasks are dropped while they wait.
const END_PATIENCE: Duration = Duration::from_secs(1);

/// The running thread.
struct Network {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

static NETWORK: Mutex<Option<Network>> = Mutex::new(None);

/// Starts the thread with `main`, which is dropped with its tasks if the process ends first.
pub fn start<F>(main: impl FnOnce() -> F + Send + 'static) -> std::io::Result<()>
where
    F: Future<Output = ()>,
{
    shutdown::watch()?;
    let (stop, mut stopped) = watch::channel(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thread = threads::spawn("pinterest network", move || {
        runtime.block_on(async {
            let tasks = tokio::task::LocalSet::new();
            tokio::select! {
                () = tasks.run_until(main()) => {}
                _ = stopped.wait_for(|stop| *stop) => {}
            }
        });
        // Does not wait for a name resolution that hangs.
        runtime.shutdown_background();
    })?;
    if let Ok(mut network) = NETWORK.lock() {
        *network = Some(Network { stop, thread });
    }
    // SAFETY: a callback of this library, registered once.
    unsafe { pg_sys::before_shmem_exit(Some(at_exit), pg_sys::Datum::from(0usize)) };
    Ok(())
}

/// Has the thread ended, normally or by a panic?
pub fn has_ended() -> bool {
    NETWORK.lock().is_ok_and(|network| network.as_ref().is_none_or(|network| network.thread.is_finished()))
}

/// Ends the thread before the process releases the resources that it uses.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn at_exit(_code: i32, _argument: pg_sys::Datum) {
    end();
}

/// Ends the thread.
pub fn end() {
    let Some(network) = NETWORK.lock().ok().and_then(|mut network| network.take()) else { return };
    let _ = network.stop.send(true);
    let until = Instant::now() + END_PATIENCE;
    while !network.thread.is_finished() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
}
