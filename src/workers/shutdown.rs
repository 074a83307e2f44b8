//! A worker that is told to end while the answer to a refresh is on its way stays for a moment: Pinterest may have
//! rotated the token already, and only this process will learn the new one.
//!
//! How long is not for the main thread to say, which may be stuck: a thread of its own sends the process a second SIGTERM
//! when nothing is outstanding any more, after three seconds at the latest, and the second one, whoever sends it, ends
//! the process at its next look at interrupts.
//!
//! Code that never looks, as a loop in PL/Perl may not, is ended from the signal handler: three seconds after the first
//! SIGTERM, or half a second after the second one. That is done only while the server allows interrupts, as in
//! [`owner_code`](crate::owner_code). What forbids them for good, in C, is left to whoever sends SIGKILL, which restarts the server.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pgrx::pg_sys;

use crate::postgres::threads;

/// With a moment for the network thread to end, who stops a server waits less than five seconds.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between looks at whether the answer is stored.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// From the second SIGTERM to the end from the signal handler.
const GRACE: Duration = Duration::from_millis(500);
/// Between tries to end the process while the server forbids it.
const TRY_AGAIN: Duration = Duration::from_millis(50);

static OUTSTANDING: AtomicUsize = AtomicUsize::new(0);
/// SIGTERMs so far.
static TOLD: AtomicUsize = AtomicUsize::new(0);
/// The process is to end at its next look at interrupts.
static IS_ENDING: AtomicBool = AtomicBool::new(false);
/// Looks at interrupts are not waited for any more.
static IS_FORCED: AtomicBool = AtomicBool::new(false);
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

/// What a worker does on SIGTERM: ends at the next look at interrupts, or, where none comes, here. In a signal handler.
pub fn on_sigterm(signal: i32) {
    if IS_FORCED.load(Ordering::SeqCst) {
        end_here();
        return;
    }
    let is_first = TOLD.fetch_add(1, Ordering::SeqCst) == 0;
    let stays = is_first && is_outstanding();
    IS_ENDING.store(!stays, Ordering::SeqCst);
    // One byte to a socket that nobody else writes to: it does not block.
    if is_first && WATCHER.get().is_some_and(|mut watcher| watcher.write(&[1]).is_ok()) && stays {
        return;
    }
    // SAFETY: what the server's own handler does.
    unsafe { pg_sys::die(signal) };
}

/// Ends the process, unless the server forbids interrupts, or an orderly end has begun: that resets the flag.
fn end_here() {
    // SAFETY: plain reads of process-wide flags and counters. No lightweight lock is held where interrupts are allowed.
    unsafe {
        if pg_sys::ProcDiePending != 0
            && !pg_sys::proc_exit_inprogress
            && pg_sys::InterruptHoldoffCount == 0
            && pg_sys::QueryCancelHoldoffCount == 0
            && pg_sys::CritSectionCount == 0
        {
            pg_sys::proc_exit(1);
        }
    }
}

/// Sends the process a SIGTERM; its main thread gets it.
fn tell() {
    // SAFETY: a system call; the caller's thread has all signals blocked.
    unsafe { libc::kill(libc::getpid(), libc::SIGTERM) };
}

/// Starts the thread that watches. Without it, a process ends at its first look at interrupts after the first SIGTERM.
pub fn watch() -> std::io::Result<()> {
    let (ours, theirs) = UnixStream::pair()?;
    threads::spawn("pinterest farewell", move || {
        let mut told = [0];
        if !matches!((&theirs).read(&mut told), Ok(1)) {
            return;
        }
        let until = Instant::now() + PATIENCE;
        let is_ending = || IS_ENDING.load(Ordering::SeqCst);
        let told_once = || TOLD.load(Ordering::SeqCst) == 1;
        while told_once() && Instant::now() < until && (is_ending() || is_outstanding()) {
            std::thread::sleep(LOOK_AGAIN);
        }
        if !is_ending() {
            tell();
        }
        if !(is_ending() && told_once()) {
            std::thread::sleep(GRACE);
        }
        IS_FORCED.store(true, Ordering::SeqCst);
        loop {
            tell();
            std::thread::sleep(TRY_AGAIN);
        }
    })?;
    let _ = WATCHER.set(ours);
    Ok(())
}
