//! The SQL functions, one file per family. A function checks its arguments and the caller's rights, calls `store` or a
//! crate, and returns. Long work is left to the workers.

// pgrx's error type is large, and the only one that keeps its SQLSTATE; it is made once, when a statement fails.
#![allow(clippy::result_large_err)]
// Columns and arguments of SQL functions.
#![allow(clippy::type_complexity, clippy::too_many_arguments)]

mod access_token;
mod account_data;
mod admin;
mod app;
mod board;
mod board_embedding;
mod board_images;
mod classify;
mod connect;
mod distribute;
mod doctor;
mod duplicates;
mod embed;
mod gallery;
mod import;
mod keys;
mod label_embeddings;
mod recommend;
mod similar;
mod small_images;
mod statistics;
mod themes;
mod track;
mod wait;
mod workers;

use pgrx::datum::Interval;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode};

use crate::errors::{Failure, Kind};
use crate::store::{citus, refuse_if_read_only};

/// The only return type with which an error keeps its SQLSTATE.
pub type Answer<T> = Result<T, ErrorReport>;

/// Refuses a call on a node of Citus that is not the coordinator, before anything is read or written: its tables of the
/// extension are empty, and no worker would find what a call queues there.
fn on_coordinator() -> Result<(), Failure> {
    citus::elsewhere()?.map_or(Ok(()), Err)
}

/// Refuses a call that writes where that is not possible: in a read-only transaction, on a standby, and on another node of
/// Citus than the coordinator.
fn writes_here(call: &str) -> Result<(), Failure> {
    refuse_if_read_only(call)?;
    on_coordinator()
}

/// Bytes of an argument that is a name, a code or a token. Longer ones are mistakes, and messages repeat arguments.
const LONGEST_ARGUMENT: usize = 64 << 10;

/// Refuses an argument of more than [`LONGEST_ARGUMENT`] bytes.
fn not_long<'a>(value: &'a str, argument: &str) -> Result<&'a str, Failure> {
    if value.len() > LONGEST_ARGUMENT {
        return Err(Failure::new(
            Kind::TooLarge,
            format!("{argument} has {} bytes, more than the limit of {LONGEST_ARGUMENT}", value.len()),
        ));
    }
    Ok(value)
}

/// Refuses optional arguments, given with their names, of more than [`LONGEST_ARGUMENT`] bytes.
fn none_long(arguments: &[(&str, Option<&str>)]) -> Result<(), Failure> {
    let mut given = arguments.iter().filter_map(|(name, value)| Some((name, (*value)?)));
    given.try_for_each(|(name, value)| not_long(value, name).map(drop))
}

/// Refuses NULL for a required argument.
fn given<T>(value: Option<T>, argument: &str) -> Result<T, Failure> {
    value.ok_or_else(|| Failure::new(Kind::NullArgument, format!("{argument} must not be NULL")))
}

/// Refuses an empty argument.
fn not_empty<'a>(value: &'a str, argument: &str) -> Result<&'a str, Failure> {
    not_long(value, argument)?;
    if value.trim().is_empty() {
        return Err(Failure::new(Kind::BadArgument, format!("{argument} must not be empty")));
    }
    Ok(value)
}

/// Refuses an empty argument, and one with control characters, which a URL cannot contain.
fn without_control_characters<'a>(value: &'a str, argument: &str) -> Result<&'a str, Failure> {
    not_long(value, argument)?;
    if value.chars().any(char::is_control) {
        return Err(Failure::new(Kind::BadArgument, format!("{argument} must not contain control characters")));
    }
    not_empty(value, argument)
}

/// Refuses a number that is not from 1 to `most`.
fn up_to(most: i32, number: i32, argument: &str) -> Result<usize, Failure> {
    match usize::try_from(number) {
        Ok(found) if (1..=most).contains(&number) => Ok(found),
        _ => Err(Failure::new(Kind::BadArgument, format!("{argument} must be from 1 to {most}, not {number}"))),
    }
}

/// Raises a WARNING.
fn warn(message: impl Into<String>, hint: Option<&str>) {
    let report = ErrorReport::new(PgSqlErrorCode::ERRCODE_WARNING, message.into(), "pg_pinterest");
    match hint {
        Some(hint) => report.set_hint(hint),
        None => report,
    }
    .report(PgLogLevel::WARNING);
}

/// A number or rank as an SQL integer.
fn index(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// The length of an interval in seconds; a month has 30 days.
fn seconds(interval: &Interval) -> f64 {
    interval.as_micros() as f64 / 1e6
}
