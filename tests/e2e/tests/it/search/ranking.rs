//! A user's table ranked against a board or a text.

use std::io::Cursor;

use image::ImageFormat;
use sandbox::scene;

use crate::support::prelude::*;

/// Seeds far from those of any pin.
const FIRST_SEED: u64 = 1 << 40;

#[test]
fn venues_similar_to_the_board_rank_first() -> Result<()> {
    let config = Config::with_board("Barn wedding", &[Family::Barn], 12);
    let (_world, mut client) = World::of(config)?.with_session()?;
    import(&mut client, "Barn wedding")?;

    client.batch_execute(
        "CREATE TABLE venues (id bigint GENERATED ALWAYS AS IDENTITY, kind text, embedding vector(512))",
    )?;
    let families = [Family::Beach, Family::Barn, Family::Garden, Family::Ballroom];
    for (seed, family) in (FIRST_SEED..).zip(families.into_iter().cycle().take(12)) {
        let mut photo = Cursor::new(Vec::new());
        scene::draw(family, seed, 400, 600).write_to(&mut photo, ImageFormat::Jpeg)?;
        client.execute(
            "INSERT INTO venues (kind, embedding) VALUES ($1, pinterest_embed_image($2))",
            &[&family.name(), &photo.into_inner()],
        )?;
    }
    let ranked: Vec<String> =
        client.column("SELECT kind FROM venues ORDER BY embedding <=> pinterest_board_embedding('barn wedding')")?;
    assert_eq!(ranked[..3], ["barn", "barn", "barn"], "{ranked:?}");

    // A board's embedding is the mean of its images' embeddings, of unit length.
    let same =
        "SELECT pinterest_board_embedding('Barn wedding') <=> (SELECT avg(embedding) FROM pinterest.pin_image) < 1e-6
            AND abs(vector_norm(pinterest_board_embedding('Barn wedding')) - 1) < 1e-5";
    assert!(client.value::<bool>(same)?);
    Ok(())
}

#[test]
fn the_tables_index_serves_the_query() -> Result<()> {
    let (world, mut client) = quick_world("Barn wedding", 4)?.with_session()?;
    import(&mut client, "Barn wedding")?;
    client.batch_execute(
        "SELECT setseed(0.5);
         CREATE TABLE venues (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, embedding vector(512));
         INSERT INTO venues (embedding)
             SELECT (SELECT array_agg(random() - 0.5) FROM generate_series(1, 512) WHERE venue > 0)::vector
               FROM generate_series(1, 3000) AS venue;
         CREATE INDEX venues_embedding ON venues USING hnsw (embedding vector_cosine_ops);
         ANALYZE venues",
    )?;
    let asked = world.sandbox.requests().total();
    for order in ["pinterest_board_embedding('Barn wedding')", "pinterest_embed_text('a red barn')"] {
        let query = format!("SELECT id FROM venues ORDER BY embedding <=> {order} LIMIT 10");
        let plan: Vec<String> = client.column(&format!("EXPLAIN {query}"))?;
        assert!(
            plan.iter().any(|line| line.contains("Index Scan using venues_embedding on venues")),
            "{}",
            plan.join("\n")
        );
        assert_eq!(client.query(&query, &[])?.len(), 10);
    }
    // Ranking makes no request.
    assert_eq!(world.sandbox.requests().total(), asked);
    assert_eq!(world.sandbox.requests().count(Kind::Token), 1);
    Ok(())
}
