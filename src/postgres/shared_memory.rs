//! Structures of a fixed size in the server's shared memory.
//!
//! If the library is preloaded, the memory is requested at server start. Otherwise a structure is taken from the reserve that
//! the server has for small ones, as contrib's autoprewarm does. The server recreates shared memory after a crash of any process.

use std::ffi::CStr;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use pgrx::{PgTryBuilder, pg_sys};

use crate::errors::{Failure, Kind};

/// Bytes to request from the server, of all structures together.
static REQUESTED: AtomicUsize = AtomicUsize::new(0);

static mut REQUEST_BEFORE: pg_sys::shmem_request_hook_type = None;
static mut STARTUP_BEFORE: pg_sys::shmem_startup_hook_type = None;
static mut AT_STARTUP: Option<fn()> = None;

/// Requests memory for a structure. From `_PG_init` while preloading.
pub fn reserve(bytes: usize) {
    if REQUESTED.fetch_add(bytes.next_multiple_of(64), Relaxed) > 0 {
        return;
    }
    // SAFETY: while preloading: a hook that exists as long as the library; it calls the previous one.
    unsafe {
        REQUEST_BEFORE = pg_sys::shmem_request_hook;
        pg_sys::shmem_request_hook = Some(request);
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn request() {
    // SAFETY: written once, before the server calls hooks; called at the time when memory is requested.
    unsafe {
        if let Some(before) = REQUEST_BEFORE {
            before();
        }
        pg_sys::RequestAddinShmemSpace(REQUESTED.load(Relaxed));
    }
}

/// Calls `work` in the postmaster whenever shared memory has been created: at server start, and after a crash. From `_PG_init`
/// while preloading, once.
pub fn at_startup(work: fn()) {
    // SAFETY: while preloading: a hook that exists as long as the library; it calls the previous one.
    unsafe {
        AT_STARTUP = Some(work);
        STARTUP_BEFORE = pg_sys::shmem_startup_hook;
        pg_sys::shmem_startup_hook = Some(startup);
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn startup() {
    // SAFETY: written once, before the server calls hooks.
    unsafe {
        if let Some(before) = STARTUP_BEFORE {
            before();
        }
        if let Some(work) = AT_STARTUP {
            work();
        }
    }
}

/// Attaches this process to the structure `name` of `bytes` bytes. If no process has done so since shared memory was created, the
/// structure is filled with zeros, and `create` is called before another process sees it. `T` is its first part, for which zeros
/// are a valid value.
///
/// # Errors
/// [`Kind::Busy`] if the server has no memory for it.
pub fn attach<T>(name: &CStr, bytes: usize, create: impl FnOnce(*mut T)) -> Result<*mut T, Failure> {
    // SAFETY: as other extensions attach their memory; no other process sees it before the lock is released.
    locked(|| unsafe {
        let mut found = false;
        let start = pg_sys::ShmemInitStruct(name.as_ptr(), bytes, &raw mut found).cast::<T>();
        if !found {
            start.cast::<u8>().write_bytes(0, bytes);
            create(start);
        }
        start
    })
}

/// Runs `work`, which is short, under the lock of the directory of shared memory: one process of the server at a time. On the
/// main thread.
///
/// # Errors
/// [`Kind::Busy`] for an ERROR.
pub fn locked<T>(work: impl FnOnce() -> T) -> Result<T, Failure> {
    // SAFETY: AddinShmemInitLock, number 21 in Postgres 15 to 18 (lwlocknames.txt, lwlocklist.h).
    let lock = unsafe { &raw mut (*pg_sys::MainLWLockArray.add(21)).lock };
    PgTryBuilder::new(AssertUnwindSafe(|| {
        // SAFETY: main thread; released below, or after an ERROR.
        unsafe { pg_sys::LWLockAcquire(lock, pg_sys::LWLockMode::LW_EXCLUSIVE) };
        let result = work();
        // SAFETY: acquired above.
        unsafe { pg_sys::LWLockRelease(lock) };
        Ok(result)
    }))
    .catch_others(|error| {
        // SAFETY: as LWLockReleaseAll does it for one lock: an ERROR has set the count of held interrupts to zero.
        unsafe {
            if pg_sys::LWLockHeldByMe(lock) {
                pg_sys::InterruptHoldoffCount += 1;
                pg_sys::LWLockRelease(lock);
            }
        }
        Err(Failure::of_error(Kind::Busy, error))
    })
    .execute()
}
