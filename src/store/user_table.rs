//! Tables that are not ours, as the catalogs describe them.

use std::ffi::{CStr, CString};

use pgrx::pg_sys;

use super::{read, read_optional};
use crate::errors::{Failure, Kind};
use crate::owner::Owner;
use crate::postgres::vector::vector_type;

/// What kind of relation it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// An ordinary table.
    Table,
    /// A partitioned table.
    Partitioned,
    /// A view.
    View,
    /// A materialized view.
    MaterializedView,
    /// A foreign table.
    Foreign,
    /// An index, a sequence, a composite type, a TOAST table.
    Other,
}

impl Relation {
    fn of(relkind: &str) -> Self {
        match relkind {
            "r" => Relation::Table,
            "p" => Relation::Partitioned,
            "v" => Relation::View,
            "m" => Relation::MaterializedView,
            "f" => Relation::Foreign,
            _ => Relation::Other,
        }
    }

    /// The kind with its article.
    pub fn noun(self) -> &'static str {
        match self {
            Relation::Table => "a table",
            Relation::Partitioned => "a partitioned table",
            Relation::View => "a view",
            Relation::MaterializedView => "a materialized view",
            Relation::Foreign => "a foreign table",
            Relation::Other => "no table",
        }
    }
}

/// A column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its name as SQL has to write it.
    pub quoted: String,
    /// What its type comes down to where that is a domain; the type itself where not.
    pub base_type: pg_sys::Oid,
    /// The base type's modifier, -1 for none.
    pub modifier: i32,
    /// Its type as SQL writes it, with the modifier.
    pub type_name: String,
    /// Declared NOT NULL.
    pub not_null: bool,
    /// Computed by the server from other columns.
    pub generated: bool,
}

impl Column {
    /// Is it one of pgvector's `vector`s?
    pub fn is_vector(&self) -> bool {
        self.base_type == vector_type()
    }

    /// Does it hold texts: `text`, `varchar`, `char`, or a type whose values are texts as they are, such as `citext`?
    pub fn is_text(&self) -> bool {
        is_text(self.base_type)
    }

    /// The number of dimensions that a `vector` column is declared with.
    pub fn dimension(&self) -> Option<i32> {
        (self.is_vector() && self.modifier > 0).then_some(self.modifier)
    }
}

/// Is it a type of texts, or one that the server takes for text without a conversion? Only superusers make such types.
pub fn is_text(base_type: pg_sys::Oid) -> bool {
    // SAFETY: a catalog look-up inside a transaction.
    base_type == pg_sys::BPCHAROID || unsafe { pg_sys::IsBinaryCoercible(base_type, pg_sys::TEXTOID) }
}

/// A table, view or the like.
#[derive(Clone, Debug)]
pub struct UserTable {
    /// Its oid.
    pub oid: pg_sys::Oid,
    /// The schema's name.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Schema and name as SQL has to write them.
    pub quoted: String,
    /// What it is.
    pub kind: Relation,
    /// Of one session only.
    pub temporary: bool,
    /// The role that owns it.
    pub owner: Owner,
    /// Its columns in their order.
    pub columns: Vec<Column>,
    /// Names of the primary key's columns in their order; empty where there is none.
    pub primary_key: Vec<String>,
    /// Names of the columns of each index that holds for every row at every moment and allows no duplicates.
    pub unique_keys: Vec<Vec<String>>,
}

impl UserTable {
    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The column of that name, or a refusal that names both.
    pub fn required_column(&self, name: &str) -> Result<&Column, Failure> {
        self.column(name).ok_or_else(|| {
            let columns: Vec<&str> = self.columns.iter().map(|column| column.quoted.as_str()).collect();
            Failure::new(Kind::NoColumn, format!("column \"{name}\" of {} does not exist", self.quoted))
                .with_hint(format!("It has {}.", columns.join(", ")))
        })
    }

    /// The table as a FROM clause and an UPDATE have to name it for the rows that triggers and unique indexes know:
    /// tables that inherit from an ordinary one are others; a partitioned one has no rows but in its partitions.
    pub fn rows(&self) -> String {
        match self.kind {
            Relation::Table => format!("ONLY {}", self.quoted),
            _ => self.quoted.clone(),
        }
    }
}

/// Describes a relation. Everybody may read these catalogs; to read the relation itself takes rights on it.
pub fn describe(table: pg_sys::Oid) -> Result<UserTable, Failure> {
    let described = read_optional(
        "SELECT n.nspname::text, c.relname::text, format('%I.%I', n.nspname, c.relname), c.relkind::text, \
             c.relpersistence = 't', c.relowner \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1",
        &[table.into()],
        |row| {
            Ok(UserTable {
                oid: table,
                schema: row.get(1)?,
                name: row.get(2)?,
                quoted: row.get(3)?,
                kind: Relation::of(&row.get::<String>(4)?),
                temporary: row.get(5)?,
                owner: owner(row.get(6)?)?,
                columns: Vec::new(),
                primary_key: Vec::new(),
                unique_keys: Vec::new(),
            })
        },
    )?;
    let Some(mut described) = described else {
        return Err(Failure::new(Kind::NotFound, format!("there is no table with the oid {}", table.to_u32())));
    };
    described.columns = columns(table)?;
    for (primary, names) in unique_keys(table)? {
        if primary {
            described.primary_key = names.clone();
        }
        described.unique_keys.push(names);
    }
    Ok(described)
}

