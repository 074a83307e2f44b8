//! The table of a tracked column, as a worker reads and writes it: in its owner's name, see
//! [`as_table_owner`](crate::postgres::identity::as_table_owner).
//!
//! The search_path is the owner's, because the table's triggers may rely on it, so the statements qualify every
//! operator, type and function. A statement runs on the relation that was locked and checked, or not at all, see
//! [`on_relation`].

use std::ffi::CString;

use pgrx::{Spi, pg_sys};

use super::column::Tie;
use super::{owners_path, trigger, trust};
use crate::errors::{Failure, Kind};
use crate::owner::Owner;
use crate::postgres::expected_relation::on_relation;
use crate::postgres::identity::{Policies, as_table_owner};
use crate::postgres::vector::{DIMENSION, Vector};
use crate::store::user_table::Column;
use crate::store::{Row, params, read_optional};

/// The kind of a source column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// An encoded image.
    Image,
    /// The URL of an image.
    ImageUrl,
    /// A text.
    Text,
}

impl SourceKind {
    fn of(name: &str) -> Result<Self, Failure> {
        match name {
            "image" => Ok(SourceKind::Image),
            "image_url" => Ok(SourceKind::ImageUrl),
            "text" => Ok(SourceKind::Text),
            _ => Err(Failure::new(Kind::Internal, format!("invalid source kind \"{name}\""))),
        }
    }

    /// An image, or the URL of one.
    pub fn is_image(self) -> bool {
        matches!(self, SourceKind::Image | SourceKind::ImageUrl)
    }

    /// The type that the source is cast to.
    fn type_name(self) -> &'static str {
        match self {
            SourceKind::Image => "pg_catalog.bytea",
            SourceKind::ImageUrl | SourceKind::Text => "pg_catalog.text",
        }
    }

    fn takes(self, column: &Column) -> bool {
        match self {
            SourceKind::Image => column.base_type == pg_sys::BYTEAOID,
            SourceKind::ImageUrl | SourceKind::Text => column.is_text(),
        }
    }

    /// SQL for the part of a source that is read: the first `$2` characters of a text; the others completely if they
    /// have no more than `$2` bytes, otherwise NULL.
    fn part(self, source: &str) -> String {
        let source = format!("t.{source}::{}", self.type_name());
        match self {
            SourceKind::Text => format!("pg_catalog.\"left\"({source}, $2)"),
            _ => format!("CASE WHEN pg_catalog.octet_length({source}) OPERATOR(pg_catalog.<=) $2 THEN {source} END"),
        }
    }
}

/// A table and the statements for one row of it.
#[derive(Clone, Debug)]
pub struct Target {
    /// The kind of the source.
    pub kind: SourceKind,
    table: pg_sys::Oid,
    quoted: String,
    owner: pg_sys::Oid,
    tie: Tie,
    read: String,
    lock: String,
    write: String,
}

/// The content of a row's source column.
#[derive(Clone, Debug)]
pub enum Source {
    /// NULL, or there is no such row.
    None,
    /// More than the limit: so many bytes.
    TooLarge(i64),
    /// A value.
    Bytes {
        /// The value; a text in UTF-8.
        bytes: Vec<u8>,
        /// The row has an embedding.
        embedded: bool,
    },
}

/// A row that is locked for the rest of the transaction.
#[derive(Clone, Copy, Debug)]
pub struct LockedRow {
    /// It has an embedding.
    pub embedded: bool,
}

