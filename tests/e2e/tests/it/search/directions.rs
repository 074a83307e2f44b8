//! Similar pins and boards, classification and duplicates; privileges, plans and cancellation of searches.

use crate::support::prelude::*;
use crate::support::search::{VENUES, column, picture, world};

#[test]
fn similar_pins_and_boards_are_ranked() -> Result<()> {
    let (_world, mut client) = world()?;
    // An image that no pin shows.
    let photo = picture(VENUES[1], 77)?;
    let rows = client.query(
        "SELECT l.rank, l.board, l.pin_id, l.link, l.image_url, l.distance, i.embedding <=> pinterest_embed_image($1) AS again
           FROM pinterest_pins_like(pinterest_embed_image($1), 8, 'Mixed') l JOIN pinterest.pin_image i USING (account_id, pin_id, position)
          ORDER BY l.rank",
        &[&photo],
    )?;
    assert_eq!(rows.len(), 8);
    let mut before = 0.0;
    for (index, row) in rows.iter().enumerate() {
        let (rank, board, distance): (i32, String, f64) = (row.get(0), row.get(1), row.get("distance"));
        assert_eq!((rank, board.as_str()), (index as i32 + 1, "Mixed"));
        assert!(distance >= before && (distance - row.get::<_, f64>("again")).abs() < 1e-6);
        before = distance;
        let (pin, link): (String, String) = (row.get("pin_id"), row.get("link"));
        assert_eq!(link, format!("https://www.pinterest.com/pin/{pin}/"));
    }
    let everywhere =
        client.query("SELECT DISTINCT board FROM pinterest_pins_like(pinterest_embed_image($1), 10)", &[&photo])?;
    assert!(everywhere.iter().any(|row| row.get::<_, String>(0) == "Barn wedding"));
    // Each pin is returned once, also for a text.
    let once = "SELECT count(*) = 40 AND count(DISTINCT pin_id) = 40 FROM pinterest_pins_like(pinterest_embed_text('a barn'), 100)";
    assert!(client.value::<bool>(once)?);

    let alike: Vec<String> = client.column("SELECT board FROM pinterest_boards_like('Mixed') ORDER BY rank")?;
    assert_eq!(alike.len(), 2, "boards with images: {alike:?}");
    let symmetric = "SELECT abs((SELECT similarity FROM pinterest_boards_like('Beaches') WHERE board = 'Mixed')
                  - (SELECT similarity FROM pinterest_boards_like('Mixed') WHERE board = 'Beaches')) < 1e-9
            AND (SELECT similarity FROM pinterest_boards_like('Beaches') WHERE board = 'Mixed')
              > (SELECT similarity FROM pinterest_boards_like('Beaches') WHERE board = 'Barn wedding')";
    assert!(client.value::<bool>(symmetric)?);
    Ok(())
}

#[test]
fn labels_and_topics_agree_with_the_classification() -> Result<()> {
    let (_world, mut client) = world()?;
    let classified = "SELECT count(*) = 3 AND abs(sum(probability) - 1) < 1e-9
             AND array_agg(probability) = array_agg(probability ORDER BY probability DESC)
             AND bool_and(abs(similarity - (1 - (pinterest_board_embedding('Mixed') <=> pinterest_embed_text(label)))) < 1e-5)
             AND bool_and(probability < 0.9999 OR similarity > 0)
           FROM pinterest_classify(pinterest_board_embedding('Mixed'), '{a barn,a beach,a cake}')";
    assert!(client.value::<bool>(classified)?);
    let labelled = "SELECT bool_and((t.label, t.label_probability) = (SELECT c.label, c.probability FROM pinterest_classify(t.embedding, '{a barn,a beach}') c LIMIT 1))
           FROM pinterest_board_themes('Mixed', labels => '{a barn,a beach}') t";
    assert!(client.value::<bool>(labelled)?);

    // `only` agrees with the classification of each image, even with untrained weights.
    let rows = client.query(
        "SELECT t.wanted, count(*) FILTER (WHERE p.probability >= 0.5), count(*)
           FROM (VALUES ('a barn', 'a beach'), ('a beach', 'a barn')) AS t (wanted, other), pinterest.pin_image i
           JOIN pinterest.pin USING (account_id, pin_id) JOIN pinterest.board b USING (account_id, board_id),
           LATERAL (SELECT probability FROM pinterest_classify(i.embedding, ARRAY[t.wanted, t.other]) c WHERE c.label = t.wanted) p
          WHERE b.name = 'Mixed' GROUP BY t.wanted",
        &[],
    )?;
    for row in rows {
        let (wanted, about): (String, i64) = (row.get(0), row.get(1));
        let other = if wanted == "a barn" { "a beach" } else { "a barn" };
        let call = format!(
            "SELECT * FROM pinterest_recommend('Mixed', 'venues', \"only\" => '{wanted}', contrasts => '{{{other}}}', explain => true)"
        );
        if about == 0 {
            let refused = client.refused(&call, "55000");
            assert!(refused.message.contains(&wanted) && refused.hint.contains("untrained"), "{refused:?}");
        } else {
            assert_eq!(client.query(&call, &[])?.len(), 10, "{about} images about {wanted}");
        }
    }
    Ok(())
}

