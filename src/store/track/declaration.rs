//! `pinterest.tracked_column` and the triggers that tie its rows to users' tables. Triggers are made and dropped with the
//! caller's rights, rows are written as pinterest_worker.

use pgrx::pg_sys;

use super::{TrackedColumn, queue, tie};
use crate::errors::{Failure, Kind};
use crate::store::user_table::{self, UserTable};
use crate::store::{execute, is_true, read, write_one};

/// What a caller wants tracked, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// Names of the key columns.
    pub key_columns: Vec<String>,
    /// image, image_url or text.
    pub source_kind: &'static str,
    /// Name of the column that is followed.
    pub source_column: String,
    /// Name of the column that follows.
    pub embedding_column: String,
}

impl Declaration {
    /// Is that how the column is tracked already?
    pub fn is(&self, tracked: &TrackedColumn) -> bool {
        self.key_columns == tracked.key_columns
            && self.source_kind == tracked.source_kind
            && self.source_column == tracked.source_column
            && self.embedding_column == tracked.embedding_column
    }
}

// Not among the bindings.
unsafe extern "C-unwind" {
    /// Locks what inherits from a relation, its partitions too (catalog/pg_inherits.h, the same in Postgres 14 to 18).
    fn find_all_inheritors(
        parent: pg_sys::Oid,
        mode: pg_sys::LOCKMODE,
        numbers: *mut *mut pg_sys::List,
    ) -> *mut pg_sys::List;
}

/// Keeps writers, and other calls like the one that locks, off the table and its partitions until the transaction ends:
/// rows that they have written and not committed would be seen neither here nor by the triggers. By oid: a name may come
/// to mean another relation while a lock is waited for.
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

/// Has the caller the rights of the table's owner?
pub fn is_owner(table: &UserTable) -> Result<bool, Failure> {
    // SAFETY: a plain read of a process-wide variable.
    Ok(table.owner.gives_rights_to(unsafe { pg_sys::GetUserId() }))
}

/// The ids that the triggers on a table bear, whoever made them.
pub fn triggers_on(table: pg_sys::Oid) -> Result<Vec<i64>, Failure> {
    read(
        "SELECT substr(t.tgname, length('pinterest_track_') + 1)::bigint FROM pg_trigger t \
         WHERE t.tgrelid = $1 AND t.tgfoid = $2 AND t.tgparentid = 0 AND t.tgname ~ '^pinterest_track_[0-9]{1,18}$' ORDER BY 1",
        &[table.into(), user_table::trigger_function().into()],
        |row| row.get(1),
    )
}

/// A row of `pinterest.tracked_column`, and what its triggers bear.
#[derive(Clone, Debug)]
pub struct Tie {
    /// The row's key, which is in the triggers' names.
    pub tracked_column_id: i64,
    /// The triggers' first argument.
    pub tie: String,
}

/// Writes the declaration down.
pub fn insert(table: &UserTable, declaration: &Declaration) -> Result<Tie, Failure> {
    write_one(
        "INSERT INTO pinterest.tracked_column (owner, table_schema, table_name, key_columns, source_kind, source_column, \
         embedding_column, table_oid) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING tracked_column_id, tie::text",
        &[
            table.owner.parameter(),
            table.schema.as_str().into(),
            table.name.as_str().into(),
            declaration.key_columns.clone().into(),
            declaration.source_kind.into(),
            declaration.source_column.as_str().into(),
            declaration.embedding_column.as_str().into(),
            table.oid.into(),
        ],
        |row| Ok(Tie { tracked_column_id: row.get(1)?, tie: row.get(2)? }),
    )
}

/// Takes note of the table's present name, and has the workers look at once whether what kept them is gone.
pub fn refresh(tracked_column_id: i64, table: &UserTable) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.tracked_column SET table_schema = $2, table_name = $3, table_oid = $4, problem = NULL, problem_code = NULL, \
         problem_hint = NULL, next_attempt_at = clock_timestamp() WHERE tracked_column_id = $1",
        &[tracked_column_id.into(), table.schema.as_str().into(), table.name.as_str().into(), table.oid.into()],
    )
}

/// Ends the tracking of columns; what is known of their rows goes along.
pub fn delete(tracked_column_ids: &[i64]) -> Result<(), Failure> {
    execute(
        "DELETE FROM pinterest.tracked_column WHERE tracked_column_id = ANY ($1)",
        &[tracked_column_ids.to_vec().into()],
    )?;
    // Of rows that others have queued since the caller's snapshot, too.
    tracked_column_ids.iter().try_for_each(|&id| queue::remove_all(id))
}

/// Columns of tables that are gone, or that changed hands, by the name that is remembered. With the caller's rights.
pub fn without_table(schema: Option<&str>, name: &str, embedding: Option<&str>) -> Result<Vec<i64>, Failure> {
    let found = read(
        "SELECT c.tracked_column_id FROM pinterest.tracked_column c \
         WHERE c.table_name = $1 AND ($2 IS NULL OR c.table_schema = $2) AND ($3 IS NULL OR c.embedding_column = $3) \
         ORDER BY c.tracked_column_id",
        &[name.into(), schema.into(), embedding.into()],
        |row| row.get::<i64>(1),
    )?;
    let mut gone = Vec::new();
    for id in found {
        if tie::relation(id)?.is_none() {
            gone.push(id);
        }
    }
    Ok(gone)
}