impl Target {
    /// The table as it is now, checked against the declaration.
    ///
    /// # Errors
    /// [`Kind::NotFound`], [`Kind::NoColumn`], [`Kind::BadArgument`], and those of [`trust::check`]: the whole column
    /// cannot be
    /// worked on.
    pub fn find(tracked_column_id: i64) -> Result<Self, Failure> {
        let found = read_optional(
            "SELECT c.owner, format('%I.%I', c.table_schema, c.table_name), c.key_columns, c.source_kind, \
             c.source_column, c.embedding_column, c.tie::text, c.table_oid \
             FROM pinterest.tracked_column c WHERE c.tracked_column_id = $1",
            &params![tracked_column_id],
            |row| {
                Ok((
                    row.get::<Owner>(1)?,
                    row.get::<String>(2)?,
                    row.get::<Vec<String>>(3)?,
                    SourceKind::of(&row.get::<String>(4)?)?,
                    row.get::<String>(5)?,
                    row.get::<String>(6)?,
                    row.get::<String>(7)?,
                    row.maybe::<pg_sys::Oid>(8)?,
                ))
            },
        )?;
        let Some((owner, remembered, key_columns, kind, source, embedding, tie, table_oid)) = found else {
            return Err(Failure::new(Kind::NotFound, "the column is no longer tracked"));
        };
        let table = trigger::table(tracked_column_id)?.ok_or_else(|| {
            Failure::new(Kind::NotFound, format!("{remembered} does not exist, or no longer belongs to \"{owner}\""))
                .with_hint(
                    "Its owner must call pinterest_track() again, or pinterest_untrack() if it no longer exists.",
                )
        })?;
        if table_oid != Some(table.oid) {
            trigger::remember(tracked_column_id, table.oid)?;
        }
        trust::check(table.oid)?;
        let redeclare = "Call pinterest_untrack(), then pinterest_track() with the columns as they are now.";
        let source = table.required_column(&source).map_err(|failure| failure.with_hint(redeclare))?;
        let embedding = table.required_column(&embedding).map_err(|failure| failure.with_hint(redeclare))?;
        if !kind.takes(source) {
            return Err(wrong_type(source, &kind.type_name()["pg_catalog.".len()..]).with_hint(redeclare));
        }
        if embedding.dimension() != i32::try_from(DIMENSION).ok() {
            return Err(wrong_type(embedding, &format!("vector({DIMENSION})")).with_hint(redeclare));
        }
        let mut conditions = Vec::new();
        for (place, name) in (1..).zip(&key_columns) {
            let column = table.required_column(name).map_err(|failure| failure.with_hint(redeclare))?;
            let key_type = key_type(column)
                .ok_or_else(|| wrong_type(column, "an integer, text or uuid type").with_hint(redeclare))?;
            let quoted = &column.quoted;
            conditions.push(format!("t.{quoted} OPERATOR(pg_catalog.=) ($1::pg_catalog.text[])[{place}]::{key_type}"));
        }
        let (rows, row) = (table.rows(), conditions.join(" AND "));
        let (source, embedding, source_type) = (&source.quoted, &embedding.quoted, kind.type_name());
        let part = kind.part(source);
        Ok(Target {
            kind,
            table: table.oid,
            owner: table.owner.role(),
            tie: Tie { tracked_column_id, tie },
            // The length first, which does not need the value itself.
            read: format!(
                "SELECT pg_catalog.octet_length(t.{source}::{source_type})::pg_catalog.int8, \
                 t.{embedding} IS NOT NULL, {part} FROM {rows} AS t WHERE {row} AND t.{source} IS NOT NULL"
            ),
            lock: format!(
                "SELECT t.{embedding} IS NOT NULL FROM {rows} AS t WHERE {row} AND t.{source} IS NOT NULL \
                 FOR NO KEY UPDATE"
            ),
            write: format!("UPDATE {rows} AS t SET {embedding} = $2 WHERE {row} AND t.{source} IS NOT NULL"),
            quoted: table.quoted,
        })
    }

    /// The source of a row, of at most `limit` bytes; of a text the first `limit` characters. `None` if the table has
    /// changed: it must be found again.
    pub fn read(&self, key: &[String], limit: i32) -> Result<Option<Source>, Failure> {
        let Some(path) = self.hold(pg_sys::AccessShareLock)? else { return Ok(None) };
        let source = |row: Row<'_, '_>| {
            let (length, embedded) = (row.get::<i64>(1)?, row.get::<bool>(2)?);
            let bytes = match self.kind {
                SourceKind::Image => row.maybe::<Vec<u8>>(3)?,
                SourceKind::ImageUrl | SourceKind::Text => row.maybe::<String>(3)?.map(String::into_bytes),
            };
            Ok(match bytes {
                Some(bytes) => Source::Bytes { bytes, embedded },
                None => Source::TooLarge(length),
            })
        };
        self.in_owners_name(&path, Policies::Unforced, || {
            let rows: Vec<Source> = Spi::connect(|client| {
                let rows = client.select(self.read.as_str(), Some(2), &params![key.to_vec(), limit])?;
                rows.map(|row| source(Row(&row))).collect::<Result<_, Failure>>()
            })?;
            Ok(Some(self.only(rows)?.unwrap_or(Source::None)))
        })
    }

