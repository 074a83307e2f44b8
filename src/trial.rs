//! Code of a table's owner on trial: which row it runs for is noted where it outlives the process, and the time that it
//! may take is limited by the end of the process.
//!
//! A statement's end would not do: code may catch `query_canceled`, and go on. The end of the process (FATAL) it cannot
//! catch. Code that never looks at interrupts, as a loop in PL/Perl may not, is ended from the signal handler once it has
//! had [`PATIENCE`] more, unless the server forbids interrupts at that moment; that is no worse than `kill -9`, and mostly
//! better: the other sessions go on. What can be in the way is a handler that interrupts the memory allocator: such a
//! process stays until somebody kills it.
//!
//! The note is a file among the server's private ones, one for each process that runs such code. Whoever comes after finds
//! the notes of processes that are no more. One that was told to end, or had to because the server did, takes its note
//! back: nobody is to blame for that.

use std::cell::RefCell;
use std::ffi::c_int;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};

use pgrx::{check_for_interrupts, pg_sys};
use serde::{Deserialize, Serialize};

use crate::errors::{Failure, Kind};
use crate::settings;

/// Beside the sockets, see [`EMBEDDER_SOCKET`](crate::postgres::platform::EMBEDDER_SOCKET).
const DIRECTORY: &str = "pg_stat_tmp";
/// Of the files' names; the database's oid and the process' identity follow.
const PREFIX: &str = "pinterest-trial.";
/// Room for a note: written at the start, so that a full disk cannot keep a note from being taken.
const ROOM: usize = 32 << 10;

/// How long code that does not look at interrupts may go on after its time is over.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between tries to end the process while the server forbids it.
const TRY_AGAIN: Duration = Duration::from_millis(50);

/// The first byte of a note.
const NOBODY: u8 = b'-';
const BYSTANDER: u8 = b'B';
const RUNNING: u8 = b'R';
const OVERTIME: u8 = b'T';

/// A row whose table's code is about to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnTrial {
    /// The tracked column.
    pub tracked_column_id: i64,
    /// The row's key.
    pub key: Vec<String>,
    /// The claim.
    pub fence: i64,
    /// Attempts on it, this one included.
    pub attempts: i32,
}

/// What a process that has ended left.
#[derive(Clone, Debug)]
pub struct Left {
    /// The identity that its claims bear.
    pub identity: String,
    /// The row whose code it ran; `None`: it ran no such code when it ended.
    pub on_trial: Option<OnTrial>,
    /// It ended because that code used up its time.
    pub overtime: bool,
    /// It ran no such code, and ended in no order: the server did not have it end either.
    pub killed: bool,
    path: PathBuf,
}

/// The file's descriptor, for signal handlers; -1: none.
static NOTE: AtomicI32 = AtomicI32::new(-1);
/// The row's time is over.
static IS_OVER: AtomicBool = AtomicBool::new(false);
/// The process ends inside of a signal handler, which is no place to write to the log.
static IS_STUBBORN: AtomicBool = AtomicBool::new(false);

struct Court {
    note: File,
    path: PathBuf,
    /// For the limit, and for the end after it.
    timeouts: [c_int; 2],
    was_told: fn() -> bool,
    row: Option<OnTrial>,
    left: Duration,
}

thread_local! {
    static COURT: RefCell<Option<Court>> = const { RefCell::new(None) };
}

// Not among the bindings.
unsafe extern "C-unwind" {
    fn RegisterTimeout(id: c_int, handler: unsafe extern "C-unwind" fn()) -> c_int;
    fn enable_timeout_after(id: c_int, delay_ms: c_int);
    fn disable_timeout(id: c_int, keep_indicator: bool);
}

/// Any id from `USER_TIMEOUT` on asks for a free one (utils/timeout.h); that is 10 to 13 in Postgres 14 to 18.
const ANY_FREE: c_int = 15;
/// The one for what the server forbids to end; set at once with `COURT`.
static STUBBORN: AtomicI32 = AtomicI32::new(-1);

