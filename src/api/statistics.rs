//! Cumulative statistics: the functions behind the views `pinterest.stat_…` (sql/statistics.sql declares them), and their reset.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use embedder::Client;
use pgrx::datum::{Interval, TimestampWithTimeZone, to_timestamp};
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::{Answer, none_long};
use crate::errors::{Failure, Kind};
use crate::postgres::helper_thread::block_on;
use crate::postgres::identity::as_worker;
use crate::postgres::platform::{self, current_database};
use crate::postgres::threads::WaitEvent;
use crate::statistics::embedder::Count;
use crate::statistics::{self, Counter, Image, Import, Refresh, Source, View};
use crate::store;
use crate::workers::pause;
use crate::workers::registry::{self, Worker};

/// Microseconds since 2000-01-01 UTC, as a value of SQL.
fn moment(microseconds: Option<i64>) -> Option<TimestampWithTimeZone> {
    microseconds.and_then(|moment| TimestampWithTimeZone::try_from(moment).ok())
}

/// The counters of this database; `None` if they are not kept, which `pinterest_doctor()` reports.
fn counts() -> Option<statistics::Counts> {
    statistics::attach().ok()?;
    statistics::counts()
}

/// The row of pinterest.stat_imports.
#[pg_extern(sql = false)]
fn read_stat_imports() -> Result<
    TableIterator<
        'static,
        (
            name!(queued, Option<i64>),
            name!(started, Option<i64>),
            name!(completed, Option<i64>),
            name!(failed, Option<i64>),
            name!(cancelled, Option<i64>),
            name!(unchanged, Option<i64>),
            name!(waits_quota, Option<i64>),
            name!(waits_access, Option<i64>),
            name!(waits_reauth, Option<i64>),
            name!(pins_listed, Option<i64>),
            name!(import_time, Option<f64>),
            name!(imports_queued, i64),
            name!(imports_running, i64),
            name!(imports_waiting, i64),
            name!(oldest_queued_age, Option<Interval>),
            name!(oldest_sync_age, Option<Interval>),
            name!(stats_reset, Option<TimestampWithTimeZone>),
        ),
    >,
    ErrorReport,
> {
    let now = as_worker(store::statistics::imports)?;
    let counts = counts();
    let number = |counter| counts.as_ref().map(|counts| counts.get(Counter::Import(counter)));
    Ok(TableIterator::once((
        number(Import::Queued),
        number(Import::Started),
        number(Import::Completed),
        number(Import::Failed),
        number(Import::Cancelled),
        number(Import::Unchanged),
        number(Import::WaitsQuota),
        number(Import::WaitsAccess),
        number(Import::WaitsReauth),
        number(Import::PinsListed),
        counts.as_ref().map(|counts| counts.milliseconds(Counter::Import(Import::Time))),
        now.queued,
        now.running,
        now.waiting,
        now.oldest_queued_age,
        now.oldest_sync_age,
        moment(counts.as_ref().and_then(|counts| counts.reset_at(View::Imports))),
    )))
}