    /// Locks a row that has a source, as an UPDATE of columns outside the key does; `Some(None)` if there is none,
    /// `None` if the table has changed.
    pub fn lock(&self, key: &[String]) -> Result<Option<Option<LockedRow>>, Failure> {
        let Some(path) = self.hold(pg_sys::RowExclusiveLock)? else { return Ok(None) };
        self.in_owners_name(&path, Policies::Unforced, || {
            let rows: Vec<LockedRow> = Spi::connect_mut(|client| {
                let rows = client.update(self.lock.as_str(), Some(2), &params![key.to_vec()])?;
                rows.map(|row| Ok(LockedRow { embedded: Row(&row).get(1)? })).collect::<Result<_, Failure>>()
            })?;
            Ok(Some(self.only(rows)?))
        })
    }

    /// Writes the embedding of a locked row. Requires `SET CONSTRAINTS ALL IMMEDIATE` before.
    pub fn write(&self, key: &[String], embedding: Vector) -> Result<(), Failure> {
        let path = owners_path::of(self.owner)?;
        self.in_owners_name(&path, Policies::UnforcedUntilItRuns, || {
            let parameters = [key.to_vec().into(), embedding.parameter()];
            let written = Spi::connect_mut(|client| {
                client.update(self.write.as_str(), None, &parameters)?;
                // SAFETY: set by the statement that just ran.
                Ok::<_, Failure>(unsafe { pg_sys::SPI_processed })
            })?;
            if written != 1 {
                return Err(Failure::new(
                    Kind::TableRefused,
                    format!("a trigger or rule of {} prevents the embedding from being written", self.quoted),
                ));
            }
            Ok(())
        })
    }

    /// Runs a statement on the table in its owner's name, under the owner's search_path.
    fn in_owners_name<T>(
        &self,
        path: &CString,
        policies: Policies,
        work: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        on_relation(self.table, || {
            as_table_owner(self.owner, policies, |settings| {
                settings.set(c"search_path", path);
                work()
            })
        })
    }

    /// Locks the table for the rest of the transaction and checks that it has not changed and may be touched; the
    /// search_path of its owner. `None`: the table must be found again.
    fn hold(&self, mode: u32) -> Result<Option<CString>, Failure> {
        as_table_owner(self.owner, Policies::Unforced, |_| {
            // SAFETY: waits for others' locks as a statement does, and takes none on what is gone; released at the
            // transaction's end.
            unsafe { pg_sys::LockRelationOid(self.table, mode as pg_sys::LOCKMODE) };
            Ok(())
        })?;
        if !trigger::is_on(self.table, &self.quoted, self.owner, &self.tie)? {
            return Ok(None);
        }
        trust::check(self.table)?;
        owners_path::of(self.owner).map(Some)
    }

    fn only<T>(&self, mut rows: Vec<T>) -> Result<Option<T>, Failure> {
        if rows.len() > 1 {
            return Err(Failure::new(Kind::TableRefused, format!("more than one row of {} has this key", self.quoted)));
        }
        Ok(rows.pop())
    }
}

fn wrong_type(column: &Column, wanted: &str) -> Failure {
    Failure::new(Kind::BadArgument, format!("column {} is {}, not {wanted}", column.quoted, column.type_name))
}

/// The type as which a key column is compared.
fn key_type(column: &Column) -> Option<&'static str> {
    Some(match column.base_type {
        pg_sys::INT2OID => "pg_catalog.int2",
        pg_sys::INT4OID => "pg_catalog.int4",
        pg_sys::INT8OID => "pg_catalog.int8",
        // char without a length is one character long.
        pg_sys::BPCHAROID => "pg_catalog.bpchar",
        pg_sys::TEXTOID | pg_sys::VARCHAROID => "pg_catalog.text",
        pg_sys::UUIDOID => "pg_catalog.uuid",
        _ => return None,
    })
}
