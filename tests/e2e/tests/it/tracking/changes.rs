//! The effect of each kind of change to a tracked table on the queue and on the embedding.

use crate::support::prelude::*;
use crate::support::tracking::{VENUES, embedded, queue, server, settle, tracked_venues};

#[test]
fn inserts_updates_and_deletes_change_the_queue() -> Result<()> {
    let (_cluster, mut client) = tracked_venues()?;
    client.batch_execute("INSERT INTO venues VALUES (1, 'barn'), (2, 'beach'), (3, NULL)")?;
    assert_eq!(queue(&mut client)?, "1* 2*", "a row without source has nothing to embed");
    settle(&mut client, "venues")?;

    client.batch_execute("UPDATE venues SET photo = 'x'; UPDATE venues SET description = description")?;
    assert_eq!(queue(&mut client)?, "1 2", "the source has not changed");
    assert_eq!(embedded(&mut client, "venues")?, "1 2 3");

    client.batch_execute("UPDATE venues SET description = 'lake' WHERE id = 2")?;
    assert_eq!(queue(&mut client)?, "1 2*");
    assert_eq!(embedded(&mut client, "venues")?, "1 3", "the embedding of the old source is removed");
    assert_eq!(client.value::<Option<i64>>("SELECT model_id FROM pinterest.tracked_row WHERE key = '{2}'")?, None);
    settle(&mut client, "venues")?;

    client.batch_execute("UPDATE venues SET description = NULL WHERE id = 1")?;
    assert_eq!((queue(&mut client)?.as_str(), embedded(&mut client, "venues")?.as_str()), ("2", "2 3"));
    client.batch_execute("UPDATE venues SET description = 'barn' WHERE id = 1")?;
    assert_eq!(queue(&mut client)?, "1* 2");
    client.batch_execute(
        "UPDATE venues SET description = 'Barn', embedding = array_fill(2, '{512}')::vector WHERE id = 1",
    )?;
    assert_eq!(embedded(&mut client, "venues")?, "2 3", "a vector written together with a new source is removed");

    client.batch_execute("DELETE FROM venues WHERE id = 2")?;
    assert_eq!(queue(&mut client)?, "1*");
    client.batch_execute("TRUNCATE venues")?;
    assert_eq!(queue(&mut client)?, "");
    Ok(())
}

#[test]
fn key_changes_queue_the_row_under_its_new_key() -> Result<()> {
    let (_cluster, mut client) = tracked_venues()?;
    client.batch_execute("INSERT INTO venues SELECT n, 'venue ' || n FROM generate_series(1, 3) n ORDER BY n DESC")?;
    settle(&mut client, "venues")?;
    client.batch_execute("UPDATE venues SET id = 9 WHERE id = 2")?;
    assert_eq!(queue(&mut client)?, "1 3 9*");
    assert_eq!(embedded(&mut client, "venues")?, "1 3 9", "its source has not changed");
    settle(&mut client, "venues")?;
    // Inserted from the highest key down, so that each row takes the key that another has just given up.
    client.batch_execute(
        "DELETE FROM venues; INSERT INTO venues SELECT n, 'venue' FROM generate_series(1, 3) n ORDER BY n DESC",
    )?;
    settle(&mut client, "venues")?;
    client.batch_execute("UPDATE venues SET id = id + 1")?;
    assert_eq!(queue(&mut client)?, "2* 3* 4*");
    client.batch_execute(
        "WITH gone AS (DELETE FROM venues WHERE id = 2 RETURNING id) INSERT INTO venues SELECT id, 'again' FROM gone",
    )?;
    assert_eq!(queue(&mut client)?, "2* 3* 4*");
    Ok(())
}

