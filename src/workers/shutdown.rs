//! The end of a worker on SIGTERM. If the answer to a refresh is outstanding, the process first waits for it: Pinterest may
//! have rotated the token already, and only this process receives the new one.
//!
//! The main thread may be stuck, so a thread measures the wait. It sends the process a second SIGTERM when nothing is
//! outstanding any more, after three seconds at the latest. A second SIGTERM, from any sender, ends the process at its next
//! check for interrupts; but the postmaster's request can arrive as two signals.
//!
//! Code that never checks for interrupts, for example a loop in PL/Perl, is ended in the signal handler: three seconds after
//! the first SIGTERM, or half a second after the second one. The handler does that only while the server allows interrupts,
//! as in [`owner_code`](crate::owner_code). C code that forbids them without end can only be ended by SIGKILL, which restarts the
//! server.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pgrx::pg_sys;

use crate::postgres::{majors, threads};

/// Together with the end of the network thread, a stop of the server takes less than five seconds.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between checks whether the answer is stored.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The postmaster sends a signal to the process and then to its group (`signal_child` in postmaster.c), so that one request
/// arrives twice if the process is fast. A SIGTERM that comes this soon after the first, in milliseconds, is the same request.
const SAME_REQUEST: i64 = 200;

/// From the second SIGTERM to the end in the signal handler.
const GRACE: Duration = Duration::from_millis(500);
/// Between tries to end the process while the server forbids it.
const TRY_AGAIN: Duration = Duration::from_millis(50);

static OUTSTANDING: AtomicUsize = AtomicUsize::new(0);
/// When the first SIGTERM came, by [`milliseconds`].
static FIRST: AtomicI64 = AtomicI64::new(0);
/// SIGTERMs so far, without those that repeat the first.
static SIGTERMS: AtomicUsize = AtomicUsize::new(0);
/// The process ends at its next check for interrupts.
static IS_ENDING: AtomicBool = AtomicBool::new(false);
/// The process no longer waits for a check for interrupts.
static IS_FORCED: AtomicBool = AtomicBool::new(false);
/// Wakes the thread.
static WATCHER: OnceLock<UnixStream> = OnceLock::new();

/// Exists from before a refresh is requested until its answer is stored. On the network thread.
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

/// Is an answer expected, or not stored yet?
pub fn is_outstanding() -> bool {
    OUTSTANDING.load(Ordering::SeqCst) > 0
}

/// Has this process received SIGTERM?
pub fn was_told() -> bool {
    SIGTERMS.load(Ordering::SeqCst) > 0
}

/// A clock that is not set. `clock_gettime` may be called in a signal handler.
fn milliseconds() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes into the structure given.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}

/// Handles SIGTERM: the process ends at the next check for interrupts, or here if it does not check. In a signal handler.
pub fn on_sigterm(signal: i32) {
    if IS_FORCED.load(Ordering::SeqCst) {
        end_here();
        return;
    }
    let now = milliseconds();
    let repeats = was_told() && now - FIRST.load(Ordering::SeqCst) < SAME_REQUEST;
    if repeats && !IS_ENDING.load(Ordering::SeqCst) && is_outstanding() {
        return;
    }
    if !was_told() {
        FIRST.store(now, Ordering::SeqCst);
    }
    let is_first = SIGTERMS.fetch_add(1, Ordering::SeqCst) == 0;
    let stays = is_first && is_outstanding();
    IS_ENDING.store(!stays, Ordering::SeqCst);
    // One byte to a socket that nothing else writes to: it does not block.
    if is_first && WATCHER.get().is_some_and(|mut watcher| watcher.write(&[1]).is_ok()) && stays {
        return;
    }
    // SAFETY: called as the server's handler calls it.
    unsafe { pg_sys::die(signal) };
}

/// Ends the process, unless the server forbids interrupts or an orderly end has begun, which resets the flag.
fn end_here() {
    // SAFETY: plain reads of process-wide flags and counters. No lightweight lock is held where interrupts are allowed.
    unsafe {
        if pg_sys::ProcDiePending != 0
            && !pg_sys::proc_exit_inprogress
            && pg_sys::InterruptHoldoffCount == 0
            && pg_sys::QueryCancelHoldoffCount == 0
            && pg_sys::CritSectionCount == 0
        {
            majors::exit(1);
        }
    }
}

/// Sends SIGTERM to this process; its main thread receives it.
fn send_sigterm() {
    // SAFETY: a system call; the caller's thread has all signals blocked.
    unsafe { libc::kill(libc::getpid(), libc::SIGTERM) };
}

/// Starts the thread. Without it, the process ends at its first check for interrupts after the first SIGTERM.
pub fn watch() -> std::io::Result<()> {
    let (ours, theirs) = UnixStream::pair()?;
    threads::spawn("pinterest shutdown", move || {
        if !matches!((&theirs).read(&mut [0]), Ok(1)) {
            return;
        }
        let until = Instant::now() + PATIENCE;
        let is_ending = || IS_ENDING.load(Ordering::SeqCst);
        let only_one = || SIGTERMS.load(Ordering::SeqCst) == 1;
        while only_one() && Instant::now() < until && (is_ending() || is_outstanding()) {
            std::thread::sleep(LOOK_AGAIN);
        }
        if !is_ending() {
            send_sigterm();
        }
        if !(is_ending() && only_one()) {
            std::thread::sleep(GRACE);
        }
        IS_FORCED.store(true, Ordering::SeqCst);
        loop {
            send_sigterm();
            std::thread::sleep(TRY_AGAIN);
        }
    })?;
    let _ = WATCHER.set(ours);
    Ok(())
}
