//! Items that several suites share. No suite uses items of another.

pub mod canaries;
pub mod chromium;
pub mod citus;
pub mod doc_pages;
pub mod imports;
pub mod key_files;
pub mod machines;
pub mod modules;
pub mod oauth;
pub mod owners;
pub mod pgbouncer;
pub mod prelude;
pub mod random;
pub mod refresh_steps;
pub mod search;
pub mod sql;
pub mod tracking;
pub mod tracking_process;
pub mod tracking_work;
pub mod worlds;

use std::time::Duration;

use e2e::{Result, wait_for};

/// The time limit of every wait, generous enough for a busy machine.
pub const SOON: Duration = Duration::from_secs(60);

/// Waits until a condition holds. The error names `what`.
pub fn until(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    wait_for(what, SOON, || Ok(holds()?.then_some(())))
}
