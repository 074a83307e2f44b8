//! All SQL of the Rust side, one file per subject: most are named after the table whose rows they read and write, the
//! others after a task that touches several tables.
//!
//! - Accounts and tokens: `account`, `app`, `app_access`, `app_breaker`, `oauth_state`, `quota`, `token`,
//!   `token_answer`; `seal` re-encrypts their secrets.
//! - Imports: [`import`] (the queue, claims, the listing, the end), `import_outcome` (counts), `board`, `pin`,
//!   [`pin_image`], `model`, `reembed`, `retention`.
//! - Searches: `board_images`, `candidates`, `gallery`, `nearest_pins`, `index_settings`.
//! - Users' tables: `user_table` describes them, [`track`] keeps their tracked columns.
//! - The installation and its surroundings: `citus`, `clock`, `databases`, `distribution`, `export`, `extension`, `grants`,
//!   `installation`, `reassign`, `statistics`, `surroundings`.
//!
//! Statements are constants with parameters, except for the schema of pgvector. They run under a pinned `search_path`, because a caller's own could put
//! another operator in place of `=`, and with row security on. `saved` keeps the plans of statements that run often.

pub mod account;
pub mod app;
pub mod app_access;
pub mod app_breaker;
pub mod board;
pub mod board_images;
pub mod candidates;
pub mod citus;
pub mod clock;
pub mod databases;
pub mod distribution;
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
pub mod statistics;
pub mod surroundings;
pub mod token;
pub mod token_answer;
pub mod track;
pub mod user_table;

use std::collections::BTreeMap;

use pgrx::datum::DatumWithOid;
use pgrx::spi::SpiHeapTupleData;
use pgrx::{FromDatum, IntoDatum, Spi, pg_sys};

use crate::errors::{Failure, Kind};
use crate::postgres::session_settings::{GucLevel, set_local};
use crate::postgres::{memory, platform};

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

/// An enum of the words that a column contains.
macro_rules! words {
    ($(#[$about:meta])* pub enum $name:ident { $($(#[$variant_about:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_about])* $variant,)*
        }

        impl $name {
            fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)*
                }
            }
        }
    };
}
use words;

/// The parameters of a statement.
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        [$(pgrx::datum::DatumWithOid::from($value)),*]
    };
}
use params;

/// A closure that makes a struct of a row: its fields in the order of the columns, `: maybe` for those that may be
/// NULL.
macro_rules! row_as {
    ($type:ident { $($field:ident $(: $how:ident)?),* $(,)? }) => {
        |row: $crate::store::Row<'_, '_>| {
            let mut column = 0;
            Ok($type { $($field: { column += 1; $crate::store::row_as!(@ row column $($how)?) }),* })
        }
    };
    (@ $row:ident $column:ident) => { $row.get($column)? };
    (@ $row:ident $column:ident $how:ident) => { $row.$how($column)? };
}
use row_as;

/// Names and operators are the server's own, and policies apply even to sessions that have turned them into errors.
/// JIT compilation takes longer than any of these statements, and loads a large library.
const PINNED: [(&std::ffi::CStr, &std::ffi::CStr); 3] =
    [(c"search_path", c"pg_catalog, pg_temp"), (c"row_security", c"on"), (c"jit", c"off")];

/// Pins the settings that change what a statement means, until the level is dropped.
fn pinned() -> GucLevel {
    let level = GucLevel::open();
    for (name, value) in PINNED {
        level.set(name, value);
    }
    level
}