/// Has this process take notes, under the identity that its claims bear. Once in its life.
/// `was_told` says whether it was told to end.
pub fn begin(database: pg_sys::Oid, identity: &str, was_told: fn() -> bool) -> io::Result<()> {
    let path = PathBuf::from(format!("{DIRECTORY}/{PREFIX}{}.{identity}", database.to_u32()));
    let note = File::options().read(true).write(true).create(true).truncate(true).mode(0o600).open(&path)?;
    let mut blank = vec![b' '; ROOM];
    blank[0] = NOBODY;
    note.write_all_at(&blank, 0)?;
    NOTE.store(note.as_raw_fd(), Ordering::SeqCst);
    // SAFETY: handlers and a callback of this library, once in the process' life, on its main thread.
    let timeouts = unsafe {
        pg_sys::before_shmem_exit(Some(at_exit), pg_sys::Datum::from(0_usize));
        [RegisterTimeout(ANY_FREE, on_overtime), RegisterTimeout(ANY_FREE, on_stubborn)]
    };
    STUBBORN.store(timeouts[1], Ordering::SeqCst);
    COURT.set(Some(Court { note, path, timeouts, was_told, row: None, left: Duration::ZERO }));
    Ok(())
}

/// Runs `work`, whose calls of [`limited`] run code for this row: all of them together within the limit.
pub fn of<T>(row: OnTrial, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            COURT.with_borrow_mut(|court| court.iter_mut().for_each(|court| court.row = None));
        }
    }
    COURT.with_borrow_mut(|court| {
        if let Some(court) = court {
            (court.row, court.left) = (Some(row), settings::tracked_row_timeout());
        }
    });
    let _end = End;
    work()
}

/// The column of the row on trial, where one is, and the attempts on it: what its table's code queues is no fresh start.
pub fn attempts() -> Option<(i64, i32)> {
    COURT.with_borrow(|court| court.as_ref()?.row.as_ref().map(|row| (row.tracked_column_id, row.attempts)))
}

/// Runs `work`, which runs code of others, under note and limit.
///
/// # Errors
/// [`Kind::Internal`] outside of [`of`], [`Kind::Database`] where no note can be taken: then `work` has not run.
pub fn limited<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let begun = Instant::now();
    COURT.with_borrow(|court| match court {
        Some(Court { note, timeouts, row: Some(row), left, .. }) => {
            let mut text = vec![RUNNING];
            serde_json::to_writer(&mut text, row).map_err(io::Error::from).map_err(no_note)?;
            text.push(b'\n');
            if text.len() > ROOM {
                return Err(Failure::new(Kind::TooLarge, "the row's key is too long"));
            }
            note.write_all_at(&text, 0).map_err(no_note)?;
            // SAFETY: main thread; registered in `begin`.
            unsafe {
                enable_timeout_after(timeouts[0], milliseconds(*left));
                enable_timeout_after(timeouts[1], milliseconds(*left + PATIENCE));
            }
            Ok(())
        }
        _ => Err(Failure::new(Kind::Internal, "code of a table's owner outside of the process that is made for it")),
    })?;
    let result = work();
    COURT.with_borrow_mut(|court| {
        let Some(court) = court else { return };
        for timeout in court.timeouts {
            // SAFETY: as above.
            unsafe { disable_timeout(timeout, false) };
        }
        if IS_OVER.load(Ordering::SeqCst) {
            // It came to its end just after its time. The process ends here, and the note stays.
            check_for_interrupts!();
        }
        // Where even this fails, the note is of a row that is not claimed any more: nobody is blamed.
        let _ = court.note.write_all_at(&[NOBODY], 0);
        court.left = court.left.saturating_sub(begun.elapsed());
    });
    result
}

fn no_note(error: io::Error) -> Failure {
    Failure::new(Kind::Database, format!("cannot record which row is worked on: {error}"))
}

/// At least one: none would be no limit.
fn milliseconds(time: Duration) -> c_int {
    c_int::try_from(time.as_millis()).unwrap_or(c_int::MAX).max(1)
}

/// Signal handlers may write, and nothing else of what Rust's files do.
fn mark(byte: u8) {
    let note = NOTE.load(Ordering::SeqCst);
    if note >= 0 {
        // SAFETY: async-signal-safe; one byte from the stack into a file that stays open for the process' life.
        unsafe { libc::pwrite(note, (&raw const byte).cast(), 1, 0) };
    }
}

