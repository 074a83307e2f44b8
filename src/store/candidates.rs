//! Rows of a user's table that are near a direction. The statement runs with the caller's rights and the caller's own
//! search_path, which a view of theirs may need: it names the schema of every object of the extension.

use pgrx::Spi;
use pgrx::pg_sys::{BuiltinOid, PgOid};

use super::extension::pgvector_schema;
use super::user_table::{Column, UserTable};
use super::{Row, index_settings, params};
use crate::errors::{Failure, Kind};
use crate::postgres::vector::{Vector, vector_type};

/// A row that may be recommended.
pub struct Candidate {
    /// The key as text.
    pub key: String,
    /// Not of length 0.
    pub embedding: Vector,
}

/// The rows nearest to a direction, of one table, view or the like.
pub struct Search {
    statement: String,
}

impl Search {
    /// Searches this embedding column. The key of a row is the text of the key column, or a JSON array of several.
    pub fn new(table: &UserTable, key: &[&Column], embedding: &Column) -> Result<Self, Failure> {
        let columns: Vec<String> = key.iter().map(|column| format!("c.{}", column.quoted)).collect();
        let name = match columns.as_slice() {
            [one] => format!("{one}::pg_catalog.text"),
            several => format!("pg_catalog.json_build_array({})::pg_catalog.text", several.join(", ")),
        };
        let named: String = columns.iter().map(|column| format!(" AND {column} IS NOT NULL")).collect();
        let schema = pgvector_schema()?;
        // Cast to pgvector's own type: for a domain over it, an operator for the domain would fit a bare column better.
        // The cast only relabels, and the server looks through it when it matches indexes.
        let bare = format!("c.{}", embedding.quoted);
        let vector = format!("{bare}::{schema}.vector");
        Ok(Self {
            statement: format!(
                "SELECT {name}, {vector}, pg_catalog.octet_length({name}) FROM {} AS c WHERE {bare} IS NOT NULL{named} \
                 ORDER BY ({vector}) OPERATOR({schema}.<=>) $1 LIMIT $2",
                table.quoted
            ),
        })
    }

    /// The `each` rows nearest to each direction, through the table's index if the planner chooses it. A row near two
    /// directions is returned twice. Calls `take` with the index of the direction and the row.
    pub fn nearest(
        &self,
        directions: &[Vector],
        each: usize,
        mut take: impl FnMut(usize, Candidate) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let _raised = index_settings::raised_for(each);
        let limit = i64::try_from(each).unwrap_or(i64::MAX);
        Spi::connect(|client| {
            let types = [PgOid::from(vector_type()), PgOid::BuiltIn(BuiltinOid::INT8OID)];
            let prepared = client.prepare(self.statement.as_str(), &types)?;
            for (place, direction) in directions.iter().enumerate() {
                for row in client.select(&prepared, None, &params![direction.clone().parameter(), limit])? {
                    let row = Row(&row);
                    check_key(row.get(3)?)?;
                    take(place, Candidate { key: row.get(1)?, embedding: row.get(2)? })?;
                }
            }
            Ok(())
        })
    }
}

/// Longest key in bytes, more than an index allows. A column that is not a key may contain anything, and many rows are
/// in memory at once.
const LONGEST_KEY: i32 = 8192;

/// Refuses a key before it is copied.
fn check_key(bytes: i32) -> Result<(), Failure> {
    if bytes > LONGEST_KEY {
        return Err(Failure::new(
            Kind::TooLarge,
            format!("the key of a row has {bytes} bytes, more than the limit of {LONGEST_KEY}"),
        )
        .with_hint("Name shorter columns that identify a row, as in key => 'id'."));
    }
    Ok(())
}