/// Runs a statement that only reads; its rows.
fn read<T>(
    sql: &str,
    parameters: &[DatumWithOid<'_>],
    map: impl FnMut(Row<'_, '_>) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    read_sized(sql, parameters, 0, map)
}

/// As [`read`] for a statement that returns at most one row.
fn read_optional<T>(
    sql: &str,
    parameters: &[DatumWithOid<'_>],
    map: impl FnMut(Row<'_, '_>) -> Result<T, Failure>,
) -> Result<Option<T>, Failure> {
    Ok(read(sql, parameters, map)?.into_iter().next())
}

/// As [`read`] for a statement that always returns one row, such as an aggregate.
fn read_one<T>(
    sql: &str,
    parameters: &[DatumWithOid<'_>],
    map: impl FnMut(Row<'_, '_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    read_optional(sql, parameters, map)?.ok_or_else(no_row)
}

/// Whether a statement that selects one boolean returns true; false also if it returns no row.
fn is_true(sql: &str, parameters: &[DatumWithOid<'_>]) -> Result<bool, Failure> {
    Ok(read_optional(sql, parameters, |row| row.get(1))?.unwrap_or(false))
}

fn no_row() -> Failure {
    Failure::new(Kind::Internal, "a statement returned no row")
}

/// A count for a column of type `integer`.
pub fn as_integer(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// One value of each item, for a parameter of an array type.
fn column<I, T>(items: &[I], value: impl FnMut(&I) -> T) -> Vec<T> {
    items.iter().map(value).collect()
}

/// What belongs to each account, for statements that name one account.
fn by_account<T>(rows: Vec<(i64, T)>) -> BTreeMap<i64, Vec<T>> {
    let mut found: BTreeMap<i64, Vec<T>> = BTreeMap::new();
    for (account_id, row) in rows {
        found.entry(account_id).or_default().push(row);
    }
    found
}

/// As [`read`]; `each` is the memory for a row beyond its own size, in bytes. Other roles decide how many rows there
/// are: the memory for all of them is reserved before the first is read.
fn read_sized<T>(
    sql: &str,
    parameters: &[DatumWithOid<'_>],
    each: usize,
    mut map: impl FnMut(Row<'_, '_>) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    let _pinned = pinned();
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

/// Makes the current transaction's commit wait for the disk even if `synchronous_commit` is off: a crash that loses a
/// token which Pinterest has rotated loses the account.
fn commit_durably() {
    // SAFETY: a plain read of a process-wide variable.
    if unsafe { pg_sys::synchronous_commit } == pg_sys::SyncCommitLevel::SYNCHRONOUS_COMMIT_OFF as i32 {
        set_local(c"synchronous_commit", c"local");
    }
}

/// Limits the waits for locks in the current transaction to the time for which a worker's main thread can be blocked.
/// The worker tries again later.
pub fn wait_briefly_for_locks() {
    set_local(c"lock_timeout", c"100ms");
}

/// Locks tables of the extension as a write does; false, without waiting, if another session blocks that. While
/// interrupts are held off, a wait could not be cancelled.
pub fn lock_if_free(tables: &[&str]) -> Result<bool, Failure> {
    let names: Vec<_> = tables.iter().map(ToString::to_string).collect();
    let tables = read(
        "SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'pinterest'::regnamespace AND c.relname = ANY ($1)",
        &params![names],
        |row| row.get::<pg_sys::Oid>(1),
    )?;
    // SAFETY: relations of this database; held until the end of the transaction.
    Ok(tables
        .into_iter()
        .all(|table| unsafe { pg_sys::ConditionalLockRelationOid(table, pg_sys::RowExclusiveLock as i32) }))
}

/// Fails in a read-only transaction and on a standby. A statement would do so as well, but pgrx assigns a transaction
/// id before it runs one, which on a standby is an internal error; a request to Pinterest whose response cannot be
/// stored should not be made; and the server's own message does not say where the call is possible.
pub fn refuse_if_read_only(what: &str) -> Result<(), Failure> {
    // SAFETY: a plain read of a process-wide variable. On a standby it is always true.
    if !unsafe { pg_sys::XactReadOnly } {
        return Ok(());
    }
    Err(match platform::in_recovery() {
        true => Failure::new(Kind::ReadOnly, format!("cannot execute {what} during recovery")).with_hint(
            "This server is a standby, where everything that only reads works. Call it on the primary, or here after a \
             promotion.",
        ),
        false => Failure::new(Kind::ReadOnly, format!("cannot execute {what} in a read-only transaction"))
            .with_hint("Call it in a transaction that may write: BEGIN READ WRITE."),
    })
}

/// Runs a statement that writes; the rows of its RETURNING clause.
fn write<T>(
    sql: &str,
    parameters: &[DatumWithOid<'_>],
    mut map: impl FnMut(Row<'_, '_>) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    refuse_if_read_only("a write of pg_pinterest")?;
    let _pinned = pinned();
    Spi::connect_mut(|client| client.update(sql, None, parameters)?.map(|row| map(Row(&row))).collect())
}

/// As [`write`] for a statement that returns at most one row.
fn write_optional<T>(
    sql: &str,
    parameters: &[DatumWithOid<'_>],
    map: impl FnMut(Row<'_, '_>) -> Result<T, Failure>,
) -> Result<Option<T>, Failure> {
    Ok(write(sql, parameters, map)?.into_iter().next())
}

/// As [`write`] for a statement that always returns one row.
fn write_one<T>(
    sql: &str,
    parameters: &[DatumWithOid<'_>],
    map: impl FnMut(Row<'_, '_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    write_optional(sql, parameters, map)?.ok_or_else(no_row)
}

/// Runs a statement that writes.
fn execute(sql: &str, parameters: &[DatumWithOid<'_>]) -> Result<(), Failure> {
    affected(sql, parameters).map(drop)
}

/// Runs a statement that writes; the number of rows that it inserted, updated or deleted.
fn affected(sql: &str, parameters: &[DatumWithOid<'_>]) -> Result<usize, Failure> {
    refuse_if_read_only("a write of pg_pinterest")?;
    let _pinned = pinned();
    Spi::connect_mut(|client| {
        client.update(sql, None, parameters)?;
        // SAFETY: set by the statement that just ran.
        Ok(usize::try_from(unsafe { pg_sys::SPI_processed }).unwrap_or(usize::MAX))
    })
}

/// Runs `work` with the latest snapshot: a function that waits for the commits of other sessions would otherwise read
/// with the snapshot of its caller's statement.
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
