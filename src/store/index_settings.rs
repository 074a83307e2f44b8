//! pgvector's settings for searches through its indexes, raised for the time of one statement.

use std::ffi::{CStr, CString};

use pgrx::pg_sys;

use crate::postgres::session_settings::{Until, set};
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

/// Settings raised until dropped; an aborting transaction lowers them as well.
pub struct Raised(i32);

impl Raised {
    /// Has an index scan look at no fewer than `candidates` rows, and go on where a filter takes some of them away.
    /// What the caller has set higher stays; a pgvector without a setting is left alone.
    pub fn for_candidates(candidates: usize) -> Self {
        load_pgvector();
        // SAFETY: a nest level of our own, closed when this is dropped.
        let raised = Raised(unsafe { pg_sys::NewGUCNestLevel() });
        raise(c"hnsw.ef_search", candidates.clamp(LEAST_EF_SEARCH, MOST_EF_SEARCH));
        raise(c"ivfflat.probes", PROBES);
        // The rows of an index scan are ranked again, so their order need not be strict.
        for name in [c"hnsw.iterative_scan", c"ivfflat.iterative_scan"] {
            if current(name).is_some_and(|value| value == "off") {
                set(name, c"relaxed_order", Until::NestLevelCloses);
            }
        }
        raised
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: closes the level opened in for_candidates().
            unsafe { pg_sys::AtEOXact_GUC(false, self.0) };
        }
    }
}

fn raise(name: &CStr, least: usize) {
    let too_low = |value: String| value.parse::<usize>().is_ok_and(|value| value < least);
    if current(name).is_some_and(too_low)
        && let Ok(value) = CString::new(least.to_string())
    {
        set(name, &value, Until::NestLevelCloses);
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
