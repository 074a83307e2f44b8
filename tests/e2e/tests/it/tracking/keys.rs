//! Keys and names of every permitted kind.

use crate::support::prelude::*;
use crate::support::tracking::{queue, server, settle};

#[test]
fn keys_of_several_types_are_stored_in_their_order() -> Result<()> {
    let (_cluster, mut client) = server()?;
    client.batch_execute(
        "CREATE DOMAIN code AS varchar(8); CREATE DOMAIN words AS text;
         CREATE TABLE venues (a uuid, b code, c char(5), d smallint, description words, embedding vector(512), PRIMARY KEY (d, c, b, a));
         INSERT INTO venues VALUES ('00000000-0000-0000-0000-00000000000A', 'x y', 'ab', 7, 'before');
         SELECT pinterest_track('venues', text => 'description')",
    )?;
    let one = "7,ab,x y,00000000-0000-0000-0000-00000000000a";
    assert_eq!(queue(&mut client)?, format!("{one}*"), "in the order of the primary key");
    settle(&mut client, "venues")?;
    client.batch_execute("UPDATE venues SET description = 'after'")?;
    assert_eq!(queue(&mut client)?, format!("{one}*"), "the trigger and the call write the same key");
    client.batch_execute("UPDATE venues SET c = 'é'")?;
    assert_eq!(queue(&mut client)?, "7,é,x y,00000000-0000-0000-0000-00000000000a*");
    client.batch_execute("DELETE FROM venues")?;
    assert_eq!(queue(&mut client)?, "");
    Ok(())
}

#[test]
fn key_values_that_arrays_quote_are_kept() -> Result<()> {
    let (_cluster, mut client) = server()?;
    client.batch_execute(
        r#"CREATE TABLE venues (id text PRIMARY KEY, description text, embedding vector(512));
           SELECT pinterest_track('venues', text => 'description')"#,
    )?;
    let odd = ["", "NULL", "{a,b}", "\"quoted\"", "back\\slash", " space ", "line\nbreak", "ünï"];
    for key in odd {
        client.execute("INSERT INTO venues VALUES ($1, 'x')", &[&key])?;
    }
    let same: i64 =
        client.value("SELECT count(*) FROM pinterest.tracked_row r JOIN venues v ON r.key = ARRAY[v.id]")?;
    assert_eq!(usize::try_from(same)?, odd.len());
    settle(&mut client, "venues")?;
    client.batch_execute("SELECT pinterest_track('venues', text => 'description')")?;
    let (rows, pending): (i64, i64) =
        client.pair("SELECT count(*), count(*) FILTER (WHERE state = 'pending') FROM pinterest.tracked_row", &[])?;
    assert_eq!((usize::try_from(rows)?, pending), (odd.len(), rows));
    client.batch_execute("DELETE FROM venues")?;
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.tracked_row")?, 0);
    Ok(())
}

#[test]
fn names_follow_the_rules_of_sql() -> Result<()> {
    let (_cluster, mut client) = server()?;
    client.batch_execute(
        r#"CREATE SCHEMA "Some, schema";
           CREATE TABLE "Some, schema"."Ven""ues" ("Id" int, n int, "Ph'oto" bytea, "An embedding" vector(512), UNIQUE (n, "Id"));
           ALTER TABLE "Some, schema"."Ven""ues" ALTER "Id" SET NOT NULL, ALTER n SET NOT NULL;
           INSERT INTO "Some, schema"."Ven""ues" VALUES (1, 2, 'x');
           SELECT pinterest_track('"Some, schema"."Ven""ues"', key => ' "Id" , N', image => '"Ph''oto"', embedding => '"An embedding"')"#,
    )?;
    assert_eq!(queue(&mut client)?, "1,2*");
    client.batch_execute(r#"INSERT INTO "Some, schema"."Ven""ues" VALUES (3, 4, 'x')"#)?;
    assert_eq!(queue(&mut client)?, "1,2* 3,4*");
    client.batch_execute(r#"UPDATE "Some, schema"."Ven""ues" SET "An embedding" = array_fill(1, '{512}')::vector; UPDATE "Some, schema"."Ven""ues" SET "Ph'oto" = 'y'"#)?;
    assert_eq!(client.value::<i64>(r#"SELECT count("An embedding") FROM "Some, schema"."Ven""ues""#)?, 0);
    let row = r#"SELECT concat_ws('|', "table", key_columns, source_kind, source_column, embedding_column, state, rows, pending, progress) FROM pinterest.tracked"#;
    assert_eq!(
        client.value::<String>(row)?,
        r#""Some, schema"."Ven""ues"|{Id,n}|image|Ph'oto|An embedding|active|2|2|0"#
    );
    client.batch_execute(r#"SELECT pinterest_untrack('"Some, schema"."Ven""ues"', '"An embedding"')"#)?;
    assert_eq!(queue(&mut client)?, "");
    Ok(())
}
