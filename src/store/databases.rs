//! `pg_database` and its sessions, as far as the caller may see them.

use pgrx::pg_sys;

use super::{params, read, read_optional, row_as};
use crate::errors::{Failure, Kind};

/// The oid of a database by its name; of the current one for NULL. Another database must belong to the caller, or to a
/// role whose rights the caller has.
pub fn own(name: Option<&str>) -> Result<pg_sys::Oid, Failure> {
    let Some(name) = name else { return Ok(crate::postgres::platform::current_database()) };
    let found = read_optional(
        "SELECT d.oid, d.datname = current_database() OR pg_has_role(d.datdba, 'USAGE') FROM pg_database d \
         WHERE d.datname = $1::name",
        &params![name],
        |row| Ok((row.get::<pg_sys::Oid>(1)?, row.get::<bool>(2)?)),
    )?;
    match found {
        Some((oid, true)) => Ok(oid),
        Some((_, false)) => Err(Failure::new(Kind::NotYours, format!("must be owner of database \"{name}\""))
            .with_hint("Connect to the database itself, or ask its owner to call this function.")),
        None => Err(Failure::new(Kind::NotFound, format!("database \"{name}\" does not exist"))),
    }
}

/// A transaction that has been open for a long time.
pub struct OldTransaction {
    /// Its process; `None` if it is prepared.
    pub pid: Option<i32>,
    /// Its role.
    pub role: Option<String>,
    /// Its name, if it is prepared.
    pub prepared_as: Option<String>,
    /// Its age in seconds.
    pub age: f64,
}

/// The transactions of this database that are at least so many seconds old, oldest first. With the caller's rights:
/// without pg_read_all_stats only the start of the caller's own and of prepared transactions is visible.
pub fn old_transactions(seconds: f64) -> Result<Vec<OldTransaction>, Failure> {
    read(
        "SELECT t.pid, t.role, t.gid, t.age FROM (\
             SELECT a.pid, a.usename::text, NULL, EXTRACT(EPOCH FROM clock_timestamp() - a.xact_start)::float8 \
             FROM pg_stat_activity a WHERE a.datname = current_database() AND a.backend_type <> 'autovacuum worker' \
             UNION ALL SELECT NULL, p.owner::text, p.gid, EXTRACT(EPOCH FROM clock_timestamp() - p.prepared)::float8 \
             FROM pg_prepared_xacts p WHERE p.database = current_database()) AS t(pid, role, gid, age) \
         WHERE t.age >= $1 ORDER BY t.age DESC",
        &params![seconds],
        row_as!(OldTransaction { pid: maybe, role: maybe, prepared_as: maybe, age }),
    )
}
