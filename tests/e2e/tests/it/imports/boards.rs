//! Boards are found by id, title and address; unknown boards are reported.

use crate::support::prelude::*;

/// An account with a board for each case.
fn world() -> Result<World> {
    let board = |name: &str, pins| beach_board(name, pins);
    let account = AccountSpec::new("example_user")
        .board(board("Dunes & Sea", 3))
        .board(board("Empty", 0))
        .board(board("Rooms", 12).sections(&["Bath", "Hall", "Kitchen"]));
    let config = Config { accounts: vec![account], ..quick_board("Beach", 0) };
    World::of(config)
}

#[test]
fn a_board_is_found_by_id_title_and_address() -> Result<()> {
    let (world, mut client) = world()?.with_session()?;
    let id = world.sandbox.board_id("Dunes & Sea")?;
    for reference in [
        "dunes & SEA",
        " Dunes & Sea ",
        &id,
        "https://www.pinterest.com/example_user/dunes-sea/",
        "pinterest.de/Example_User/dunes-sea",
    ] {
        let import = queue_board(&mut client, reference)?;
        complete(&mut client, import)?;
        let row = client.query_one("SELECT board_id, board FROM pinterest.imports WHERE import_id = $1", &[&import])?;
        let found: (String, String) = (row.get(0), row.get(1));
        assert_eq!(found, (id.clone(), "Dunes & Sea".into()), "{reference}");
    }
    let named = client.query_one("SELECT pinterest_import_board($1, $2)", &[&"Dunes & Sea", &world.account()])?;
    complete(&mut client, named.get(0))?;
    Ok(())
}

#[test]
fn sections_keep_their_names_and_an_empty_board_completes() -> Result<()> {
    let (world, mut client) = world()?.with_session()?;
    let row = import(&mut client, "Empty")?;
    assert_eq!((row.pins_listed, row.total), (0, 0), "{row:?}");
    client.refused("SELECT pinterest_board_embedding('Empty')", "55000").hints("pinterest_import_board");

    let row = import(&mut client, "Rooms")?;
    assert_eq!((row.pins_listed, row.embedded), (12, 12), "{row:?}");
    let sections: Vec<String> = client.column("SELECT name FROM pinterest.board_section ORDER BY name")?;
    assert_eq!(sections, ["Bath", "Hall", "Kitchen"]);
    let row = client.query_one(
        "SELECT count(*), count(p.board_section_id), count(s.name) FROM pinterest.pin p
           LEFT JOIN pinterest.board_section s ON s.account_id = p.account_id AND s.section_id = p.board_section_id",
        &[],
    )?;
    let (pins, in_sections, named): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    assert!(in_sections > 0 && in_sections < pins, "{in_sections} of {pins}");
    assert_eq!(named, in_sections);
    // The board's own listing contains the sections' pins too: each is stored once.
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.pin")?, 12);
    assert_eq!(world.sandbox.requests().count(Kind::SectionPins), 0);
    Ok(())
}

#[test]
fn an_unknown_board_fails_with_a_code_and_a_hint() -> Result<()> {
    let (_world, mut client) = world()?.with_session()?;
    for reference in ["No such board", "999999999999999999", "https://www.pinterest.com/example_user/nowhere/"] {
        let import = queue_board(&mut client, reference)?;
        let state: String =
            client.value_with("SELECT pinterest_wait_for_import($1, interval '1 minute')", &[&import])?;
        let row = Row::of(&mut client, import)?;
        assert_eq!((state.as_str(), row.error_code.as_str()), ("failed", "42704"), "{reference}: {row:?}");
        assert!(row.reason.contains(reference), "{row:?}");
        assert!(row.hint.contains("pinterest_list_boards"), "{row:?}");
    }
    for (reference, code) in [("", "22023"), ("   ", "22023"), (&*"x".repeat(3000), "54000")] {
        expect_refusal(client.query_one("SELECT pinterest_import_board($1)", &[&reference]), code);
    }
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.pin")?, 0);
    Ok(())
}
