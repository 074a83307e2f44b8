//! The requirements of a tracked column.

use pgrx::pg_sys;

use crate::errors::{Failure, Kind};
use crate::postgres::vector::DIMENSION;
use crate::store::citus::{self, Placement};
use crate::store::track::column::Declaration;
use crate::store::track::declaration;
use crate::store::user_table::{self, Relation, UserTable};

/// The three arguments that name a source.
pub struct Sources<'a> {
    /// A column of encoded images.
    pub image: Option<&'a str>,
    /// A column of image URLs.
    pub image_url: Option<&'a str>,
    /// A column of texts.
    pub text: Option<&'a str>,
}

impl Sources<'_> {
    /// The kind of the only given source, and the column's name.
    fn only(&self) -> Result<(&'static str, String), Failure> {
        let given: Vec<(&'static str, &str)> =
            [("image", self.image), ("image_url", self.image_url), ("text", self.text)]
                .into_iter()
                .filter_map(|(kind, column)| Some((kind, column?)))
                .collect();
        match given.as_slice() {
            [(kind, column)] => Ok((kind, user_table::identifier(column, kind)?)),
            _ => Err(Failure::new(
                Kind::BadArgument,
                format!("exactly one of image, image_url and text must be given, not {}", given.len()),
            )
            .with_hint("For several sources, call it once for each, with different embedding columns.")),
        }
    }
}

/// Refuses a relation that is not a permanent table of the caller's.
///
/// # Errors
///
/// WrongObject, NotYours, Unsupported.
pub fn own_table(table: &UserTable) -> Result<(), Failure> {
    if !matches!(table.kind, Relation::Table | Relation::Partitioned) {
        return Err(Failure::new(
            Kind::WrongObject,
            format!("{} is {}: only tables can be tracked", table.quoted, table.kind.noun()),
        )
        .with_hint("Track the tables that it reads."));
    }
    if !declaration::is_owner(table)? {
        return Err(Failure::new(Kind::NotYours, format!("must be owner of table {}", table.quoted))
            .with_hint(format!("It belongs to \"{}\".", table.owner)));
    }
    if table.temporary {
        return Err(Failure::new(Kind::Unsupported, format!("{} is a temporary table", table.quoted))
            .with_hint("Workers cannot read it: use a permanent table."));
    }
    Ok(())
}

/// Refuses a table whose changes fire no trigger on this server.
///
/// # Errors
///
/// Unsupported.
pub fn has_triggers_here(table: &UserTable) -> Result<(), Failure> {
    let kind = match citus::placement(table.oid)? {
        None => return Ok(()),
        Some(Placement::Distributed) => "a distributed table of Citus",
        Some(Placement::Reference) => "a reference table of Citus",
        Some(Placement::Managed) => "a local table in Citus' metadata",
    };
    Err(Failure::new(
        Kind::Unsupported,
        format!("{} is {kind}: tracking needs triggers on the table itself, not on shards", table.quoted),
    )
    .with_hint(
        "Track a table that is not in Citus' metadata and copy its embeddings from there, or embed the rows by a job: \
         docs/citus.md has both. undistribute_table() makes it a table that can be tracked.",
    ))
}

/// The caller's declaration, with resolved names and checked columns.
///
/// # Errors
///
/// BadArgument, Unsupported, NoColumn: each names the column and the requirement.
pub fn declared(
    table: &UserTable,
    key: Option<&str>,
    sources: &Sources<'_>,
    embedding: &str,
) -> Result<Declaration, Failure> {
    let (source_kind, source_column) = sources.only()?;
    let declaration = Declaration {
        key_columns: match key {
            Some(list) => user_table::identifiers(list, "key")?,
            None => table.primary_key.clone(),
        },
        source_kind: source_kind.to_owned(),
        source_column,
        embedding_column: user_table::identifier(embedding, "embedding")?,
    };
    check_source(table, &declaration)?;
    check_embedding(table, &declaration)?;
    check_key(table, &declaration.key_columns)?;
    Ok(declaration)
}

