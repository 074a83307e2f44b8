//! Users' tables, as the catalogs describe them.

use std::ffi::{CStr, CString};

use pgrx::pg_sys;

use super::{params, read, read_optional};
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
            Relation::Other => "not a table",
        }
    }
}

/// A column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its name, quoted.
    pub quoted: String,
    /// The base type if its type is a domain, otherwise the type.
    pub base_type: pg_sys::Oid,
    /// The base type's modifier, -1 for none.
    pub modifier: i32,
    /// Its type as SQL writes it, with the modifier.
    pub type_name: String,
    /// Declared NOT NULL.
    pub not_null: bool,
    /// A generated column.
    pub generated: bool,
}

impl Column {
    /// Whether its type is pgvector's `vector`.
    pub fn is_vector(&self) -> bool {
        self.base_type == vector_type()
    }

    /// Whether it contains texts: `text`, `varchar`, `char`, or a type that is binary coercible to text, such as
    /// `citext`.
    pub fn is_text(&self) -> bool {
        is_text(self.base_type)
    }

    /// The declared dimension of a `vector` column.
    pub fn dimension(&self) -> Option<i32> {
        (self.is_vector() && self.modifier > 0).then_some(self.modifier)
    }
}

/// Whether it is a type of texts, or one that the server takes for text without a conversion. Only superusers can
/// create such types.
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
    /// Schema and name, quoted.
    pub quoted: String,
    /// Its kind.
    pub kind: Relation,
    /// It is temporary.
    pub temporary: bool,
    /// The role that owns it.
    pub owner: Owner,
    /// Its columns in their order.
    pub columns: Vec<Column>,
    /// Names of the primary key's columns in their order; empty if there is none.
    pub primary_key: Vec<String>,
    /// Names of the columns of each unique index that applies to every row at any time.
    pub unique_keys: Vec<Vec<String>>,
}

impl UserTable {
    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The column of that name, or an error that names both.
    pub fn required_column(&self, name: &str) -> Result<&Column, Failure> {
        self.column(name).ok_or_else(|| {
            let columns: Vec<&str> = self.columns.iter().map(|column| column.quoted.as_str()).collect();
            Failure::new(Kind::NoColumn, format!("column \"{name}\" of {} does not exist", self.quoted))
                .with_hint(format!("It has {}.", columns.join(", ")))
        })
    }

    /// The table as FROM and UPDATE must name it for the rows that its triggers and unique indexes cover: without the
    /// tables that inherit from an ordinary one; a partitioned one has rows only in its partitions.
    pub fn rows(&self) -> String {
        match self.kind {
            Relation::Table => format!("ONLY {}", self.quoted),
            _ => self.quoted.clone(),
        }
    }
}

/// Describes a relation. Any role may read these catalogs; reading the relation requires rights on it.
pub fn describe(table: pg_sys::Oid) -> Result<UserTable, Failure> {
    let described = read_optional(
        "SELECT n.nspname::text, c.relname::text, format('%I.%I', n.nspname, c.relname), c.relkind::text, \
             c.relpersistence = 't', c.relowner \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1",
        &params![table],
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
        return Err(Failure::new(Kind::NotFound, format!("table with OID {} does not exist", table.to_u32())));
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

/// The owner of a table; a role cannot be dropped while it owns one.
fn owner(role: pg_sys::Oid) -> Result<Owner, Failure> {
    Owner::of_role(role).ok_or_else(|| {
        Failure::new(Kind::Internal, format!("the owner of a table, role {}, does not exist", role.to_u32()))
    })
}

fn columns(table: pg_sys::Oid) -> Result<Vec<Column>, Failure> {
    read(
        "SELECT a.attname::text, quote_ident(a.attname), a.atttypid, a.atttypmod, \
             format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated <> '' \
         FROM pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        &params![table],
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

/// The columns of each unique index that applies to all rows at any time, and whether it is the primary key. Without
/// partial, expression, deferrable and invalid indexes.
fn unique_keys(table: pg_sys::Oid) -> Result<Vec<(bool, Vec<String>)>, Failure> {
    read(
        "SELECT i.indisprimary, array_agg(a.attname::text ORDER BY k.place) \
         FROM pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place), pg_attribute a \
         WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL \
             AND i.indexprs IS NULL AND k.place <= i.indnkeyatts AND a.attrelid = i.indrelid AND a.attnum = k.number \
         GROUP BY i.indexrelid, i.indisprimary ORDER BY i.indisprimary DESC, i.indexrelid",
        &params![table],
        |row| Ok((row.get(1)?, row.get(2)?)),
    )
}

/// Splits a list of names as in SQL: `venue_id, "N"`. Names without quotes become lower case.
pub fn identifiers(list: &str, argument: &str) -> Result<Vec<String>, Failure> {
    not_long(list, argument)?;
    split(list, b',').filter(|names| !names.is_empty()).ok_or_else(|| {
        Failure::new(Kind::BadArgument, format!("invalid column list in {argument}: \"{list}\""))
            .with_hint("Write the names as in SQL, separated by commas; names in mixed case need double quotes.")
    })
}

/// One name as in SQL.
pub fn identifier(name: &str, argument: &str) -> Result<String, Failure> {
    not_long(name, argument)?;
    let mut names = split(name, b',').unwrap_or_default();
    match (names.pop(), names.is_empty()) {
        (Some(name), true) => Ok(name),
        _ => Err(Failure::new(Kind::BadArgument, format!("invalid column name in {argument}: \"{name}\""))
            .with_hint("Write the name as in SQL; a name in mixed case needs double quotes.")),
    }
}

/// A table's name as in SQL: the schema, if given, and the name.
pub fn table_name(name: &str) -> Result<(Option<String>, String), Failure> {
    not_long(name, "table")?;
    let mut names = split(name, b'.').unwrap_or_default();
    match (names.pop(), names.pop(), names.is_empty()) {
        (Some(table), schema, true) => Ok((schema, table)),
        _ => Err(Failure::new(Kind::BadArgument, format!("invalid table name: \"{name}\""))
            .with_hint("Write the name as in SQL, with or without its schema.")),
    }
}

/// Longest list of names in bytes: 32 columns, the maximum of an index, each with the longest name.
const LONGEST_NAMES: usize = 8192;

/// Refuses a list of names by its length before it is copied.
fn not_long(names: &str, argument: &str) -> Result<(), Failure> {
    if names.len() > LONGEST_NAMES {
        return Err(Failure::new(
            Kind::TooLarge,
            format!("{argument} has {} bytes, more than the limit of {LONGEST_NAMES}", names.len()),
        ));
    }
    Ok(())
}

/// The server's own parsing of identifiers; `None` if the syntax is invalid.
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
