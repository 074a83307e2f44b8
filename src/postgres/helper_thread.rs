//! The few calls of a client backend that leave the server: on a helper thread, while the main thread stays ready for
//! Ctrl-C, statement_timeout and termination.

use std::sync::mpsc;

use crate::errors::{Failure, Kind};
use crate::postgres::memory::room_for;
use crate::postgres::threads;

/// What a thread takes with its stack, a runtime and a connection.
const THREAD_BYTES: usize = 12 << 20;

/// Runs the future that `start` makes to its end, on a thread of its own. An interrupt raises its ERROR at once and
/// drops the future.
pub fn block_on<T, E, F>(start: impl FnOnce() -> F + Send + 'static) -> Result<T, Failure>
where
    T: Send + 'static,
    E: Into<Failure> + Send + 'static,
    F: Future<Output = Result<T, E>>,
{
    room_for(THREAD_BYTES)?;
    let trouble = |error: std::io::Error| Failure::new(Kind::Busy, format!("no thread for the request: {error}"));
    let (bell, waiter) = threads::bell().map_err(trouble)?;
    let (answer, answers) = mpsc::channel();
    // Dropped when this frame unwinds, which is how the thread learns that nobody waits any more.
    let (_waiting, mut abandoned) = tokio::sync::oneshot::channel::<()>();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(trouble)?;
    threads::spawn("pinterest request", move || {
        runtime.block_on(async {
            tokio::select! {
                result = start() => { let _ = answer.send(result); }
                _ = &mut abandoned => {}
            }
        });
        // Does not wait for a name look-up that hangs.
        runtime.shutdown_background();
        drop(answer);
        bell.ring();
    })
    .map_err(trouble)?;
    loop {
        match answers.try_recv() {
            Ok(result) => return result.map_err(Into::into),
            Err(mpsc::TryRecvError::Disconnected) => {
                return Err(Failure::new(Kind::Internal, "the request ended without a result"));
            }
            Err(mpsc::TryRecvError::Empty) => {
                waiter.wait(None);
            }
        }
    }
}
