//! Boards and sections are found by the titles and addresses that users give.

use sandbox::config::ImageRules;

use crate::support::oauth::USER;
use crate::support::prelude::*;

fn board(name: &str, pins: u64) -> BoardSpec {
    beach_board(name, pins)
}

fn world_of(accounts: Vec<AccountSpec>) -> Result<World> {
    World::of(Config { accounts, ..quick_board("Beach", 0) })
}

/// A board with punctuation, accents and other scripts in its sections' titles.
fn rooms() -> BoardSpec {
    board("Rooms & halls", 40).sections(&[
        "Bath",
        "Grand Hall!",
        "Mu\u{308}hle & Caf\u{E9}",
        "\u{7D50}\u{5A5A}\u{5F0F}",
        "Anna's room",
    ])
}

/// How many pins of a section are stored.
fn pins_of(client: &mut Client, section: &str) -> Result<i64> {
    let row = client.query_one(
        "SELECT count(*) FROM pinterest.pin p JOIN pinterest.board_section s
             ON (s.account_id, s.board_id, s.section_id) = (p.account_id, p.board_id, p.board_section_id) WHERE s.name = $1",
        &[&section],
    )?;
    Ok(row.get(0))
}

#[test]
fn the_address_of_a_section_imports_that_section_alone() -> Result<()> {
    let (_world, mut client) = world_of(vec![AccountSpec::new(USER).board(rooms())])?.with_session()?;
    let mut before = 0;
    for (part, section) in [
        ("bath/", "Bath"),
        ("GRAND-HALL?utm_source=1#x", "Grand Hall!"),
        // Composed characters in the address, decomposed ones in the title.
        ("m%C3%BChle-caf%C3%A9/", "Mu\u{308}hle & Caf\u{E9}"),
        ("%E7%B5%90%E5%A9%9A%E5%BC%8F", "\u{7D50}\u{5A5A}\u{5F0F}"),
        ("annas-room//", "Anna's room"),
    ] {
        let address = format!("https://de.pinterest.com/{USER}//rooms-halls/{part}");
        let report = imported(&mut client, &format!("'{address}'"))?;
        assert_eq!(report.coverage, "sections", "{part}: {report:?}");
        let came = report.sum("pin", "with_images");
        assert!(came > 0, "{part}: {report:?}");
        assert_eq!(pins_of(&mut client, section)?, came, "{part}: all pins of the section");
        before += came;
        assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.pin")?, before, "{part}: no other pins");
        let named: String = client.value(&format!(
            "SELECT array_to_string(sections, ' ') FROM pinterest.import WHERE import_id = {}",
            report.import
        ))?;
        assert!(!named.is_empty() && !named.contains('%'), "{named}");
    }
    let report = imported(&mut client, &format!("'https://www.pinterest.com/{USER}/rooms-halls/'"))?;
    assert_eq!((report.coverage.as_str(), report.sum("pin", "with_images")), ("whole", 40), "the board's address");
    Ok(())
}

