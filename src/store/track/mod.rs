//! Vector columns of users' tables that follow another column: `pinterest.tracked_column`, and `pinterest.tracked_row`,
//! which is the workers' queue.

pub mod declaration;
pub mod fill;
mod owners_path;
pub mod queue;
mod target;
pub mod tie;
pub mod trust;
pub mod work;

pub use target::{Source, SourceKind};

use pgrx::pg_sys;

use super::{read, user_table};
use crate::errors::Failure;

/// The tracked columns of a table, found by its triggers: those that still belong to the table's owner.
#[derive(Clone, Debug)]
pub struct TrackedColumn {
    /// The key, which is in the triggers' names.
    pub tracked_column_id: i64,
    /// The first argument of the triggers.
    pub tie: String,
    /// Names of the key columns.
    pub key_columns: Vec<String>,
    /// image, image_url or text.
    pub source_kind: String,
    /// Name of the column that is followed.
    pub source_column: String,
    /// Name of the column that follows.
    pub embedding_column: String,
}

/// The tracked columns of a table. With the caller's rights: only those whose owner's rights the caller has.
pub fn of_table(table: pg_sys::Oid) -> Result<Vec<TrackedColumn>, Failure> {
    read(
        "SELECT c.tracked_column_id, c.key_columns, c.source_kind, c.source_column, c.embedding_column, c.tie::text \
         FROM pg_trigger t JOIN pg_class r ON r.oid = t.tgrelid \
         JOIN pinterest.tracked_column c ON t.tgname = 'pinterest_track_' || c.tracked_column_id \
             AND pinterest.owner_oid(c.owner) = r.relowner AND encode(substring(t.tgargs, 1, 36), 'escape') = c.tie::text \
         WHERE t.tgrelid = $1 AND t.tgfoid = $2 ORDER BY c.tracked_column_id",
        &[table.into(), user_table::trigger_function().into()],
        |row| {
            Ok(TrackedColumn {
                tracked_column_id: row.get(1)?,
                tie: row.get(6)?,
                key_columns: row.get(2)?,
                source_kind: row.get(3)?,
                source_column: row.get(4)?,
                embedding_column: row.get(5)?,
            })
        },
    )
}

/// The models that made the embeddings which are in a tracked column; none where it is not tracked. With the caller's
/// rights; a few look-ups in an index, whatever the number of rows.
pub fn models_of(table: pg_sys::Oid, embedding_column: &str) -> Result<Vec<i64>, Failure> {
    let tracked = of_table(table)?;
    let Some(column) = tracked.iter().find(|column| column.embedding_column == embedding_column) else {
        return Ok(Vec::new());
    };
    read(
        "WITH RECURSIVE step (model_id) AS ( \
             (SELECT min(r.model_id) FROM pinterest.tracked_row r WHERE r.tracked_column_id = $1 AND r.model_id IS NOT NULL) \
             UNION ALL SELECT (SELECT min(r.model_id) FROM pinterest.tracked_row r \
                 WHERE r.tracked_column_id = $1 AND r.model_id > s.model_id AND r.model_id IS NOT NULL) \
             FROM step s WHERE s.model_id IS NOT NULL) \
         SELECT s.model_id FROM step s WHERE s.model_id IS NOT NULL",
        &[column.tracked_column_id.into()],
        |row| row.get(1),
    )
}