#[test]
fn bulk_statements_queue_the_changed_rows() -> Result<()> {
    let (_cluster, mut client) = tracked_venues()?;
    {
        use std::io::Write;
        let mut copy = client.copy_in("COPY venues (id, description) FROM STDIN")?;
        copy.write_all(b"1\tbarn\n2\tbeach\n3\t\\N\n")?;
        copy.finish()?;
    }
    assert_eq!(queue(&mut client)?, "1* 2*");
    settle(&mut client, "venues")?;
    client.batch_execute(
        "INSERT INTO venues (id, description) VALUES (2, 'lake'), (4, 'vineyard'), (1, 'barn')
             ON CONFLICT (id) DO UPDATE SET description = EXCLUDED.description",
    )?;
    assert_eq!(queue(&mut client)?, "1 2* 4*", "an upsert of the same value changes nothing");
    settle(&mut client, "venues")?;
    client.batch_execute("INSERT INTO venues (id, description) VALUES (2, 'x') ON CONFLICT DO NOTHING")?;
    assert_eq!(queue(&mut client)?, "1 2 4");
    client.batch_execute(
        "MERGE INTO venues v USING (VALUES (1, 'rooftop'), (2, NULL), (5, 'forest')) AS new (id, description) ON v.id = new.id
             WHEN MATCHED AND new.description IS NULL THEN DELETE
             WHEN MATCHED THEN UPDATE SET description = new.description
             WHEN NOT MATCHED THEN INSERT (id, description) VALUES (new.id, new.description)",
    )?;
    assert_eq!(queue(&mut client)?, "1* 4 5*");
    Ok(())
}

#[test]
fn statements_on_thousands_of_rows_queue_every_row() -> Result<()> {
    const ROWS: i64 = 5_000;
    let (_cluster, mut client) = tracked_venues()?;
    let insert = format!("INSERT INTO venues SELECT n, 'venue ' || n FROM generate_series(1, {ROWS}) n");
    let pending = "SELECT count(*) FROM pinterest.tracked_row WHERE state = 'pending'";
    for statement in [&insert, "UPDATE venues SET photo = 'x'", "UPDATE venues SET description = 'v' || id"] {
        client.batch_execute(statement)?;
        assert_eq!(client.value::<i64>(pending)?, ROWS, "{statement}");
    }
    client.batch_execute(&format!("DELETE FROM venues; {insert}"))?;
    assert_eq!(client.value::<i64>("SELECT pinterest_track('venues', text => 'description')")?, ROWS);
    settle(&mut client, "venues")?;
    client.batch_execute("TRUNCATE venues")?;
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.tracked_row")?, 0);
    Ok(())
}

#[test]
fn rolled_back_changes_leave_the_queue_unchanged() -> Result<()> {
    let (_cluster, mut client) = tracked_venues()?;
    let mut transaction = client.transaction()?;
    transaction.batch_execute(
        "INSERT INTO venues VALUES (1, 'barn'); SAVEPOINT a; INSERT INTO venues VALUES (2, 'beach');
         UPDATE venues SET description = 'x' WHERE id = 1; ROLLBACK TO a; INSERT INTO venues VALUES (3, 'lake')",
    )?;
    assert_eq!(queue(&mut transaction)?, "1* 3*");
    transaction.commit()?;
    assert_eq!(queue(&mut client)?, "1* 3*");
    client.batch_execute("BEGIN; DELETE FROM venues; ROLLBACK")?;
    assert_eq!(queue(&mut client)?, "1* 3*");
    client.batch_execute("BEGIN; TRUNCATE venues; ROLLBACK")?;
    assert_eq!(queue(&mut client)?, "1* 3*");
    Ok(())
}

#[test]
fn versions_grow_when_a_row_is_deleted_and_inserted_again() -> Result<()> {
    let (_cluster, mut client) = tracked_venues()?;
    let version = "SELECT version FROM pinterest.tracked_row WHERE key = '{1}'";
    let mut versions = Vec::new();
    for change in [
        "INSERT INTO venues VALUES (1, 'barn')",
        "UPDATE venues SET description = 'beach'",
        "DELETE FROM venues; INSERT INTO venues VALUES (1, 'lake')",
        "SELECT pinterest_track('venues', text => 'description')",
    ] {
        client.batch_execute(change)?;
        versions.push(client.value::<i64>(version)?);
    }
    assert!(versions.windows(2).all(|pair| pair[0] < pair[1]), "{versions:?}");
    Ok(())
}

#[test]
fn a_claim_stays_when_the_source_changes() -> Result<()> {
    let (_cluster, mut client) = tracked_venues()?;
    client.batch_execute(
        "INSERT INTO venues VALUES (1, 'barn');
         UPDATE pinterest.tracked_row SET fence = 7, claimed_by = 'a worker', lease_until = 'infinity', attempts = 2, reason = 'x';
         UPDATE venues SET description = 'beach'",
    )?;
    let row = "SELECT concat_ws(' ', state, fence, claimed_by, lease_until, attempts, reason IS NULL) FROM pinterest.tracked_row";
    assert_eq!(client.value::<String>(row)?, "pending 7 a worker infinity 0 t");
    Ok(())
}