#[test]
fn unknown_and_ambiguous_sections_fail_with_a_hint() -> Result<()> {
    let names: Vec<String> = (0..60).map(|number| format!("Room {number} {}", "x".repeat(150))).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let account = AccountSpec::new(USER).board(board("Rooms", 3).sections(&["Bath", "Hall"]));
    let account =
        account.board(board("Hotel", 3).sections(&names)).board(board("Twins", 9).sections(&["Hall", "HALL", "hall"]));
    let (world, mut client) = world_of(vec![account])?.with_session()?;
    let address = format!("https://www.pinterest.com/{USER}/rooms/cellar/");
    let failed = |client: &mut Client, arguments: &str| -> Result<Row> {
        let import = queue(client, arguments)?;
        assert_eq!(wait(client, import)?, "failed", "{arguments}");
        Row::of(client, import)
    };
    let row = failed(&mut client, &format!("'{address}'"))?;
    assert_eq!((row.error_code.as_str(), row.pins_listed), ("42704", 0), "{row:?}");
    assert!(row.reason.contains("\"cellar\"") && row.hint.contains("Bath, Hall"), "{row:?}");
    let row = failed(&mut client, &format!("'https://www.pinterest.com/{USER}/hotel/cellar/'"))?;
    assert!(row.error_code == "42704" && row.hint.len() < 2000 && row.hint.contains("and 40 more"), "{row:?}");

    // Titles that differ only in case: the exact one is taken, others are ambiguous.
    let report = imported(&mut client, "'Twins', sections => '{HALL}'")?;
    assert_eq!(pins_of(&mut client, "HALL")?, report.sum("pin", "with_images"));
    let id: String = client.value("SELECT section_id FROM pinterest.board_section WHERE name = 'HALL'")?;
    for arguments in ["'Twins', sections => '{Hall,hALL}'", &format!("'pinterest.com/{USER}/twins/hall'")] {
        let row = failed(&mut client, arguments)?;
        assert_eq!((row.error_code.as_str(), row.pins_listed), ("22023", 0), "{row:?}");
        assert!(row.hint.contains(&id) && row.hint.contains("hall"), "{row:?}");
    }

    let requests = world.sandbox.requests().count(Kind::Boards);
    for (arguments, words) in [
        (format!("'{address}', sections => '{{Bath}}'"), "sections"),
        (format!("'{address}', sync_every => '1 day'"), "sync_every cannot be combined"),
    ] {
        let refused = refusal(client.query_one(&format!("SELECT pinterest_import_board({arguments})"), &[]));
        assert!(refused.code == "22023" && refused.message.contains(words), "{refused:?}");
    }
    assert_eq!(world.sandbox.requests().count(Kind::Boards), requests);
    Ok(())
}