/// The rows of pinterest.stat_images.
#[pg_extern(sql = false)]
fn read_stat_images() -> Result<
    TableIterator<
        'static,
        (
            name!(source, &'static str),
            name!(embedded, Option<i64>),
            name!(reused, Option<i64>),
            name!(skipped, Option<i64>),
            name!(failed, Option<i64>),
            name!(downloads, Option<i64>),
            name!(bytes_downloaded, Option<i64>),
            name!(download_time, Option<f64>),
            name!(embed_time, Option<f64>),
            name!(pending, Option<i64>),
            name!(stats_reset, Option<TimestampWithTimeZone>),
        ),
    >,
    ErrorReport,
> {
    let (imported, tracked) = as_worker(store::statistics::pending_images)?;
    let counts = counts();
    let rows = Source::ALL.map(|source| {
        let number = |counter| counts.as_ref().map(|counts| counts.get(Counter::Image(source, counter)));
        let time = |counter| counts.as_ref().map(|counts| counts.milliseconds(Counter::Image(source, counter)));
        (
            source.name(),
            number(Image::Embedded),
            number(Image::Reused),
            number(Image::Skipped),
            number(Image::Failed),
            number(Image::Downloads),
            number(Image::Bytes),
            time(Image::DownloadTime),
            time(Image::EmbedTime),
            match source {
                Source::Import => Some(imported),
                Source::Tracked => Some(tracked),
                Source::Call => None,
            },
            moment(counts.as_ref().and_then(|counts| counts.reset_at(View::Images))),
        )
    });
    Ok(TableIterator::new(rows))
}

/// The rows of pinterest.stat_requests.
#[pg_extern(sql = false)]
fn read_stat_requests() -> Result<
    TableIterator<
        'static,
        (
            name!(host, String),
            name!(status_class, &'static str),
            name!(requests, i64),
            name!(retries, i64),
            name!(bytes_received, i64),
            name!(request_time, f64),
            name!(stats_reset, Option<TimestampWithTimeZone>),
        ),
    >,
    ErrorReport,
> {
    let reset = counts().and_then(|counts| counts.reset_at(View::Requests));
    let number = |number| i64::try_from(number).unwrap_or(i64::MAX);
    let rows = statistics::hosts().into_iter().map(move |((host, class), counts)| {
        let time = counts.time as f64 / 1000.0;
        let (requests, retries, bytes) = (number(counts.requests), number(counts.retries), number(counts.bytes));
        (host, class.name(), requests, retries, bytes, time, moment(reset))
    });
    Ok(TableIterator::new(rows.collect::<Vec<_>>()))
}

/// The row of pinterest.stat_embedder.
#[pg_extern(sql = false)]
fn read_stat_embedder() -> Result<
    TableIterator<
        'static,
        (
            name!(images, Option<i64>),
            name!(texts, Option<i64>),
            name!(batches, Option<i64>),
            name!(queue_depth, Option<i64>),
            name!(queue_wait_time, Option<f64>),
            name!(batch_time, Option<f64>),
            name!(busy_rejections, Option<i64>),
            name!(starts, Option<i64>),
            name!(deaths, Option<i64>),
            name!(loaded, Option<bool>),
            name!(model, Option<String>),
            name!(precision, Option<String>),
            name!(untrained, Option<bool>),
            name!(stats_reset, Option<TimestampWithTimeZone>),
        ),
    >,
    ErrorReport,
> {
    let found = statistics::attach().ok().and_then(|()| statistics::embedder::snapshot());
    let number = |count| found.as_ref().map(|found| found.get(count));
    let time = |count| found.as_ref().map(|found| found.milliseconds(count));
    let model = found.as_ref().and_then(|found| found.model.as_ref());
    Ok(TableIterator::once((
        number(Count::Images),
        number(Count::Texts),
        number(Count::Batches),
        found.as_ref().map(|found| found.queue_depth.into()),
        time(Count::QueueWaitTime),
        time(Count::BatchTime),
        number(Count::BusyRejections),
        number(Count::Starts),
        number(Count::Deaths),
        found.as_ref().map(|found| found.loaded),
        model.map(|model| model.name.clone()),
        model.map(|model| model.precision.clone()),
        model.map(|model| model.untrained),
        moment(found.as_ref().map(|found| found.reset_at)),
    )))
}

/// The time within which the embedder tells of others.
const EMBEDDERS_PATIENCE: Duration = Duration::from_secs(2);

/// The rows of pinterest.stat_embedders: the present state, asked from the program that spreads the work.
#[pg_extern(sql = false)]
fn read_stat_embedders() -> Result<
    TableIterator<
        'static,
        (
            name!(embedder, String),
            name!(address, Option<String>),
            name!(state, String),
            name!(problem, Option<String>),
            name!(precision, Option<String>),
            name!(kernels, Option<String>),
            name!(images, i64),
            name!(texts, i64),
            name!(failures, i64),
            name!(in_flight, i64),
            name!(images_per_second, Option<f64>),
            name!(round_trip_time, Option<f64>),
        ),
    >,
    ErrorReport,
> {
    // A connection would start the program.
    let runs = statistics::attach().is_ok() && statistics::embedder::is_running();
    let members = match runs {
        false => Vec::new(),
        true => block_on(WaitEvent::Embedder, || async {
            let asked = async { Client::connect(platform::EMBEDDER_SOCKET.as_ref()).await?.embedders().await };
            Ok::<_, Failure>(tokio::time::timeout(EMBEDDERS_PATIENCE, asked).await.ok().and_then(Result::ok))
        })?
        .unwrap_or_default(),
    };
    let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    let rows = members.into_iter().map(move |member| {
        let image_time = f64::from(member.image_microseconds);
        let round_trip = f64::from(member.round_trip_microseconds);
        (
            member.name,
            given(member.address),
            member.state.to_string(),
            member.problem,
            given(member.precision),
            given(member.kernels),
            count(member.images),
            count(member.texts),
            count(member.failures),
            i64::from(member.in_flight),
            (image_time > 0.0).then(|| 1e6 / image_time),
            (round_trip > 0.0).then_some(round_trip / 1000.0),
        )
    });
    Ok(TableIterator::new(rows.collect::<Vec<_>>()))
}

/// The row of pinterest.stat_refreshes.
#[pg_extern(sql = false)]
fn read_stat_refreshes() -> Result<
    TableIterator<
        'static,
        (
            name!(succeeded, Option<i64>),
            name!(failed, Option<i64>),
            name!(rejected, Option<i64>),
            name!(last_success, Option<TimestampWithTimeZone>),
            name!(last_failure, Option<TimestampWithTimeZone>),
            name!(accounts_connected, i64),
            name!(accounts_needs_reauth, i64),
            name!(accounts_uncertain, i64),
            name!(next_expiry, Option<TimestampWithTimeZone>),
            name!(stats_reset, Option<TimestampWithTimeZone>),
        ),
    >,
    ErrorReport,
> {
    let now = as_worker(store::statistics::accounts)?;
    let counts = counts();
    let number = |counter| counts.as_ref().map(|counts| counts.get(Counter::Refresh(counter)));
    let last = |counter| moment(counts.as_ref().and_then(|counts| counts.moment(Counter::Refresh(counter))));
    Ok(TableIterator::once((
        number(Refresh::Succeeded),
        number(Refresh::Failed),
        number(Refresh::Rejected),
        last(Refresh::LastSuccess),
        last(Refresh::LastFailure),
        now.connected,
        now.needs_reauth,
        now.uncertain,
        now.next_expiry,
        moment(counts.as_ref().and_then(|counts| counts.reset_at(View::Refreshes))),
    )))
}

/// The rows of pinterest.stat_tracked.
#[pg_extern(sql = false)]
fn read_stat_tracked() -> Result<
    TableIterator<
        'static,
        (
            name!(tracked_column_id, i64),
            name!(table_oid, Option<pg_sys::Oid>),
            name!(embedding_column, String),
            name!(embedded, Option<i64>),
            name!(failed, Option<i64>),
            name!(skipped, Option<i64>),
            name!(retries, Option<i64>),
            name!(pending, i64),
            name!(failed_rows, i64),
            name!(oldest_pending_age, Option<Interval>),
            name!(stats_reset, Option<TimestampWithTimeZone>),
        ),
    >,
    ErrorReport,
> {
    let columns = as_worker(store::statistics::tracked_columns)?;
    let reset = counts().and_then(|counts| counts.reset_at(View::Tracked));
    let rows = columns.into_iter().map(move |column| {
        let counted = statistics::tracked(column.tracked_column_id);
        let [embedded, failed, skipped, retries] =
            [0, 1, 2, 3].map(|index: usize| counted.map(|counted| i64::try_from(counted[index]).unwrap_or(i64::MAX)));
        (
            column.tracked_column_id,
            column.table_oid,
            column.embedding_column,
            embedded,
            failed,
            skipped,
            retries,
            column.pending,
            column.failed,
            column.oldest_pending_age,
            moment(reset),
        )
    });
    Ok(TableIterator::new(rows.collect::<Vec<_>>()))
}

/// The row of pinterest.stat_workers.
#[pg_extern(sql = false)]
fn read_stat_workers() -> Result<
    TableIterator<
        'static,
        (
            name!(workers, i64),
            name!(tracking_workers, i64),
            name!(paused_since, Option<TimestampWithTimeZone>),
            name!(slots, i64),
            name!(slots_used, i64),
            name!(last_refusal, Option<TimestampWithTimeZone>),
        ),
    >,
    ErrorReport,
> {
    let running = |worker: Worker| i64::try_from(worker.running().len()).unwrap_or(i64::MAX);
    let database = current_database();
    let (used, slots) = registry::background_workers();
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    Ok(TableIterator::once((
        running(Worker::Database(database)),
        running(Worker::Tracking(database)),
        pause::since(database).map(|since| to_timestamp(seconds(since))),
        i64::try_from(slots).unwrap_or(i64::MAX),
        i64::try_from(used).unwrap_or(i64::MAX),
        registry::last_refusal().map(|ago| to_timestamp(seconds(SystemTime::now()) - ago)),
    )))
}

/// Sets the counters of a view to 0, by default those of all views of this database. Those of `pinterest.stat_embedder` belong to
/// all databases: only superusers reset them, and by the view's name.
#[pg_extern(volatile, parallel_restricted)]
fn pinterest_stat_reset(view: default!(Option<&str>, "NULL")) -> Answer<()> {
    none_long(&[("view", view)])?;
    let views: Vec<View> = match view {
        None => View::ALL[..View::OF_DATABASE].to_vec(),
        Some(name) => {
            let known = View::ALL.into_iter().find(|view| view.name() == name.trim_start_matches("pinterest."));
            vec![known.ok_or_else(|| {
                let names = View::ALL.map(View::name).join(", ");
                Failure::new(Kind::BadArgument, format!("invalid view \"{name}\""))
                    .with_hint(format!("The views are {names}."))
            })?]
        }
    };
    // SAFETY: a look-up of the current role.
    if views.contains(&View::Embedder) && !unsafe { pg_sys::superuser() } {
        let message = "permission denied to reset pinterest.stat_embedder";
        let hint = "Its counters are those of all databases of the cluster. Superusers can reset them.";
        return Err(Failure::new(Kind::NotYours, message).with_hint(hint).into());
    }
    statistics::attach()?;
    // A creation that is rolled back must not reset the counters of the extension that exists afterwards.
    // SAFETY: a plain read of a process-wide variable.
    let reset = if unsafe { pg_sys::creating_extension } { statistics::note_reset } else { statistics::reset };
    views.into_iter().for_each(reset);
    Ok(())
}