#[test]
fn duplicates_are_found_by_bytes_and_by_distance() -> Result<()> {
    let (_world, mut client) = world()?;
    // Pin 10 has the image of pin 1; pin 21 has the embedding of pin 20, but other bytes.
    client.batch_execute(
        "CREATE TEMP TABLE mixed AS SELECT account_id, pin_id, row_number() OVER (ORDER BY pin_id COLLATE \"C\") AS n
           FROM pinterest.pin JOIN pinterest.board b USING (account_id, board_id) WHERE b.name = 'Mixed';
         UPDATE pinterest.pin_image i SET sha256 = s.sha256, content_hash = NULL, embedding = s.embedding
           FROM mixed m, pinterest.pin_image s JOIN mixed f ON (s.account_id, s.pin_id) = (f.account_id, f.pin_id) AND f.n = 1
          WHERE (i.account_id, i.pin_id) = (m.account_id, m.pin_id) AND m.n = 10;
         UPDATE pinterest.pin_image i SET embedding = l2_normalize(i.embedding + (SELECT array_agg(CASE WHEN g % 2 = 0 THEN 0.004 ELSE -0.004 END)::vector FROM generate_series(1, 512) g))
           FROM mixed m WHERE (i.account_id, i.pin_id) = (m.account_id, m.pin_id) AND m.n = 20;
         UPDATE pinterest.pin_image i SET embedding = s.embedding
           FROM mixed m, pinterest.pin_image s JOIN mixed f ON (s.account_id, s.pin_id) = (f.account_id, f.pin_id) AND f.n = 20
          WHERE (i.account_id, i.pin_id) = (m.account_id, m.pin_id) AND m.n = 21",
    )?;
    let groups = client.query(
        "SELECT array_agg(m.n::int ORDER BY m.n), array_agg(d.same_bytes ORDER BY m.n), bool_and(d.distance = 0)
           FROM pinterest_duplicates('Mixed', 0) d JOIN mixed m USING (pin_id) GROUP BY d.group_number ORDER BY d.group_number",
        &[],
    )?;
    let found: Vec<(Vec<i32>, Vec<bool>)> = groups.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(found, [(vec![1, 10], vec![true, true]), (vec![20, 21], vec![true, false])]);
    assert!(groups.iter().all(|row| row.get(2)));
    // A larger threshold finds more, and each member is within it of the first of its group.
    let wider = "SELECT bool_and(d.distance <= 0.3 + 1e-6) AND count(*) > 4 FROM pinterest_duplicates('Mixed', 0.3) d";
    assert!(client.value::<bool>(wider)?);
    Ok(())
}

