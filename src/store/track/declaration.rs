//! `pinterest.tracked_column`: the declarations. Rows are written as pinterest_worker.

use pgrx::{PgBuiltInOids, pg_sys};

use super::column::{Declaration, Tie};
use super::{queue, trigger};
use crate::errors::{Failure, Kind};
use crate::statistics;
use crate::store::saved::Saved;
use crate::store::user_table::UserTable;
use crate::store::{execute, params, read, write_one};

// Not among the bindings.
unsafe extern "C-unwind" {
    /// Locks everything that inherits from a relation, including its partitions (catalog/pg_inherits.h, the same in
    /// Postgres 14 to 18).
    fn find_all_inheritors(
        parent: pg_sys::Oid,
        mode: pg_sys::LOCKMODE,
        numbers: *mut *mut pg_sys::List,
    ) -> *mut pg_sys::List;
}

/// Blocks writers and other calls of pinterest_track() on the table and its partitions until the transaction ends: rows
/// that they have written and not committed would be visible neither here nor to the triggers. By oid, because a name
/// may come to mean another relation while a lock is waited for.
pub fn lock(table: &UserTable) -> Result<(), Failure> {
    let mode = pg_sys::ShareRowExclusiveLock as pg_sys::LOCKMODE;
    // SAFETY: waits for others' locks as LOCK TABLE does, and takes none on what is gone; the list is in the memory of
    // this call.
    unsafe {
        pg_sys::LockRelationOid(table.oid, mode);
        find_all_inheritors(table.oid, mode, std::ptr::null_mut());
    }
    Ok(())
}

/// Whether the caller has the rights of the table's owner.
pub fn is_owner(table: &UserTable) -> Result<bool, Failure> {
    // SAFETY: a plain read of a process-wide variable.
    Ok(table.owner.gives_rights_to(unsafe { pg_sys::GetUserId() }))
}

/// Inserts the declaration.
pub fn insert(table: &UserTable, declaration: &Declaration) -> Result<Tie, Failure> {
    write_one(
        "INSERT INTO pinterest.tracked_column (owner, table_schema, table_name, key_columns, source_kind, \
         source_column, \
         embedding_column, table_oid) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING tracked_column_id, tie::text",
        &params![
            table.owner.parameter(),
            table.schema.as_str(),
            table.name.as_str(),
            declaration.key_columns.clone(),
            declaration.source_kind.as_str(),
            declaration.source_column.as_str(),
            declaration.embedding_column.as_str(),
            table.oid
        ],
        |row| Ok(Tie { tracked_column_id: row.get(1)?, tie: row.get(2)? }),
    )
}

/// Stores the table's current name, and lets the workers check at once whether the column's problem still exists.
pub fn refresh(tracked_column_id: i64, table: &UserTable) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.tracked_column SET table_schema = $2, table_name = $3, table_oid = $4, problem = NULL, \
         problem_code = NULL, problem_hint = NULL, next_attempt_at = clock_timestamp() WHERE tracked_column_id = $1",
        &params![tracked_column_id, table.schema.as_str(), table.name.as_str(), table.oid],
    )
}

/// Deletes tracked columns with everything stored of their rows.
pub fn delete(tracked_column_ids: &[i64]) -> Result<(), Failure> {
    execute(
        "DELETE FROM pinterest.tracked_column WHERE tracked_column_id = ANY ($1)",
        &params![tracked_column_ids.to_vec()],
    )?;
    tracked_column_ids.iter().for_each(|&id| statistics::note_untracked(id));
    // Includes rows that others have queued since the caller's snapshot.
    tracked_column_ids.iter().try_for_each(|&id| queue::remove_all(id))
}

/// Columns of this stored name whose table is gone or changed hands. With the caller's rights.
pub fn without_table(schema: Option<&str>, name: &str, embedding: Option<&str>) -> Result<Vec<i64>, Failure> {
    let found = read(
        "SELECT c.tracked_column_id FROM pinterest.tracked_column c \
         WHERE c.table_name = $1 AND ($2 IS NULL OR c.table_schema = $2) AND ($3 IS NULL OR c.embedding_column = $3) \
         ORDER BY c.tracked_column_id",
        &params![name, schema, embedding],
        |row| row.get::<i64>(1),
    )?;
    let mut gone = Vec::new();
    for id in found {
        if trigger::relation(id)?.is_none() {
            gone.push(id);
        }
    }
    Ok(gone)
}

/// The relation that a name means to the caller, if any.
pub fn resolve(name: &str) -> Result<Option<pg_sys::Oid>, Failure> {
    // Not under the pinned search_path: the caller's own determines what the name means.
    Ok(pgrx::Spi::get_one_with_args::<pg_sys::Oid>(
        "SELECT pg_catalog.to_regclass($1)::pg_catalog.oid",
        &params![name],
    )?)
}

thread_local! {
    static DECLARED: Saved = const { Saved::new(
        "SELECT c.tracked_column_id, c.table_oid FROM pinterest.tracked_column c \
         WHERE c.tie = $1::uuid AND pinterest.owner_oid(c.owner) = $2 AND c.source_column = $3 AND c.key_columns = $4",
        &[PgBuiltInOids::TEXTOID, PgBuiltInOids::OIDOID, PgBuiltInOids::TEXTOID, PgBuiltInOids::TEXTARRAYOID],
    ) };
}

/// A trigger that fired, by its arguments and its table.
pub struct FiredTrigger<'a> {
    /// The first argument.
    pub tie: &'a str,
    /// The source column that it names.
    pub source: &'a str,
    /// The key columns that it names.
    pub keys: &'a [&'a str],
    /// The table on which it was made.
    pub table: pg_sys::Oid,
    /// That table's owner.
    pub owner: pg_sys::Oid,
}

/// The tracked column whose queue a trigger may write: declared by the owner of the trigger's table, for that table and
/// for the columns that the trigger names. Any role may make a trigger with any arguments on a table of its own.
pub fn of_trigger(fired: &FiredTrigger<'_>) -> Result<Option<i64>, Failure> {
    if !is_uuid(fired.tie) {
        return Ok(None);
    }
    let keys: Vec<String> = fired.keys.iter().map(ToString::to_string).collect();
    let found = DECLARED.with(|saved| {
        saved.read_of_now(&params![fired.tie, fired.owner, fired.source, keys], |row| match row {
            [Some(id), table] => Ok((id.value() as i64, table.map(trigger::oid))),
            _ => Err(Failure::new(Kind::Internal, "a tracked column has no key")),
        })
    })?;
    let Some((id, remembered)) = found.into_iter().next() else { return Ok(None) };
    // The stored oid may be that of another table: after a restore, or if this trigger is a copy.
    if remembered == Some(fired.table) || trigger::relation(id)? == Some(fired.table) { Ok(Some(id)) } else { Ok(None) }
}

/// Whether it is a uuid as the server writes it.
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::is_uuid;

    #[test]
    fn ties_are_uuids() {
        assert!(is_uuid("00112233-4455-6677-8899-aabbccddeeff"));
        for text in ["", "0", "00112233445566778899aabbccddeeff0000", "00112233-4455-6677-8899-aabbccddeefg", "\u{e9}"]
        {
            assert!(!is_uuid(text), "{text}");
        }
    }
}
