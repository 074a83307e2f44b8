//! What runs in the background.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::errors::{Failure, Kind};
use crate::identity::as_worker;
use crate::store::import;
use crate::store::track::work;
use crate::workers::registry;

/// The launcher, the supervisor and this database's workers; the view pinterest.workers shows them.
#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::type_complexity)] // Columns of an SQL function.
fn pinterest_workers() -> Result<
    TableIterator<
        'static,
        (
            name!(kind, String),
            name!(pid, i32),
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
    let rows = as_worker(|| {
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
                // SAFETY: the process table's start time is a timestamp as Postgres keeps it.
                let started = unsafe { TimestampWithTimeZone::from_datum(pg_sys::Datum::from(process.started), false) }
                    .ok_or_else(|| Failure::new(Kind::Internal, "a start time is NULL"))?;
                Ok((
                    worker.type_name().to_string_lossy().into_owned(),
                    process.pid,
                    state.to_owned(),
                    started,
                    in_hand.imports,
                    in_hand.images,
                    tracked_rows,
                    in_hand.heartbeat,
                ))
            })
            .collect::<Result<Vec<_>, Failure>>()
    })?;
    Ok(TableIterator::new(rows))
}
