//! How much of a board an import covers: page sizes, sections, samples, listing limits, other users' boards.

use sandbox::config::Privacy;

use crate::support::oauth::USER;
use crate::support::prelude::*;

fn board(name: &str, pins: u64) -> BoardSpec {
    beach_board(name, pins)
}

fn world_of(accounts: Vec<AccountSpec>) -> Result<World> {
    World::of(Config { accounts, ..quick_board("Beach", 0) })
}

#[test]
fn boards_around_the_page_size_are_imported_whole() -> Result<()> {
    let sizes = [0, 1, 250, 251];
    let account =
        sizes.iter().fold(AccountSpec::new(USER), |account, pins| account.board(board(&pins.to_string(), *pins)));
    let (world, mut client) = world_of(vec![account])?.with_session()?;
    for pins in sizes {
        world.sandbox.requests().reset();
        let report = imported(&mut client, &format!("'{pins}'"))?;
        let expected = i64::try_from(pins)?;
        assert_eq!((report.coverage.as_str(), report.sum("pin", "listed")), ("whole", expected), "{report:?}");
        assert_eq!(report.sum("image", "embedded"), expected, "{report:?}");
        assert_eq!(world.sandbox.requests().count(Kind::BoardPins), if pins > 250 { 2 } else { 1 }, "{pins} pins");
        assert_eq!(world.sandbox.requests().pictures(), pins);
        let report = imported(&mut client, &format!("'{pins}'"))?;
        assert_eq!(report.coverage, "unchanged", "{pins} pins");
    }
    Ok(())
}

#[test]
fn sections_are_imported_by_name_and_by_id() -> Result<()> {
    let account = AccountSpec::new(USER).board(board("Rooms", 30).sections(&["Bath", "Grand hall", "Kitchen"]));
    let (_world, mut client) = world_of(vec![account])?.with_session()?;
    let report = imported(&mut client, "'Rooms', sections => '{ grand HALL }'")?;
    let hall = report.sum("pin", "with_images");
    assert!(hall > 0 && hall < 30, "{report:?}");
    let named = "SELECT count(*) FROM pinterest.pin p JOIN pinterest.board_section s
                   ON (s.account_id, s.section_id) = (p.account_id, p.board_section_id) WHERE s.name = 'Grand hall'";
    assert_eq!(client.value::<i64>(named)?, hall);
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.pin")?, hall, "no other pins are imported");

    let id: String = client.value("SELECT section_id FROM pinterest.board_section WHERE name = 'Bath'")?;
    let report = imported(&mut client, &format!("'Rooms', sections => '{{{id},Grand hall}}'"))?;
    assert_eq!(report.count("image", "reused", "kept"), hall, "{report:?}");
    assert!(report.sum("image", "embedded") > 0, "{report:?}");
    // An import of sections removes nothing elsewhere on the board.
    assert_eq!((report.coverage.as_str(), report.sum("pin", "removed")), ("sections", 0));
    let report = imported(&mut client, "'Rooms'")?;
    assert_eq!((report.coverage.as_str(), report.sum("pin", "with_images")), ("whole", 30), "{report:?}");
    Ok(())
}

#[test]
fn an_unknown_section_fails_the_import() -> Result<()> {
    let account = AccountSpec::new(USER).board(board("Rooms", 3).sections(&["Bath", "Hall"]));
    let (_world, mut client) = world_of(vec![account.board(board("Plain", 1))])?.with_session()?;
    let import = queue(&mut client, "'Rooms', sections => '{Bath,Cellar}'")?;
    assert_eq!(wait(&mut client, import)?, "failed");
    let row = Row::of(&mut client, import)?;
    assert_eq!(row.error_code, "42704", "{row:?}");
    assert!(row.reason.contains("\"Cellar\""), "{row:?}");
    assert!(row.hint.contains("Bath") && row.hint.contains("Hall"), "{row:?}");
    Report::of(&mut client, import)?;

    let import = queue(&mut client, "'Plain', sections => '{Bath}'")?;
    assert_eq!(wait(&mut client, import)?, "failed");
    let row = Row::of(&mut client, import)?;
    assert!(row.error_code == "42704" && !row.hint.contains("It has: ."), "{row:?}");

    for arguments in ["sections => '{}'", "sections => '{Bath,\" \"}'", "max_images => 0", "max_images => -1"] {
        client.refused(&format!("SELECT pinterest_import_board('Rooms', {arguments})"), "22023");
    }
    Ok(())
}

#[test]
fn an_import_completes_an_earlier_sample() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 30)?.with_session()?;
    let report = imported(&mut client, "'Beach', max_images => 5")?;
    assert_eq!((report.coverage.as_str(), world.sandbox.requests().pictures()), ("sample", 5), "{report:?}");
    assert_eq!(report.outcomes("pin"), ["left_out beyond_max_images 25", "with_images 5"]);
    let newest: Vec<String> = client.column("SELECT pin_id FROM pinterest.pin ORDER BY created_at DESC")?;
    assert_eq!(newest, world.sandbox.pin_ids(&world.sandbox.board_id("Beach")?)?[..5], "the newest ones");

    let report = imported(&mut client, "'Beach'")?;
    assert_eq!(report.outcomes("image"), ["embedded 25", "reused kept 5"]);
    assert_eq!((report.coverage.as_str(), world.sandbox.requests().pictures()), ("whole", 30));
    let report = imported(&mut client, "'Beach', max_images => 100")?;
    assert_eq!(report.sum("image", "reused"), 30, "{report:?}");
    Ok(())
}

