//! Further imports of an imported board, by a call or by schedule: their requests and results.

use std::collections::BTreeMap;

use crate::support::oauth::{USER, restart_worker};
use crate::support::prelude::*;

fn requests(world: &World) -> BTreeMap<Kind, u64> {
    world.sandbox.requests().counts()
}

#[test]
fn two_new_pins_on_a_long_board_take_five_requests() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 600)?.with_session()?;
    let report = imported(&mut client, "'Beach'")?;
    assert_eq!(report.outcomes("image"), ["embedded 600"]);
    world.sandbox.requests().reset();
    assert_eq!(imported(&mut client, "'Beach'")?.coverage, "unchanged");
    assert_eq!(requests(&world), BTreeMap::from([(Kind::Board, 1)]), "exactly one request");

    world.sandbox.add_pins(&world.sandbox.board_id("Beach")?, 2)?;
    world.sandbox.requests().reset();
    let report = imported(&mut client, "'Beach'")?;
    assert_eq!((report.coverage.as_str(), report.sum("image", "embedded")), ("until_known", 2), "{report:?}");
    let expected = [(Kind::Board, 1), (Kind::BoardPins, 1), (Kind::Sections, 1), (Kind::Image, 2)];
    assert_eq!(requests(&world), BTreeMap::from(expected));
    world.sandbox.requests().reset();
    let report = imported(&mut client, "'Beach'")?;
    assert_eq!((report.coverage.as_str(), report.sum("pin", "listed")), ("unchanged", 602));
    assert_eq!(requests(&world), BTreeMap::from([(Kind::Board, 1)]));
    Ok(())
}

#[test]
fn a_removed_pin_is_detected() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 255)?.with_session()?;
    imported(&mut client, "'Beach'")?;
    let board = world.sandbox.board_id("Beach")?;
    let gone = world.sandbox.pin_ids(&board)?.remove(252);
    world.sandbox.remove_pin(&gone)?;
    // The count stays the same, so only the listing shows the change.
    world.sandbox.add_pins(&board, 1)?;
    world.sandbox.requests().reset();
    let report = imported(&mut client, "'Beach'")?;
    assert_eq!((report.coverage.as_str(), report.sum("pin", "removed")), ("whole", 1), "{report:?}");
    assert_eq!((world.sandbox.requests().count(Kind::BoardPins), world.sandbox.requests().pictures()), (2, 1));
    let removed: Vec<String> = client.column("SELECT pin_id FROM pinterest.pin WHERE removed_at IS NOT NULL")?;
    assert_eq!(removed, [gone]);
    let report = imported(&mut client, "'Beach'")?;
    assert_eq!((report.coverage.as_str(), report.sum("pin", "listed")), ("unchanged", 255), "{report:?}");
    Ok(())
}

/// Pins added by a partial import must not hide that others are gone.
#[test]
fn a_removed_pin_is_detected_after_a_sample() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 12)?.with_session()?;
    imported(&mut client, "'Beach'")?;
    let board = world.sandbox.board_id("Beach")?;
    world.sandbox.faults().add(Rule::on(Kind::BoardPins, Fault::ShortPage { items: 5 }));
    world.sandbox.add_pins(&board, 2)?;
    let report = imported(&mut client, "'Beach', max_images => 2")?;
    assert_eq!(report.count("pin", "with_images", ""), 2, "{report:?}");
    let pins = world.sandbox.pin_ids(&board)?;
    for gone in &pins[12..] {
        world.sandbox.remove_pin(gone)?;
    }
    let report = imported(&mut client, "'Beach'")?;
    assert_eq!((report.coverage.as_str(), report.sum("pin", "removed")), ("whole", 2), "{report:?}");
    let report = imported(&mut client, "'Beach'")?;
    assert_eq!((report.coverage.as_str(), report.sum("pin", "listed")), ("unchanged", 12), "{report:?}");
    Ok(())
}

