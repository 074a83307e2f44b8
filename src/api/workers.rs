//! The background workers, and pausing them.

use std::time::UNIX_EPOCH;

use pgrx::datum::{TimestampWithTimeZone, to_timestamp};
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
                    TimestampWithTimeZone::try_from(process.started)
                        .map_err(|_| Failure::new(Kind::Internal, "the start of a process is out of range"))?,
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
        let since = to_timestamp(since.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
        rows.push((kind, None, "paused".to_owned(), since, 0, 0, 0, None));
    }
    Ok(TableIterator::new(rows))
}

/// Ends the workers of a database, by default the current one, and starts no others until they are resumed; returns when
/// they have ended. False if they were paused already.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_pause_workers(database: default!(Option<&str>, "NULL")) -> Answer<bool> {
    refuse_if_read_only("pinterest_pause_workers()")?;
    Ok(pause::pause(databases::own(database)?)?)
}

/// Lets workers of a database, by default the current one, start again. False if they were not paused.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_resume_workers(database: default!(Option<&str>, "NULL")) -> Answer<bool> {
    refuse_if_read_only("pinterest_resume_workers()")?;
    Ok(pause::resume(databases::own(database)?)?)
}
