//! The triggers of tracked columns: the only place in Rust that spells their names and their function.
//! `sql/tracking.sql` defines the function, and its view `pinterest.tracked` repeats the condition of `ties!`.
//!
//! A row of `pinterest.tracked_column` is tied to its table by the trigger `pinterest_track_<id>` on the table, made by
//! the table's owner, whose first argument is the row's `tie`, a uuid that no other declaration has. The id alone would
//! not do: a copy of the schema counts from the start again.
//!
//! `pg_trigger` has no index on names and may contain hundreds of thousands of rows, so the table's oid is stored in
//! `tracked_column` too. After a restore a stored oid may be that of another table, so it only determines where to
//! search first.

use pgrx::{PgBuiltInOids, pg_sys};

use super::column::{Declaration, Tie, TrackedColumn};
use crate::errors::{Failure, Kind};
use crate::store::saved::Saved;
use crate::store::user_table::{UserTable, describe};
use crate::store::{execute, is_true, params, read};

/// The condition under which a trigger `t` on a relation `r` ties it to a tracked column `c`; `$2` is [`function`].
macro_rules! ties {
    () => {
        "t.tgname = ('pinterest_track_' || c.tracked_column_id)::name AND t.tgfoid = $2 AND r.oid = t.tgrelid \
         AND encode(substring(t.tgargs, 1, 36), 'escape') = c.tie::text AND r.relowner = pinterest.owner_oid(c.owner)"
    };
}

thread_local! {
    static REMEMBERED: Saved = const { Saved::new(
        concat!(
            "SELECT t.tgrelid FROM pinterest.tracked_column c, pg_trigger t, pg_class r \
             WHERE c.tracked_column_id = $1 AND t.tgrelid = c.table_oid AND t.tgparentid = 0 AND ",
            ties!()
        ),
        &[PgBuiltInOids::INT8OID, PgBuiltInOids::OIDOID],
    ) };
    // If a table was copied with its triggers inside one database, the column is that of the older table.
    static ANYWHERE: Saved = const { Saved::new(
        concat!(
            "SELECT t.tgrelid FROM pinterest.tracked_column c, pg_trigger t, pg_class r \
             WHERE c.tracked_column_id = $1 AND t.tgparentid = 0 AND ",
            ties!(),
            " ORDER BY t.tgrelid LIMIT 1"
        ),
        &[PgBuiltInOids::INT8OID, PgBuiltInOids::OIDOID],
    ) };
    static ROOT: Saved = const { Saved::new(
        "WITH RECURSIVE up (relation, parent) AS ( \
             SELECT t.tgrelid, t.tgparentid FROM pg_trigger t WHERE t.oid = $1 \
             UNION ALL SELECT t.tgrelid, t.tgparentid FROM up JOIN pg_trigger t ON t.oid = up.parent) \
         SELECT c.oid, c.relowner FROM up JOIN pg_class c ON c.oid = up.relation WHERE up.parent = 0",
        &[PgBuiltInOids::OIDOID],
    ) };
}

/// The function of the triggers that keep the queue, `pinterest.track_change()`; InvalidOid, which no trigger has, if
/// there is none.
fn function() -> pg_sys::Oid {
    // SAFETY: catalog look-ups inside a transaction; a missing schema gives InvalidOid.
    unsafe {
        let schema = pg_sys::get_namespace_oid(c"pinterest".as_ptr(), true);
        let no_arguments = pg_sys::buildoidvector(std::ptr::null(), 0);
        pg_sys::GetSysCacheOid(
            pg_sys::SysCacheIdentifier::PROCNAMEARGSNSP as i32,
            1,
            pg_sys::Datum::from(c"track_change".as_ptr()),
            pg_sys::Datum::from(no_arguments),
            pg_sys::Datum::from(schema),
            pg_sys::Datum::from(0_usize),
        )
    }
}

/// The table of a tracked column, if it still belongs to the column's owner. Runs with the caller's rights: `None` also
/// if these do not include the declaration.
pub fn relation(tracked_column_id: i64) -> Result<Option<pg_sys::Oid>, Failure> {
    let parameters = [tracked_column_id.into(), function().into()];
    let table = |row: &[Option<pg_sys::Datum>]| Ok(row[0].map(oid));
    // A trigger may call this in a transaction whose snapshot is older than the declaration.
    let remembered = REMEMBERED.with(|saved| saved.read_of_now(&parameters, table))?;
    if let Some(table) = remembered.into_iter().next() {
        return Ok(table);
    }
    let found = ANYWHERE.with(|saved| saved.read_of_now(&parameters, table))?;
    Ok(found.into_iter().next().flatten())
}