/// Reading functions restrict themselves to the section; functions that change a whole board refuse it.
#[test]
fn a_sections_address_restricts_reads_and_is_refused_for_changes() -> Result<()> {
    let rooms = BoardSpec::new("Rooms", &[Family::Beach, Family::Barn], 30).media(MediaMix::images_only());
    let rooms = rooms.sections(&["Bath", "Hall"]);
    let accounts = vec![AccountSpec::new(USER).board(rooms).board(board("Other", 3))];
    let images = ImageRules::default();
    let (_world, mut client) = World::of(Config { accounts, images, ..quick_board("Beach", 0) })?.with_session()?;
    import(&mut client, "Rooms")?;
    import(&mut client, "Other")?;
    let bath = format!("https://www.pinterest.com/{USER}/rooms/bath/");
    let pins = pins_of(&mut client, "Bath")?;
    assert!(pins > 0 && pins < 30);
    client.batch_execute(
        "CREATE VIEW bath AS SELECT p.pin_id, i.embedding FROM pinterest.pin p JOIN pinterest.pin_image i USING (account_id, pin_id)
             JOIN pinterest.board_section s ON s.section_id = p.board_section_id WHERE s.name = 'Bath';
         CREATE TABLE venues (id int PRIMARY KEY, embedding vector(512));
         INSERT INTO venues SELECT row_number() OVER (), embedding FROM pinterest.pin_image LIMIT 20",
    )?;
    for holds in [
        "pinterest_board_embedding('BATH') <=> (SELECT avg(embedding) FROM bath) < 1e-5",
        "pinterest_board_embedding('BATH') <=> pinterest_board_embedding('Rooms', sections => '{\"Hall\": 0, \"\": 0}') < 1e-6",
        "pinterest_board_embedding('BATH') <=> pinterest_board_embedding('Rooms') > 1e-6",
        "(SELECT sum(images) FROM pinterest_board_themes('BATH')) = (SELECT count(*) FROM bath)",
        "(SELECT count(*) FROM pinterest_pins_like(pinterest_board_embedding('Rooms'), 100, 'BATH')) = (SELECT count(*) FROM bath)",
        "NOT EXISTS (SELECT FROM pinterest_pins_like(pinterest_board_embedding('Rooms'), 100, 'BATH') AS l WHERE l.pin_id NOT IN (SELECT pin_id FROM bath))",
        "(SELECT count(*) FROM pinterest_recommend('BATH', 'venues', k => 5)) = 5",
        "NOT EXISTS (SELECT FROM pinterest_recommend('BATH', 'venues', explain => true) AS r, jsonb_array_elements(r.because) AS b
             WHERE b ->> 'pin_id' NOT IN (SELECT pin_id FROM bath))",
        "(SELECT count(*) FROM pinterest_recommend('BATH', 'venues', not_boards => ARRAY[replace('BATH', '/bath/', '/hall/')])) = 10",
        "NOT EXISTS (SELECT FROM pinterest_duplicates('BATH', 1) AS d WHERE d.pin_id NOT IN (SELECT pin_id FROM bath))",
        "(SELECT array_agg(board) FROM pinterest_boards_like('BATH')) = '{Other}'",
        "pinterest_gallery('BATH') LIKE '%Rooms: Bath%'",
        "(SELECT count(*) FROM bath WHERE pinterest_gallery('BATH') LIKE '%/pin/' || pin_id || '/%') = (SELECT count(*) FROM bath)",
        "NOT EXISTS (SELECT FROM pinterest.pin p WHERE p.pin_id NOT IN (SELECT pin_id FROM bath) AND pinterest_gallery('BATH') LIKE '%/pin/' || p.pin_id || '/%')",
    ] {
        let sql = format!("SELECT {}", holds.replace("BATH", &bath));
        assert!(client.value::<bool>(&sql)?, "{sql}");
    }
    for (call, code, words) in [
        ("pinterest_sync_board('BATH', '1 day')", "22023", "whole boards"),
        ("pinterest_reembed_board('BATH')", "22023", "whole boards"),
        ("pinterest_purge_board('BATH')", "22023", "whole boards"),
        // It may be the title of another board, which has not been listed yet.
        ("pinterest_purge_board('ROOMS')", "42704", "has been seen"),
        (
            "pinterest_recommend('BATH', 'venues', not_boards => '{BATH}')",
            "22023",
            "section \"Bath\" of board \"Rooms\"",
        ),
        ("pinterest_recommend('BATH', 'venues', not_boards => '{Rooms}')", "22023", "not_boards"),
        ("pinterest_board_embedding(replace('BATH', 'bath', 'cellar'))", "42704", "no section \"cellar\""),
        ("pinterest_recommend(replace('BATH', 'bath', 'cellar'), 'venues')", "42704", "no section \"cellar\""),
        ("pinterest_gallery(replace('BATH', 'bath', 'cellar'))", "42704", "no section \"cellar\""),
    ] {
        let refused = client.refused(&format!("SELECT {}", call.replace("BATH", &bath)), code);
        let helped = !refused.hint.is_empty() || call.contains("not_boards");
        assert!(refused.message.contains(words) && helped, "{call}: {refused:?}");
    }
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.pin")?, 33, "nothing was purged");
    Ok(())
}

