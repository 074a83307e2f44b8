//! A board's themes are found, and recommendations match each of them.

use serde_json::Value;

use crate::support::prelude::*;
use crate::support::search::{column, world};

/// The families of the six venues recommended for the mixed board.
const RANKED: &str = "SELECT v.kind FROM pinterest_recommend('Mixed', 'venues', 6) AS r
                        JOIN venues v ON v.id = r.key::bigint ORDER BY r.rank";

#[test]
fn a_mixed_board_has_two_themes() -> Result<()> {
    let (_world, mut client) = world()?;

    let themes = client.query("SELECT * FROM pinterest_board_themes('Mixed', 2)", &[])?;
    let numbers: Vec<i32> = themes.iter().map(|row| row.get("theme")).collect();
    assert_eq!(numbers, [1, 2]);
    let images: i64 = themes.iter().map(|row| row.get::<_, i64>("images")).sum();
    assert_eq!(images, 24);
    let weights: Vec<f64> = themes.iter().map(|row| row.get("weight")).collect();
    assert!(weights[0] >= weights[1] && (weights.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{weights:?}");
    // Each theme is nearest to a different one of the pure boards.
    let split =
        "SELECT count(DISTINCT board) = 2 FROM (SELECT t.theme, b.board FROM pinterest_board_themes('Mixed', 2) t,
             LATERAL (SELECT board FROM unnest('{Barn wedding,Beaches}'::text[]) AS board
                       ORDER BY pinterest_board_embedding(board) <=> t.embedding LIMIT 1) AS b) AS nearest";
    assert!(client.value::<bool>(split)?);
    // The exemplar pins of a theme are the board's own, nearest first.
    let own = "SELECT bool_and(cardinality(exemplar_pins) = 5 AND exemplar_pins <@ (SELECT array_agg(pin_id) FROM pinterest.pin))
             AND bool_and((SELECT pin_id FROM pinterest_pins_like(t.embedding, 1, 'Mixed')) = t.exemplar_pins[1])
           FROM pinterest_board_themes('Mixed', 2) t";
    assert!(client.value::<bool>(own)?);
    // The same board gives the same themes.
    let again = "SELECT (SELECT array_agg(t::text) FROM pinterest_board_themes('Mixed') t)
              = (SELECT array_agg(t::text) FROM pinterest_board_themes('Mixed') t)";
    assert!(client.value::<bool>(again)?);
    Ok(())
}

#[test]
fn recommendations_match_all_themes() -> Result<()> {
    let (_world, mut client) = world()?;
    // Diversity may go beyond the two themes once both have been shown twice; relevance alone does not.
    let ranked: Vec<String> = client.column(RANKED)?;
    assert_eq!(ranked.len(), 6);
    for family in ["barn", "beach"] {
        assert!(ranked[..4].iter().any(|kind| kind == family), "{family} among {ranked:?}");
    }
    let nearest = client.column(&RANKED.replace("6)", "6, diversity => 0)"))?;
    for ranked in [&ranked[..4], &nearest] {
        assert!(ranked.iter().all(|kind| kind == "barn" || kind == "beach"), "{ranked:?}");
    }

    // Ranks count from 1, no key comes twice, and the distance is that to the theme.
    let consistent = "SELECT array_agg(r.rank ORDER BY r.rank) = ARRAY[1, 2, 3, 4, 5, 6] AND count(DISTINCT r.key) = 6
             AND bool_and(abs(r.distance - (v.embedding <=> t.embedding)) < 1e-5)
             AND bool_and(r.because IS NULL)
           FROM pinterest_recommend('Mixed', 'venues', 6) r JOIN venues v ON v.id = r.key::bigint
           JOIN pinterest_board_themes('Mixed') t USING (theme)";
    assert!(client.value::<bool>(consistent)?);
    // A call for all rows returns each once.
    let all = "SELECT count(DISTINCT key) FROM pinterest_recommend('Mixed', 'venues', 1000)";
    assert_eq!(client.value::<i64>(all)?, 24);
    // Without diversity, the rows of a theme are in order of distance.
    let ordered = "SELECT bool_and(distances = sorted) FROM (
             SELECT array_agg(distance ORDER BY rank) AS distances, array_agg(distance ORDER BY distance) AS sorted
               FROM pinterest_recommend('Mixed', 'venues', 12, diversity => 0) GROUP BY theme) AS of_theme";
    assert!(client.value::<bool>(ordered)?);
    Ok(())
}

