//! What ties a row of `pinterest.tracked_column` to its table: the trigger `pinterest_track_<id>` on the table, made by the
//! table's owner, whose first argument is the row's `tie`, a uuid that no other declaration has. The number alone would not
//! do: it starts anew in a copy of the schema.
//!
//! `pg_trigger` has no index on names and may hold hundreds of thousands of rows, so the table's oid is remembered beside.
//! Dumps carry oids that mean something else after the restore; so the oid only says where to look first.

use pgrx::{PgBuiltInOids, pg_sys};

use crate::errors::Failure;
use crate::store::execute;
use crate::store::saved::Saved;
use crate::store::user_table::{self, UserTable, describe};

thread_local! {
    static REMEMBERED: Saved = const { Saved::new(
        "SELECT t.tgrelid FROM pinterest.tracked_column c \
         JOIN pg_trigger t ON t.tgrelid = c.table_oid AND t.tgname = ('pinterest_track_' || c.tracked_column_id)::name \
         JOIN pg_class r ON r.oid = t.tgrelid \
         WHERE c.tracked_column_id = $1 AND t.tgfoid = $2 AND t.tgparentid = 0 \
             AND encode(substring(t.tgargs, 1, 36), 'escape') = c.tie::text AND r.relowner = pinterest.owner_oid(c.owner)",
        &[PgBuiltInOids::INT8OID, PgBuiltInOids::OIDOID],
    ) };
    // Where a table was copied with its triggers inside one database, the older one keeps the column.
    static ANYWHERE: Saved = const { Saved::new(
        "SELECT t.tgrelid FROM pinterest.tracked_column c \
         JOIN pg_trigger t ON t.tgname = ('pinterest_track_' || c.tracked_column_id)::name \
         JOIN pg_class r ON r.oid = t.tgrelid \
         WHERE c.tracked_column_id = $1 AND t.tgfoid = $2 AND t.tgparentid = 0 \
             AND encode(substring(t.tgargs, 1, 36), 'escape') = c.tie::text AND r.relowner = pinterest.owner_oid(c.owner) \
         ORDER BY t.tgrelid LIMIT 1",
        &[PgBuiltInOids::INT8OID, PgBuiltInOids::OIDOID],
    ) };
}

/// The table of a tracked column, if it still belongs to the column's owner. Runs with the caller's rights: where these
/// do not reach the declaration there is none.
pub fn relation(tracked_column_id: i64) -> Result<Option<pg_sys::Oid>, Failure> {
    let parameters = [tracked_column_id.into(), user_table::trigger_function().into()];
    let table = |row: &[Option<pg_sys::Datum>]| Ok(row[0].map(|oid| pg_sys::Oid::from(oid.value() as u32)));
    // A trigger asks in transactions whose snapshot may be older than the declaration.
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

/// Takes note of where the table of a tracked column is.
pub fn remember(tracked_column_id: i64, table: pg_sys::Oid) -> Result<(), Failure> {
    execute(
        "UPDATE pinterest.tracked_column SET table_oid = $2 WHERE tracked_column_id = $1 AND table_oid IS DISTINCT FROM $2",
        &[tracked_column_id.into(), table.into()],
    )
}
