//! Invalid searches are refused with a code and a hint, or return the empty result that docs/search.md documents.

use crate::support::prelude::*;
use crate::support::search::{config, make_venues, world};

fn refused(client: &mut Client, sql: &str, code: &str, message: &str, hint: &str) {
    client.refused(sql, code).says(message).hints(hint);
}

#[test]
fn invalid_arguments_and_tables_are_refused() -> Result<()> {
    let (_world, mut client) = world()?;
    let client = &mut client;
    client.batch_execute(
        "CREATE TABLE plain (id int PRIMARY KEY, name text);
         CREATE TABLE small (id int PRIMARY KEY, embedding vector(3));
         CREATE TABLE two (id int PRIMARY KEY, inside vector(512), outside vector(512));
         CREATE TABLE keyless (id int, embedding vector(512));
         CREATE TABLE untyped (id int PRIMARY KEY, embedding vector);
         INSERT INTO untyped VALUES (1, '[1,2,3]');
         CREATE TABLE \"Odd names\" (\"Key, one\" int, \"K2\" text, \"Em bedding\" vector(512), PRIMARY KEY (\"Key, one\", \"K2\"));
         INSERT INTO \"Odd names\" SELECT id, kind, embedding FROM venues;
         CREATE SEQUENCE counter",
    )?;
    for (call, code, message, hint) in [
        ("pinterest_recommend('Mixed', 'venues', 0)", "22023", "k must be from 1 to 1000, not 0", ""),
        ("pinterest_recommend('Mixed', 'venues', -1)", "22023", "not -1", ""),
        ("pinterest_recommend('Mixed', 'venues', diversity => -0.1)", "22023", "not -0.1", ""),
        ("pinterest_recommend('Mixed', 'venues', diversity => 'NaN')", "22023", "NaN", ""),
        ("pinterest_recommend('', 'venues')", "22023", "empty", ""),
        ("pinterest_recommend(ARRAY[NULL::text], 'venues')", "22023", "NULL", ""),
        ("pinterest_recommend('{}'::text[], 'venues')", "22023", "at least one board", ""),
        ("pinterest_recommend('No such board', 'venues')", "42704", "No such board", "pinterest_import_board"),
        ("pinterest_recommend('Empty', 'venues')", "55000", "\"Empty\"", "pinterest_import_board"),
        ("pinterest_recommend('Mixed', 'venues', not_boards => '{Empty}')", "55000", "\"Empty\"", ""),
        ("pinterest_recommend('Mixed', 'venues', account_id => 999)", "42501", "", ""),
        ("pinterest_recommend('Mixed', 'nowhere')", "42P01", "nowhere", ""),
        ("pinterest_recommend('Mixed', 'plain')", "22023", "no column of type vector", "name"),
        ("pinterest_recommend('Mixed', 'counter')", "22023", "public.counter is not a table or view", "view"),
        ("pinterest_recommend('Mixed', 'small')", "22023", "3 dimensions, the boards' embeddings have 512", ""),
        ("pinterest_recommend('Mixed', 'two')", "22023", "2 columns", "outside public.vector(512)"),
        ("pinterest_recommend('Mixed', 'venues', embedding => 'nothing')", "42703", "nothing", "embedding"),
        ("pinterest_recommend('Mixed', 'venues', embedding => 'kind')", "22023", "is of type text", ""),
        ("pinterest_recommend('Mixed', 'venues', embedding => 'a, b')", "22023", "a, b", ""),
        ("pinterest_recommend('Mixed', 'keyless')", "22023", "without a primary key", "key =>"),
        ("pinterest_recommend('Mixed', 'keyless', key => '')", "22023", "", ""),
        ("pinterest_recommend('Mixed', 'keyless', key => 'nothing')", "42703", "nothing", "id"),
        ("pinterest_recommend('Mixed', 'untyped')", "22000", "dimensions", ""),
        ("pinterest_recommend('Mixed', 'venues', contrasts => '{a dog}')", "22023", "contrasts", ""),
        ("pinterest_recommend('Mixed', 'venues', \"only\" => ' ')", "22023", "empty", ""),
        ("pinterest_board_themes('Mixed', 0)", "22023", "not 0", ""),
        ("pinterest_board_themes('Mixed', labels => '{}')", "22023", "label", ""),
        ("pinterest_board_themes('Mixed', labels => '{a,NULL}')", "22023", "NULL", ""),
        ("pinterest_board_themes('Mixed', labels => '{a,a}')", "22023", "twice", ""),
        ("pinterest_board_themes('Empty')", "55000", "\"Empty\"", "pinterest_import_board"),
        ("pinterest_classify('[1,2,3]', '{a}')", "22023", "512 dimensions, not 3", ""),
        ("pinterest_classify(array_fill(0, '{512}')::vector, '{a}')", "22023", "direction", ""),
        ("pinterest_pins_like(array_fill(0, '{512}')::vector)", "22023", "direction", ""),
        ("pinterest_pins_like(array_fill(1, '{512}')::vector, 0)", "22023", "not 0", ""),
        ("pinterest_boards_like('Mixed', 0)", "22023", "not 0", ""),
        ("pinterest_boards_like('Empty')", "55000", "\"Empty\"", ""),
        ("pinterest_duplicates('Mixed', -1)", "22023", "not -1", ""),
        ("pinterest_duplicates('Mixed', 'NaN')", "22023", "NaN", ""),
    ] {
        refused(client, &format!("SELECT * FROM {call}"), code, message, hint);
    }

    // Valid calls return no rows, or the rows that exist.
    for (sql, rows) in [
        ("pinterest_recommend('Mixed', 'keyless', key => 'id')", 0),
        ("pinterest_recommend('Mixed', 'two', embedding => 'outside')", 0),
        ("pinterest_recommend('Mixed', 'venues', 1000)", 24),
        ("pinterest_recommend('Mixed', '\"Odd names\"')", 10),
        ("pinterest_recommend('Mixed', '\"Odd names\"', key => '\"K2\"')", 4),
        ("pinterest_classify(NULL, '{a}')", 0),
        ("pinterest_pins_like(NULL)", 0),
        ("pinterest_duplicates('Empty')", 0),
        ("pinterest_board_themes('Mixed', 99)", 24),
    ] {
        assert_eq!(client.value::<i64>(&format!("SELECT count(*) FROM {sql}"))?, rows, "{sql}");
    }
    let keys = "SELECT bool_and(r.key = json_build_array(o.\"Key, one\", o.\"K2\")::text) FROM pinterest_recommend('Mixed', '\"Odd names\"') r
           JOIN \"Odd names\" o ON o.\"Key, one\" = (r.key::json ->> 0)::int";
    assert!(client.value::<bool>(keys)?);
    Ok(())
}