/// As [`relation`], described.
pub fn table(tracked_column_id: i64) -> Result<Option<UserTable>, Failure> {
    relation(tracked_column_id)?.map(describe).transpose()
}

/// Stores where the table of a tracked column is.
pub fn remember(tracked_column_id: i64, table: pg_sys::Oid) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.tracked_column SET table_oid = $2 \
         WHERE tracked_column_id = $1 AND table_oid IS DISTINCT FROM $2",
        &params![tracked_column_id, table],
    )
}

/// The tracked columns whose triggers are on a table, or on the table that it is a partition of, and that belong to the
/// table's owner. A copy of a table may have the triggers of the original's columns: see [`columns_of`].
///
/// With the caller's rights: only those whose owner's rights the caller has.
pub fn of_table(table: pg_sys::Oid) -> Result<Vec<TrackedColumn>, Failure> {
    read(
        concat!(
            "SELECT c.tracked_column_id, c.tie::text, c.key_columns, c.source_kind, c.source_column, \
             c.embedding_column FROM pg_trigger t, pg_class r, pinterest.tracked_column c WHERE t.tgrelid = $1 AND ",
            ties!(),
            " ORDER BY c.tracked_column_id"
        ),
        &params![table, function()],
        |row| {
            Ok(TrackedColumn {
                tie: Tie { tracked_column_id: row.get(1)?, tie: row.get(2)? },
                declaration: Declaration {
                    key_columns: row.get(3)?,
                    source_kind: row.get(4)?,
                    source_column: row.get(5)?,
                    embedding_column: row.get(6)?,
                },
            })
        },
    )
}

/// The tracked columns of a table, without those whose triggers came with a copy of another table.
pub fn columns_of(table: pg_sys::Oid) -> Result<Vec<TrackedColumn>, Failure> {
    let mut columns = Vec::new();
    for column in of_table(table)? {
        if relation(column.tie.tracked_column_id)? == Some(table) {
            columns.push(column);
        }
    }
    Ok(columns)
}

/// Whether the relation still has the name and owner, and the trigger that ties it to the tracked column.
pub(super) fn is_on(table: pg_sys::Oid, quoted: &str, owner: pg_sys::Oid, tie: &Tie) -> Result<bool, Failure> {
    is_true(
        "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_trigger t ON t.tgrelid = c.oid AND t.tgname = ('pinterest_track_' || $4)::name AND t.tgfoid = $5 \
             AND encode(substring(t.tgargs, 1, 36), 'escape') = $6 \
         WHERE c.oid = $1 AND format('%I.%I', n.nspname, c.relname) = $2 AND c.relowner = $3)",
        &params![table, quoted, owner, tie.tracked_column_id, function(), tie.tie.as_str()],
    )
}

/// The table on which a trigger was made, and its owner: a partition has copies of the triggers of the table that it is
/// a part of, and may have another owner.
pub fn root(trigger: pg_sys::Oid) -> Result<Option<(pg_sys::Oid, pg_sys::Oid)>, Failure> {
    let found = ROOT.with(|saved| {
        saved.read_of_now(&params![trigger], |row| match row {
            [Some(table), Some(owner)] => Ok((oid(*table), oid(*owner))),
            _ => Err(Failure::new(Kind::Internal, "a table has no owner")),
        })
    })?;
    Ok(found.into_iter().next())
}

pub(super) fn oid(value: pg_sys::Datum) -> pg_sys::Oid {
    pg_sys::Oid::from(value.value() as u32)
}

