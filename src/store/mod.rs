//! All SQL of the Rust side, one file per table. Statements are constants with parameters, and run under a pinned
//! search_path (a caller's own could put a foreign operator in place of `=`) and with row security on.

pub mod account;
pub mod app;
pub mod app_access;
pub mod app_breaker;
pub mod board;
pub mod board_images;
pub mod candidates;
pub mod clock;
pub mod databases;
pub mod export;
pub mod extension;
pub mod gallery;
pub mod grants;
pub mod import;
pub mod import_outcome;
mod index_settings;
pub mod installation;
pub mod model;
pub mod nearest_pins;
pub mod oauth_state;
pub mod pin;
pub mod pin_image;
pub mod quota;
pub mod reassign;
pub mod reembed;
pub mod retention;
mod saved;
pub mod seal;
pub mod surroundings;
pub mod token;
pub mod token_answer;
pub mod track;
pub mod user_table;

use pgrx::datum::DatumWithOid;
use pgrx::spi::SpiHeapTupleData;
use pgrx::{FromDatum, IntoDatum, Spi, pg_sys};

use crate::errors::{Failure, Kind};
use crate::postgres::memory;
use crate::postgres::session_settings::{Until, set};

/// One row of an answer.
pub struct Row<'a, 'conn>(&'a SpiHeapTupleData<'conn>);

impl Row<'_, '_> {
    /// The value of a column that may be NULL; columns count from 1.
    pub fn maybe<T: FromDatum + IntoDatum>(&self, column: usize) -> Result<Option<T>, Failure> {
        Ok(self.0.get(column)?)
    }

    /// The value of a column that is never NULL.
    pub fn get<T: FromDatum + IntoDatum>(&self, column: usize) -> Result<T, Failure> {
        self.maybe(column)?.ok_or_else(|| Failure::new(Kind::Internal, format!("column {column} is unexpectedly NULL")))
    }
}

/// Pins the settings that change what a statement means until dropped; an aborting transaction restores them as well.
struct Pinned(i32);

/// Names and operators are the server's own; policies apply instead of raising an error where they would.
/// Compiling a plan takes longer than any of these statements, and loads a large library.
const PINNED: [(&std::ffi::CStr, &std::ffi::CStr); 3] =
    [(c"search_path", c"pg_catalog, pg_temp"), (c"row_security", c"on"), (c"jit", c"off")];

impl Pinned {
    fn new() -> Self {
        // SAFETY: main thread; closed by `drop`, or by the abort.
        let level = unsafe { pg_sys::NewGUCNestLevel() };
        for (name, value) in PINNED {
            set(name, value, Until::NestLevelCloses);
        }
        Pinned(level)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: closes the level opened in new().
            unsafe { pg_sys::AtEOXact_GUC(false, self.0) };
        }
    }
}

/// Runs a statement that only reads.
fn read<T>(
    sql: &str,
    parameters: &[DatumWithOid<'_>],
    map: impl FnMut(Row<'_, '_>) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    read_sized(sql, parameters, 0, map)
}

/// As [`read`]; `each` is what a row takes beyond its own size, in bytes. How many rows there are is for others to decide:
/// the memory for all is asked for before the first is read.
fn read_sized<T>(
    sql: &str,
    parameters: &[DatumWithOid<'_>],
    each: usize,
    mut map: impl FnMut(Row<'_, '_>) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    let _pinned = Pinned::new();
    Spi::connect(|client| {
        let rows = client.select(sql, None, parameters)?;
        if each > 0 {
            memory::room_for(rows.len().saturating_mul(each))?;
        }
        let mut found = memory::reserved(rows.len())?;
        for row in rows {
            found.push(map(Row(&row))?);
        }
        Ok(found)
    })
}

/// Has the current transaction's commit wait for the disk where `synchronous_commit` is off: a crash that loses a token
/// which Pinterest has rotated loses the account.
fn commit_durably() {
    // SAFETY: a plain read of a process-wide variable.
    if unsafe { pg_sys::synchronous_commit } == pg_sys::SyncCommitLevel::SYNCHRONOUS_COMMIT_OFF as i32 {
        set(c"synchronous_commit", c"local", Until::TransactionEnds);
    }
}

/// Has the current transaction wait for a lock no longer than a worker's main thread can be spared: it comes back.
pub fn wait_briefly_for_locks() {
    set(c"lock_timeout", c"100ms", Until::TransactionEnds);
}

/// Locks tables of ours as a write does, if nobody keeps them from it; where interrupts are held off, a wait would be
/// without end.
pub fn lock_if_free(tables: &[&str]) -> Result<bool, Failure> {
    let names: Vec<_> = tables.iter().map(ToString::to_string).collect();
    let tables = read(
        "SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'pinterest'::regnamespace AND c.relname = ANY ($1)",
        &[names.into()],
        |row| row.get::<pg_sys::Oid>(1),
    )?;
    // SAFETY: relations of this database; held until the end of the transaction.
    Ok(tables
        .into_iter()
        .all(|table| unsafe { pg_sys::ConditionalLockRelationOid(table, pg_sys::RowExclusiveLock as i32) }))
}

/// Raises SQLSTATE 25006 in a read-only transaction and on a standby. A statement would as well, but pgrx assigns a
/// transaction id before it runs one, which on a standby ends in an internal error; and a request to Pinterest whose
/// answer cannot be stored should not be made.
pub fn refuse_if_read_only(what: &std::ffi::CStr) {
    // SAFETY: a NUL-terminated string; main thread.
    unsafe { pg_sys::PreventCommandIfReadOnly(what.as_ptr()) };
}

/// Runs a statement that writes, and returns what its RETURNING gives.
fn write<T>(
    sql: &str,
    parameters: &[DatumWithOid<'_>],
    mut map: impl FnMut(Row<'_, '_>) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    refuse_if_read_only(c"a write of pg_pinterest");
    let _pinned = Pinned::new();
    Spi::connect_mut(|client| client.update(sql, None, parameters)?.map(|row| map(Row(&row))).collect())
}

/// Runs a statement that writes; the number of rows it touched.
fn execute(sql: &str, parameters: &[DatumWithOid<'_>]) -> Result<usize, Failure> {
    refuse_if_read_only(c"a write of pg_pinterest");
    let _pinned = Pinned::new();
    Spi::connect_mut(|client| {
        client.update(sql, None, parameters)?;
        // SAFETY: set by the statement that just ran.
        Ok(usize::try_from(unsafe { pg_sys::SPI_processed }).unwrap_or(usize::MAX))
    })
}

/// Runs `work` with a snapshot of this moment: a function that waits for others' commits would else look at the one
/// its caller's statement began with.
pub fn with_latest_snapshot<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    struct Pop;
    impl Drop for Pop {
        fn drop(&mut self) {
            // An ERROR's cleanup has popped it already.
            if !std::thread::panicking() {
                // SAFETY: pops what was pushed below.
                unsafe { pg_sys::PopActiveSnapshot() };
            }
        }
    }
    // SAFETY: inside a transaction; pushed and popped in this frame.
    unsafe { pg_sys::PushActiveSnapshot(pg_sys::GetLatestSnapshot()) };
    let _pop = Pop;
    work()
}