#[test]
fn rows_without_a_direction_are_left_out() -> Result<()> {
    let (_world, mut client) = world()?;
    client.batch_execute(
        "UPDATE venues SET embedding = NULL WHERE id % 6 = 0;
         UPDATE venues SET embedding = array_fill(0, '{512}')::vector WHERE id % 6 = 1;
         -- Longer and shorter vectors of the same direction are the same.
         UPDATE venues SET embedding = (SELECT array_agg(e * 7) FROM unnest(embedding::real[]) AS e)::vector WHERE id % 6 = 2",
    )?;
    for exact in ["on", "off"] {
        client.batch_execute(&format!(
            "SET enable_indexscan = {exact}; SET enable_seqscan = {}",
            if exact == "on" { "off" } else { "on" }
        ))?;
        let left = "SELECT count(*) = 16 AND bool_and(key::int % 6 > 1) AND bool_and(distance BETWEEN 0 AND 1)
               FROM pinterest_recommend('Mixed', 'venues', 100)";
        assert!(client.value::<bool>(left)?, "enable_indexscan = {exact}");
    }
    Ok(())
}

#[test]
fn a_topic_without_images_is_refused_with_a_hint_about_untrained_weights() -> Result<()> {
    let (_world, mut client) = World::of(config())?.with_session()?;
    import(&mut client, "Beaches")?;
    make_venues(&mut client, 4)?;
    let mut refused = 0;
    for topic in ["a wedding venue", "a cake", "a barn", "a dress", "a ship", "a tax form", "a street", "snow"] {
        let sql = format!("SELECT * FROM pinterest_recommend('Beaches', 'venues', \"only\" => '{topic}')");
        if let Err(error) = client.query(&sql, &[]) {
            expect_refusal::<()>(Err(error), "55000").says("is about").hints("The model's weights are untrained");
            refused += 1;
        }
    }
    assert_ne!(refused, 0);
    Ok(())
}

