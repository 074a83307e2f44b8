//! Threads inside a server process. They block all signals, call no Postgres function, and wake the main thread through a socket
//! that it waits on together with its latch.

use std::ffi::CStr;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::Duration;

use pgrx::{check_for_interrupts, pg_sys};

use crate::postgres::majors;

/// Starts a thread with all signals blocked, so that no signal handler of Postgres runs on it.
pub fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    let builder = std::thread::Builder::new().name(name.to_owned());
    // SAFETY: plain signal-mask calls on this thread; the new thread inherits the full mask; this thread's mask is restored.
    unsafe {
        let mut all = std::mem::zeroed::<libc::sigset_t>();
        let mut before = std::mem::zeroed::<libc::sigset_t>();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        let handle = builder.spawn(body);
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
        handle
    }
}

/// The end that other threads ring.
#[derive(Debug)]
pub struct Bell(UnixStream);

/// The end that the main thread waits on.
#[derive(Debug)]
pub struct Waiter(UnixStream);

/// A bell and its waiter.
pub fn bell() -> std::io::Result<(Bell, Waiter)> {
    let (bell, waiter) = UnixStream::pair()?;
    bell.set_nonblocking(true)?;
    waiter.set_nonblocking(true)?;
    Ok((Bell(bell), Waiter(waiter)))
}

impl Bell {
    /// Wakes the main thread. A full buffer means that it is about to wake anyway.
    pub fn ring(&self) {
        let _ = (&self.0).write(&[1]);
    }
}

/// What a process waits for, as pg_stat_activity shows it from Postgres 17 on. docs/statistics.md describes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum WaitEvent {
    /// The main loop of a background worker has nothing to do.
    Main,
    /// A session waits for the embedder.
    Embedder,
    /// A session waits for an answer from Pinterest.
    Api,
    /// A session waits for background work.
    Worker,
    /// A process waits for the end of a program: a key command, or the embedder that is being replaced.
    Program,
}

impl WaitEvent {
    fn name(self) -> &'static CStr {
        match self {
            WaitEvent::Main => c"PinterestMain",
            WaitEvent::Embedder => c"PinterestEmbedder",
            WaitEvent::Api => c"PinterestApi",
            WaitEvent::Worker => c"PinterestWorker",
            WaitEvent::Program => c"PinterestProgram",
        }
    }

    /// Its number in this server.
    fn number(self) -> u32 {
        static NUMBERS: [AtomicU32; WaitEvent::Program as usize + 1] =
            [const { AtomicU32::new(0) }; WaitEvent::Program as usize + 1];
        let known = &NUMBERS[self as usize];
        if known.load(Relaxed) == 0 {
            known.store(majors::wait_event(self.name()), Relaxed);
        }
        known.load(Relaxed)
    }
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Woken {
    /// The latch was set: a signal, a commit elsewhere, a reload.
    pub latch: bool,
    /// A bell rang, or the descriptor became readable.
    pub readable: bool,
}

/// Waits for the latch, `descriptor` becoming readable, or `timeout`; then handles interrupts, which may raise an ERROR or
/// end the process.
pub fn wait(event: WaitEvent, descriptor: Option<i32>, timeout: Option<Duration>) -> Woken {
    let woken = wait_only(event, descriptor, timeout);
    check_for_interrupts!();
    woken
}

/// Whether this process will end at its next check for interrupts.
pub fn is_to_end() -> bool {
    // SAFETY: a plain read of a process-wide flag.
    unsafe { pg_sys::ProcDiePending != 0 }
}

/// [`wait`] without the check for interrupts, for callers that must do something before it.
pub fn wait_only(event: WaitEvent, descriptor: Option<i32>, timeout: Option<Duration>) -> Woken {
    let number = event.number();
    let mut events = pg_sys::WL_LATCH_SET | pg_sys::WL_EXIT_ON_PM_DEATH;
    if descriptor.is_some() {
        events |= pg_sys::WL_SOCKET_READABLE;
    }
    let milliseconds = match timeout {
        Some(timeout) => {
            events |= pg_sys::WL_TIMEOUT;
            std::ffi::c_long::try_from(timeout.as_millis()).unwrap_or(std::ffi::c_long::MAX)
        }
        None => -1,
    };
    // SAFETY: main thread, own latch, a descriptor that its owner keeps open during the call.
    let happened = unsafe {
        let happened = pg_sys::WaitLatchOrSocket(
            pg_sys::MyLatch,
            events as i32,
            descriptor.unwrap_or(pg_sys::PGINVALID_SOCKET),
            milliseconds,
            number,
        );
        if happened & pg_sys::WL_LATCH_SET as i32 != 0 {
            pg_sys::ResetLatch(pg_sys::MyLatch);
        }
        happened
    };
    Woken {
        latch: happened & pg_sys::WL_LATCH_SET as i32 != 0,
        readable: happened & pg_sys::WL_SOCKET_READABLE as i32 != 0,
    }
}

impl Waiter {
    /// [`wait`]s for a ring, and clears it.
    pub fn wait(&self, event: WaitEvent, timeout: Option<Duration>) -> Woken {
        let woken = wait(event, Some(self.0.as_raw_fd()), timeout);
        if woken.readable {
            let mut rings = [0; 64];
            while matches!((&self.0).read(&mut rings), Ok(read) if read == rings.len()) {}
        }
        woken
    }
}

/// Prints only the location of a panic outside the main thread: its message could quote the thread's input, and standard error
/// is the server's log. On the main thread, pgrx turns a panic into an ERROR.
pub fn keep_panics_of_other_threads_short() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current();
        if thread.name().is_some_and(|name| name.starts_with("pinterest ")) {
            let place = panic.location().map(|place| format!("{}:{}", place.file(), place.line())).unwrap_or_default();
            eprintln!("pg_pinterest: internal error in thread \"{}\" at {place}", thread.name().unwrap_or_default());
        } else {
            before(panic);
        }
    }));
}