#[test]
fn readers_search_their_own_boards_and_tables() -> Result<()> {
    let (world, mut client) = world()?;
    world.cluster.create_role("stranger")?;
    world.cluster.create_role("nobody")?;
    client.batch_execute("SELECT pinterest_grant('stranger', 'reader'); GRANT SELECT ON venues TO stranger")?;
    let mut stranger = world.cluster.connect_as("stranger")?;
    for call in [
        "pinterest_recommend('Mixed', 'venues')",
        "pinterest_recommend(ARRAY['Mixed'], 'venues')",
        "pinterest_board_themes('Mixed')",
        "pinterest_boards_like('Mixed')",
        "pinterest_duplicates('Mixed')",
        "pinterest_pins_like(array_fill(1, '{512}')::vector, 5, 'Mixed')",
    ] {
        stranger.refused(&format!("SELECT * FROM {call}"), "42704");
    }
    assert!(stranger.query("SELECT * FROM pinterest_pins_like(array_fill(1, '{512}')::vector)", &[])?.is_empty());

    let mut nobody = world.cluster.connect_as("nobody")?;
    nobody.refused("SELECT * FROM pinterest_recommend('Mixed', 'pg_class')", "42501");

    // The boards' owner cannot read the table, but can read a view of some of its rows.
    client.batch_execute(
        "SELECT pinterest_reassign(current_user, 'stranger'); REVOKE SELECT ON venues FROM stranger;
         CREATE SCHEMA shop; CREATE VIEW shop.cheap AS SELECT id, embedding FROM venues WHERE price <= 2000;
         GRANT USAGE ON SCHEMA shop TO stranger; GRANT SELECT ON shop.cheap TO stranger",
    )?;
    stranger.refused("SELECT * FROM pinterest_recommend('Mixed', 'venues')", "42501").says("venues");
    let keys: Vec<String> =
        stranger.column("SELECT key FROM pinterest_recommend('Mixed', 'shop.cheap', key => 'id')")?;
    assert!(!keys.is_empty());
    let cheap = client.column("SELECT id::text FROM venues WHERE price <= 2000")?;
    assert!(keys.iter().all(|key| cheap.contains(key)), "{keys:?}");
    Ok(())
}

#[test]
fn views_partitions_and_child_tables_can_be_ranked() -> Result<()> {
    let (_world, mut client) = world()?;
    client.batch_execute(
        "CREATE TABLE parts (id bigint, kind text, embedding vector(512), PRIMARY KEY (id, kind)) PARTITION BY LIST (kind);
         CREATE TABLE parts_barn PARTITION OF parts FOR VALUES IN ('barn');
         CREATE TABLE parts_rest PARTITION OF parts DEFAULT;
         CREATE INDEX ON parts USING hnsw (embedding vector_cosine_ops);
         INSERT INTO parts SELECT id, kind, embedding FROM venues;
         CREATE MATERIALIZED VIEW stored AS SELECT id, embedding FROM venues;
         CREATE VIEW barns AS SELECT * FROM venues WHERE kind = 'barn';
         CREATE TABLE photos (venue_id bigint REFERENCES venues, n int, embedding vector(512), PRIMARY KEY (venue_id, n));
         INSERT INTO photos SELECT (id - 1) / 4 + 1, id % 4, embedding FROM venues",
    )?;
    let direct: Vec<String> = client.column("SELECT key FROM pinterest_recommend('Mixed', 'venues') ORDER BY rank")?;
    let parts: Vec<String> =
        client.column("SELECT key FROM pinterest_recommend('Mixed', 'parts', key => 'id') ORDER BY rank")?;
    assert_eq!(parts, direct);
    let stored: Vec<String> =
        client.column("SELECT key FROM pinterest_recommend('Mixed', 'stored', key => 'id') ORDER BY rank")?;
    assert_eq!(stored, direct);
    let barns =
        "SELECT count(*) = 6 AND bool_and(v.kind = 'barn') FROM pinterest_recommend('Mixed', 'barns', key => 'id') r
           JOIN venues v ON v.id = r.key::bigint";
    assert!(client.value::<bool>(barns)?);
    // Each of six venues with four images is returned once, with its nearest image.
    let photos = "SELECT count(*) = 6 AND count(DISTINCT key) = 6
             AND bool_and(abs(r.distance - (SELECT min(p.embedding <=> t.embedding) FROM photos p WHERE p.venue_id = r.key::bigint)) < 1e-5)
           FROM pinterest_recommend('Mixed', 'photos', key => 'venue_id') r JOIN pinterest_board_themes('Mixed') t USING (theme)";
    assert!(client.value::<bool>(photos)?);
    Ok(())
}

