//! A worker that is told to end while the answer to a refresh is on its way stays for a moment: Pinterest may have
//! rotated the token already, and only this process will learn the new one.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pgrx::pg_sys;

/// With a statement that waits for a lock as long as it may, this makes five seconds: who stops a server waits no longer.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between looks at whether the answer is stored.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

static OUTSTANDING: AtomicUsize = AtomicUsize::new(0);
static TOLD: AtomicBool = AtomicBool::new(false);

/// Exists from before a refresh is asked for until its answer is stored. On the network thread.
pub struct Outstanding(());

impl Outstanding {
    /// One more.
    pub fn new() -> Self {
        OUTSTANDING.fetch_add(1, Ordering::SeqCst);
        Outstanding(())
    }
}

impl Drop for Outstanding {
    fn drop(&mut self) {
        OUTSTANDING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What a worker does on SIGTERM: ends at the next look at interrupts, or remembers that it has to.
pub fn on_sigterm(signal: i32) {
    // SAFETY: both are what the server's own handlers do; the latch wakes the main loop.
    unsafe {
        if OUTSTANDING.load(Ordering::SeqCst) == 0 {
            pg_sys::die(signal);
        } else {
            TOLD.store(true, Ordering::SeqCst);
            pg_sys::SetLatch(pg_sys::MyLatch);
        }
    }
}

/// The main thread's side.
#[derive(Default)]
pub struct Farewell(Option<Instant>);

impl Farewell {
    /// How long the main thread may wait at most before it looks again. Ends the process, with the next look at
    /// interrupts, where it was told to and nothing is outstanding any more, or for too long.
    pub fn pause(&mut self, otherwise: Duration) -> Duration {
        if !TOLD.load(Ordering::SeqCst) {
            return otherwise;
        }
        let told = self.0.get_or_insert_with(Instant::now);
        if OUTSTANDING.load(Ordering::SeqCst) == 0 || told.elapsed() >= PATIENCE {
            // SAFETY: what the signal would have done.
            unsafe { pg_sys::die(libc::SIGTERM) };
        }
        LOOK_AGAIN
    }
}
