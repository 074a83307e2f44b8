//! Texts of every length, and sources without content.

use crate::support::prelude::*;
use crate::support::tracking::{queue, server};
use crate::support::tracking_work::{count, settled, small_world, texts};

/// Rows whose embedding is missing or not that of `shown`.
const WRONG: &str =
    "SELECT count(*) FROM venues WHERE COALESCE(embedding <=> pinterest_embed_text(shown) > 1e-6, true)";

#[test]
fn only_the_beginning_of_a_long_text_is_embedded() -> Result<()> {
    let (_world, mut client) = small_world()?.with_session()?;
    texts(&mut client, "venues")?;
    client.batch_execute(
        "ALTER TABLE venues ADD COLUMN shown text;
         -- `shown` is the part of the text that the model reads.
         INSERT INTO venues (id, description, shown) SELECT n, repeat(word, times), repeat(word, 4096 / octet_length(word))
             FROM (VALUES (1, 'barn ', 820), (2, 'barn ', 1000), (3, 'barn ', 2000000), (4, 'x', 1000000), (5, 'é', 4097),
                   (6, U&'\\+01F600', 300000), (7, '東', 100000), (8, '<b>', 20000)) AS v(n, word, times);
         INSERT INTO venues (id, description, shown) VALUES
             (9, repeat(' ', 50000) || 'a barn', 'a barn'), (10, 'a' || repeat(E'\\n', 60000) || 'barn', 'a barn'),
             (11, repeat('barn ', 100) || repeat('beach ', 100000), repeat('barn ', 100))",
    )?;
    // Stored uncompressed, outside its row.
    client.batch_execute("ALTER TABLE venues ALTER description SET STORAGE EXTERNAL; INSERT INTO venues (id, description, shown) VALUES (12, repeat('a lake ', 500000), repeat('a lake ', 100))")?;
    settled(&mut client)?;
    assert_eq!(client.value::<i64>(WRONG)?, 0);
    assert_eq!((count(&mut client, "embedded")?, count(&mut client, "failed")?), (12, 0));
    // The functions have the same rule.
    let other = "SELECT count(*) FROM venues v, LATERAL (SELECT pinterest_embed_text(v.description) AS one, pinterest_embed_texts(ARRAY[v.description]) AS many) f
          WHERE v.embedding <=> f.one > 1e-6 OR v.embedding <=> f.many[1] > 1e-6";
    assert_eq!(client.value::<i64>(other)?, 0);
    // Only a change within the part that the model reads changes the embedding.
    client.batch_execute("UPDATE venues SET description = description || ' and a castle' WHERE id = 3; UPDATE venues SET description = 'castle ' || description, shown = 'castle ' || shown WHERE id = 2")?;
    settled(&mut client)?;
    assert_eq!(client.value::<i64>(WRONG)?, 0);
    Ok(())
}

/// SQL for texts without a visible character.
const BLANKS: [&str; 9] = [
    "''",
    "' '",
    "E'\\t\\r\\n'",
    "U&'\\00A0\\2003\\3000\\2028\\0085'",
    "U&'\\200B\\200C\\200D\\2060\\FEFF'",
    "U&'\\00AD'",
    "E'\\x01\\x7f'",
    "repeat(' ', 3000)",
    "repeat(U&'\\200B', 100000)",
];

