//! `pg_extension`: whether the extension is installed, and in which version.

use pgrx::pg_sys;

use super::citus::{self, Node};
use super::{is_true, params, read, read_one, read_optional};
use crate::errors::{Failure, Kind};
use crate::postgres::vector::vector_type;

/// The version of the extension's SQL objects in this database, or `None` if it is not created.
///
/// Read again in every transaction that relies on it, because DROP EXTENSION may happen at any time.
pub fn version() -> Result<Option<String>, Failure> {
    // Without this, a half-created or half-dropped extension would cause an ERROR about a missing table.
    if oid() == pg_sys::InvalidOid {
        return Ok(None);
    }
    read_optional("SELECT e.extversion FROM pg_catalog.pg_extension e WHERE e.extname = 'pg_pinterest'", &[], |row| {
        row.get::<String>(1)
    })
}

/// The extension's oid in this database, which is another one after it was dropped and created again; `InvalidOid` if it is not
/// created. In a transaction.
pub fn oid() -> pg_sys::Oid {
    // SAFETY: a catalog look-up inside a transaction.
    unsafe { pg_sys::get_extension_oid(c"pg_pinterest".as_ptr(), true) }
}

/// Whether the SQL objects have the library's version. Between the start with a new library and ALTER EXTENSION UPDATE, the
/// tables may lack columns.
pub fn is_updated() -> Result<bool, Failure> {
    Ok(version()?.as_deref() == Some(env!("CARGO_PKG_VERSION")))
}

/// Whether imported rows have owners of their own, which they do not have in version 0.0.1.
pub fn rows_have_owners() -> Result<bool, Failure> {
    is_true(
        "SELECT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = 'pinterest.board'::regclass AND a.attname = 'owner')",
        &[],
    )
}

/// The failure of a call that does not work on older objects.
pub fn not_updated() -> Failure {
    Failure::new(Kind::NotReady, "the SQL objects of pg_pinterest are older than its library")
        .with_hint("Run ALTER EXTENSION pg_pinterest UPDATE.")
}

/// The version for workers: `None` also on a node that was added to a coordinator of Citus, where they do not act.
pub fn version_to_serve() -> Result<Option<String>, Failure> {
    Ok(match citus::node()? {
        Node::Added(_) => None,
        Node::Alone | Node::Coordinator => version()?,
    })
}

/// pgvector's version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pgvector {
    version: String,
    numbers: Vec<u32>,
}

impl Pgvector {
    /// The first version without a known fault in HNSW indexes.
    const SOUND: [u32; 3] = [0, 8, 3];

    fn new(version: String) -> Self {
        let digits =
            |part: &str| part.split(|letter: char| !letter.is_ascii_digit()).next().and_then(|d| d.parse().ok());
        let numbers = version.split('.').map_while(digits).collect();
        Self { version, numbers }
    }

    /// Older than 0.8.3: a parallel build of an HNSW index overflows a buffer (CVE-2026-3172, fixed in 0.8.2), and a
    /// vacuum can damage one (fixed in 0.8.3).
    pub fn has_known_faults(&self) -> bool {
        self.numbers.as_slice() < Self::SOUND.as_slice()
    }
}

impl std::fmt::Display for Pgvector {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "pgvector {}", self.version)
    }
}

/// The pgvector of this database, or `None` if it is not installed.
pub fn pgvector() -> Result<Option<Pgvector>, Failure> {
    let rows = read("SELECT e.extversion FROM pg_catalog.pg_extension e WHERE e.extname = 'vector'", &[], |row| {
        row.get::<String>(1)
    })?;
    Ok(rows.into_iter().next().map(Pgvector::new))
}

/// The schema of pgvector's types, functions and operators, quoted. Statements that use them contain it, because it is
/// not in their search_path.
pub fn pgvector_schema() -> Result<String, Failure> {
    read_one(
        "SELECT quote_ident(n.nspname) FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.oid = $1",
        &params![vector_type()],
        |row| row.get(1),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        let faulty = |version: &str| Pgvector::new(version.to_owned()).has_known_faults();
        assert!(["0.7.4", "0.8", "0.8.0", "0.8.2", "0.8.2-dev"].into_iter().all(faulty));
        assert!(!["0.8.3", "0.8.10", "0.9.0", "0.10", "1.0"].into_iter().any(faulty));
    }
}