#[test]
fn addresses_of_anything_but_boards_are_refused_without_a_request() -> Result<()> {
    let (world, mut client) = world_of(vec![AccountSpec::new(USER).board(board("Rooms", 2))])?.with_session()?;
    import(&mut client, "Rooms")?;
    world.sandbox.requests().reset();
    client.batch_execute("CREATE TABLE venues (id int PRIMARY KEY, embedding vector(512))")?;
    for (address, words, hint) in [
        ("https://www.pinterest.com/pin/813744226420795884/", "a pin", "USER/BOARD"),
        ("https://www.pinterest.com/example_user/_saved/", "a profile's pins", "pinterest_list_boards"),
        ("https://www.pinterest.com/example_user/_created/", "a profile's pins", "pinterest_list_boards"),
        ("https://www.pinterest.com/example_user/", "a profile", "pinterest_list_boards"),
        ("https://www.pinterest.com/search/pins/?q=barn", "a search", "USER/BOARD"),
        ("https://www.pinterest.com/ideas/barn-wedding/912/", "ideas", "USER/BOARD"),
        ("https://www.pinterest.com/settings", "Pinterest's own", "USER/BOARD"),
        ("https://pin.it/1aB2cD3", "short link", "browser"),
        ("https://pinterest.com/", "start page", "USER/BOARD"),
        ("https://www.example.com/example_user/rooms/", "not an address of Pinterest", "USER/BOARD"),
        ("https://pinterest.com.evil.example/example_user/rooms/", "not an address of Pinterest", "USER/BOARD"),
        ("evilpinterest.com/example_user/rooms/", "not an address of Pinterest", "USER/BOARD"),
        ("https://www.pinterest.com@evil.example/example_user/rooms/", "user name", "USER/BOARD"),
        ("https://www.pinterest.com:8443/example_user/rooms/", "port", "USER/BOARD"),
        ("Look! https://www.pinterest.com/example_user/rooms/", "other text", "alone"),
    ] {
        for call in [
            "pinterest_import_board($1)",
            "pinterest_sync_board($1, '1 day')",
            "pinterest_reembed_board($1)",
            "pinterest_purge_board($1)",
            "pinterest_board_embedding($1)",
            "pinterest_board_themes($1)",
            "pinterest_boards_like($1)",
            "pinterest_duplicates($1)",
            "pinterest_gallery($1)",
            "pinterest_pins_like(array_fill(0.1, ARRAY[512])::vector, 1, $1)",
            "pinterest_recommend($1, 'venues')",
            "pinterest_recommend('Rooms', 'venues', not_boards => ARRAY[$1])",
        ] {
            let refused = refusal(client.query(&format!("SELECT {call}"), &[&address]));
            assert_eq!(refused.code, "22023", "{call} {address}: {refused:?}");
            assert!(refused.message.contains(words) && refused.hint.contains(hint), "{call} {address}: {refused:?}");
        }
    }
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.import WHERE state <> 'completed'")?, 0);
    assert_eq!(world.sandbox.requests().count(Kind::Boards), 0);
    assert_eq!(world.sandbox.requests().count(Kind::Board), 0);
    Ok(())
}

#[test]
fn titles_match_in_any_unicode_form() -> Result<()> {
    let titles = [
        "Scheunen\u{AD}hochzeit  Stra\u{DF}e",
        "Cafe\u{301} \u{2764}\u{FE0F}",
        "\u{A0}Line\nbreak ",
        "\u{FF22}ig",
        "2026",
        "20262027",
    ];
    let account =
        titles.iter().zip(1..).fold(AccountSpec::new(USER), |account, (title, pins)| account.board(board(title, pins)));
    let account = account.board(board("Twin", 7)).board(board("TWIN", 8)).board(board("https://pin.it/odd", 9));
    let (world, mut client) = world_of(vec![account])?.with_session()?;
    let written = [
        (titles[0], "SCHEUNENHOCHZEIT STRASSE"),
        (titles[1], "  caf\u{E9}\u{200B}\u{A0}\u{2764} "),
        (titles[2], "line BREAK"),
        (titles[3], "big"),
        (titles[4], "2026"),
        (titles[5], " 20262027 "),
        ("Twin", "Twin"),
        ("TWIN", "T\u{200B}WIN"),
    ];
    // Found by a request to Pinterest in the first round, in the table in the second one.
    for round in 0..2 {
        for (title, words) in written {
            let id = world.sandbox.board_id(title)?;
            let import: i64 = client.value_with("SELECT pinterest_import_board($1)", &[&words])?;
            assert_eq!(
                wait(&mut client, import)?,
                "completed",
                "round {round}, {words:?}: {:?}",
                Row::of(&mut client, import)?
            );
            let found = client.query_one("SELECT board_id FROM pinterest.imports WHERE import_id = $1", &[&import])?;
            assert_eq!(found.get::<_, String>(0), id, "round {round}, {words:?}");
            client.query_one("SELECT pinterest_board_embedding($1)::text", &[&words])?;
        }
        let ids = [world.sandbox.board_id("Twin")?, world.sandbox.board_id("TWIN")?];
        let hint = if round == 0 {
            // With an empty table, both boards are unknown.
            client.batch_execute("DELETE FROM pinterest.import; DELETE FROM pinterest.board")?;
            let import = queue(&mut client, "'twin'")?;
            assert_eq!(wait(&mut client, import)?, "failed");
            let row = Row::of(&mut client, import)?;
            assert_eq!(row.error_code, "22023", "{row:?}");
            row.hint
        } else {
            client.refused("SELECT pinterest_import_board('twin')", "22023");
            let refused = client.refused("SELECT pinterest_board_embedding('twin')", "22023");
            refused.hint
        };
        assert!(ids.iter().all(|id| hint.contains(id)), "{hint}");
    }
    // A title that looks like an address is found after its board has been listed.
    client.refused("SELECT pinterest_import_board('https://pin.it/odd')", "22023");
    client.query("SELECT * FROM pinterest_list_boards()", &[])?;
    let report = imported(&mut client, "'https://pin.it/odd'")?;
    assert_eq!(report.sum("pin", "with_images"), 9);
    Ok(())
}

