//! The `search_path` under which a table's triggers and policies run in a worker: that of new sessions of the table's
//! owner in this database.

use std::ffi::CString;

use pgrx::{PgBuiltInOids, pg_sys};

use crate::errors::{Failure, Kind};
use crate::postgres::platform;
use crate::store::params;
use crate::store::saved::Saved;

thread_local! {
    // In the order in which a login applies them (process_settings, postinit.c).
    static OF_ROLE: Saved = const { Saved::new(
        "SELECT substr(s.item, length('search_path=') + 1) \
             FROM (SELECT r.setrole, r.setdatabase, unnest(r.setconfig) AS item \
             FROM pg_db_role_setting r JOIN pg_database d ON d.datname = current_database() \
             WHERE r.setrole IN (0, $1) AND r.setdatabase IN (0, d.oid)) AS s \
         WHERE starts_with(s.item, 'search_path=') ORDER BY s.setrole = 0, s.setdatabase = 0 LIMIT 1",
        &[PgBuiltInOids::OIDOID],
    ) };
    // A worker connects as the bootstrap superuser.
    static OF_WORKER: Saved = const { Saved::new(
        "SELECT EXISTS (SELECT FROM pg_db_role_setting r CROSS JOIN unnest(r.setconfig) AS s(item) \
             WHERE r.setrole IN (10, (SELECT w.oid FROM pg_roles w WHERE w.rolname = 'pinterest_worker')) \
             AND starts_with(s.item, 'search_path='))",
        &[],
    ) };
}

/// The search_path of a role's new sessions in this database, as set: `$user` stands for the role.
pub fn of(role: pg_sys::Oid) -> Result<CString, Failure> {
    let found = OF_ROLE.with(|saved| saved.read(&params![role], |row| row.get::<String>(1)))?;
    if let Some(path) = found.into_iter().next() {
        return CString::new(path).map_err(|_| Failure::new(Kind::Internal, "a setting contains a NUL"));
    }
    let hidden = OF_WORKER.with(|saved| saved.read(&[], |row| row.get::<bool>(1)))? == [true];
    Ok(match platform::remembered_search_path() {
        Some(server) if hidden => server.to_owned(),
        _ => platform::present_search_path(),
    })
}
