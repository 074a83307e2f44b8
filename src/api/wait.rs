//! Waiting in SQL functions: for the end of background work, with checks at growing intervals until a deadline, and for a
//! process to listen. A function holds its caller's snapshot while it waits, which keeps dead rows of the whole database from
//! being removed; a procedure commits before each wait and holds none.

use std::ffi::CStr;
use std::time::{Duration, Instant};

use pgrx::datum::Interval;
use pgrx::pg_sys;

use super::seconds;
use crate::errors::{Failure, Kind};
use crate::postgres::threads::{self, WaitEvent};

/// The least and the greatest time between two checks.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// The time between two checks is the time waited so far, divided by this.
const SHARE: u32 = 20;

/// Refuses REPEATABLE READ and SERIALIZABLE transactions, whose snapshot never contains later commits of others.
///
/// # Errors
///
/// NotReady.
pub fn require_read_committed(function: &CStr) -> Result<(), Failure> {
    // SAFETY: a plain read of a process-wide variable.
    if unsafe { pg_sys::XactIsoLevel } < pg_sys::XACT_REPEATABLE_READ as i32 {
        return Ok(());
    }
    let function = function.to_string_lossy();
    let message = format!("{function} cannot run in a REPEATABLE READ or SERIALIZABLE transaction");
    Err(Failure::new(Kind::NotReady, message).with_hint("Call it in a READ COMMITTED transaction."))
}

/// A call that waits.
pub struct Waiting {
    began: Instant,
    until: Option<Instant>,
    commits: bool,
}

impl Waiting {
    /// In a function. Without `timeout` there is no deadline.
    ///
    /// # Errors
    ///
    /// BadArgument for a negative `timeout`.
    pub fn in_function(timeout: Option<&Interval>) -> Result<Self, Failure> {
        Ok(Waiting { began: Instant::now(), until: timeout.map(deadline).transpose()?, commits: false })
    }

    /// In a procedure, which must not be inside a transaction block. Commits the transaction so far.
    ///
    /// # Errors
    ///
    /// NotReady inside a transaction block; BadArgument for a negative `timeout`.
    pub fn in_procedure(timeout: Option<&Interval>, call: pg_sys::FunctionCallInfo) -> Result<Self, Failure> {
        let waiting = Waiting { commits: true, ..Self::in_function(timeout)? };
        // SAFETY: what the server passes to a procedure that CALL runs; a context begins with its node's tag.
        let may_commit = unsafe {
            let context = (*call).context;
            !context.is_null()
                && (*context).type_ == pg_sys::NodeTag::T_CallContext
                && !(*context.cast::<pg_sys::CallContext>()).atomic
        };
        if !may_commit {
            return Err(Failure::new(Kind::NotReady, "a procedure that waits cannot run inside a transaction block")
                .with_hint("Call it outside of transaction blocks and functions."));
        }
        // SAFETY: closed by `end`, or by the abort of the transaction.
        unsafe { pg_sys::SPI_connect_ext(pg_sys::SPI_OPT_NONATOMIC as i32) };
        commit();
        Ok(waiting)
    }

    /// Ends the wait in a procedure.
    pub fn end(self) {
        if self.commits {
            // SAFETY: connected in `in_procedure`.
            unsafe { pg_sys::SPI_finish() };
        }
    }

    /// Whether the deadline has passed.
    pub fn is_over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// Waits until the next check. `ensure` starts the worker that does the work: without preloading, no other process does
    /// that after a restart of the server.
    ///
    /// # Errors
    ///
    /// Those of `ensure`.
    pub fn pause(&self, ensure: fn() -> Result<Option<i32>, Failure>) -> Result<(), Failure> {
        ensure()?;
        if self.commits {
            commit();
        }
        let now = Instant::now();
        let pause = ((now - self.began) / SHARE).clamp(PAUSE.0, PAUSE.1);
        let left = self.until.map_or(pause, |until| until.saturating_duration_since(now));
        let again = now + pause.min(left);
        // The latch is set for other reasons too.
        while let Some(left) = again.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            threads::wait(WaitEvent::Worker, None, Some(left));
        }
        Ok(())
    }
}

/// Repeats `attempt` until it returns a value, at short intervals; `None` if it has returned none by the deadline.
///
/// # Errors
///
/// Those of `attempt`.
pub fn attempts<T>(
    deadline: Instant,
    mut attempt: impl FnMut() -> Result<Option<T>, Failure>,
) -> Result<Option<T>, Failure> {
    loop {
        let found = attempt()?;
        if found.is_some() || Instant::now() >= deadline {
            return Ok(found);
        }
        threads::wait(WaitEvent::Worker, None, Some(PAUSE.0));
    }
}

/// Commits the transaction and with it the snapshots that are held for the procedure's caller.
fn commit() {
    // SAFETY: connected as non-atomic.
    unsafe { pg_sys::SPI_commit() };
}

fn deadline(timeout: &Interval) -> Result<Instant, Failure> {
    let seconds = seconds(timeout);
    if seconds < 0.0 {
        return Err(Failure::new(Kind::BadArgument, "timeout must not be negative"));
    }
    Ok(Instant::now() + Duration::from_secs_f64(seconds.min(1e9)))
}
