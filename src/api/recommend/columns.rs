//! The key and the embedding column of a user's table.

use crate::errors::{Failure, Kind};
use crate::postgres::identity::as_worker;
use crate::postgres::vector::DIMENSION;
use crate::store::candidates::Search;
use crate::store::track::trigger;
use crate::store::user_table::{Column, Relation, UserTable, identifier, identifiers};

/// The key and the embedding.
pub struct Columns<'a> {
    table: &'a UserTable,
    key: Vec<&'a Column>,
    /// The `vector(512)` column.
    pub embedding: &'a Column,
}

impl<'a> Columns<'a> {
    /// The columns that the caller names; by default the primary key, and the only vector column or the only tracked one.
    ///
    /// # Errors
    ///
    /// BadArgument, NoColumn.
    pub fn choose(table: &'a UserTable, key: Option<&str>, embedding: Option<&str>) -> Result<Self, Failure> {
        if table.kind == Relation::Other {
            return Err(Failure::new(Kind::BadArgument, format!("{} is not a table or view", table.quoted))
                .with_hint("Pass a table, which may be partitioned or foreign, a view or a materialized view."));
        }
        let key: Vec<String> = match key {
            Some(key) => identifiers(key, "key")?,
            None => table.primary_key.clone(),
        };
        if key.is_empty() {
            return Err(Failure::new(
                Kind::BadArgument,
                format!("{} is {} without a primary key", table.quoted, table.kind.noun()),
            )
            .with_hint("Pass the columns that identify a row, for example key => 'id'."));
        }
        let key = key.iter().map(|name| table.required_column(name)).collect::<Result<_, _>>()?;
        let embedding = match embedding {
            Some(name) => vector_column(table.required_column(&identifier(name, "embedding")?)?, table)?,
            None => only_vector(table)?,
        };
        Ok(Self { table, key, embedding })
    }

    /// The search for rows near a direction.
    ///
    /// # Errors
    ///
    /// Those of [`Search::new`].
    pub fn search(&self) -> Result<Search, Failure> {
        Search::new(self.table, &self.key, self.embedding)
    }
}

/// Refuses a column that cannot be compared with a board.
fn vector_column<'a>(column: &'a Column, table: &UserTable) -> Result<&'a Column, Failure> {
    let wrong = |what: String| {
        Err(Failure::new(Kind::BadArgument, format!("column \"{}\" of {} {what}", column.name, table.quoted)))
    };
    if !column.is_vector() {
        return wrong(format!("is of type {}, not vector({DIMENSION})", column.type_name));
    }
    match column.dimension() {
        Some(dimension) if usize::try_from(dimension) != Ok(DIMENSION) => {
            wrong(format!("has {dimension} dimensions, the boards' embeddings have {DIMENSION}"))
        }
        _ => Ok(column),
    }
}

fn only_vector(table: &UserTable) -> Result<&Column, Failure> {
    let vectors: Vec<&Column> = table.columns.iter().filter(|column| column.is_vector()).collect();
    match vectors.as_slice() {
        [] => {
            let columns: Vec<&str> = table.columns.iter().map(|column| column.quoted.as_str()).collect();
            Err(Failure::new(Kind::BadArgument, format!("{} has no column of type vector", table.quoted)).with_hint(
                format!(
                    "Its columns are {}. Add one with ALTER TABLE … ADD COLUMN embedding vector({DIMENSION}).",
                    columns.join(", ")
                ),
            ))
        }
        [one] => vector_column(one, table),
        several => {
            // As pinterest_worker: that a column is tracked discloses nothing about its contents.
            let tracked = as_worker(|| trigger::of_table(table.oid))?;
            let is_tracked =
                |column: &&&Column| tracked.iter().any(|known| known.declaration.embedding_column == column.name);
            let followed: Vec<&&Column> = several.iter().filter(is_tracked).collect();
            if let [one] = followed.as_slice() {
                return vector_column(one, table);
            }
            let names: Vec<String> =
                several.iter().map(|column| format!("{} {}", column.quoted, column.type_name)).collect();
            Err(Failure::new(
                Kind::BadArgument,
                format!("{} has {} columns of type vector", table.quoted, several.len()),
            )
            .with_hint(format!(
                "Pass one of them, for example embedding => '{}': {}.",
                several[0].quoted,
                names.join(", ")
            )))
        }
    }
}