/// The time is over: the next look at interrupts ends the process.
unsafe extern "C-unwind" fn on_overtime() {
    IS_OVER.store(true, Ordering::SeqCst);
    mark(OVERTIME);
    // SAFETY: what `die` does, from the server's handler of SIGALRM.
    unsafe {
        pg_sys::InterruptPending = 1;
        pg_sys::ProcDiePending = 1;
        pg_sys::SetLatch(pg_sys::MyLatch);
    }
}

/// No look at interrupts came.
unsafe extern "C-unwind" fn on_stubborn() {
    // SAFETY: plain reads of process-wide counters. The server's handler, which calls this, holds interrupts off once.
    unsafe {
        if pg_sys::InterruptHoldoffCount <= 1 && pg_sys::QueryCancelHoldoffCount == 0 && pg_sys::CritSectionCount == 0 {
            // No lightweight lock is held where interrupts are allowed; see the module on what may be.
            IS_STUBBORN.store(true, Ordering::SeqCst);
            pg_sys::proc_exit(1);
        }
        enable_timeout_after(STUBBORN.load(Ordering::SeqCst), milliseconds(TRY_AGAIN));
    }
}

/// Takes the note back where the postmaster ends all processes, because another died or because of an immediate shutdown.
/// In a signal handler.
pub fn absolve() {
    if !IS_OVER.load(Ordering::SeqCst) {
        mark(BYSTANDER);
    }
}

/// An orderly end: takes the note back where the row that it names is not to blame.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn at_exit(_code: c_int, _argument: pg_sys::Datum) {
    if IS_OVER.load(Ordering::SeqCst) {
        // Nor is the handler of a SIGTERM that ends it.
        let was_told = COURT
            .with(|court| court.try_borrow().is_ok_and(|court| court.as_ref().is_some_and(|court| (court.was_told)())));
        if !IS_STUBBORN.load(Ordering::SeqCst) && !was_told {
            pgrx::log!(
                "pg_pinterest: the tracking worker ends: code of a table's owner took longer than \
                 pinterest.tracked_row_timeout"
            );
        }
        return;
    }
    // SAFETY: plain reads.
    let orphaned = unsafe { libc::getppid() != pg_sys::PostmasterPid };
    COURT.with(|court| {
        if let Ok(court) = court.try_borrow()
            && let Some(court) = court.as_ref()
            && (court.row.is_none() || orphaned || (court.was_told)())
        {
            let _ = std::fs::remove_file(&court.path);
        }
    });
}

/// What processes left that worked on this database and whose identity is not among `live`. A list that is older than this
/// call is of use: one that has ended since then counts as alive.
pub fn left_by_the_dead(database: pg_sys::Oid, live: &[String]) -> Vec<Left> {
    let prefix = format!("{PREFIX}{}.", database.to_u32());
    let entries = std::fs::read_dir(DIRECTORY).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let name = entry.file_name();
            let identity = name.to_str()?.strip_prefix(&prefix)?.to_owned();
            if live.contains(&identity) {
                return None;
            }
            let path = entry.path();
            let note = std::fs::read(&path).ok()?;
            let (on_trial, overtime) = read(&note);
            Some(Left { identity, on_trial, overtime, killed: note.first() == Some(&NOBODY), path })
        })
        .collect()
}

fn read(note: &[u8]) -> (Option<OnTrial>, bool) {
    let overtime = match note.first() {
        Some(&RUNNING) => false,
        Some(&OVERTIME) => true,
        _ => return (None, false),
    };
    let line = note[1..].split(|&byte| byte == b'\n').next().unwrap_or_default();
    (serde_json::from_slice(line).ok(), overtime)
}

impl Left {
    /// Throws the note away, once what it says is recorded.
    pub fn discard(&self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_back() {
        let row = OnTrial { tracked_column_id: 7, key: vec!["a\nb".into(), String::new()], fence: 3, attempts: 1 };
        let mut note = vec![RUNNING];
        serde_json::to_writer(&mut note, &row).unwrap();
        note.extend(b"\n of a longer note before");
        assert_eq!(read(&note), (Some(row.clone()), false));
        note[0] = OVERTIME;
        assert_eq!(read(&note), (Some(row), true));
        for byte in [NOBODY, BYSTANDER] {
            note[0] = byte;
            assert_eq!(read(&note), (None, false));
        }
        assert_eq!(read(b""), (None, false));
        assert_eq!(read(b"Rubbish"), (None, false));
    }
}
