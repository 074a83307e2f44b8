//! Pins disclosed as made or changed with AI are stored, counted, and skipped if a call requests it.

use serde_json::json;

use crate::support::prelude::*;
use crate::support::worlds::set_pin_members;

/// A board of twelve pins, three of which are disclosed, one by an unknown word.
fn disclosed_world() -> Result<(World, Client, Vec<String>)> {
    let world = quick_world("Beach", 12)?;
    let client = world.connect()?;
    let pins = world.sandbox.pin_ids(&world.sandbox.board_id("Beach")?)?;
    set_pin_members(&world, &[], json!({ "ai_disclosures": { "values": [] } }));
    let words = [json!(["AI_MODIFIED"]), json!(["AI_MODIFIED", "SYNTHETIC_PERFORMER"]), json!(["AI_DREAMT"])];
    for (pin, values) in pins.iter().step_by(4).zip(words) {
        set_pin_members(&world, std::slice::from_ref(pin), json!({ "ai_disclosures": { "values": values } }));
    }
    Ok((world, client, pins))
}

/// The states of the disclosed pins' images and of the others', and the number of embeddings of disclosed pins.
const STATES: &str = "SELECT string_agg(DISTINCT i.state, ',') FILTER (WHERE p.is_ai) || ' ' ||
                             string_agg(DISTINCT i.state, ',') FILTER (WHERE NOT p.is_ai) || ' ' ||
                             count(*) FILTER (WHERE p.is_ai AND i.embedding IS NOT NULL)
                        FROM pinterest.pin p JOIN pinterest.pin_image i USING (account_id, pin_id)";

#[test]
fn disclosed_pins_are_skipped_on_request() -> Result<()> {
    let (world, mut client, pins) = disclosed_world()?;
    world.sandbox.requests().reset();
    let report = imported(&mut client, "'Beach', skip_ai => true")?;
    assert_eq!(report.outcomes("pin"), ["ai_disclosed 3", "skipped ai_disclosed 3", "with_images 9"]);
    assert_eq!(report.outcomes("image"), ["embedded 9", "skipped ai_disclosed 3"]);
    assert_eq!((report.coverage.as_str(), world.sandbox.requests().pictures()), ("whole", 9), "none was downloaded");
    assert_eq!(client.value::<String>(STATES)?, "skipped embedded 0");

    world.sandbox.requests().reset();
    let report = imported(&mut client, "'Beach', skip_ai => true")?;
    assert_eq!(report.coverage, "unchanged");
    assert_eq!(report.outcomes("pin"), ["ai_disclosed 3", "skipped ai_disclosed 3", "with_images 9"]);
    assert_eq!(report.outcomes("image"), ["reused unchanged 9", "skipped ai_disclosed 3"]);

    // A changed argument requires a new listing, although Pinterest reports the board as unchanged.
    let report = imported(&mut client, "'Beach'")?;
    assert_eq!(report.coverage, "whole");
    assert_eq!(report.outcomes("pin"), ["ai_disclosed 3", "with_images 12"]);
    assert_eq!(report.outcomes("image"), ["embedded 3", "reused kept 9"]);
    assert_eq!(world.sandbox.requests().pictures(), 3);
    assert_eq!(client.value::<String>(STATES)?, "embedded embedded 3");
    assert_eq!(imported(&mut client, "'Beach'")?.coverage, "unchanged");

    let report = imported(&mut client, "'Beach', skip_ai => true")?;
    assert_eq!(report.outcomes("image"), ["reused kept 9", "skipped ai_disclosed 3"]);
    assert_eq!(client.value::<String>(STATES)?, "skipped embedded 0");

    let stored: Vec<String> =
        client.column("SELECT pin_id || array_to_string(ai_disclosures, '+', '') FROM pinterest.pin WHERE is_ai")?;
    for expected in [
        format!("{}AI_MODIFIED", pins[0]),
        format!("{}AI_MODIFIED+SYNTHETIC_PERFORMER", pins[4]),
        format!("{}AI_DREAMT", pins[8]),
    ] {
        assert!(stored.contains(&expected), "{expected}: {stored:?}");
    }
    Ok(())
}

#[test]
fn skipped_images_do_not_count_towards_max_images() -> Result<()> {
    let (world, mut client, _) = disclosed_world()?;
    world.sandbox.requests().reset();
    let report = imported(&mut client, "'Beach', skip_ai => true, max_images => 5")?;
    assert_eq!(report.sum("image", "embedded"), 5, "{report:?}");
    assert_eq!(world.sandbox.requests().pictures(), 5);
    Ok(())
}

#[test]
fn scheduled_imports_skip_disclosed_pins_too() -> Result<()> {
    let (world, mut client, _) = disclosed_world()?;
    imported(&mut client, "'Beach', skip_ai => true, sync_every => '6 hours'")?;
    world.sandbox.add_pins(&world.sandbox.board_id("Beach")?, 1)?;
    client.batch_execute("UPDATE pinterest.board SET next_sync_at = clock_timestamp()")?;
    crate::support::oauth::restart_worker(&world, &mut client)?;
    client.until("SELECT count(*) FROM pinterest.imports WHERE state = 'completed'", 2_i64)?;
    assert!(client.value::<bool>("SELECT bool_and(skip_ai) FROM pinterest.import")?);
    assert_eq!(client.value::<String>(STATES)?, "skipped embedded 0");
    Ok(())
}

#[test]
fn recommendations_can_skip_disclosed_pins() -> Result<()> {
    let (_world, mut client, _) = disclosed_world()?;
    imported(&mut client, "'Beach'")?;
    let right =
        "SELECT pinterest_board_embedding('Beach', skip_ai => true) <=> (SELECT avg(i.embedding) FROM pinterest.pin p
                    JOIN pinterest.pin_image i USING (account_id, pin_id) WHERE NOT p.is_ai) < 1e-5
            AND (SELECT sum(images) = 9 FROM pinterest_board_themes('Beach', skip_ai => true))
            AND (SELECT sum(images) = 12 FROM pinterest_board_themes('Beach'))
            AND (SELECT count(*) = 9 FROM pinterest_pins_like(pinterest_board_embedding('Beach'), 50, skip_ai => true))
            AND (SELECT count(*) = 12 FROM pinterest_pins_like(pinterest_board_embedding('Beach'), 50))";
    assert!(client.value::<bool>(right)?);
    client.batch_execute(
        "CREATE TABLE venues (id bigint PRIMARY KEY, embedding vector(512));
         INSERT INTO venues SELECT row_number() OVER (), i.embedding FROM pinterest.pin_image i",
    )?;
    let reasons = "SELECT count(*) > 0 AND bool_and(NOT p.is_ai)
           FROM pinterest_recommend('Beach', 'venues', explain => true, skip_ai => true) AS r,
                jsonb_array_elements(r.because) AS b JOIN pinterest.pin p ON p.pin_id = b ->> 'pin_id'";
    assert!(client.value::<bool>(reasons)?, "no pick is based on a skipped pin");

    client.batch_execute("UPDATE pinterest.pin SET ai_disclosures = '{AI_MODIFIED}'")?;
    for call in [
        "pinterest_recommend('Beach', 'venues', skip_ai => true)",
        "pinterest_board_themes('Beach', skip_ai => true)",
        "pinterest_board_embedding('Beach', skip_ai => true)",
    ] {
        let refused = client.refused(&format!("SELECT * FROM {call}"), "55000");
        assert!(refused.message.contains("disclosed as made with AI"), "{call}: {refused:?}");
    }
    client.refused("SELECT pinterest_import_board('Beach', skip_ai => NULL)", "22004");
    Ok(())
}
