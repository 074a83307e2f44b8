//! The members of a pin are stored, and a malformed member affects only itself.

use sandbox::config::Surprises;
use serde_json::json;

use crate::support::prelude::*;
use crate::support::worlds::set_pin_members;

#[test]
fn members_of_a_pin_are_stored_in_its_columns() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 3)?.with_session()?;
    let board = world.sandbox.board_id("Beach")?;
    let pins = world.sandbox.pin_ids(&board)?;
    set_pin_members(
        &world,
        &pins[..1],
        json!({
            "is_product": true,
            "product_tags": [{ "pin_id": "77", "price": 1e300 }],
            "link": "https://WWW.Mühle.example:8443/a?b#c",
            "ai_disclosures": { "values": ["AI_MODIFIED"] },
        }),
    );
    set_pin_members(
        &world,
        &pins[1..2],
        json!({ "is_product": "yes", "product_tags": 7, "link": "mailto:a@b.example" }),
    );
    imported(&mut client, "'Beach'")?;
    let of = |place: usize| {
        format!(
            "SELECT concat_ws(' ', is_product::text, product_tags::text, link_domain, ai_disclosures::text, is_ai::text,
                              (first_seen_at > now() - interval '1 hour')::text)
               FROM pinterest.pin WHERE pin_id = '{}'",
            pins[place]
        )
    };
    let first = client.value::<String>(&of(0))?;
    assert!(
        first.starts_with("true [{\"pin_id\":\"77\",\"price\":1e+300}] xn--mhle-0ra.example {AI_MODIFIED} true"),
        "{first}"
    );
    assert_eq!(client.value::<String>(&of(1))?, "false true", "unreadable members are not stored");

    // An unreadable disclosure leaves the stored one; a missing disclosure clears it.
    for (member, expected) in [(json!({ "values": [{}] }), true), (json!(null), false)] {
        set_pin_members(&world, &pins[..1], json!({ "ai_disclosures": member, "title": "Read all the same" }));
        world.sandbox.add_pins(&board, 1)?;
        imported(&mut client, "'Beach'")?;
        let known: bool = client.value(&format!(
            "SELECT is_ai FROM pinterest.pin WHERE pin_id = '{}' AND title = 'Read all the same'",
            pins[0]
        ))?;
        assert_eq!(known, expected, "{member}");
    }
    let exported = "SELECT bool_or(p ->> 'is_product' = 'true') AND bool_and(p -> 'first_seen_at' IS NOT NULL)
           FROM json_array_elements(pinterest_export() -> 'boards' -> 0 -> 'pins') AS p";
    assert!(client.value::<bool>(exported)?);
    Ok(())
}

#[test]
fn weights_by_age_ignore_implausible_dates() -> Result<()> {
    let (world, mut client) =
        World::of(Config::with_board("Mixed", &[Family::Beach, Family::Barn], 4))?.with_session()?;
    let pins = world.sandbox.pin_ids(&world.sandbox.board_id("Mixed")?)?;
    let now: String = client.value("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS')")?;
    for (pin, date) in pins.iter().zip([json!("2999-01-01T00:00:00"), json!(now), json!("1970-01-01T00:00:00")]) {
        set_pin_members(&world, std::slice::from_ref(pin), json!({ "created_at": date }));
    }
    imported(&mut client, "'Mixed'")?;
    let mut near = |of: &[&String]| -> Result<bool> {
        let ids = of.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(",");
        client.value(&format!(
            "SELECT pinterest_board_embedding('Mixed', half_life => '5 days') <=> (SELECT l2_normalize(avg(embedding))
                   FROM pinterest.pin_image WHERE pin_id IN ({ids})) < 1e-4"
        ))
    };
    assert!(near(&[&pins[0], &pins[1], &pins[2]])?, "future and absurd dates count as the time of the first listing");
    assert!(!near(&[&pins[0]])?, "a date in the future does not make other pins old");
    world
        .connect()?
        .execute("UPDATE pinterest.pin SET first_seen_at = now() - interval '1 year' WHERE pin_id = $1", &[&pins[2]])?;
    assert!(near(&[&pins[0], &pins[1]])?, "a new listing does not make an old pin new");
    Ok(())
}