/// A listing that starts over finds pins that it has already counted.
#[test]
fn a_sample_counts_no_pin_twice_if_its_listing_starts_over() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 30)?.with_session()?;
    world.sandbox.faults().add(Rule::on(Kind::BoardPins, Fault::ShortPage { items: 10 }));
    let held = world.sandbox.faults().add(Rule::on(Kind::BoardPins, Fault::Hold { gate: GATE.into() }).skip(1));
    let import = queue(&mut client, "'Beach', max_images => 15")?;
    assert!(world.sandbox.requests().wait_for(Kind::BoardPins, 2, SOON));
    let account = world.account();
    client.execute("SELECT pinterest_pause_account($1)", &[&account])?;
    until_state(&mut client, import, "queued")?;
    world.sandbox.expire_bookmarks();
    world.sandbox.faults().remove(held);
    world.sandbox.faults().release(GATE);
    client.execute("SELECT pinterest_pause_account($1, false)", &[&account])?;
    let report = Report::completed(&mut client, import)?;
    assert_eq!(report.coverage, "sample");
    assert_eq!(report.outcomes("pin"), ["left_out beyond_max_images 5", "with_images 15"]);
    assert_eq!(report.outcomes("image"), ["embedded 15"]);
    Ok(())
}

#[test]
fn a_listing_that_ends_early_removes_no_pins() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 30)?.with_session()?;
    imported(&mut client, "'Beach'")?;
    let board = world.sandbox.board_id("Beach")?;
    let pins = world.sandbox.pin_ids(&board)?;
    world.sandbox.remove_pin(&pins[1])?;
    world.sandbox.add_pins(&board, 1)?;

    world.sandbox.faults().add(Rule::on(Kind::BoardPins, Fault::ShortPage { items: 10 }));
    world.sandbox.faults().add(Rule::on(Kind::BoardPins, Fault::ListingWall).skip(2));
    let report = imported(&mut client, "'Beach'")?;
    assert_eq!((report.coverage.as_str(), report.sum("pin", "listed")), ("until_limit", 20), "{report:?}");
    assert_eq!(report.sum("pin", "removed"), 0, "pins that were not listed may still exist");
    assert_eq!(client.value::<i64>("SELECT count(removed_at) FROM pinterest.pin")?, 0);
    let row = Row::of(&mut client, report.import)?;
    assert!(row.reason.contains("complete up to"), "{row:?}");
    assert_eq!(imported(&mut client, "'Beach'")?.coverage, "unchanged", "a further import can list no more");
    Ok(())
}

fn connect_with_secret_boards(world: &World, client: &mut Client) -> Result<i64> {
    let url: String = client.value("SELECT pinterest_authorize_url(secret_boards => true)")?;
    let redirect = world.browser()?.authorize(&url)?;
    client.value_with("SELECT pinterest_connect($1, $2)", &[&redirect.code, &redirect.state])
}

#[test]
fn secret_boards_need_a_scope_and_foreign_boards_a_collaboration() -> Result<()> {
    let mine = AccountSpec::new(USER).board(board("Hidden", 3).privacy(Privacy::Secret));
    let theirs = AccountSpec::new("example_other")
        .board(board("Ours", 4).collaborator(USER))
        .board(board("Whispers", 2).privacy(Privacy::Secret).collaborator(USER))
        .board(board("Theirs", 5));
    let (world, mut client) = world_of(vec![mine, theirs])?.with_session()?;
    let report = imported(&mut client, "'Ours'")?;
    assert_eq!(report.outcomes("image"), ["embedded 4"], "a group board is found by its title");
    let owner = "SELECT owner_username FROM pinterest.board WHERE name = 'Ours'";
    assert_eq!(client.value::<String>(owner)?, "example_other");
    imported(&mut client, "'https://www.pinterest.com/example_other/ours/'")?;

    for name in ["Hidden", "Whispers", "Theirs"] {
        let import = queue(&mut client, &format!("'{name}'"))?;
        assert_eq!(wait(&mut client, import)?, "failed", "{name}");
        let row = Row::of(&mut client, import)?;
        assert!(row.error_code == "42704" && row.hint.contains("secret"), "{name}: {row:?}");
    }
    assert_eq!(connect_with_secret_boards(&world, &mut client)?, world.account());
    for (name, pins) in [("Hidden", 3), ("Whispers", 2)] {
        let report = imported(&mut client, &format!("'{name}'"))?;
        assert_eq!(report.outcomes("image"), [format!("embedded {pins}")]);
    }
    assert_eq!(client.value::<String>("SELECT privacy FROM pinterest.board WHERE name = 'Hidden'")?, "SECRET");
    let import = queue(&mut client, &format!("'{}'", world.sandbox.board_id("Theirs")?))?;
    assert_eq!(wait(&mut client, import)?, "failed", "an id gives no access to another user's board");
    Ok(())
}
