//! Declaring tracked columns, ending the tracking, and trying failed rows again.

use pgrx::prelude::*;

use super::checks::{Sources, declared, has_triggers_here, own_table};
use crate::api::wait::require_read_committed;
use crate::api::{Answer, given, on_coordinator, writes_here};
use crate::errors::{Failure, Kind};
use crate::postgres::identity::as_worker;
use crate::postgres::regclass::Regclass;
use crate::store::refuse_if_read_only;
use crate::store::track::column::{Declaration, TrackedColumn};
use crate::store::track::{declaration, fill, queue, trigger, trust};
use crate::store::user_table::{self, UserTable, describe};
use crate::workers::registry;

/// Declares a tracked column: workers keep a `vector(512)` column of the caller's table in step with its source, which is
/// exactly one of `image` (encoded images), `image_url` (their URLs) and `text`. Queues every row that has a source, also if
/// the column is already tracked; returns their number.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_track(
    table: Option<Regclass>,
    key: default!(Option<&str>, "NULL"),
    image: default!(Option<&str>, "NULL"),
    image_url: default!(Option<&str>, "NULL"),
    text: default!(Option<&str>, "NULL"),
    embedding: default!(Option<&str>, "'embedding'"),
) -> Answer<i64> {
    let table = given(table, "table")?;
    let embedding = given(embedding, "embedding")?;
    writes_here("pinterest_track()")?;
    require_read_committed(c"pinterest_track()")?;
    let table = describe(table.0)?;
    own_table(&table)?;
    declaration::lock(&table)?;
    // The table may have changed before the lock was taken.
    let table = describe(table.oid)?;
    own_table(&table)?;
    has_triggers_here(&table)?;
    trust::check(table.oid)?;
    let wanted = declared(&table, key, &Sources { image, image_url, text }, embedding)?;
    let tracked = existing(&table, &wanted)?;
    let since = as_worker(queue::next_version)?;
    let tie = match tracked {
        Some(tracked) => {
            as_worker(|| declaration::refresh(tracked.id(), &table))?;
            // The triggers may have been disabled, or some of them dropped.
            trigger::drop(tracked.id(), &table)?;
            tracked.tie
        }
        None => as_worker(|| declaration::insert(&table, &wanted))?,
    };
    trigger::create(&tie, &table, &wanted)?;
    let id = tie.tracked_column_id;
    let width = wanted.key_columns.len();
    let rows = fill::keys(&table, &wanted, |values| as_worker(|| queue::enqueue_many(id, values, width)))?;
    as_worker(|| queue::remove_older(id, since))?;
    registry::wake_tracking_at_commit()?;
    Ok(rows)
}

/// Stops tracking one column of a table, or all of its columns; the vectors stay. A table that no longer exists is found by
/// the name that it had when it was declared. Returns the number of columns.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_untrack(table: Option<&str>, embedding: default!(Option<&str>, "NULL")) -> Answer<i64> {
    let table = given(table, "table")?;
    writes_here("pinterest_untrack()")?;
    let (schema, name) = user_table::table_name(table)?;
    let embedding = embedding.map(|embedding| user_table::identifier(embedding, "embedding")).transpose()?;
    let present = declaration::resolve(table)?;
    let mut ended = Vec::new();
    if let Some(oid) = present {
        let table = describe(oid)?;
        own_table(&table)?;
        declaration::lock(&table)?;
        for tracked in trigger::columns_of(table.oid)? {
            if embedding.as_ref().is_none_or(|embedding| *embedding == tracked.declaration.embedding_column) {
                trigger::drop(tracked.id(), &table)?;
                ended.push(tracked.id());
            }
        }
        trigger::drop_strays(&table)?;
    }
    let mut gone = declaration::without_table(schema.as_deref(), &name, embedding.as_deref())?;
    // Without those whose triggers were just dropped.
    gone.retain(|id| !ended.contains(id));
    if present.is_none() && gone.is_empty() {
        return Err(Failure::new(
            Kind::NotFound,
            format!("table {table} does not exist, and no table of that name was tracked"),
        )
        .with_hint("SELECT * FROM pinterest.tracked lists the tracked columns of your tables.")
        .into());
    }
    ended.extend(gone);
    as_worker(|| declaration::delete(&ended))?;
    Ok(i64::try_from(ended.len()).unwrap_or(i64::MAX))
}

/// Queues the failed rows again; returns their number.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_retry_tracked(table: Option<Regclass>, embedding: default!(Option<&str>, "NULL")) -> Answer<i64> {
    refuse_if_read_only("pinterest_retry_tracked()")?;
    let table = given(table, "table")?;
    let table = describe(table.0)?;
    own_table(&table)?;
    let ids = required_ids(&table, embedding)?;
    let failed = as_worker(|| queue::retry_failed(&ids))?;
    registry::wake_tracking_at_commit()?;
    Ok(failed)
}

/// Ids of the table's tracked columns (at least one), or of the named one.
///
/// # Errors
///
/// NotFound if there are none; NotReady on another node of Citus than the coordinator.
pub fn required_ids(table: &UserTable, embedding: Option<&str>) -> Result<Vec<i64>, Failure> {
    on_coordinator()?;
    let embedding = embedding.map(|embedding| user_table::identifier(embedding, "embedding")).transpose()?;
    let ids: Vec<i64> = trigger::columns_of(table.oid)?
        .iter()
        .filter(|tracked| embedding.as_ref().is_none_or(|embedding| *embedding == tracked.declaration.embedding_column))
        .map(TrackedColumn::id)
        .collect();
    if ids.is_empty() {
        let which = embedding.map(|embedding| format!("column \"{embedding}\" of ")).unwrap_or_default();
        return Err(Failure::new(Kind::NotFound, format!("{which}{} is not tracked", table.quoted))
            .with_hint("To track it, call pinterest_track()."));
    }
    Ok(ids)
}

/// The tracked column with the same declaration. Removes declarations whose columns no longer exist; refuses if the embedding
/// column is tracked by another declaration.
fn existing(table: &UserTable, wanted: &Declaration) -> Result<Option<TrackedColumn>, Failure> {
    trigger::drop_strays(table)?;
    let mut same = None;
    for tracked in trigger::columns_of(table.oid)? {
        let declared = &tracked.declaration;
        if declared == wanted {
            same = Some(tracked);
        } else if table.column(&declared.embedding_column).is_none()
            || (declared.embedding_column == wanted.embedding_column && !is_whole(table, declared))
        {
            trigger::drop(tracked.id(), table)?;
            as_worker(|| declaration::delete(&[tracked.id()]))?;
        } else if declared.embedding_column == wanted.embedding_column {
            return Err(Failure::new(
                Kind::BadArgument,
                format!(
                    "column \"{}\" of {} is already tracked ({} \"{}\", key {})",
                    declared.embedding_column,
                    table.quoted,
                    declared.source_kind,
                    declared.source_column,
                    declared.key_columns.join(", ")
                ),
            )
            .with_hint("To stop tracking it, call pinterest_untrack(); the vectors stay."));
        }
    }
    Ok(same)
}

/// Whether all columns of the declaration still exist.
fn is_whole(table: &UserTable, declared: &Declaration) -> bool {
    [&declared.source_column, &declared.embedding_column]
        .into_iter()
        .chain(&declared.key_columns)
        .all(|name| table.column(name).is_some())
}
