//! A worker that is told to end while the answer to a refresh is on its way stays for a moment: Pinterest may have
//! rotated the token already, and only this process will learn the new one.
//!
//! How long is not for the main thread to say, which may be stuck: a thread of its own sends the process a second SIGTERM
//! when nothing is outstanding any more, after three seconds at the latest, and the second one, whoever sends it, always
//! ends the process.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pgrx::pg_sys;

use crate::threads;

/// With a moment for the network thread to end, who stops a server waits less than five seconds.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between looks at whether the answer is stored.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

static OUTSTANDING: AtomicUsize = AtomicUsize::new(0);
/// SIGTERMs so far.
static TOLD: AtomicUsize = AtomicUsize::new(0);
/// Wakes the thread that watches.
static WATCHER: OnceLock<UnixStream> = OnceLock::new();

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

/// Is an answer on its way, or not stored yet?
pub fn is_outstanding() -> bool {
    OUTSTANDING.load(Ordering::SeqCst) > 0
}

/// Was this process told to end?
pub fn was_told() -> bool {
    TOLD.load(Ordering::SeqCst) > 0
}

/// What a worker does on SIGTERM: ends at the next look at interrupts, or at the second one. In a signal handler.
pub fn on_sigterm(signal: i32) {
    let is_first = TOLD.fetch_add(1, Ordering::SeqCst) == 0;
    // One byte to a socket that nobody else writes to: it does not block.
    if is_first && is_outstanding() && WATCHER.get().is_some_and(|mut watcher| watcher.write(&[1]).is_ok()) {
        return;
    }
    // SAFETY: what the server's own handler does.
    unsafe { pg_sys::die(signal) };
}

/// Starts the thread that watches. Without it, a process ends at the first SIGTERM.
pub fn watch() -> std::io::Result<()> {
    let (ours, theirs) = UnixStream::pair()?;
    threads::spawn("pinterest farewell", move || {
        let mut told = [0];
        if !matches!((&theirs).read(&mut told), Ok(1)) {
            return;
        }
        let until = Instant::now() + PATIENCE;
        while is_outstanding() && Instant::now() < until {
            std::thread::sleep(LOOK_AGAIN);
        }
        // SAFETY: a system call; this thread has all signals blocked, so that the main thread gets it.
        unsafe { libc::kill(libc::getpid(), libc::SIGTERM) };
    })?;
    let _ = WATCHER.set(ours);
    Ok(())
}
