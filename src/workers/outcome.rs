//! What came of a database worker: the launcher decides by it when to look at the database again, not by how long the
//! worker lived.

use std::sync::atomic::{AtomicBool, Ordering};

use pgrx::pg_sys;

use super::{presence, shutdown};

/// What a worker tells the launcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Outcome {
    /// Not known yet.
    Looking = 0,
    /// There was work, and there may be more.
    Serving = 1,
    /// The extension is not here, or this is a copy that stays quiet.
    Nothing = 2,
    /// The extension is here, and nothing is due.
    Rested = 3,
    /// An ERROR, or something that has to be mended first.
    Failed = 4,
    /// It was told to end.
    Told = 5,
}

impl Outcome {
    /// From the number it has in shared memory.
    pub fn of(number: u32) -> Self {
        match number {
            1 => Outcome::Serving,
            2 => Outcome::Nothing,
            3 => Outcome::Rested,
            4 => Outcome::Failed,
            5 => Outcome::Told,
            _ => Outcome::Looking,
        }
    }
}

/// Has this process told anything?
static TOLD: AtomicBool = AtomicBool::new(false);

/// Place of the launcher's visit that this process was started for.
fn own_visit() -> Option<usize> {
    // SAFETY: set in every background worker, copied from its registration.
    unsafe {
        let entry = pg_sys::MyBgworkerEntry;
        if entry.is_null() { None } else { usize::try_from((*entry).bgw_extra[1]).ok()?.checked_sub(1) }
    }
}

/// Tells the launcher, if it has sent this process, what has come of it so far.
pub fn tell(outcome: Outcome) {
    TOLD.store(true, Ordering::Relaxed);
    if let Some(place) = own_visit() {
        // SAFETY: a plain read; the argument of a database's worker is the database.
        let database = unsafe { (*pg_sys::MyBgworkerEntry).bgw_main_arg.value() };
        presence::tell(place, pg_sys::Oid::from(database as u32), outcome);
    }
}

/// At the end of a process with this status: one that has not said what came of it.
pub fn at_exit(code: i32) {
    if shutdown::was_told() {
        tell(Outcome::Told);
    } else if code != 0 {
        tell(Outcome::Failed);
    } else if !TOLD.load(Ordering::Relaxed) {
        tell(Outcome::Rested);
    }
}