fn check_source(table: &UserTable, declaration: &Declaration) -> Result<(), Failure> {
    let source = table.required_column(&declaration.source_column)?;
    let (wanted, fits) = match declaration.source_kind.as_str() {
        "image" => ("bytea", source.base_type == pg_sys::BYTEAOID),
        _ => ("text, varchar, char or citext", source.is_text()),
    };
    if source.generated {
        // In the new row of a BEFORE trigger, it has no value yet.
        return Err(Failure::new(
            Kind::Unsupported,
            format!("{} is a generated column: BEFORE triggers cannot see its new value", source.quoted),
        )
        .with_hint("Use an ordinary column, which a BEFORE trigger of yours can fill from other columns."));
    }
    if fits {
        return Ok(());
    }
    Err(Failure::new(
        Kind::BadArgument,
        format!(
            "{} => '{}' must be a column of type {wanted}, not {}",
            declaration.source_kind, source.quoted, source.type_name
        ),
    )
    .with_hint(
        "image is a column of encoded images (bytea), image_url of their URLs, text of texts. For parts of a document or of \
         other columns, use an ordinary column, which a BEFORE trigger of yours can fill.",
    ))
}

fn check_embedding(table: &UserTable, declaration: &Declaration) -> Result<(), Failure> {
    let embedding = table.required_column(&declaration.embedding_column)?;
    let bad = |message: String| {
        Err(Failure::new(Kind::BadArgument, message)
            .with_hint(format!("ALTER TABLE {} ADD COLUMN embedding vector({DIMENSION});", table.quoted)))
    };
    if !embedding.is_vector() {
        return bad(format!(
            "the embedding column {} must be of type vector({DIMENSION}), not {}",
            embedding.quoted, embedding.type_name
        ));
    }
    match embedding.dimension() {
        Some(dimension) if usize::try_from(dimension) == Ok(DIMENSION) => {}
        Some(dimension) => {
            return bad(format!(
                "the embedding column {} must have {DIMENSION} dimensions, not {dimension}",
                embedding.quoted
            ));
        }
        None => {
            return bad(format!(
                "the embedding column {} must have {DIMENSION} dimensions, not any number",
                embedding.quoted
            ));
        }
    }
    if embedding.generated {
        return bad(format!("the embedding column {} is generated and cannot be written", embedding.quoted));
    }
    Ok(())
}

/// Types whose text form does not depend on settings, so that a row can be found by it.
const KEY_TYPES: [pg_sys::Oid; 7] = [
    pg_sys::INT2OID,
    pg_sys::INT4OID,
    pg_sys::INT8OID,
    pg_sys::TEXTOID,
    pg_sys::VARCHAROID,
    pg_sys::BPCHAROID,
    pg_sys::UUIDOID,
];

fn check_key(table: &UserTable, key: &[String]) -> Result<(), Failure> {
    if key.is_empty() {
        return Err(Failure::new(Kind::BadArgument, format!("{} has no primary key", table.quoted))
            .with_hint("Pass the columns of a unique index as key."));
    }
    let mut sorted = key.to_vec();
    sorted.sort();
    if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Failure::new(Kind::BadArgument, format!("key names the column \"{}\" twice", twice[0])));
    }
    for name in key {
        let column = table.required_column(name)?;
        if !KEY_TYPES.contains(&column.base_type) {
            return Err(Failure::new(
                Kind::Unsupported,
                format!("key column {} is of type {}", column.quoted, column.type_name),
            )
            .with_hint("A key column must be of type smallint, integer, bigint, text, varchar, char or uuid."));
        }
        if !column.not_null {
            return Err(Failure::new(Kind::BadArgument, format!("key column {} can be NULL", column.quoted))
                .with_hint(format!("ALTER TABLE {} ALTER COLUMN {} SET NOT NULL;", table.quoted, column.quoted)));
        }
    }
    let is_this_key = |unique: &Vec<String>| {
        let mut unique = unique.clone();
        unique.sort();
        unique == sorted
    };
    if !table.unique_keys.iter().any(is_this_key) {
        return Err(Failure::new(
            Kind::BadArgument,
            format!("no unique index on {} covers exactly ({})", table.quoted, key.join(", ")),
        )
        .with_hint(
            "Workers find a row by its key: create a unique index on these columns, neither partial nor deferrable.",
        ));
    }
    Ok(())
}