fn two_boards() -> Result<World> {
    let board = |name: &str| beach_board(name, 6);
    let account = AccountSpec::new(USER).board(board("Near")).board(board("Far"));
    World::of(Config { accounts: vec![account], ..quick_board("Near", 1) })
}

/// The titles of the boards that contain a pin now.
fn whereabouts(client: &mut Client, pin: &str) -> Result<Vec<String>> {
    client.column_with(
        "SELECT b.name FROM pinterest.pin p JOIN pinterest.board b USING (account_id, board_id)
          WHERE p.pin_id = $1 AND p.removed_at IS NULL",
        &[&pin],
    )
}

#[test]
fn a_moved_pin_is_stored_on_its_new_board() -> Result<()> {
    let (world, mut client) = two_boards()?.with_session()?;
    imported(&mut client, "'Near'")?;
    imported(&mut client, "'Far'")?;
    let (near, far) = (world.sandbox.board_id("Near")?, world.sandbox.board_id("Far")?);
    let pins = world.sandbox.pin_ids(&near)?;
    // The first pin is found on its new board before its old board is listed, the second one after.
    for (pin, order) in [(&pins[2], ["Far", "Near"]), (&pins[4], ["Near", "Far"])] {
        world.sandbox.move_pin(pin, &far)?;
        world.sandbox.requests().reset();
        for board in order {
            let report = imported(&mut client, &format!("'{board}'"))?;
            assert_eq!(report.sum("image", "embedded"), 0, "{board}: {report:?}");
        }
        assert_eq!(whereabouts(&mut client, pin)?, ["Far"]);
        assert_eq!(world.sandbox.requests().pictures(), 0, "its image is not downloaded again");
    }
    for (board, pins) in [("Near", 4), ("Far", 8)] {
        let report = imported(&mut client, &format!("'{board}'"))?;
        assert_eq!((report.coverage.as_str(), report.sum("pin", "listed")), ("unchanged", pins), "{board}: {report:?}");
    }
    Ok(())
}

/// The new board's import takes over the pin's image, which the old board's import has found but not processed.
#[test]
fn a_pin_that_moves_between_running_imports_is_embedded_once() -> Result<()> {
    let (world, mut client) = two_boards()?.with_session()?;
    let (near, far) = (world.sandbox.board_id("Near")?, world.sandbox.board_id("Far")?);
    hold_pictures_after(&world, 0);
    let leaves = queue(&mut client, "'Near'")?;
    until_row(&mut client, leaves, "six images", |row| row.total == 6)?;
    let pin = world.sandbox.pin_ids(&near)?.remove(5);
    world.sandbox.move_pin(&pin, &far)?;
    let arrives = queue(&mut client, "'Far'")?;
    until_row(&mut client, arrives, "seven images", |row| row.total == 7)?;
    world.sandbox.faults().release(GATE);
    for (import, pins) in [(arrives, 7), (leaves, 6)] {
        let report = Report::completed(&mut client, import)?;
        assert_eq!(report.sum("pin", "listed"), pins, "{report:?}");
        let elsewhere = report.count("image", "skipped", "other_import");
        assert_eq!(elsewhere, i64::from(import == leaves), "{report:?}");
    }
    assert_eq!(whereabouts(&mut client, &pin)?, ["Far"]);
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.pin_image WHERE state <> 'embedded'")?, 0);
    let report = imported(&mut client, "'Near'")?;
    assert_eq!(report.sum("pin", "listed"), 5, "{report:?}");
    Ok(())
}

fn imports_of(client: &mut Client, board: &str) -> Result<i64> {
    let row = client
        .query_one("SELECT count(*) FROM pinterest.imports WHERE board = $1 AND state = 'completed'", &[&board])?;
    Ok(row.get(0))
}

