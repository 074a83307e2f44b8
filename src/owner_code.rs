//! Code of a table's owner (triggers, constraints, index expressions) in a tracking worker. A note names the row that it runs
//! for and outlives the process; the time that the code may take is limited by ending the process.
//!
//! Ending the statement is not enough: code can catch `query_canceled` and continue. It cannot catch the end of the process
//! (FATAL). Code that never checks for interrupts, such as a loop in PL/Perl, is ended from the signal handler [`PATIENCE`]
//! later, unless the server forbids interrupts at that moment. That is no worse than `kill -9`, and usually better: the other
//! sessions continue. If the handler interrupts the memory allocator, the process can hang until it is killed.
//!
//! A note is a file among the server's private files, one for each process that runs such code. The next worker finds the
//! notes of processes that have ended. A process that is asked to end, or ends because the server does, withdraws its note:
//! the row did not cause that.

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
use crate::postgres::majors;
use crate::settings;

/// Beside the sockets, see [`EMBEDDER_SOCKET`](crate::postgres::platform::EMBEDDER_SOCKET).
const DIRECTORY: &str = "pg_stat_tmp";
/// Of the files' names, before the database's oid and the process' identity.
const PREFIX: &str = "pinterest-trial.";
/// Bytes of a note file, written at the start: a full disk cannot prevent a note later.
const ROOM: usize = 32 << 10;

/// How long code that does not check for interrupts may continue after its time is over.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between attempts to end the process while the server forbids it.
const TRY_AGAIN: Duration = Duration::from_millis(50);

/// The first byte of a note: no such code runs; the note is withdrawn; it runs; its time is over.
const IDLE: u8 = b'-';
const WITHDRAWN: u8 = b'B';
const RUNNING: u8 = b'R';
const OVERTIME: u8 = b'T';

/// A row for which code of the table's owner is about to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotedRow {
    /// The tracked column.
    pub tracked_column_id: i64,
    /// The row's key.
    pub key: Vec<String>,
    /// The fence of the claim.
    pub fence: i64,
    /// Attempts on it, including this one.
    pub attempts: i32,
}

/// The note of a process that has ended.
#[derive(Clone, Debug)]
pub struct Note {
    /// The identity in its claims.
    pub identity: String,
    /// The row for which it ran such code when it ended, if it ran any.
    pub row: Option<NotedRow>,
    /// It ended because the time of that code was over.
    pub overtime: bool,
    /// It ran no such code and was killed: neither it nor the server ended it.
    pub killed: bool,
    path: PathBuf,
}

/// The file's descriptor, for signal handlers; -1: none.
static NOTE: AtomicI32 = AtomicI32::new(-1);
/// The row's time is over.
static IS_OVER: AtomicBool = AtomicBool::new(false);
/// The process ends inside a signal handler, which must not write to the log.
static IS_STUBBORN: AtomicBool = AtomicBool::new(false);

struct Watch {
    note: File,
    path: PathBuf,
    /// At the limit, and [`PATIENCE`] after it.
    timeouts: [c_int; 2],
    was_told: fn() -> bool,
    row: Option<NotedRow>,
    left: Duration,
}

thread_local! {
    static WATCH: RefCell<Option<Watch>> = const { RefCell::new(None) };
}

// Not among the bindings.
unsafe extern "C-unwind" {
    fn RegisterTimeout(id: c_int, handler: unsafe extern "C-unwind" fn()) -> c_int;
    fn enable_timeout_after(id: c_int, delay_ms: c_int);
    fn disable_timeout(id: c_int, keep_indicator: bool);
}

/// Any id from `USER_TIMEOUT` on asks for a free one (utils/timeout.h); that is 10 to 13 in Postgres 14 to 18.
const ANY_FREE: c_int = 15;
/// The timeout for code that does not check for interrupts; set together with `WATCH`.
static STUBBORN: AtomicI32 = AtomicI32::new(-1);