#[test]
fn the_tables_index_serves_recommendations() -> Result<()> {
    let (_world, mut client) = world()?;
    client.batch_execute(
        "SELECT setseed(0.5);
         INSERT INTO venues (kind, name, description, price, embedding)
             SELECT 'noise', 'noise', 'noise', n % 100, (SELECT array_agg(random() - 0.5) FROM generate_series(1, 512) WHERE n > 0)::vector
               FROM generate_series(1, 3000) AS n;
         CREATE VIEW dear AS SELECT id, embedding FROM venues WHERE price = 50;
         ANALYZE venues",
    )?;
    let scans = |client: &mut postgres::Client, sql: &str| -> Result<(i64, i64)> {
        let mut transaction = client.transaction()?;
        let rows = transaction.query(sql, &[])?.len();
        let scans: i64 = transaction.value("SELECT pg_stat_get_xact_numscans('venues_embedding'::regclass)")?;
        transaction.rollback()?;
        Ok((rows as i64, scans))
    };
    // The planner prefers to scan and sort so small a table; the test is whether the index can serve the statement.
    client.batch_execute("SET enable_seqscan = off; SET enable_sort = off")?;
    let (rows, used) = scans(&mut client, "SELECT * FROM pinterest_recommend('Mixed', 'venues')")?;
    assert!(rows == 10 && used >= 1, "{rows} rows, {used} scans");
    // Through a filtering view, the scan continues until it has enough rows; the session's settings do not change.
    client.batch_execute("SET hnsw.ef_search = 10")?;
    let (rows, used) = scans(&mut client, "SELECT * FROM pinterest_recommend('Mixed', 'dear', key => 'id')")?;
    assert!(rows == 10 && used >= 1, "{rows} rows, {used} scans");
    let settings = column(
        &mut client,
        "SELECT name || '=' || setting FROM pg_settings WHERE name IN ('hnsw.ef_search', 'hnsw.iterative_scan', 'ivfflat.probes') ORDER BY 1",
    )?;
    assert_eq!(settings, ["hnsw.ef_search=10", "hnsw.iterative_scan=off", "ivfflat.probes=1"]);
    // An IVFFlat index serves them too.
    client.batch_execute(
        "DROP INDEX venues_embedding;
         CREATE INDEX venues_embedding ON venues USING ivfflat (embedding vector_cosine_ops) WITH (lists = 100)",
    )?;
    let (rows, used) = scans(&mut client, "SELECT * FROM pinterest_recommend('Mixed', 'venues')")?;
    assert!(rows == 10 && used >= 1, "{rows} rows, {used} scans");
    Ok(())
}

#[test]
fn a_long_computation_can_be_cancelled() -> Result<()> {
    let (_world, mut client) = world()?;
    // Comparing 20,000 different images with each other takes long.
    client.batch_execute(
        "SET session_replication_role = replica;
         INSERT INTO pinterest.pin (account_id, pin_id, board_id, raw, import_id)
             SELECT b.account_id, 'many' || n, b.board_id, '{}', 1 FROM pinterest.board b, generate_series(1, 20000) n WHERE b.name = 'Empty';
         INSERT INTO pinterest.pin_image (account_id, pin_id, position, kind, candidates, state, import_id, embedding, model_id)
             SELECT b.account_id, 'many' || n, 0, 'image', '[]', 'embedded', 1,
                    l2_normalize((SELECT array_agg(sin(n * 17.0 + g * g)) FROM generate_series(1, 512) g)::vector), (SELECT max(model_id) FROM pinterest.model)
               FROM pinterest.board b, generate_series(1, 20000) n WHERE b.name = 'Empty';
         RESET session_replication_role",
    )?;
    // Several attempts, at different moments: a busy machine may delay one signal.
    for call in [
        "pinterest_duplicates('Empty', 0)",
        "pinterest_board_themes('Empty')",
        "pinterest_recommend('Empty', 'venues')",
    ] {
        let mut fastest = Duration::MAX;
        for timeout in [100, 200, 300, 400, 500] {
            client.batch_execute(&format!("SET statement_timeout = {timeout}"))?;
            let began = Instant::now();
            // A call that ends before the timeout does not count.
            if client.query(&format!("SELECT count(*) FROM {call}"), &[]).is_err() {
                fastest = fastest.min(began.elapsed().saturating_sub(Duration::from_millis(timeout)));
            }
        }
        assert!(fastest < Duration::from_millis(100), "{call} ends {fastest:?} after the timeout");
    }
    Ok(())
}
