//! pgvector's settings for searches through its indexes, raised for the time of one statement.

use std::ffi::{CStr, CString};

use pgrx::pg_sys;

use super::citus;
use crate::postgres::implicit_block::ImplicitBlock;
use crate::postgres::session_settings::{GucLevel, current, run_set_local};
use crate::postgres::vector::vector_type;

/// The least ef_search of an HNSW search, however few rows are requested. Some rows are hard to reach from others, and
/// which ones differs from build to build of the index: over the builds of `make bench-search`, the worst board of
/// twelve had 4 of its 10 rows right with 50, and 7 with 400, at up to a third more time there. The server estimates a
/// higher cost for such a search, and scans tables of up to a few thousand rows instead, which takes as long and is
/// exact.
const LEAST_EF_SEARCH: usize = 400;
/// The maximum of hnsw.ef_search.
const MOST_EF_SEARCH: usize = 1000;
/// The number of lists of an IVFFlat index to search: a fifth of the lists that pgvector recommends for 100,000 rows,
/// instead of the default of 1. It was not measured as HNSW was.
const PROBES: usize = 20;

/// The settings of one search, until this is dropped.
pub struct Raised {
    // Dropped in this order.
    _on_shards: Option<OnShards>,
    _level: GucLevel,
}

/// Until the result is dropped, an index scan visits at least `candidates` rows, and continues if a filter removes some
/// of them. A higher value of the caller's stays; a setting that this version of pgvector lacks is skipped.
pub fn raised_for(candidates: usize) -> Raised {
    load_pgvector();
    let callers = SETTINGS.map(current);
    let level = GucLevel::open();
    raise(&level, c"hnsw.ef_search", candidates.clamp(LEAST_EF_SEARCH, MOST_EF_SEARCH));
    raise(&level, c"ivfflat.probes", PROBES);
    // The rows that an index returns are ranked again, so their order need not be strict.
    for name in [c"hnsw.iterative_scan", c"ivfflat.iterative_scan"] {
        if current(name).is_some_and(|value| value == "off") {
            level.set(name, c"relaxed_order");
        }
    }
    // Citus cannot plan a search of a distributed table without the direction.
    level.set(c"plan_cache_mode", c"force_custom_plan");
    Raised { _on_shards: OnShards::raise(&level, &callers), _level: level }
}

fn raise(level: &GucLevel, name: &CStr, least: usize) {
    let too_low = |value: String| value.parse::<usize>().is_ok_and(|value| value < least);
    if current(name).is_some_and(too_low)
        && let Ok(value) = CString::new(least.to_string())
    {
        level.set(name, &value);
    }
}

/// The settings of pgvector that a search changes.
const SETTINGS: [&CStr; 4] = [c"hnsw.ef_search", c"ivfflat.probes", c"hnsw.iterative_scan", c"ivfflat.iterative_scan"];

/// The present values of [`SETTINGS`], on the nodes of Citus that have the shards of a distributed table. Otherwise each
/// shard is searched with its node's own, and an index scan of a shard with the default of hnsw.ef_search returns 40
/// rows at most.
///
/// Citus sends only SET LOCAL to nodes, and only within a transaction block; so one is opened if the caller has none.
struct OnShards {
    before: Vec<CString>,
    _block: ImplicitBlock,
}

impl OnShards {
    /// Sends them; `None` without Citus. `callers` are the values before the level.
    fn raise(level: &GucLevel, callers: &[Option<String>; 4]) -> Option<Self> {
        // SAFETY: a plain read. A parallel query cannot change settings.
        if unsafe { pg_sys::IsInParallelMode() } || !citus::is_here() {
            return None;
        }
        // A caller who has propagated settings gets those back, others the nodes' own.
        let propagated = current(citus::PROPAGATE_SET_COMMANDS).is_some_and(|value| value == "local");
        level.set(citus::PROPAGATE_SET_COMMANDS, c"local");
        let block = ImplicitBlock::open();
        let mut before = Vec::new();
        for (name, callers) in SETTINGS.into_iter().zip(callers) {
            let (Some(value), Some(callers)) = (current(name), callers) else { continue };
            before.extend(set_local(name, if propagated { callers.as_str() } else { "DEFAULT" }));
            if let Some(statement) = set_local(name, &value) {
                run_set_local(&statement);
            }
        }
        Some(OnShards { before, _block: block })
    }
}

impl Drop for OnShards {
    fn drop(&mut self) {
        // After an ERROR Citus restores them with the transaction.
        if !std::thread::panicking() {
            self.before.iter().for_each(|statement| run_set_local(statement));
        }
    }
}

/// The statement; values of pgvector's settings are words and numbers.
fn set_local(name: &CStr, value: &str) -> Option<CString> {
    CString::new(format!("SET LOCAL {} TO {value}", name.to_str().ok()?)).ok()
}

/// The settings exist once the library is loaded, which a session does with the first function of pgvector that it
/// calls: here the output function of vectors.
fn load_pgvector() {
    // SAFETY: catalog look-ups inside a transaction; fmgr_info loads the library of a function in C.
    unsafe {
        let (mut output, mut variable_length) = (pg_sys::InvalidOid, false);
        pg_sys::getTypeOutputInfo(vector_type(), &raw mut output, &raw mut variable_length);
        let mut function = pg_sys::FmgrInfo::default();
        pg_sys::fmgr_info(output, &raw mut function);
    }
}
