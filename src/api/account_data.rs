//! Taking leave: tokens erased, everything of an account erased, everything of it handed over.

use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::{Answer, given};
use crate::postgres::identity::{as_worker, current_role};
use crate::postgres::json_text::Document;
use crate::store::{account, export};
use crate::workers::registry;

/// Deletes the account's tokens, or with `purge` the account and everything imported through it; returns what went.
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
    let account_id = account::resolve(&current_role(), Some(account_id))?;
    let erased = as_worker(|| account::disconnect(account_id, purge))?;
    // Runs of its imports end at once, instead of going on with the token that they have in memory.
    registry::wake_at_commit()?;
    Ok(TableIterator::once((erased.tokens, erased.boards, erased.pins, erased.images, erased.vectors, erased.imports)))
}

/// All that is kept of an account, as one JSON document. Never a token.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_export(
    account_id: default!(Option<i64>, "NULL"),
    vectors: default!(Option<bool>, "false"),
    images: default!(Option<bool>, "false"),
) -> Answer<Document> {
    let vectors = given(vectors, "vectors")?;
    let images = given(images, "images")?;
    let account_id = account::resolve(&current_role(), account_id)?;
    Ok(export::account(account_id, vectors, images)?)
}