#[test]
fn empty_sources_are_not_embedded() -> Result<()> {
    let (_world, mut client) = small_world()?.with_session()?;
    texts(&mut client, "venues")?;
    client.batch_execute(
        "CREATE TABLE photos (id int PRIMARY KEY, photo bytea, url text, by_photo vector(512), by_url vector(512));
         INSERT INTO photos VALUES (1, '', ''), (2, NULL, ' ')",
    )?;
    for sql in ["image => 'photo', embedding => 'by_photo'", "image_url => 'url', embedding => 'by_url'"] {
        assert_eq!(client.value::<i64>(&format!("SELECT pinterest_track('photos', {sql})"))?, 0);
    }
    client.batch_execute("INSERT INTO photos VALUES (3, '', U&'\\200B'), (4, '', repeat(' ', 2000))")?;
    let standing = "SELECT string_agg(concat_ws(' ', rows, pending, failed, progress, state), ', ' ORDER BY tracked_column_id) FROM pinterest.tracked";
    for blank in BLANKS {
        client.batch_execute(&format!(
            "TRUNCATE venues; INSERT INTO venues VALUES (1, {blank}), (2, 'barn'), (3, 'beach')"
        ))?;
        settled(&mut client)?;
        assert_eq!(client.value::<String>(standing)?, "2 0 0 1 active, 0 0 0 1 active, 0 0 0 1 active", "{blank}");
        client.batch_execute(&format!("UPDATE venues SET description = {blank} WHERE id = 2"))?;
        settled(&mut client)?;
        assert_eq!(client.value::<i64>("SELECT count(embedding) FROM venues")?, 1, "{blank}");
        assert_eq!(client.value::<i64>("SELECT pinterest_retry_tracked('venues')")?, 0);
        client.batch_execute("SELECT pinterest_track('venues', text => 'description')")?;
        settled(&mut client)?;
        assert_eq!(client.value::<String>(standing)?, "1 0 0 1 active, 0 0 0 1 active, 0 0 0 1 active", "{blank}");
        // A search for an empty text is an error, not NULL.
        let refused = refusal(client.query(&format!("SELECT pinterest_embed_text({blank})"), &[]));
        assert_eq!((refused.code.as_str(), refused.message.as_str()), ("22023", "the text is empty"), "{blank}");
        client.batch_execute("UPDATE venues SET description = 'castle' WHERE id = 1")?;
        settled(&mut client)?;
        assert_eq!(client.value::<i64>("SELECT count(embedding) FROM venues")?, 2, "{blank}");
    }
    Ok(())
}

#[test]
fn short_blanks_never_reach_the_queue() -> Result<()> {
    let (_cluster, mut client) = server()?;
    client.batch_execute(
        "CREATE TABLE venues (id int PRIMARY KEY, description text, embedding vector(512));
         SELECT pinterest_track('venues', text => 'description');
         INSERT INTO venues VALUES (1, ''), (2, U&' \\200B'), (3, 'barn'), (4, 'beach')",
    )?;
    assert_eq!(queue(&mut client)?, "3* 4*");
    client.batch_execute(
        "UPDATE venues SET description = ' ' WHERE id = 3; UPDATE venues SET description = 'x' WHERE id = 1",
    )?;
    assert_eq!(queue(&mut client)?, "1* 4*");
    Ok(())
}

#[test]
fn columns_of_text_types_are_tracked() -> Result<()> {
    if let Some(reason) = lacking(&["citext"])? {
        return skip(&reason);
    }
    let (_world, mut client) = small_world()?.with_session()?;
    client.batch_execute(
        "CREATE EXTENSION citext; CREATE DOMAIN words AS citext; CREATE TYPE colour AS ENUM ('red');
         CREATE TABLE venues (id int PRIMARY KEY, a varchar(20), b char(20), c citext, d words, e name, f json, g jsonb, h xml, i colour, j text[],
             va vector(512), vb vector(512), vc vector(512), vd vector(512), ve vector(512))",
    )?;
    for column in ["a", "b", "c", "d"] {
        client.batch_execute(&format!(
            "SELECT pinterest_track('venues', text => '{column}', embedding => 'v{column}')"
        ))?;
    }
    for column in ["e", "f", "g", "h", "i", "j"] {
        let refused = client
            .refused(&format!("SELECT pinterest_track('venues', text => '{column}', embedding => 've')"), "22023");
        assert!(refused.message.contains("must be a column of type text, varchar, char or citext, not"), "{refused:?}");
        assert!(refused.hint.contains("BEFORE trigger"), "{refused:?}");
    }
    client.batch_execute(
        "INSERT INTO venues (id, a, b, c, d) VALUES (1, 'A barn', 'A barn', 'A barn', 'A barn'), (2, '', '', '', '')",
    )?;
    settled(&mut client)?;
    let wrong: i64 = client.value("SELECT count(*) FROM venues, pinterest_embed_text('A barn') AS x WHERE id = 1
             AND NOT (va <=> x < 1e-6 AND vb <=> x < 1e-6 AND vc <=> x < 1e-6 AND vd <=> x < 1e-6) OR id = 2 AND num_nulls(va, vb, vc, vd) < 4")?;
    assert_eq!((wrong, count(&mut client, "embedded")?), (0, 4));
    // Texts that are equal in citext differ for the model.
    client.batch_execute("UPDATE venues SET c = 'A BEACH', d = 'A beach'; UPDATE venues SET c = 'a beach'")?;
    settled(&mut client)?;
    let wrong = "SELECT count(*) FROM venues WHERE COALESCE(vc <=> pinterest_embed_text('a beach') > 1e-6, true)";
    assert_eq!(client.value::<i64>(wrong)?, 0);
    Ok(())
}
