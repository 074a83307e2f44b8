//! Tables, columns and transactions that cannot be tracked: SQLSTATE, message and hint.

use crate::support::prelude::*;
use crate::support::tracking::{server, tracked_venues};

#[test]
fn unsuitable_tables_and_columns_are_refused() -> Result<()> {
    if let Some(reason) = lacking(&["postgres_fdw"])? {
        return skip(&reason);
    }
    let (cluster, mut client) = server()?;
    client.batch_execute(
        "CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL, b int, c int NOT NULL, d numeric NOT NULL UNIQUE, u int NOT NULL UNIQUE DEFERRABLE,
             words text, more text GENERATED ALWAYS AS (words || '.') STORED, photo bytea, embedding vector(512), small vector(3),
             loose vector, plain real[], filled vector(512) GENERATED ALWAYS AS (NULL) STORED);
         CREATE UNIQUE INDEX ON t (a) WHERE b > 0; CREATE UNIQUE INDEX ON t (b); CREATE UNIQUE INDEX ON t (a, c); CREATE UNIQUE INDEX ON t (abs(c));
         CREATE TABLE keyless (words text, embedding vector(512));
         CREATE VIEW v AS SELECT * FROM t; CREATE MATERIALIZED VIEW m AS SELECT * FROM t;
         CREATE TEMPORARY TABLE passing (id int PRIMARY KEY, words text, embedding vector(512));
         CREATE EXTENSION IF NOT EXISTS postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw;
         CREATE FOREIGN TABLE f (id int, words text, embedding vector(512)) SERVER far",
    )?;
    for (arguments, code, message) in [
        ("'t'", "22023", "exactly one of image, image_url and text must be given, not 0"),
        (
            "'t', text => 'words', image => 'photo'",
            "22023",
            "exactly one of image, image_url and text must be given, not 2",
        ),
        ("'t', text => 'nothing'", "42703", "column \"nothing\" of public.t does not exist"),
        ("'t', text => 'Words'", "", ""),
        ("'t', text => '\"Words\"'", "42703", "column \"Words\" of public.t does not exist"),
        ("'t', text => 'words, photo'", "22023", "invalid column name in text"),
        ("'t', text => '\"words'", "22023", "invalid column name in text"),
        ("'t', text => ''", "22023", "invalid column name in text"),
        ("'t', text => 'photo'", "22023", "must be a column of type text, varchar, char or citext, not bytea"),
        ("'t', image_url => 'id'", "22023", "must be a column of type text, varchar, char or citext, not integer"),
        ("'t', image => 'words'", "22023", "must be a column of type bytea, not text"),
        ("'t', text => 'more'", "0A000", "more is a generated column"),
        ("'t', text => 'words', embedding => 'nothing'", "42703", "column \"nothing\" of public.t does not exist"),
        ("'t', text => 'words', embedding => 'plain'", "22023", "must be of type vector(512), not real[]"),
        ("'t', text => 'words', embedding => 'small'", "22023", "must have 512 dimensions, not 3"),
        ("'t', text => 'words', embedding => 'loose'", "22023", "must have 512 dimensions, not any number"),
        ("'t', text => 'words', embedding => 'filled'", "22023", "is generated"),
        ("'t', key => 'nothing', text => 'words'", "42703", "column \"nothing\" of public.t does not exist"),
        ("'t', key => 'id,', text => 'words'", "22023", "invalid column list in key"),
        ("'t', key => 'id, ID', text => 'words'", "22023", "key names the column \"id\" twice"),
        ("'t', key => 'a', text => 'words'", "22023", "no unique index on public.t covers exactly (a)"),
        ("'t', key => 'id, a', text => 'words'", "22023", "no unique index on public.t covers exactly (id, a)"),
        ("'t', key => 'c', text => 'words'", "22023", "no unique index on public.t covers exactly (c)"),
        ("'t', key => 'u', text => 'words'", "22023", "no unique index on public.t covers exactly (u)"),
        ("'t', key => 'b', text => 'words'", "22023", "key column b can be NULL"),
        ("'t', key => 'd', text => 'words'", "0A000", "key column d is of type numeric"),
        ("'keyless', text => 'words'", "22023", "public.keyless has no primary key"),
        ("'v', text => 'words'", "42809", "public.v is a view"),
        ("'m', text => 'words'", "42809", "public.m is a materialized view"),
        ("'f', text => 'words'", "42809", "public.f is a foreign table"),
        ("'passing', text => 'words'", "0A000", "is a temporary table"),
        ("'nowhere', text => 'words'", "42P01", "does not exist"),
        (
            "'pg_catalog.pg_class', text => 'relname'",
            "22023",
            "must be a column of type text, varchar, char or citext, not name",
        ),
    ] {
        let statement = format!("SELECT pinterest_track({arguments})");
        if code.is_empty() {
            client.batch_execute(&format!("{statement}; SELECT pinterest_untrack('t')"))?;
            continue;
        }
        let refused = client.refused(&statement, code);
        assert!(refused.message.contains(message), "{statement}: {refused:?}");
        assert!(!refused.hint.is_empty() || ["42P01", "22023"].contains(&code), "{statement}: {refused:?}");
    }
    // Key columns keep the order of the argument, not of the index.
    client.batch_execute("SELECT pinterest_track('t', key => 'c, a', text => 'words')")?;
    assert_eq!(client.value::<Vec<String>>("SELECT key_columns FROM pinterest.tracked")?, ["c", "a"]);

    cluster.create_role("other")?;
    client.batch_execute("SELECT pinterest_grant('other', 'user'); GRANT ALL ON t TO other")?;
    let refused = expect_refusal(
        cluster.connect_as("other")?.batch_execute("SELECT pinterest_track('t', text => 'words')"),
        "42501",
    );
    assert_eq!(refused.message, "must be owner of table public.t");
    assert!(refused.hint.contains("postgres"), "{refused:?}");
    Ok(())
}

#[test]
fn an_embedding_column_has_one_source() -> Result<()> {
    let (_cluster, mut client) = tracked_venues()?;
    client
        .refused("SELECT pinterest_track('venues', image => 'photo')", "22023")
        .says("is already tracked (text \"description\", key id)")
        .hints("pinterest_untrack()");
    client.batch_execute("SELECT pinterest_untrack('venues'); SELECT pinterest_track('venues', image => 'photo')")?;
    Ok(())
}

#[test]
fn repeatable_read_and_read_only_transactions_are_refused() -> Result<()> {
    let (_cluster, mut client) = tracked_venues()?;
    for call in ["pinterest_track('venues', text => 'description')", "pinterest_wait_for_tracked('venues')"] {
        client.refused(&format!("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT {call}"), "55000");
        client.batch_execute("ROLLBACK")?;
    }
    for call in [
        "pinterest_track('venues', text => 'description')",
        "pinterest_untrack('venues')",
        "pinterest_retry_tracked('venues')",
    ] {
        client.refused(&format!("BEGIN READ ONLY; SELECT {call}"), "25006");
        client.batch_execute("ROLLBACK")?;
    }
    Ok(())
}