/// The owner of a table; it cannot be dropped while there is the table.
fn owner(role: pg_sys::Oid) -> Result<Owner, Failure> {
    Owner::of_role(role).ok_or_else(|| {
        Failure::new(Kind::Internal, format!("a table belongs to role {}, which is none", role.to_u32()))
    })
}

fn columns(table: pg_sys::Oid) -> Result<Vec<Column>, Failure> {
    read(
        "SELECT a.attname::text, quote_ident(a.attname), a.atttypid, a.atttypmod, \
             format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated <> '' \
         FROM pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        &[table.into()],
        |row| {
            let (type_oid, mut modifier) = (row.get::<pg_sys::Oid>(3)?, row.get::<i32>(4)?);
            // SAFETY: catalog look-ups inside a transaction; the modifier is read and written in place.
            let base_type = unsafe { pg_sys::getBaseTypeAndTypmod(type_oid, &raw mut modifier) };
            Ok(Column {
                name: row.get(1)?,
                quoted: row.get(2)?,
                base_type,
                modifier,
                type_name: row.get(5)?,
                not_null: row.get(6)?,
                generated: row.get(7)?,
            })
        },
    )
}

/// Whether it is the primary key, and the columns, of each unique index that holds at any time and for all rows: not a
/// partial one, none over expressions, none that is checked at the end of a transaction, none left behind half made.
fn unique_keys(table: pg_sys::Oid) -> Result<Vec<(bool, Vec<String>)>, Failure> {
    read(
        "SELECT i.indisprimary, array_agg(a.attname::text ORDER BY k.place) \
         FROM pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place), pg_attribute a \
         WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL \
             AND i.indexprs IS NULL AND k.place <= i.indnkeyatts AND a.attrelid = i.indrelid AND a.attnum = k.number \
         GROUP BY i.indexrelid, i.indisprimary ORDER BY i.indisprimary DESC, i.indexrelid",
        &[table.into()],
        |row| Ok((row.get(1)?, row.get(2)?)),
    )
}

/// Splits a list of names as SQL writes it: `venue_id, "N"`. Names without quotes become lower case.
pub fn identifiers(list: &str, argument: &str) -> Result<Vec<String>, Failure> {
    not_long(list, argument)?;
    split(list, b',').filter(|names| !names.is_empty()).ok_or_else(|| {
        Failure::new(Kind::BadArgument, format!("{argument} is no list of column names: {list}"))
            .with_hint("Names as in SQL, with commas between them; names in mixed case take double quotes.")
    })
}

/// One name as SQL writes it.
pub fn identifier(name: &str, argument: &str) -> Result<String, Failure> {
    not_long(name, argument)?;
    let mut names = split(name, b',').unwrap_or_default();
    match (names.pop(), names.is_empty()) {
        (Some(name), true) => Ok(name),
        _ => Err(Failure::new(Kind::BadArgument, format!("{argument} is no name of a column: {name}"))
            .with_hint("A name as in SQL; one in mixed case takes double quotes.")),
    }
}

/// A table's name as SQL writes it: the schema, where it is given, and the name.
pub fn table_name(name: &str) -> Result<(Option<String>, String), Failure> {
    not_long(name, "table")?;
    let mut names = split(name, b'.').unwrap_or_default();
    match (names.pop(), names.pop(), names.is_empty()) {
        (Some(table), schema, true) => Ok((schema, table)),
        _ => Err(Failure::new(Kind::BadArgument, format!("table is no name of a table: {name}"))
            .with_hint("A name as in SQL, with or without its schema.")),
    }
}

/// Bytes of names: 32 columns, all that a key may have, each as long as a name can be.
const LONGEST_NAMES: usize = 8192;

/// Refuses what is no list of names by its length, before it is copied.
fn not_long(names: &str, argument: &str) -> Result<(), Failure> {
    if names.len() > LONGEST_NAMES {
        return Err(Failure::new(
            Kind::TooLarge,
            format!("{argument} has {} bytes, more than the limit of {LONGEST_NAMES}", names.len()),
        ));
    }
    Ok(())
}

/// The server's own reading of identifiers; `None` where its syntax is broken.
fn split(list: &str, separator: u8) -> Option<Vec<String>> {
    let text = CString::new(list).ok()?;
    let mut names: *mut pg_sys::List = std::ptr::null_mut();
    // SAFETY: a copy in the current memory context, which the callee writes into and the names point into.
    unsafe {
        let copy = pg_sys::pstrdup(text.as_ptr());
        if !pg_sys::SplitIdentifierString(copy, separator as std::ffi::c_char, &raw mut names) {
            return None;
        }
        let length = if names.is_null() { 0 } else { (*names).length };
        let cells = if length == 0 { &[] } else { std::slice::from_raw_parts((*names).elements, length as usize) };
        Some(cells.iter().map(|cell| CStr::from_ptr(cell.ptr_value.cast()).to_string_lossy().into_owned()).collect())
    }
}
