//! pgvector's settings for searches through its indexes, raised for the time of one statement.

use std::ffi::{CStr, CString};

use pgrx::pg_sys;

use crate::postgres::session_settings::GucLevel;
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

/// Until the level is dropped, an index scan visits at least `candidates` rows, and continues if a filter removes some
/// of them. A higher value of the caller's stays; a setting that this version of pgvector lacks is skipped.
pub fn raised_for(candidates: usize) -> GucLevel {
    load_pgvector();
    let level = GucLevel::open();
    raise(&level, c"hnsw.ef_search", candidates.clamp(LEAST_EF_SEARCH, MOST_EF_SEARCH));
    raise(&level, c"ivfflat.probes", PROBES);
    // The rows that an index returns are ranked again, so their order need not be strict.
    for name in [c"hnsw.iterative_scan", c"ivfflat.iterative_scan"] {
        if current(name).is_some_and(|value| value == "off") {
            level.set(name, c"relaxed_order");
        }
    }
    level
}

fn raise(level: &GucLevel, name: &CStr, least: usize) {
    let too_low = |value: String| value.parse::<usize>().is_ok_and(|value| value < least);
    if current(name).is_some_and(too_low)
        && let Ok(value) = CString::new(least.to_string())
    {
        level.set(name, &value);
    }
}

/// The value of a setting, if it exists.
fn current(name: &CStr) -> Option<String> {
    // SAFETY: reads a setting; a missing one gives NULL, the text is the setting's own.
    unsafe {
        let value = pg_sys::GetConfigOption(name.as_ptr(), true, false);
        (!value.is_null()).then(|| CStr::from_ptr(value).to_string_lossy().into_owned())
    }
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
