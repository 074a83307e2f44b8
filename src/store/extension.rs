//! `pg_extension`: is it here, and is it of this library's version?

use pgrx::pg_sys;

use super::read;
use crate::errors::Failure;

/// The version of the extension's SQL objects in this database, or `None` where it is not created.
///
/// Looked up anew in every transaction that relies on it: DROP EXTENSION may come at any time.
pub fn version() -> Result<Option<String>, Failure> {
    // Without this a half-created or half-dropped extension would show up as an ERROR about a missing table.
    // SAFETY: a catalog look-up inside a transaction.
    if unsafe { pg_sys::get_extension_oid(c"pg_pinterest".as_ptr(), true) } == pg_sys::InvalidOid {
        return Ok(None);
    }
    let rows =
        read("SELECT e.extversion FROM pg_catalog.pg_extension e WHERE e.extname = 'pg_pinterest'", &[], |row| {
            row.get::<String>(1)
        })?;
    Ok(rows.into_iter().next())
}
