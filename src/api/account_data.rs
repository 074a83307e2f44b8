//! Deleting and exporting an account's data.

use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::{Answer, given, on_coordinator, writes_here};
use crate::postgres::identity::{as_worker, current_role};
use crate::postgres::json_text::Document;
use crate::store::{account, export};
use crate::workers::registry;

/// Deletes the account's tokens, or with `purge` the account and everything imported through it; returns the counts.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_disconnect(
    account_id: i64,
    purge: default!(bool, "false"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(tokens, i64),
            name!(boards, i64),
            name!(pins, i64),
            name!(images, i64),
            name!(vectors, i64),
            name!(imports, i64),
        ),
    >,
    ErrorReport,
> {
    writes_here("pinterest_disconnect()")?;
    let account_id = account::resolve(&current_role(), Some(account_id))?;
    let erased = as_worker(|| account::disconnect(account_id, purge))?;
    // Ends running imports of the account at once, instead of letting them continue with the token in memory.
    registry::wake_at_commit()?;
    Ok(TableIterator::once((erased.tokens, erased.boards, erased.pins, erased.images, erased.vectors, erased.imports)))
}

/// All stored data of an account except for its tokens, as one JSON document.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_export(
    account_id: default!(Option<i64>, "NULL"),
    vectors: default!(Option<bool>, "false"),
    images: default!(Option<bool>, "false"),
) -> Answer<Document> {
    let vectors = given(vectors, "vectors")?;
    let images = given(images, "images")?;
    on_coordinator()?;
    let account_id = account::resolve(&current_role(), account_id)?;
    Ok(export::account(account_id, vectors, images)?)
}
