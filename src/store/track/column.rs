//! What a tracked column is.

/// A vector column of a user's table and the column that it is computed from, as the table's owner declared it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// Names of the key columns.
    pub key_columns: Vec<String>,
    /// image, image_url or text.
    pub source_kind: String,
    /// Name of the source column.
    pub source_column: String,
    /// Name of the vector column.
    pub embedding_column: String,
}

/// What ties triggers to a row of `pinterest.tracked_column`.
#[derive(Clone, Debug)]
pub struct Tie {
    /// The row's key, which is in the triggers' names.
    pub tracked_column_id: i64,
    /// The triggers' first argument.
    pub tie: String,
}

/// A row of `pinterest.tracked_column`.
#[derive(Clone, Debug)]
pub struct TrackedColumn {
    /// Its key, and what ties its table to it.
    pub tie: Tie,
    /// The columns.
    pub declaration: Declaration,
}

impl TrackedColumn {
    /// Its key.
    pub fn id(&self) -> i64 {
        self.tie.tracked_column_id
    }
}