/// Digits are taken as a board's id before they are taken as a title, even if only the title has been listed.
#[test]
fn an_id_takes_precedence_over_a_title() -> Result<()> {
    let plain = World::builder().sandbox(Config {
        accounts: vec![AccountSpec::new(USER).board(board("Plain", 2)).board(board("Other", 3))],
        ..quick_board("Beach", 0)
    });
    let plain = plain.start()?;
    let id = plain.sandbox.board_id("Plain")?;
    drop(plain);
    let world = world_of(vec![AccountSpec::new(USER).board(board("Plain", 2)).board(board(&id, 3))])?;
    assert_eq!(world.sandbox.board_id("Plain")?, id, "ids depend only on the seed and the order");
    let mut client = world.connect()?;
    import(&mut client, &world.sandbox.board_id(&id)?)?;
    let row = import(&mut client, &id)?;
    assert_eq!(row.embedded, 2, "the board of this id: {row:?}");
    Ok(())
}

#[test]
fn boards_of_other_users_are_found_by_their_owners_address() -> Result<()> {
    let mine = AccountSpec::new(USER).board(board("Barn", 2)).board(board("Mine", 1));
    let theirs = AccountSpec::new("example_other").board(board("Barn", 3).collaborator(USER)).board(board("Theirs", 4));
    let (_world, mut client) = world_of(vec![mine, theirs])?.with_session()?;
    for (owner, pins) in [(USER, 2), ("Example_Other", 3)] {
        let report = imported(&mut client, &format!("'https://www.pinterest.com/{owner}/barn/?invite_code=x'"))?;
        assert_eq!(report.sum("pin", "with_images"), pins, "{owner}");
    }
    let refused = client.refused("SELECT pinterest_import_board('barn')", "22023");
    assert!(refused.hint.contains("of example_other") && refused.hint.contains("of example_user"), "{refused:?}");
    for (address, words) in [
        ("https://www.pinterest.com/example_other/theirs/", "none of user example_other has this address"),
        ("https://www.pinterest.com/example_other/mine/", "of example_user"),
        ("https://www.pinterest.com/nobody/theirs/", "none of user nobody has this address"),
    ] {
        let import = queue(&mut client, &format!("'{address}'"))?;
        assert_eq!(wait(&mut client, import)?, "failed", "{address}");
        let row = Row::of(&mut client, import)?;
        assert!(row.error_code == "42704" && row.hint.contains(words), "{address}: {row:?}");
    }
    Ok(())
}