/// The relation that a name means to the caller, if any.
pub fn resolve(name: &str) -> Result<Option<pg_sys::Oid>, Failure> {
    // Not under a pinned search_path: it is the caller's that says which table the name means.
    Ok(pgrx::Spi::get_one_with_args::<pg_sys::Oid>(
        "SELECT pg_catalog.to_regclass($1)::pg_catalog.oid",
        &[name.into()],
    )?)
}

/// Makes the triggers of a tracked column.
///
/// - `pinterest_track_<id>`, after an INSERT, is the one that ties the table to the tracked column, see [`tie`];
/// - `…_update`, `…_delete` and `…_truncate` keep the queue;
/// - `…_stale`, before an UPDATE that changes the source, empties the embedding.
///
/// Where the table's rows come from a subscription, all fire for replicated changes too.
///
/// Every UPDATE fires, not those alone that name the source: a trigger of the user's may set it. Whether it changed the
/// function finds out, without unpacking a value that stayed where it was; a WHEN clause would unpack it.
pub fn create_triggers(new: &Tie, table: &UserTable, declaration: &Declaration) -> Result<(), Failure> {
    let statements = read(
        "WITH names AS (SELECT 'pinterest_track_' || $2 AS name, \
             (SELECT format('EXECUTE FUNCTION pinterest.track_change(%L, %L, %s)', $6, $3, \
                     string_agg(format('%L', k.name), ', ' ORDER BY k.place)) \
                 FROM unnest($5::text[]) WITH ORDINALITY AS k(name, place)) AS change) \
         SELECT format('CREATE TRIGGER %I AFTER INSERT ON %s FOR EACH ROW WHEN (NEW.%I IS NOT NULL) %s', n.name, $1, $3, n.change) \
             FROM names n \
         UNION ALL SELECT format('CREATE TRIGGER %I AFTER UPDATE ON %s FOR EACH ROW %s', n.name || '_update', $1, n.change) FROM names n \
         UNION ALL SELECT format('CREATE TRIGGER %I AFTER DELETE ON %s FOR EACH ROW %s', n.name || '_delete', $1, n.change) FROM names n \
         UNION ALL SELECT format('CREATE TRIGGER %I AFTER TRUNCATE ON %s FOR EACH STATEMENT %s', n.name || '_truncate', $1, n.change) \
             FROM names n \
         UNION ALL SELECT format('CREATE TRIGGER %I BEFORE UPDATE ON %s FOR EACH ROW \
             EXECUTE FUNCTION pinterest.track_stale(%L, %L)', n.name || '_stale', $1, $3, $4) FROM names n",
        &[
            table.quoted.as_str().into(),
            new.tracked_column_id.to_string().into(),
            declaration.source_column.as_str().into(),
            declaration.embedding_column.as_str().into(),
            declaration.key_columns.clone().into(),
            new.tie.as_str().into(),
        ],
        |row| row.get::<String>(1),
    )?;
    statements.iter().try_for_each(|statement| execute(statement, &[]).map(drop))?;
    if has_subscription(table.oid)? {
        for ending in ["", "_update", "_delete", "_truncate", "_stale"] {
            let (id, quoted) = (new.tracked_column_id, &table.quoted);
            execute(&format!("ALTER TABLE {quoted} ENABLE ALWAYS TRIGGER pinterest_track_{id}{ending}"), &[])?;
        }
    }
    // The statements go by the table's name.
    if tie::relation(new.tracked_column_id)? != Some(table.oid) {
        return Err(Failure::new(Kind::TableMoved, format!("{} was renamed or replaced meanwhile", table.quoted))
            .with_hint("Try again."));
    }
    Ok(())
}

/// Do rows of a table, of a partition of it or of what it is a partition of, come from a subscription? As the view
/// `pinterest.tracked` says it.
fn has_subscription(table: pg_sys::Oid) -> Result<bool, Failure> {
    is_true(
        "SELECT EXISTS (SELECT FROM pg_subscription_rel sr WHERE sr.srrelid = $1 \
             OR sr.srrelid IN (SELECT q.relid FROM pg_partition_tree($1) AS q) \
             OR sr.srrelid IN (SELECT q.relid FROM pg_partition_ancestors($1) AS q))",
        &[table.into()],
    )
}

/// Drops the triggers that bear a tracked column's id from a table.
pub fn drop_triggers(tracked_column_id: i64, table: &UserTable) -> Result<(), Failure> {
    let statements = read(
        "SELECT format('DROP TRIGGER %I ON %s', t.tgname, $2) FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid \
         WHERE t.tgrelid = $1 AND t.tgparentid = 0 AND t.tgname ~ ('^pinterest_track_' || $3 || '(_[a-z]+)?$') \
             AND p.pronamespace = (SELECT f.pronamespace FROM pg_proc f WHERE f.oid = $4)",
        &[
            table.oid.into(),
            table.quoted.as_str().into(),
            tracked_column_id.to_string().into(),
            user_table::trigger_function().into(),
        ],
        |row| row.get::<String>(1),
    )?;
    statements.iter().try_for_each(|statement| execute(statement, &[]).map(drop))
}
