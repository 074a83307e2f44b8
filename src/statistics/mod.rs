//! Cumulative statistics: counters in shared memory that the views `pinterest.stat_…` show (docs/statistics.md).
//!
//! - `counter` names the counters, `memory` is their fixed place in shared memory, `named` the tables of hosts and tracked
//!   columns. Everything is an atomic number: an increment takes no lock, allocates nothing, calls no function of Postgres and
//!   cannot fail, so any thread may make it.
//! - [`note`] counts what a transaction does, if it commits (`pending`); [`add`] counts at once.
//! - `requests` counts the requests of [`pinterest::Client`]s, `embedder` what the embedder reports.
//! - `file` keeps the counters over a clean restart of a server that preloads the library.
//!
//! Until a process is attached to the memory it counts nothing: [`attach`] is called by workers once they know that the extension
//! exists in their database, and by calls of sessions that count something.

mod counter;
pub mod embedder;
mod file;
mod memory;
mod named;
mod pending;
pub mod requests;

pub use counter::{Counter, Image, Import, Refresh, Source, Tracked, View};
pub use memory::{Counts, attach, counts, forget_others, is_full, reserve, reset, seen_databases};
pub use named::{forget_other_columns, hosts, seen_columns, tracked};
pub use pending::{note, note_of_column, note_reset, note_untracked};

use std::time::Duration;

/// Counts at once.
pub fn add(counter: Counter, number: u64) {
    if let Some(database) = memory::own() {
        database.add(counter, number);
    }
}

/// Adds a time at once, in microseconds.
pub fn add_time(counter: Counter, time: Duration) {
    add(counter, microseconds(time));
}

/// Counts a downloaded image of this many bytes.
pub fn downloaded(source: Source, bytes: usize, time: Duration) {
    add(Counter::Image(source, Image::Downloads), 1);
    add(Counter::Image(source, Image::Bytes), bytes as u64);
    add_time(Counter::Image(source, Image::DownloadTime), time);
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
