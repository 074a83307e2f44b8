//! The calls: declare, end, try again.

use pgrx::pg_sys;
use pgrx::prelude::*;

use super::checks::{Sources, declared, own_table};
use crate::api::{Answer, given};
use crate::errors::{Failure, Kind};
use crate::postgres::identity::as_worker;
use crate::postgres::regclass::Regclass;
use crate::store::track::column::{Declaration, TrackedColumn};
use crate::store::track::{declaration, fill, queue, trigger, trust};
use crate::store::user_table::{self, UserTable, describe};
use crate::workers::registry;

/// Declares that a `vector(512)` column of the caller's table follows another column: exactly one of `image` (encoded
/// pictures), `image_url` (their addresses) and `text`. Puts every row that has a source into the queue, also where the
/// column is tracked already; returns how many.
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
    crate::store::refuse_if_read_only(c"pinterest_track()");
    refuse_old_snapshot("keeps rows out of sight that were committed since it was taken")?;
    let table = describe(table.0)?;
    own_table(&table)?;
    declaration::lock(&table)?;
    // What was seen before the lock may have changed.
    let table = describe(table.oid)?;
    own_table(&table)?;
    trust::check(table.oid)?;
    let wanted = declared(&table, key, &Sources { image, image_url, text }, embedding)?;
    let tracked = existing(&table, &wanted)?;
    let since = as_worker(queue::next_version)?;
    let tie = match tracked {
        Some(tracked) => {
            as_worker(|| declaration::refresh(tracked.id(), &table))?;
            // They may have been disabled, or some of them dropped.
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

/// Ends the tracking of a table's column, or of all of them; the vectors stay. A table that is gone is known by the name
/// it had when it was declared. Returns how many columns are tracked no more.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_untrack(table: Option<&str>, embedding: default!(Option<&str>, "NULL")) -> Answer<i64> {
    let table = given(table, "table")?;
    crate::store::refuse_if_read_only(c"pinterest_untrack()");
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
    // Those that lost their triggers just now look like it too.
    gone.retain(|id| !ended.contains(id));
    if present.is_none() && gone.is_empty() {
        return Err(Failure::new(
            Kind::NotFound,
            format!("there is no table {table}, and none of that name was tracked"),
        )
        .with_hint("SELECT * FROM pinterest.tracked lists the tracked columns of your tables.")
        .into());
    }
    ended.extend(gone);
    as_worker(|| declaration::delete(&ended))?;
    Ok(i64::try_from(ended.len()).unwrap_or(i64::MAX))
}

/// Puts the rows that have failed back to work; returns how many there are.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_retry_tracked(table: Option<Regclass>, embedding: default!(Option<&str>, "NULL")) -> Answer<i64> {
    let table = given(table, "table")?;
    let table = describe(table.0)?;
    own_table(&table)?;
    let ids = required_ids(&table, embedding)?;
    let failed = as_worker(|| queue::retry_failed(&ids))?;
    registry::wake_tracking_at_commit()?;
    Ok(failed)
}

/// A transaction whose snapshot stands still cannot do what it takes to see others' commits.
pub fn refuse_old_snapshot(what: &str) -> Result<(), Failure> {
    // SAFETY: a plain read of a process-wide variable.
    if unsafe { pg_sys::XactIsoLevel } >= pg_sys::XACT_REPEATABLE_READ as i32 {
        return Err(Failure::new(Kind::NotReady, format!("this transaction's snapshot {what}"))
            .with_hint("Call it in a READ COMMITTED transaction."));
    }
    Ok(())
}

/// Ids of the table's tracked columns, at least one; of a single one where its name is given.
pub fn required_ids(table: &UserTable, embedding: Option<&str>) -> Result<Vec<i64>, Failure> {
    let embedding = embedding.map(|embedding| user_table::identifier(embedding, "embedding")).transpose()?;
    let ids: Vec<i64> = trigger::columns_of(table.oid)?
        .iter()
        .filter(|tracked| embedding.as_ref().is_none_or(|embedding| *embedding == tracked.declaration.embedding_column))
        .map(TrackedColumn::id)
        .collect();
    if ids.is_empty() {
        let which = embedding.map(|embedding| format!("column \"{embedding}\" of ")).unwrap_or_default();
        return Err(Failure::new(Kind::NotFound, format!("{which}{} is not tracked", table.quoted))
            .with_hint("pinterest_track() declares it."));
    }
    Ok(ids)
}

/// The tracked column that is declared like that already. A declaration whose columns are gone makes room; one that says
/// something else of the same embedding column is a refusal.
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
                    "column \"{}\" of {} follows {} \"{}\" by the key {} already",
                    declared.embedding_column,
                    table.quoted,
                    declared.source_kind,
                    declared.source_column,
                    declared.key_columns.join(", ")
                ),
            )
            .with_hint("pinterest_untrack() ends that; the vectors stay."));
        }
    }
    Ok(same)
}

/// Are all its columns still there?
fn is_whole(table: &UserTable, declared: &Declaration) -> bool {
    [&declared.source_column, &declared.embedding_column]
        .into_iter()
        .chain(&declared.key_columns)
        .all(|name| table.column(name).is_some())
}
