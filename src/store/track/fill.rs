//! Keys of the existing rows of a table, read in the name of the table's owner, a batch at a time.

use pgrx::Spi;
use pgrx::spi::SpiTupleTable;

use super::column::Declaration;
use crate::errors::Failure;
use crate::postgres::expected_relation::on_relation;
use crate::postgres::identity::in_owners_name;
use crate::store::user_table::UserTable;
use crate::store::{params, read_one};

/// Rows per batch: a few milliseconds each, and memory that does not grow with the table.
const BATCH: i64 = 10_000;

/// Passes on the keys of all rows that have a source, the values of a batch in one list; returns the number of rows.
/// Under a lock on the table.
///
/// The statement runs under the caller's search_path. Its operators and names are qualified.
pub fn keys(
    table: &UserTable,
    declaration: &Declaration,
    mut batch: impl FnMut(Vec<String>) -> Result<(), Failure>,
) -> Result<i64, Failure> {
    // Empty values and texts of the usual blanks are not a source; workers detect rarer blanks.
    let visible = match declaration.source_kind.as_str() {
        "image" => "pg_catalog.octet_length(%3$I) OPERATOR(pg_catalog.>) 0",
        _ => {
            "(pg_catalog.octet_length(%3$I::pg_catalog.text) OPERATOR(pg_catalog.>) 1000 \
              OR pg_catalog.length(pg_catalog.ltrim(%3$I::pg_catalog.text, E' \\t\\n\\r')) OPERATOR(pg_catalog.>) 0)"
        }
    };
    let statement = read_one(
        "SELECT format('SELECT ARRAY[%1$s] FROM %2$s WHERE %3$I IS NOT NULL AND ' || $4, \
             (SELECT string_agg(format('%I::pg_catalog.text', k.name), ', ' ORDER BY k.place) \
                 FROM unnest($1::text[]) WITH ORDINALITY AS k(name, place)), $2, $3)",
        &params![declaration.key_columns.clone(), table.rows(), declaration.source_column.as_str(), visible],
        |row| row.get::<String>(1),
    )?;
    in_owners_name(table.owner.role(), || of_rows(table, &statement, &mut batch))
}

fn of_rows(
    table: &UserTable,
    statement: &str,
    batch: &mut impl FnMut(Vec<String>) -> Result<(), Failure>,
) -> Result<i64, Failure> {
    let cursor = on_relation(table.oid, || {
        Spi::connect_mut(|client| Ok::<_, Failure>(client.try_open_cursor_mut(statement, &[])?.detach_into_name()))
    })?;
    let mut rows = 0;
    loop {
        // A connection per batch, which frees the fetched rows.
        let (fetched, values) = Spi::connect(|client| {
            let mut open = client.find_cursor(&cursor)?;
            let fetched = flatten(open.fetch(BATCH)?)?;
            if fetched.0 == BATCH {
                open.detach_into_name();
            }
            Ok::<_, Failure>(fetched)
        })?;
        if fetched > 0 {
            batch(values)?;
        }
        rows += fetched;
        if fetched < BATCH {
            return Ok(rows);
        }
    }
}

fn flatten(table: SpiTupleTable<'_>) -> Result<(i64, Vec<String>), Failure> {
    let (mut rows, mut values) = (0, Vec::new());
    for row in table {
        let key = row.get::<Vec<String>>(1)?.unwrap_or_default();
        rows += 1;
        values.extend(key);
    }
    Ok((rows, values))
}
