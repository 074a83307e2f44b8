//! The background workers, and pausing them.

use std::time::{SystemTime, UNIX_EPOCH};

use pgrx::datum::TimestampWithTimeZone;
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::Answer;
use crate::errors::{Failure, Kind};
use crate::postgres::identity::as_worker;
use crate::postgres::platform::current_database;
use crate::store::track::work;
use crate::store::{databases, import, refuse_if_read_only};
use crate::workers::pause;
use crate::workers::registry::{self, Worker};

/// The launcher, the supervisor and this database's workers; the view pinterest.workers shows them.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_workers() -> Result<
    TableIterator<
        'static,
        (
            name!(kind, String),
            name!(pid, Option<i32>),
            name!(state, String),
            name!(started_at, TimestampWithTimeZone),
            name!(imports, i64),
            name!(images, i64),
            name!(tracked_rows, i64),
            name!(seconds_since_heartbeat, Option<f64>),
        ),
    >,
    ErrorReport,
> {
    let mut rows = as_worker(|| {
        registry::listed()
            .into_iter()
            .map(|(worker, process)| {
                let in_hand = import::in_hand(&process.identity())?;
                let tracked_rows = work::in_hand(&process.identity())?;
                let state = match (process.leaving, in_hand.imports + tracked_rows) {
                    (true, _) => "leaving",
                    (false, 0) => "idle",
                    (false, _) => "working",
                };
                Ok((
                    worker.type_name().to_string_lossy().into_owned(),
                    Some(process.pid),
                    state.to_owned(),
                    timestamp(process.started)?,
                    in_hand.imports,
                    in_hand.images,
                    tracked_rows,
                    in_hand.heartbeat,
                ))
            })
            .collect::<Result<Vec<_>, Failure>>()
    })?;
    if let Some(since) = pause::since(current_database()) {
        let kind = Worker::Database(current_database()).type_name().to_string_lossy().into_owned();
        let since = timestamp(of_system(since))?;
        rows.push((kind, None, "paused".to_owned(), since, 0, 0, 0, None));
    }
    Ok(TableIterator::new(rows))
}

/// From microseconds since 2000-01-01 UTC.
fn timestamp(microseconds: i64) -> Result<TimestampWithTimeZone, Failure> {
    // SAFETY: a timestamp in the server's representation.
    unsafe { TimestampWithTimeZone::from_datum(pg_sys::Datum::from(microseconds), false) }
        .ok_or_else(|| Failure::new(Kind::Internal, "a time is NULL"))
}

fn of_system(time: SystemTime) -> i64 {
    /// Microseconds from 1970 to 2000.
    const EPOCHS: i64 = 946_684_800_000_000;
    let since_1970 = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    i64::try_from(since_1970).unwrap_or(i64::MAX) - EPOCHS
}

/// Ends the workers of a database, by default the current one, and starts no others until they are resumed; returns when
/// they have ended. False if they were paused already.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_pause_workers(database: default!(Option<&str>, "NULL")) -> Answer<bool> {
    refuse_if_read_only(c"pinterest_pause_workers()");
    Ok(pause::pause(databases::own(database)?)?)
}

/// Lets workers of a database, by default the current one, start again. False if they were not paused.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_resume_workers(database: default!(Option<&str>, "NULL")) -> Answer<bool> {
    refuse_if_read_only(c"pinterest_resume_workers()");
    Ok(pause::resume(databases::own(database)?)?)
}
