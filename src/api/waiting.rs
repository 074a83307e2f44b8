//! How calls wait for the workers: looks that grow rarer, until a deadline. A function holds its caller's snapshot all the
//! while, which keeps dead rows of the whole database from being removed; a procedure commits before each wait and holds
//! none.

use std::time::{Duration, Instant};

use pgrx::datum::Interval;
use pgrx::pg_sys;

use super::seconds;
use crate::errors::{Failure, Kind};
use crate::postgres::threads;

/// Between two looks at the least and at the most.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// Of the time waited so far: who has waited for a minute does not mind another second.
const SHARE: u32 = 20;

/// A call that waits.
pub struct Waiting {
    began: Instant,
    until: Option<Instant>,
    commits: bool,
}

impl Waiting {
    /// In a function.
    pub fn in_function(timeout: Option<&Interval>) -> Result<Self, Failure> {
        Ok(Waiting { began: Instant::now(), until: timeout.map(deadline).transpose()?, commits: false })
    }

    /// In a procedure, which must not be inside a transaction block. Commits what came before in the transaction.
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
                .with_hint("Call it outside of BEGIN and COMMIT and of functions."));
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

    /// Is there no more time?
    pub fn is_over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// Waits until the next look. `ensure` starts the worker that is waited for: where nothing is preloaded, nobody else
    /// does after a restart of the server.
    pub fn pause(&self, ensure: fn() -> Result<Option<i32>, Failure>) -> Result<(), Failure> {
        ensure()?;
        if self.commits {
            commit();
        }
        let now = Instant::now();
        let pause = ((now - self.began) / SHARE).clamp(LOOK_AGAIN.0, LOOK_AGAIN.1);
        let left = self.until.map_or(pause, |until| until.saturating_duration_since(now));
        let again = now + pause.min(left);
        // The latch is set for other reasons too.
        while let Some(left) = again.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            threads::wait(None, Some(left));
        }
        Ok(())
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