/// Items of a page are malformed in different ways. None affects another one, and each is counted.
#[test]
fn malformed_items_of_a_page_are_counted() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 40)?.with_session()?;
    let pins = world.sandbox.pin_ids(&world.sandbox.board_id("Beach")?)?;
    let without_id =
        [json!({ "id": null }), json!({ "id": "x1" }), json!({ "id": -5 }), json!({ "id": [1] }), json!({ "id": "" })];
    let odd = [
        json!({ "title": 7 }),
        json!({ "title": ["a"] }),
        json!({ "description": {} }),
        json!({ "link": true }),
        json!({ "created_at": 1_700_000_000 }),
        json!({ "created_at": "soon" }),
        json!({ "created_at": "" }),
        json!({ "board_section_id": "none" }),
        json!({ "creative_type": 1.5 }),
    ];
    let bare =
        [json!({ "media": [] }), json!({ "media": { "media_type": "image", "images": 7 } }), json!({ "media": "x" })];
    let harmless = [
        json!({ "is_owner": "yes" }),
        json!({ "is_product": 3 }),
        json!({ "product_tags": {} }),
        json!({ "ai_disclosures": true }),
        json!({ "ai_disclosures": { "values": 12 } }),
        json!({ "board_owner": [] }),
        json!({ "pin_metrics": [[[1e300]]] }),
        json!({ "creative_type": "APP" }),
        json!({ "new": { "deep": [null] } }),
        json!({ "media_type": 1 }),
        json!({ "title": "" }),
    ];
    let spoiled = [&without_id[..], &odd, &bare, &harmless].concat();
    assert!(spoiled.len() < pins.len(), "some pins are not malformed");
    for (pin, members) in pins.iter().zip(&spoiled) {
        set_pin_members(&world, std::slice::from_ref(pin), members.clone());
    }
    let report = imported(&mut client, "'Beach'")?;
    let count = |number: usize| i64::try_from(number).unwrap_or_default();
    assert_eq!(report.count("pin", "unreadable", "unknown_shape"), count(without_id.len()), "{report:?}");
    assert_eq!(report.sum("pin", "listed"), count(pins.len() - without_id.len()), "{report:?}");
    assert_eq!(report.count("pin", "doubtful", "odd_members"), count(odd.len() + bare.len()), "{report:?}");
    assert_eq!(report.sum("pin", "without_image"), count(bare.len()), "{report:?}");
    let embedded = count(pins.len() - without_id.len() - bare.len());
    assert_eq!(report.sum("image", "embedded"), embedded, "{report:?}");
    let import = report.import;
    let counted: i64 = client.value(&format!(
        "SELECT sum(count)::int8 FROM pinterest.import_report WHERE import_id = {import} AND item = 'pin'
                AND outcome IN ('with_images', 'without_image', 'left_out', 'skipped', 'unreadable')"
    ))?;
    assert_eq!(counted, count(pins.len()), "imported or counted with a reason");
    let ids: Vec<String> = client.column("SELECT pin_id FROM pinterest.pin")?;
    assert!(ids.iter().all(|id| pins.contains(id)), "no unknown id is stored");
    Ok(())
}

/// JSON allows U+0000 in a text, Postgres does not; the client replaces it everywhere.
#[test]
fn texts_with_nul_characters_are_stored() -> Result<()> {
    let board = BoardSpec::new("Be\0ach", &[Family::Beach], 2).sections(&["No\0rth"]);
    let config = Config {
        accounts: vec![AccountSpec::new("example_user").board(board)],
        surprises: Surprises::none(),
        ..Config::demo()
    };
    let (world, mut client) = World::of(config)?.with_session()?;
    let id: String = client.value("SELECT board_id FROM pinterest_list_boards()")?;
    let text = "a\0b";
    set_pin_members(
        &world,
        &world.sandbox.pin_ids(&id)?[..1],
        json!({
            "title": text, "description": text, "alt_text": text, "link": format!("https://example.com/{text}"),
            "dominant_color": text, "creative_type": text, "product_tags": [{ text: text }],
            "ai_disclosures": { "values": [text] }, "unknown": { text: [text] },
        }),
    );
    imported(&mut client, &format!("'{id}'"))?;
    let stored: Vec<String> = client.column(
        "SELECT t.value FROM pinterest.pin p, LATERAL (VALUES (p.title), (p.description), (p.alt_text), (p.ai_disclosures[1]),
                (p.product_tags::jsonb -> 0 ->> 'a\u{fffd}b'),
                (p.raw::jsonb -> 'unknown' -> 'a\u{fffd}b' ->> 0)) AS t(value)
         WHERE p.title LIKE 'a%b'",
    )?;
    assert_eq!(stored, ["a\u{fffd}b"; 6]);
    let names = "SELECT b.name || ' ' || s.name
                   FROM pinterest.board b JOIN pinterest.board_section s USING (account_id, board_id)";
    assert_eq!(client.value::<String>(names)?, "Be\u{fffd}ach No\u{fffd}rth");
    Ok(())
}