/// Starts the note of this process, under the identity in its claims. Called once. `was_told` returns whether the process was
/// asked to end.
pub fn begin(database: pg_sys::Oid, identity: &str, was_told: fn() -> bool) -> io::Result<()> {
    let path = PathBuf::from(format!("{DIRECTORY}/{PREFIX}{}.{identity}", database.to_u32()));
    let note = File::options().read(true).write(true).create(true).truncate(true).mode(0o600).open(&path)?;
    let mut blank = vec![b' '; ROOM];
    blank[0] = IDLE;
    note.write_all_at(&blank, 0)?;
    NOTE.store(note.as_raw_fd(), Ordering::SeqCst);
    // SAFETY: handlers and a callback of this library, once in the process' life, on its main thread.
    let timeouts = unsafe {
        pg_sys::before_shmem_exit(Some(at_exit), pg_sys::Datum::from(0_usize));
        [RegisterTimeout(ANY_FREE, on_overtime), RegisterTimeout(ANY_FREE, on_stubborn)]
    };
    STUBBORN.store(timeouts[1], Ordering::SeqCst);
    WATCH.set(Some(Watch { note, path, timeouts, was_told, row: None, left: Duration::ZERO }));
    Ok(())
}

/// Runs `work`, whose calls of [`limited`] run code for this row, all of them together within the limit.
pub fn for_row<T>(row: NotedRow, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            WATCH.with_borrow_mut(|watch| watch.iter_mut().for_each(|watch| watch.row = None));
        }
    }
    WATCH.with_borrow_mut(|watch| {
        if let Some(watch) = watch {
            (watch.row, watch.left) = (Some(row), settings::tracked_row_timeout());
        }
    });
    let _end = End;
    work()
}

/// The tracked column of the current row, if there is one, and the attempts on it: rows that the code queues continue its
/// count.
pub fn attempts() -> Option<(i64, i32)> {
    WATCH.with_borrow(|watch| watch.as_ref()?.row.as_ref().map(|row| (row.tracked_column_id, row.attempts)))
}

/// Runs `work`, which runs code of a table's owner, with note and time limit.
///
/// # Errors
/// [`Kind::Internal`] outside of [`for_row`], [`Kind::Database`] if the note cannot be written: then `work` has not run.
pub fn limited<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let begun = Instant::now();
    WATCH.with_borrow(|watch| match watch {
        Some(Watch { note, timeouts, row: Some(row), left, .. }) => {
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
        _ => Err(Failure::new(Kind::Internal, "code of a table's owner outside a tracking worker")),
    })?;
    let result = work();
    WATCH.with_borrow_mut(|watch| {
        let Some(watch) = watch else { return };
        for timeout in watch.timeouts {
            // SAFETY: as above.
            unsafe { disable_timeout(timeout, false) };
        }
        if IS_OVER.load(Ordering::SeqCst) {
            // The code ended just after its time. The process ends here, and the note remains.
            check_for_interrupts!();
        }
        // If this fails, the note names a row that is no longer claimed, and is ignored.
        let _ = watch.note.write_all_at(&[IDLE], 0);
        watch.left = watch.left.saturating_sub(begun.elapsed());
    });
    result
}

fn no_note(error: io::Error) -> Failure {
    Failure::new(Kind::Database, format!("could not write the note of the row: {error}"))
}

/// At least 1: 0 would mean no limit.
fn milliseconds(time: Duration) -> c_int {
    c_int::try_from(time.as_millis()).unwrap_or(c_int::MAX).max(1)
}

/// Writes the first byte of the note, also in a signal handler, where Rust's files cannot be used.
fn mark(byte: u8) {
    let note = NOTE.load(Ordering::SeqCst);
    if note >= 0 {
        // SAFETY: async-signal-safe; one byte from the stack into a file that stays open until the process ends.
        unsafe { libc::pwrite(note, (&raw const byte).cast(), 1, 0) };
    }
}

/// The time is over: the next check for interrupts ends the process.
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