#[test]
fn rows_near_the_mean_but_no_theme_are_not_recommended() -> Result<()> {
    let (_world, mut client) = world()?;
    client.batch_execute(
        "INSERT INTO venues (kind, name, description, price, embedding)
             SELECT 'between', 'Between ' || n, '', 0, l2_normalize(pinterest_board_embedding('Mixed')
                    + (SELECT array_agg(sin(n * g) / 2000 ORDER BY g)::vector FROM generate_series(1, 512) g))
               FROM generate_series(1, 6) n",
    )?;
    let by_mean = column(
        &mut client,
        "SELECT kind FROM venues ORDER BY embedding <=> pinterest_board_embedding('Mixed') LIMIT 6",
    )?;
    assert!(by_mean.iter().all(|kind| kind == "between"), "{by_mean:?}");
    let by_themes: Vec<String> = client.column(&RANKED.replace("6)", "6, diversity => 0)"))?;
    assert!(by_themes.iter().all(|kind| kind == "barn" || kind == "beach"), "{by_themes:?}");
    Ok(())
}

#[test]
fn explain_gives_the_nearest_pins() -> Result<()> {
    let (world, mut client) = world()?;
    let rows = client
        .query("SELECT key, because::text FROM pinterest_recommend('Mixed', 'venues', 4, explain => true)", &[])?;
    for row in rows {
        let key: String = row.get(0);
        let because: Value = serde_json::from_str(row.get(1))?;
        let Some(pins) = because.as_array() else { panic!("{because}") };
        assert_eq!(pins.len(), 3, "{because}");
        let mut before = 0.0;
        for pin in pins {
            let distance = pin["distance"].as_f64().unwrap_or(f64::NAN);
            assert!(distance >= before, "nearest first: {because}");
            before = distance;
            let Some(id) = pin["pin_id"].as_str() else { panic!("{pin}") };
            assert_eq!(pin["link"], format!("https://www.pinterest.com/pin/{id}/"));
            assert_eq!((&pin["board"], &pin["account_id"]), (&"Mixed".into(), &world.account().into()));
            assert!(pin["image_url"].as_str().is_some_and(|url| url.starts_with("https://")), "{pin}");
            let true_distance: f64 = client.value_with(
                "SELECT i.embedding <=> v.embedding FROM pinterest.pin_image i, venues v
                      WHERE i.pin_id = $1 AND i.position = $2 AND v.id = $3::text::bigint",
                &[&id, &(pin["position"].as_i64().unwrap_or(-1) as i32), &key],
            )?;
            assert!((distance - true_distance).abs() < 1e-5, "{distance} for {true_distance}");
        }
        // No pin of the board is nearer than the first.
        let nearest: f64 = client.value_with("SELECT min(i.embedding <=> v.embedding) FROM pinterest.pin_image i JOIN pinterest.pin USING (account_id, pin_id)
                   JOIN pinterest.board b USING (account_id, board_id), venues v WHERE b.name = 'Mixed' AND v.id = $1::text::bigint", &[&key])?;
        assert!((nearest - pins[0]["distance"].as_f64().unwrap_or(f64::NAN)).abs() < 1e-5);
    }
    Ok(())
}

#[test]
fn boards_can_be_combined_and_excluded() -> Result<()> {
    let (_world, mut client) = world()?;
    let kinds = |client: &mut postgres::Client, call: &str| {
        client.column(&format!("SELECT v.kind FROM {call} r JOIN venues v ON v.id = r.key::bigint ORDER BY r.rank"))
    };
    let both = kinds(&mut client, "pinterest_recommend(ARRAY['Barn wedding', 'Beaches'], 'venues', 4)")?;
    assert!(both.contains(&"barn".into()) && both.contains(&"beach".into()), "{both:?}");
    // A board that is named twice counts once, and an empty board is left out.
    let named_twice =
        kinds(&mut client, "pinterest_recommend(ARRAY['Barn wedding', 'BARN WEDDING', 'Empty'], 'venues', 6, 0)")?;
    let once = kinds(&mut client, "pinterest_recommend('Barn wedding', 'venues', 6, 0)")?;
    assert_eq!(named_twice, once);
    assert_eq!(once[..3], ["barn", "barn", "barn"]);

    // `not_boards` lowers the rank of venues like those of the other board.
    let against =
        kinds(&mut client, "pinterest_recommend('Mixed', 'venues', 5, diversity => 0, not_boards => '{Beaches}')")?;
    let with = kinds(&mut client, "pinterest_recommend('Mixed', 'venues', 5, diversity => 0)")?;
    let beaches = |kinds: &[String]| kinds.iter().filter(|kind| *kind == "beach").count();
    assert!(beaches(&against) < beaches(&with), "{against:?}, without: {with:?}");

    client.refused("SELECT pinterest_recommend('Mixed', 'venues', not_boards => '{mixed}')", "22023");
    Ok(())
}

#[test]
fn boards_can_be_weighted_by_age_section_and_theme() -> Result<()> {
    let (_world, mut client) = world()?;
    let holds = "SELECT pinterest_board_embedding('Mixed', half_life => '1000 years') <=> pinterest_board_embedding('Mixed') < 1e-5
            AND pinterest_board_embedding('Mixed', sections => '{}') <=> pinterest_board_embedding('Mixed') < 1e-6
            AND (SELECT bool_and(pinterest_board_embedding('Mixed', theme => t.theme) <=> t.embedding < 1e-5)
                   FROM pinterest_board_themes('Mixed') t)";
    assert!(client.value::<bool>(holds)?);
    // A short half-life leaves only the newest pin.
    let newest = "SELECT pinterest_board_embedding('Mixed', half_life => '1 second') <=> i.embedding < 0.05
           FROM pinterest.pin JOIN pinterest.board b USING (account_id, board_id)
           JOIN pinterest.pin_image i USING (account_id, pin_id) WHERE b.name = 'Mixed'
          ORDER BY pin.created_at DESC LIMIT 1";
    assert!(client.value::<bool>(newest)?);
    // Section names ignore case; the empty name means pins outside of sections.
    let sections: bool = client.value(
        "SELECT pinterest_board_embedding('Mixed', sections => '{\"ceremony\": 1, \"Dress\": 0, \"\": 0}')
                <=> avg(i.embedding) < 1e-5
           FROM pinterest.pin p JOIN pinterest.pin_image i USING (account_id, pin_id)
           JOIN pinterest.board_section s ON s.section_id = p.board_section_id AND s.name = 'Ceremony'",
    )?;
    assert!(sections);
    for (argument, code, hint) in [
        ("half_life => '0'", "22023", ""),
        ("half_life => '-1 day'", "22023", ""),
        ("sections => '{\"Cake\": 1}'", "42704", "Ceremony"),
        ("sections => '{\"Dress\": -1}'", "22023", ""),
        ("sections => '{\"Dress\": \"much\"}'", "22023", ""),
        ("sections => '[1]'", "22023", "Ceremony"),
        ("sections => '{\"Ceremony\": 0, \"Dress\": 0, \"\": 0}'", "22023", ""),
        ("theme => 0", "22023", "pinterest_board_themes"),
        ("theme => 99", "22023", "pinterest_board_themes"),
    ] {
        client.refused(&format!("SELECT pinterest_board_embedding('Mixed', {argument})"), code).hints(hint);
    }
    Ok(())
}
