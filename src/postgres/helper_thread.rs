//! Network requests of a client backend run on a helper thread, while the main thread handles Ctrl-C, statement_timeout and
//! termination.

use std::sync::mpsc;

use crate::errors::{Failure, Kind};
use crate::postgres::memory::room_for;
use crate::postgres::threads::{self, WaitEvent};

/// Memory of a thread with its stack, a runtime and a connection.
const THREAD_BYTES: usize = 12 << 20;

/// Runs the future that `start` returns to completion, on a new thread; `event` is shown meanwhile. An interrupt raises its ERROR at once and drops the
/// future.
///
/// # Errors
/// [`Kind::OutOfMemory`] and [`Kind::Busy`]: no memory or no thread; otherwise the error of the future.
pub fn block_on<T, E, F>(event: WaitEvent, start: impl FnOnce() -> F + Send + 'static) -> Result<T, Failure>
where
    T: Send + 'static,
    E: Into<Failure> + Send + 'static,
    F: Future<Output = Result<T, E>>,
{
    room_for(THREAD_BYTES)?;
    let no_thread =
        |error: std::io::Error| Failure::new(Kind::Busy, format!("could not start a thread for the request: {error}"));
    let (bell, waiter) = threads::bell().map_err(no_thread)?;
    let (answer, answers) = mpsc::channel();
    // Dropped when this frame unwinds, which ends the request.
    let (_waiting, mut abandoned) = tokio::sync::oneshot::channel::<()>();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(no_thread)?;
    threads::spawn("pinterest request", move || {
        runtime.block_on(async {
            tokio::select! {
                result = start() => { let _ = answer.send(result); }
                _ = &mut abandoned => {}
            }
        });
        // Does not wait for a name resolution that hangs.
        runtime.shutdown_background();
        drop(answer);
        bell.ring();
    })
    .map_err(no_thread)?;
    loop {
        match answers.try_recv() {
            Ok(result) => return result.map_err(Into::into),
            Err(mpsc::TryRecvError::Disconnected) => {
                return Err(Failure::new(Kind::Internal, "the request ended without a result"));
            }
            Err(mpsc::TryRecvError::Empty) => {
                waiter.wait(event, None);
            }
        }
    }
}