/// Makes the triggers of a tracked column.
///
/// - `pinterest_track_<id>`, after an INSERT, is the one that ties the table to the tracked column;
/// - `…_update`, `…_delete` and `…_truncate` keep the queue;
/// - `…_stale`, before an UPDATE that changes the source, sets the embedding to NULL.
///
/// If the table's rows come from a subscription, all fire for replicated changes too.
///
/// Every UPDATE fires, not only those that name the source, because a user's trigger may set it. The function finds out
/// whether the source changed, without detoasting a value that was not replaced; a WHEN clause would detoast it.
pub fn create(tie: &Tie, table: &UserTable, declaration: &Declaration) -> Result<(), Failure> {
    let statements = read(
        "WITH names AS (SELECT 'pinterest_track_' || $2 AS name, \
             (SELECT format('EXECUTE FUNCTION pinterest.track_change(%L, %L, %s)', $6, $3, \
                     string_agg(format('%L', k.name), ', ' ORDER BY k.place)) \
                 FROM unnest($5::text[]) WITH ORDINALITY AS k(name, place)) AS change), \
         triggers (ending, timing, level, action) AS ( \
             SELECT '', 'AFTER INSERT', format('ROW WHEN (NEW.%I IS NOT NULL)', $3), n.change FROM names n \
             UNION ALL SELECT '_update', 'AFTER UPDATE', 'ROW', n.change FROM names n \
             UNION ALL SELECT '_delete', 'AFTER DELETE', 'ROW', n.change FROM names n \
             UNION ALL SELECT '_truncate', 'AFTER TRUNCATE', 'STATEMENT', n.change FROM names n \
             UNION ALL SELECT '_stale', 'BEFORE UPDATE', 'ROW', \
                 format('EXECUTE FUNCTION pinterest.track_stale(%L, %L)', $3, $4)) \
         SELECT format('CREATE TRIGGER %I %s ON %s FOR EACH %s %s', n.name || t.ending, t.timing, $1, t.level, \
         t.action) FROM names n, triggers t",
        &params![
            table.quoted.as_str(),
            tie.tracked_column_id.to_string(),
            declaration.source_column.as_str(),
            declaration.embedding_column.as_str(),
            declaration.key_columns.clone(),
            tie.tie.as_str()
        ],
        |row| row.get::<String>(1),
    )?;
    statements.iter().try_for_each(|statement| execute(statement, &[]))?;
    if has_subscription(table.oid)? {
        for ending in ["", "_update", "_delete", "_truncate", "_stale"] {
            let (id, quoted) = (tie.tracked_column_id, &table.quoted);
            execute(&format!("ALTER TABLE {quoted} ENABLE ALWAYS TRIGGER pinterest_track_{id}{ending}"), &[])?;
        }
    }
    // The statements name the table.
    if relation(tie.tracked_column_id)? != Some(table.oid) {
        return Err(Failure::new(Kind::TableMoved, format!("{} was renamed or replaced meanwhile", table.quoted))
            .with_hint("Try again."));
    }
    Ok(())
}

/// Whether rows of a table, of one of its partitions or of a table that it is a partition of come from a subscription.
/// The view `pinterest.tracked` has the same condition.
fn has_subscription(table: pg_sys::Oid) -> Result<bool, Failure> {
    is_true(
        "SELECT EXISTS (SELECT FROM pg_subscription_rel sr WHERE sr.srrelid = $1 \
             OR sr.srrelid IN (SELECT q.relid FROM pg_partition_tree($1) AS q) \
             OR sr.srrelid IN (SELECT q.relid FROM pg_partition_ancestors($1) AS q))",
        &params![table],
    )
}

/// Drops the triggers with a tracked column's id from a table.
pub fn drop(tracked_column_id: i64, table: &UserTable) -> Result<(), Failure> {
    let statements = read(
        "SELECT format('DROP TRIGGER %I ON %s', t.tgname, $2) FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid \
         WHERE t.tgrelid = $1 AND t.tgparentid = 0 AND t.tgname ~ ('^pinterest_track_' || $3 || '(_[a-z]+)?$') \
             AND p.pronamespace = (SELECT f.pronamespace FROM pg_proc f WHERE f.oid = $4)",
        &params![table.oid, table.quoted.as_str(), tracked_column_id.to_string(), function()],
        |row| row.get::<String>(1),
    )?;
    statements.iter().try_for_each(|statement| execute(statement, &[]))
}

/// Drops the triggers on a table whose tracked column is not the table's: it changed hands, or came from another
/// database.
pub fn drop_strays(table: &UserTable) -> Result<(), Failure> {
    let columns = columns_of(table.oid)?;
    let on_table: Vec<i64> = read(
        "SELECT substr(t.tgname, length('pinterest_track_') + 1)::bigint FROM pg_trigger t WHERE t.tgrelid = $1 \
         AND t.tgfoid = $2 AND t.tgparentid = 0 AND t.tgname ~ '^pinterest_track_[0-9]{1,18}$' ORDER BY 1",
        &params![table.oid, function()],
        |row| row.get(1),
    )?;
    let is_stray = |id: &i64| columns.iter().all(|column| column.tie.tracked_column_id != *id);
    on_table.into_iter().filter(is_stray).try_for_each(|id| drop(id, table))
}
