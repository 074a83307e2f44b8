//! What SQL sees, one file per family of functions. A function checks its arguments and the caller's rights, calls
//! `store` or a crate, and returns; what takes long it leaves to the worker.

// pgrx's error type is large, and the only one that keeps its SQLSTATE; it is made once, when a statement fails.
#![allow(clippy::result_large_err)]

mod access_token;
mod account_data;
mod admin;
mod app;
mod board;
mod board_embedding;
mod board_images;
mod classify;
mod connect;
mod doctor;
mod duplicates;
mod embed;
mod gallery;
mod import;
mod keys;
mod label_embeddings;
mod recommend;
mod similar;
mod themes;
mod track;
mod waiting;
mod workers;

use pgrx::datum::Interval;
use pgrx::pg_sys::panic::ErrorReport;

use crate::errors::{Failure, Kind};

/// The only return type with which an error keeps its SQLSTATE.
pub type Answer<T> = Result<T, ErrorReport>;

/// Bytes of an argument that names something. Longer ones are a mistake, and messages repeat them.
const LONGEST_ARGUMENT: usize = 64 << 10;

/// Refuses an argument that is longer than any name, code or token.
fn not_long<'a>(value: &'a str, argument: &str) -> Result<&'a str, Failure> {
    if value.len() > LONGEST_ARGUMENT {
        return Err(Failure::new(
            Kind::TooLarge,
            format!("{argument} has {} bytes, more than the limit of {LONGEST_ARGUMENT}", value.len()),
        ));
    }
    Ok(value)
}

/// The same of arguments that may be left out, with their names.
fn none_long(arguments: &[(&str, Option<&str>)]) -> Result<(), Failure> {
    let mut given = arguments.iter().filter_map(|(name, value)| Some((name, (*value)?)));
    given.try_for_each(|(name, value)| not_long(value, name).map(drop))
}

/// Refuses NULL for an argument that has to be given.
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

/// Refuses what a text column would store and a URL could not carry.
fn without_control_characters<'a>(value: &'a str, argument: &str) -> Result<&'a str, Failure> {
    not_long(value, argument)?;
    if value.chars().any(char::is_control) {
        return Err(Failure::new(Kind::BadArgument, format!("{argument} must not hold control characters")));
    }
    not_empty(value, argument)
}

/// The length of an interval; a month counts 30 days.
fn seconds(interval: &Interval) -> f64 {
    f64::from(interval.months()) * 30.0 * 86_400.0
        + f64::from(interval.days()) * 86_400.0
        + interval.micros() as f64 / 1e6
}