#[test]
fn images_are_compared_by_their_bytes() -> Result<()> {
    let (_cluster, mut client) = server()?;
    client.batch_execute(&format!(
        "{VENUES} INSERT INTO venues (id, photo) SELECT 1, decode(repeat('abcdef', 100000), 'hex');
         SELECT pinterest_track('venues', image => 'photo')"
    ))?;
    settle(&mut client, "venues")?;
    client.batch_execute("UPDATE venues SET photo = photo || ''::bytea, description = 'same'")?;
    assert_eq!((queue(&mut client)?.as_str(), embedded(&mut client, "venues")?.as_str()), ("1", "1"));
    client.batch_execute("UPDATE venues SET photo = set_byte(photo, 299999, 0)")?;
    assert_eq!((queue(&mut client)?.as_str(), embedded(&mut client, "venues")?.as_str()), ("1*", ""));
    Ok(())
}

#[test]
fn a_text_is_compared_by_its_bytes() -> Result<()> {
    let (_cluster, mut client) = server()?;
    if !client.value::<bool>("SELECT EXISTS (SELECT FROM pg_collation WHERE collname = 'und-x-icu')")? {
        return skip("this server is built without ICU");
    }
    client.batch_execute(
        "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         CREATE TABLE venues (id text COLLATE loose PRIMARY KEY, description text COLLATE loose, embedding vector(512));
         INSERT INTO venues VALUES ('a', 'barn');
         SELECT pinterest_track('venues', text => 'description')",
    )?;
    settle(&mut client, "venues")?;
    client.batch_execute("UPDATE venues SET description = 'BARN'")?;
    assert_eq!(queue(&mut client)?, "a*", "equal under its collation, but another text for the model");
    settle(&mut client, "venues")?;
    client.batch_execute("UPDATE venues SET id = 'A'")?;
    assert_eq!(queue(&mut client)?, "A*");
    client.batch_execute("DELETE FROM venues")?;
    assert_eq!(queue(&mut client)?, "");
    Ok(())
}

#[test]
fn a_source_may_be_filled_by_a_users_trigger() -> Result<()> {
    let (_cluster, mut client) = server()?;
    client.batch_execute(
        "CREATE TABLE venues (id int PRIMARY KEY, name text, town text, visits int, words text, embedding vector(512));
         CREATE FUNCTION words() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN NEW.words := NEW.name || ' in ' || NEW.town; RETURN NEW; END $$;
         CREATE TRIGGER fill_words BEFORE INSERT OR UPDATE ON venues FOR EACH ROW EXECUTE FUNCTION words();
         SELECT pinterest_track('venues', text => 'words');
         INSERT INTO venues VALUES (1, 'Barn', 'Ely'), (2, 'Hall', NULL)",
    )?;
    assert_eq!(queue(&mut client)?, "1*");
    settle(&mut client, "venues")?;
    client.batch_execute("UPDATE venues SET visits = 1")?;
    assert_eq!((queue(&mut client)?.as_str(), embedded(&mut client, "venues")?.as_str()), ("1", "1 2"));
    client.batch_execute("UPDATE venues SET town = 'York' WHERE id = 1")?;
    assert_eq!((queue(&mut client)?.as_str(), embedded(&mut client, "venues")?.as_str()), ("1*", "2"));
    Ok(())
}

#[test]
fn one_source_may_feed_several_embeddings() -> Result<()> {
    let (_cluster, mut client) = tracked_venues()?;
    client.batch_execute(
        "ALTER TABLE venues ADD second vector(512);
         SELECT pinterest_track('venues', text => 'description', embedding => 'second');
         INSERT INTO venues VALUES (1, 'barn', 'picture')",
    )?;
    assert_eq!(queue(&mut client)?, "1* 1*");
    client.batch_execute(
        "UPDATE venues SET embedding = array_fill(1, '{512}')::vector, second = array_fill(1, '{512}')::vector",
    )?;
    client.batch_execute("UPDATE venues SET description = 'beach'")?;
    let left = "SELECT count(*) FROM venues WHERE embedding IS NOT NULL OR second IS NOT NULL";
    assert_eq!(client.value::<i64>(left)?, 0);
    client.batch_execute("DELETE FROM venues")?;
    assert_eq!(queue(&mut client)?, "");
    Ok(())
}
