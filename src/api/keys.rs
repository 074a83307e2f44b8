//! For the DBA: the keys that seal tokens, and their rotation.

use std::collections::BTreeMap;

use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::{Answer, on_coordinator, writes_here};
use crate::postgres::identity::as_worker;
use crate::secrets::sealer::Sealer;
use crate::store::{installation, seal};
use crate::workers::registry;

/// The keys of the ring and those named by sealed secrets: whether it is the active one, whether it is in the ring, and the
/// number of secrets sealed with it.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_keys() -> Result<
    TableIterator<
        'static,
        (name!(fingerprint, String), name!(active, bool), name!(in_ring, bool), name!(secrets, i64)),
    >,
    ErrorReport,
> {
    on_coordinator()?;
    let (active, ring, named) = as_worker(|| {
        let (active, ring) = Sealer::open()?.keys();
        Ok((active, ring, seal::by_key()?))
    })?;
    let mut secrets: BTreeMap<String, i64> = named.into_iter().map(|key| (key.fingerprint, key.secrets)).collect();
    let mut rows = Vec::new();
    for fingerprint in ring {
        let named = secrets.remove(&fingerprint).unwrap_or_default();
        let is_active = fingerprint == active;
        rows.push((fingerprint, is_active, true, named));
    }
    rows.extend(secrets.into_iter().map(|(fingerprint, named)| (fingerprint, false, false, named)));
    Ok(TableIterator::new(rows))
}

/// Requests that a worker seal everything again with the first key of the ring; returns the number of secrets that are
/// waiting for it.
#[pg_extern(volatile, parallel_unsafe)]
fn pinterest_rotate_key() -> Answer<i64> {
    writes_here("pinterest_rotate_key()")?;
    let waiting = as_worker(|| {
        let sealer = Sealer::open()?;
        let (known, missing) = sealer.named_keys()?;
        if !missing.is_empty() {
            return Err(sealer.missing_keys(&missing));
        }
        let (active, _) = sealer.keys();
        installation::request_rotation(&active)?;
        Ok(known.iter().filter(|key| key.fingerprint != active).map(|key| key.secrets).sum())
    })?;
    registry::wake_at_commit()?;
    Ok(waiting)
}