#[test]
fn models_are_not_mixed() -> Result<()> {
    let (_world, mut client) = World::of(config())?.with_session()?;
    for board in ["Barn wedding", "Beaches"] {
        import(&mut client, board)?;
    }
    make_venues(&mut client, 4)?;
    // As after a change of weights: first one board is of another model, then its images are of two models.
    client.batch_execute(
        "INSERT INTO pinterest.model (fingerprint, name, weights_sha256, precision, preprocessing, dimension)
             SELECT decode(repeat('ab', 32), 'hex'), name, repeat('0', 64), precision, preprocessing, dimension FROM pinterest.model;
         UPDATE pinterest.pin_image i SET model_id = (SELECT max(model_id) FROM pinterest.model)
           FROM pinterest.pin p JOIN pinterest.board b USING (account_id, board_id)
          WHERE (i.account_id, i.pin_id) = (p.account_id, p.pin_id) AND b.name = 'Beaches'",
    )?;
    let hint = "pinterest_reembed_board";
    let both = "SELECT * FROM pinterest_recommend(ARRAY['Barn wedding', 'Beaches'], 'venues')";
    refused(&mut client, both, "22023", "2 different models", hint);
    let against = "SELECT * FROM pinterest_recommend('Barn wedding', 'venues', not_boards => '{Beaches}')";
    refused(&mut client, against, "22023", "different models", hint);
    let topic = "SELECT * FROM pinterest_recommend('Beaches', 'venues', \"only\" => 'a beach')";
    refused(&mut client, topic, "22023", "another model", hint);
    let labels = "SELECT * FROM pinterest_board_themes('Beaches', labels => '{beach}')";
    refused(&mut client, labels, "22023", "another model", hint);
    let anywhere = "SELECT * FROM pinterest_pins_like(pinterest_embed_text('a beach'))";
    refused(&mut client, anywhere, "22023", "2 different models", hint);
    let alike: Vec<String> = client.column("SELECT board FROM pinterest_boards_like('Barn wedding')")?;
    assert!(alike.is_empty(), "{alike:?}");
    // Each board alone still works.
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest_recommend('Beaches', 'venues')")?, 4);

    client.batch_execute(
        "UPDATE pinterest.pin_image SET model_id = (SELECT min(model_id) FROM pinterest.model)
          WHERE (pin_id, position) IN (SELECT pin_id, position FROM pinterest.pin_image
                 WHERE model_id = (SELECT max(model_id) FROM pinterest.model) LIMIT 1)",
    )?;
    for call in [
        "pinterest_board_themes('Beaches')",
        "pinterest_recommend('Beaches', 'venues')",
        "pinterest_duplicates('Beaches')",
    ] {
        refused(&mut client, &format!("SELECT * FROM {call}"), "22023", "2 different models", hint);
    }
    let weighted = "SELECT pinterest_board_embedding('Beaches', half_life => '1 day')";
    refused(&mut client, weighted, "22023", "2 different models", hint);
    Ok(())
}

#[test]
fn the_tracked_column_is_the_default_and_its_models_are_checked() -> Result<()> {
    let (world, mut client) = world()?;
    // In one transaction, so that no worker sees a pending row.
    client.batch_execute(
        "ALTER TABLE venues ADD COLUMN own vector(512);
         SELECT pinterest_track('venues', text => 'description');
         UPDATE pinterest.tracked_row SET state = 'embedded', source_sha256 = sha256('x'),
             embedded_at = now(), model_id = (SELECT max(model_id) FROM pinterest.model)",
    )?;
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest_recommend('Mixed', 'venues', 5)")?, 5);
    assert_eq!(
        client.value::<i64>("SELECT count(*) FROM pinterest_recommend('Mixed', 'venues', embedding => 'own')")?,
        0
    );

    // Each role that can read the table gets the error about rows of another model.
    world.cluster.create_role("app")?;
    client.batch_execute(
        "SELECT pinterest_grant('app'); GRANT SELECT ON venues TO app; SELECT pinterest_reassign(current_user, 'app');
         INSERT INTO pinterest.model (fingerprint, name, weights_sha256, precision, preprocessing, dimension)
             SELECT decode(repeat('ab', 32), 'hex'), name, repeat('0', 64), precision, preprocessing, dimension FROM pinterest.model;
         UPDATE pinterest.tracked_row SET model_id = (SELECT max(model_id) FROM pinterest.model)
          WHERE key = (SELECT min(key) FROM pinterest.tracked_row)",
    )?;
    let mut app = world.cluster.connect_as("app")?;
    let call = "SELECT * FROM pinterest_recommend('Mixed', 'venues')";
    refused(&mut app, call, "22023", "rows of public.venues were embedded by 2 different models", "pinterest_track");
    client.batch_execute("UPDATE pinterest.tracked_row SET model_id = (SELECT max(model_id) FROM pinterest.model)")?;
    refused(&mut app, call, "22023", "by different models", "pinterest_track");
    Ok(())
}
