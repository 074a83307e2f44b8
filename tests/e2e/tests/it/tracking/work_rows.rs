//! Rows of users' tables get the embeddings of their sources.

use crate::support::prelude::*;
use crate::support::tracking_work::{count, photo, settled, small_world, state, texts, wrong_texts};

#[test]
fn texts_and_images_get_their_embeddings() -> Result<()> {
    let (_world, mut client) = small_world()?.with_session()?;
    client.batch_execute(
        "CREATE TABLE venues (id bigint PRIMARY KEY, description text, photo bytea, by_text vector(512), by_photo vector(512));
         INSERT INTO venues (id, description) VALUES (1, 'a barn with string lights'), (2, NULL)",
    )?;
    client.batch_execute(
        "SELECT pinterest_track('venues', text => 'description', embedding => 'by_text'),
                pinterest_track('venues', image => 'photo', embedding => 'by_photo')",
    )?;
    for (id, family) in (3_i64..).zip([Family::Barn, Family::Beach, Family::Garden]) {
        let photo = photo(family, id.unsigned_abs())?;
        client.execute("INSERT INTO venues (id, description, photo) VALUES ($1, 'by the sea', $2)", &[&id, &photo])?;
    }
    settled(&mut client)?;
    let wrong = "SELECT count(*) FROM venues WHERE (description IS NULL) <> (by_text IS NULL) OR (photo IS NULL) <> (by_photo IS NULL)
             OR by_text <=> pinterest_embed_text(description) > 1e-6 OR by_photo <=> pinterest_embed_image(photo) > 1e-6";
    assert_eq!(client.value::<i64>(wrong)?, 0);
    assert_eq!((count(&mut client, "embedded")?, count(&mut client, "failed")?), (4 + 3, 0));
    let (columns, models): (i64, i64) = client
        .pair("SELECT count(DISTINCT tracked_column_id), count(DISTINCT model_id) FROM pinterest.tracked_row", &[])?;
    assert_eq!((columns, models), (2, 1));
    Ok(())
}

#[test]
fn changed_rows_are_embedded_again_and_deleted_rows_leave_the_queue() -> Result<()> {
    let (_world, mut client) = small_world()?.with_session()?;
    texts(&mut client, "venues")?;
    client.batch_execute("INSERT INTO venues VALUES (1, 'barn'), (2, 'beach'), (3, 'garden'), (4, 'castle')")?;
    settled(&mut client)?;
    client.batch_execute(
        "UPDATE venues SET description = 'a beach at dusk' WHERE id = 2;
         UPDATE venues SET id = 30 WHERE id = 3;
         DELETE FROM venues WHERE id = 4;
         UPDATE venues SET description = NULL WHERE id = 1",
    )?;
    settled(&mut client)?;
    assert_eq!(wrong_texts(&mut client, "venues")?, 0);
    let keys = "SELECT array_agg(key[1] ORDER BY key) FROM pinterest.tracked_row";
    assert_eq!(client.value::<Vec<String>>(keys)?, ["2", "30"]);
    Ok(())
}

#[test]
fn rows_that_cannot_be_embedded_fail_with_a_reason_and_delay_no_other() -> Result<()> {
    let (_world, mut client) = small_world()?.with_session()?;
    texts(&mut client, "venues")?;
    client.batch_execute(
        "INSERT INTO venues VALUES (3, 'a barn');
         CREATE TABLE photos (n int PRIMARY KEY, photo bytea, embedding vector(512));
         SELECT pinterest_track('photos', image => 'photo');
         INSERT INTO photos VALUES (10, 'no picture'), (12, decode(repeat('00', 70000000), 'hex'))",
    )?;
    client.execute("INSERT INTO photos VALUES (13, $1)", &[&photo(Family::Barn, 1)?])?;
    settled(&mut client)?;
    for (key, reason, code) in
        [("10", "", "0A000"), ("12", "the image has 70000000 bytes, more than the limit of 67108864", "54000")]
    {
        let found = state(&mut client, key)?;
        assert_eq!((found.0.as_str(), found.2.as_str()), ("failed", code), "{found:?}");
        assert!(found.1.contains(reason), "{found:?}");
    }
    assert_eq!(state(&mut client, "3")?.0, "embedded");
    assert_eq!(state(&mut client, "13")?.0, "embedded");
    Ok(())
}

#[test]
fn unchanged_rows_are_not_embedded_again() -> Result<()> {
    let (_world, mut client) = small_world()?.with_session()?;
    texts(&mut client, "venues")?;
    client.batch_execute("INSERT INTO venues SELECT n, 'barn ' || n FROM generate_series(1, 20) n")?;
    settled(&mut client)?;
    let versions = "SELECT array_agg(xmin::text ORDER BY id) FROM venues";
    let before: Vec<String> = client.value(versions)?;
    client.batch_execute("UPDATE venues SET embedding = NULL WHERE id = 7")?;
    client.batch_execute("SELECT pinterest_track('venues', text => 'description')")?;
    settled(&mut client)?;
    let after: Vec<String> = client.value(versions)?;
    let changed: Vec<usize> = (0..20).filter(|&place| before[place] != after[place]).collect();
    assert_eq!(changed, [6], "only the row that has lost its embedding is written");
    assert_eq!(wrong_texts(&mut client, "venues")?, 0);
    Ok(())
}

#[test]
fn keys_of_every_kind_find_their_rows() -> Result<()> {
    let (_world, mut client) = small_world()?.with_session()?;
    client.batch_execute(
        r#"CREATE SCHEMA "Our Places";
         CREATE DOMAIN short AS varchar(20);
         CREATE TABLE "Our Places"."Venues" ("Id" uuid, n smallint, code char(5), "na""me" short, "De scription" text,
             "Em" vector(512), PRIMARY KEY ("Id", n, code, "na""me")) PARTITION BY LIST (n);
         CREATE TABLE "Our Places".one PARTITION OF "Our Places"."Venues" FOR VALUES IN (1);
         CREATE TABLE "Our Places".two PARTITION OF "Our Places"."Venues" FOR VALUES IN (2);
         SELECT pinterest_track('"Our Places"."Venues"', text => '"De scription"', embedding => '"Em"');
         INSERT INTO "Our Places"."Venues"
             SELECT gen_random_uuid(), 1 + n % 2, 'c' || n, 'it''s {' || n || '},"\', 'barn ' || n FROM generate_series(1, 30) n"#,
    )?;
    settled(&mut client)?;
    let wrong: i64 = client.value(r#"SELECT count(*) FROM "Our Places"."Venues" WHERE COALESCE("Em" <=> pinterest_embed_text("De scription") > 1e-6, true)"#)?;
    assert_eq!((wrong, count(&mut client, "embedded")?), (0, 30));
    Ok(())
}

#[test]
fn a_thousand_texts_are_claimed_once_each() -> Result<()> {
    let (_world, mut client) = small_world()?.with_session()?;
    texts(&mut client, "venues")?;
    client.batch_execute(
        "INSERT INTO venues SELECT n, 'a venue with ' || n || ' seats' FROM generate_series(1, 1000) n",
    )?;
    settled(&mut client)?;
    assert_eq!(wrong_texts(&mut client, "venues")?, 0);
    let attempts = "SELECT count(*) FROM pinterest.tracked_row WHERE fence <> 1";
    assert_eq!(client.value::<i64>(attempts)?, 0, "rows claimed more than once");
    Ok(())
}
