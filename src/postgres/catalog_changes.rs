//! Counts changes of the catalogs: results of many catalog look-ups are kept until the count changes.

use std::cell::Cell;
use std::ffi::c_int;
use std::sync::Once;

use pgrx::pg_sys;

thread_local! {
    static CHANGES: Cell<u64> = const { Cell::new(0) };
}

/// The catalogs of owners, privileges and dependencies between functions; triggers, policies, rules and indexes of tables are
/// covered by the relation cache.
const CATALOGS: [pg_sys::SysCacheIdentifier::Type; 14] = [
    pg_sys::SysCacheIdentifier::AUTHOID,
    pg_sys::SysCacheIdentifier::AUTHMEMROLEMEM,
    pg_sys::SysCacheIdentifier::CLAOID,
    pg_sys::SysCacheIdentifier::COLLOID,
    pg_sys::SysCacheIdentifier::CONSTROID,
    pg_sys::SysCacheIdentifier::DATABASEOID,
    pg_sys::SysCacheIdentifier::LANGOID,
    pg_sys::SysCacheIdentifier::NAMESPACEOID,
    pg_sys::SysCacheIdentifier::OPEROID,
    pg_sys::SysCacheIdentifier::OPFAMILYOID,
    pg_sys::SysCacheIdentifier::PROCOID,
    pg_sys::SysCacheIdentifier::RELOID,
    pg_sys::SysCacheIdentifier::RULERELNAME,
    pg_sys::SysCacheIdentifier::TYPEOID,
];

/// A number that changes with the catalogs. Commits of other sessions are included once a lock on a relation has been taken
/// after them, as in all of the server's catalog caches.
pub fn count() -> u64 {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        // SAFETY: main thread; two dozen of the server's 64 places for such callbacks, until the process ends.
        unsafe {
            for catalog in CATALOGS {
                pg_sys::CacheRegisterSyscacheCallback(catalog as c_int, Some(catalog_changed), pg_sys::Datum::null());
            }
            pg_sys::CacheRegisterRelcacheCallback(Some(relation_changed), pg_sys::Datum::null());
        }
    });
    CHANGES.get()
}

unsafe extern "C-unwind" fn catalog_changed(_argument: pg_sys::Datum, _catalog: c_int, _hash: u32) {
    CHANGES.set(CHANGES.get().wrapping_add(1));
}

unsafe extern "C-unwind" fn relation_changed(_argument: pg_sys::Datum, _relation: pg_sys::Oid) {
    CHANGES.set(CHANGES.get().wrapping_add(1));
}