/// Makes the next scheduled imports due and starts a worker.
fn come_due(world: &World, client: &mut Client) -> Result<()> {
    client
        .batch_execute("UPDATE pinterest.board SET next_sync_at = clock_timestamp() WHERE next_sync_at IS NOT NULL")?;
    restart_worker(world, client)
}

/// More boards than are looked at in one transaction, held by another session and due earlier.
#[test]
fn boards_that_a_session_holds_do_not_delay_the_schedule_of_others() -> Result<()> {
    let (world, mut client) = two_boards()?.with_session()?;
    imported(&mut client, "'Near', sync_every => '6 hours'")?;
    client.batch_execute(
        "INSERT INTO pinterest.board (account_id, board_id, name, owner, sync_every, next_sync_at)
         SELECT b.account_id, 'held ' || n, 'held ' || n, b.owner, '6 hours', now() - interval '1 day'
           FROM pinterest.board b, generate_series(1, 450) n WHERE b.name = 'Near'",
    )?;
    let mut other = world.connect()?;
    let mut transaction = other.transaction()?;
    transaction.execute("SELECT FROM pinterest.board WHERE name LIKE 'held %' FOR UPDATE", &[])?;
    client.batch_execute("UPDATE pinterest.board SET next_sync_at = clock_timestamp() WHERE name = 'Near'")?;
    restart_worker(&world, &mut client)?;
    until("the second import", || Ok(imports_of(&mut client, "Near")? == 2))?;
    let held: i64 = client.value("SELECT count(*) FROM pinterest.import WHERE board_reference LIKE 'held %'")?;
    assert_eq!(held, 0);
    transaction.rollback()?;
    Ok(())
}

#[test]
fn a_board_is_imported_on_schedule_until_it_is_unscheduled() -> Result<()> {
    let (world, mut client) = two_boards()?.with_session()?;
    imported(&mut client, "'Near', sync_every => '6 hours', keep_images => 'originals'")?;
    imported(&mut client, "'Far'")?;
    let due = "SELECT next_sync_at BETWEEN now() + interval '5 hours' AND now() + interval '6 hours'
                 FROM pinterest.board WHERE name = 'Near'";
    assert!(client.value::<bool>(due)?);
    world.sandbox.add_pins(&world.sandbox.board_id("Near")?, 1)?;
    world.sandbox.add_pins(&world.sandbox.board_id("Far")?, 1)?;

    come_due(&world, &mut client)?;
    until("the second import", || Ok(imports_of(&mut client, "Near")? == 2))?;
    let last: i64 = client.value("SELECT max(import_id) FROM pinterest.imports")?;
    let report = Report::completed(&mut client, last)?;
    assert_eq!((report.sum("image", "embedded"), report.sum("pin", "reported")), (1, 7), "{report:?}");
    assert!(client.value::<bool>(due)?, "the next import is due six hours later");
    let kept: i64 = client.value("SELECT count(image) FROM pinterest.pin_image")?;
    assert_eq!(kept, 7, "image bytes are kept as in the first import");
    assert_eq!(imports_of(&mut client, "Far")?, 1, "the board without a schedule is not imported");

    client.batch_execute("SELECT pinterest_sync_board('Far', '1 day')")?;
    come_due(&world, &mut client)?;
    until("both boards", || Ok((imports_of(&mut client, "Near")?, imports_of(&mut client, "Far")?) == (3, 2)))?;
    client.batch_execute("SELECT pinterest_sync_board('Near', NULL)")?;
    come_due(&world, &mut client)?;
    until("the board with a schedule", || Ok(imports_of(&mut client, "Far")? == 3))?;
    assert_eq!(imports_of(&mut client, "Near")?, 3, "the board without a schedule is not imported");
    for interval in ["4 minutes", "0", "-1 day"] {
        client.refused(&format!("SELECT pinterest_sync_board('Far', '{interval}')"), "22023");
    }
    client.refused("SELECT pinterest_sync_board('Nowhere', '1 day')", "42704");
    Ok(())
}
