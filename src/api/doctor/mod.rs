//! Checks of everything that an import depends on.

mod embedder;
mod network;
mod schema;
mod secrets;
mod statistics;
mod tracking;
mod workers;

use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::errors::Failure;

/// The result of a check.
enum Finding {
    /// All is well.
    Good(String),
    /// Something to know.
    Note(String),
    /// A note with a hint.
    Advice(String, String),
    /// A problem with a hint, which may be empty.
    Bad(String, String),
}

/// A failure is reported as a problem.
type Check = fn() -> Result<Finding, Failure>;

/// In the order in which they depend on each other.
const CHECKS: &[(&str, Check)] = &[
    ("version", schema::version),
    ("preloaded", schema::preloaded),
    ("pgvector", schema::pgvector),
    ("schema", schema::schema),
    ("worker role", schema::worker_role),
    ("citus", schema::citus),
    ("clone fence", network::clone_fence),
    ("hosts", network::hosts),
    ("proxy", network::proxy),
    ("key", secrets::key),
    ("secrets", secrets::secrets),
    ("apps", secrets::apps),
    ("app access", secrets::access_of_apps),
    ("owners", secrets::owners),
    ("model directory", embedder::model_directory),
    ("embedder program", embedder::program),
    ("embedder", embedder::answers),
    ("embedders", embedder::pool),
    ("embedder confinement", embedder::confinement),
    ("embeddings", embedder::embeddings),
    ("tracked columns", tracking::columns),
    ("tracked image hosts", tracking::image_hosts),
    ("launcher", workers::launcher),
    ("worker", workers::worker),
    ("worker slots", workers::slots),
    ("transactions", workers::transactions),
    ("statistics", statistics::counters),
];

/// Checks everything that an import depends on; one row per check.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_doctor() -> Result<
    TableIterator<
        'static,
        (name!(check_name, String), name!(status, String), name!(detail, String), name!(hint, Option<String>)),
    >,
    ErrorReport,
> {
    let rows = CHECKS.iter().map(|(name, check)| {
        let finding = check().unwrap_or_else(|failure| {
            Finding::Bad(failure.message.clone(), failure.hint().unwrap_or_default().to_owned())
        });
        let (status, detail, hint) = match finding {
            Finding::Good(detail) => ("ok", detail, None),
            Finding::Note(detail) => ("note", detail, None),
            Finding::Advice(detail, hint) => ("note", detail, Some(hint)),
            Finding::Bad(detail, hint) => ("problem", detail, (!hint.is_empty()).then_some(hint)),
        };
        ((*name).to_owned(), status.to_owned(), detail, hint)
    });
    Ok(TableIterator::new(rows.collect::<Vec<_>>()))
}

/// Values in a sentence.
fn listed<T: ToString>(values: impl IntoIterator<Item = T>) -> String {
    values.into_iter().map(|value| value.to_string()).collect::<Vec<_>>().join(", ")
}