/// The code has not checked for interrupts.
unsafe extern "C-unwind" fn on_stubborn() {
    // SAFETY: plain reads of process-wide counters. The server's handler, which calls this, holds interrupts off once.
    unsafe {
        if pg_sys::InterruptHoldoffCount <= 1 && pg_sys::QueryCancelHoldoffCount == 0 && pg_sys::CritSectionCount == 0 {
            // No lightweight lock is held while interrupts are allowed; the module describes what may be.
            IS_STUBBORN.store(true, Ordering::SeqCst);
            majors::exit(1);
        }
        enable_timeout_after(STUBBORN.load(Ordering::SeqCst), milliseconds(TRY_AGAIN));
    }
}

/// Withdraws the note if the postmaster ends all processes, because another crashed or because of an immediate shutdown.
/// Called in a signal handler.
pub fn withdraw() {
    if !IS_OVER.load(Ordering::SeqCst) {
        mark(WITHDRAWN);
    }
}

/// An orderly end: removes the note if the row that it names did not cause it.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn at_exit(_code: c_int, _argument: pg_sys::Datum) {
    if IS_OVER.load(Ordering::SeqCst) {
        // The handler of SIGTERM that ends the process must not write to the log either.
        let (was_told, column) = WATCH.with(|watch| {
            let watch = watch.try_borrow().ok();
            let watch = watch.as_ref().and_then(|watch| watch.as_ref());
            let column = watch.and_then(|watch| watch.row.as_ref()).map(|row| row.tracked_column_id);
            (watch.is_some_and(|watch| (watch.was_told)()), column)
        });
        if !IS_STUBBORN.load(Ordering::SeqCst) && !was_told {
            pgrx::log!(
                "pg_pinterest: ending the tracking worker: code of a table's owner took longer than \
                 pinterest.tracked_row_timeout [column={}]",
                column.unwrap_or_default()
            );
        }
        return;
    }
    // SAFETY: plain reads.
    let orphaned = unsafe { libc::getppid() != pg_sys::PostmasterPid };
    WATCH.with(|watch| {
        if let Ok(watch) = watch.try_borrow()
            && let Some(watch) = watch.as_ref()
            && (watch.row.is_none() || orphaned || (watch.was_told)())
        {
            let _ = std::fs::remove_file(&watch.path);
        }
    });
}

/// The notes of processes that worked on this database and whose identity is not in `live`. The list may be older than this
/// call: a process that has ended since counts as live.
pub fn notes_of_ended(database: pg_sys::Oid, live: &[String]) -> Vec<Note> {
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
            let (row, overtime) = read(&note);
            Some(Note { identity, row, overtime, killed: note.first() == Some(&IDLE), path })
        })
        .collect()
}

fn read(note: &[u8]) -> (Option<NotedRow>, bool) {
    let overtime = match note.first() {
        Some(&RUNNING) => false,
        Some(&OVERTIME) => true,
        _ => return (None, false),
    };
    let line = note[1..].split(|&byte| byte == b'\n').next().unwrap_or_default();
    (serde_json::from_slice(line).ok(), overtime)
}

impl Note {
    /// Deletes the note, once its content is recorded.
    pub fn discard(&self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_back() {
        let row = NotedRow { tracked_column_id: 7, key: vec!["a\nb".into(), String::new()], fence: 3, attempts: 1 };
        let mut note = vec![RUNNING];
        serde_json::to_writer(&mut note, &row).unwrap();
        note.extend(b"\n of a longer note before");
        assert_eq!(read(&note), (Some(row.clone()), false));
        note[0] = OVERTIME;
        assert_eq!(read(&note), (Some(row), true));
        for byte in [IDLE, WITHDRAWN] {
            note[0] = byte;
            assert_eq!(read(&note), (None, false));
        }
        assert_eq!(read(b""), (None, false));
        assert_eq!(read(b"Rubbish"), (None, false));
    }
}
