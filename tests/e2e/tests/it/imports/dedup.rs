//! Each image is downloaded and embedded once, on however many boards it is.

use crate::support::oauth::USER;
use crate::support::prelude::*;

const PINS: u64 = 40;
const OTHER: &str = "example_other";

/// The board "One", and boards of other names that show its pictures, each in the account named.
fn world(twins: &[(&str, &str)], settings: &[(&str, &str)]) -> Result<World> {
    let board = |name: &str| beach_board(name, PINS);
    let mut accounts = vec![AccountSpec::new(USER).board(board("One")), AccountSpec::new(OTHER)];
    for (name, username) in twins {
        let owner = accounts.iter_mut().find(|account| account.username == *username);
        owner.into_iter().for_each(|owner| owner.boards.push(board(name).pictures_of("One")));
    }
    let mut config = Config { accounts, ..quick_board("One", 1) };
    // Some pictures come twice on each board as well.
    config.surprises.repeated_pictures = 30;
    let builder = World::builder().sandbox(config);
    settings.iter().fold(builder, |builder, (name, value)| builder.setting(name, value)).start()
}

/// Pictures by the CDN's hash.
fn distinct(client: &mut Client) -> Result<u64> {
    Ok(client.value::<i64>("SELECT count(DISTINCT content_hash) FROM pinterest.pin_image")?.try_into()?)
}

/// Imports two boards at once: both have found all their images before the first picture is served. Returns what they
/// embedded, together.
fn side_by_side(world: &World, client: &mut Client, boards: [String; 2]) -> Result<i64> {
    hold_pictures_after(world, 0);
    let mut imports = Vec::new();
    for board in boards {
        imports.push(queue(client, &board)?);
    }
    let all = |row: &Row| u64::try_from(row.total).is_ok_and(|total| total == PINS);
    for import in &imports {
        until_row(client, *import, "all images", all)?;
    }
    world.sandbox.faults().release(GATE);
    let mut embedded = 0;
    for import in imports {
        let report = Report::completed(client, import)?;
        let outcomes = report.sum("image", "embedded") + report.sum("image", "reused");
        assert_eq!(u64::try_from(outcomes)?, PINS, "{report:?}");
        embedded += report.sum("image", "embedded");
    }
    Ok(embedded)
}

fn connect_other(world: &World, client: &mut Client) -> Result<i64> {
    world.sandbox.sign_in(OTHER)?;
    world.connect_account(client)
}

#[test]
fn on_the_boards_of_an_account_one_after_another() -> Result<()> {
    let (world, mut client) = world(&[("Two", USER)], &[])?.with_session()?;
    let report = imported(&mut client, "'One'")?;
    let pictures = distinct(&mut client)?;
    assert!(pictures < PINS, "{pictures}");
    assert_eq!(u64::try_from(report.sum("image", "embedded"))?, pictures, "{report:?}");
    assert_eq!(world.sandbox.requests().pictures(), pictures);
    let report = imported(&mut client, "'Two'")?;
    assert_eq!(report.outcomes("image"), [format!("reused same_picture {PINS}")]);
    assert_eq!(world.sandbox.requests().pictures(), pictures);
    Ok(())
}

#[test]
fn on_boards_that_are_imported_at_the_same_time() -> Result<()> {
    let (world, mut client) = world(&[("Two", USER)], &[])?.with_session()?;
    let embedded = side_by_side(&world, &mut client, ["'One'".into(), "'Two'".into()])?;
    let pictures = distinct(&mut client)?;
    assert_eq!((u64::try_from(embedded)?, world.sandbox.requests().pictures()), (pictures, pictures));
    let vectors: i64 = client.value("SELECT count(DISTINCT embedding::text) FROM pinterest.pin_image")?;
    let pins: i64 = client.value("SELECT count(*) FROM pinterest.pin_image WHERE state = 'embedded'")?;
    assert!(vectors <= embedded && u64::try_from(pins)? == 2 * PINS, "{vectors} vectors on {pins} images");
    Ok(())
}

/// Workers of one database see each other's claims in its tables alone.
#[test]
fn by_several_workers_at_the_same_time() -> Result<()> {
    let twins = ["Two", "Three", "Four", "Five", "Six", "Seven", "Eight"];
    let (world, mut client) =
        world(&twins.map(|name| (name, USER)), &[("pinterest.workers_per_database", "2")])?.with_session()?;
    // A worker has four imports in hand: the other four are the second's. All lists come at once.
    world.sandbox.faults().add(Rule::on(Kind::BoardPins, Fault::Hold { gate: GATE.into() }));
    let boards = twins.into_iter().chain(["One"]);
    let imports = boards.map(|board| queue(&mut client, &format!("'{board}'"))).collect::<Result<Vec<_>>>()?;
    let mut busy = Vec::<i64>::new();
    let shared = until("two workers with four imports each", || {
        busy = client.value("SELECT ARRAY(SELECT imports FROM pinterest.workers WHERE kind LIKE '%worker')")?;
        Ok(busy == [4, 4])
    });
    shared.map_err(|error| error.context(format!("{busy:?}")))?;
    assert!(world.sandbox.requests().wait_for(Kind::BoardPins, 8, SOON));
    world.sandbox.faults().release(GATE);
    let mut embedded = 0;
    for import in imports {
        embedded += Report::completed(&mut client, import)?.sum("image", "embedded");
    }
    let pictures = distinct(&mut client)?;
    assert_eq!((u64::try_from(embedded)?, world.sandbox.requests().pictures()), (pictures, pictures));
    Ok(())
}

#[test]
fn accounts_are_kept_apart() -> Result<()> {
    let (world, mut client) = world(&[("Two", OTHER)], &[])?.with_session()?;
    let other = connect_other(&world, &mut client)?;
    let boards = [format!("'One', {}", world.account()), format!("'Two', {other}")];
    let embedded = side_by_side(&world, &mut client, boards)?;
    let pictures = distinct(&mut client)?;
    assert_eq!(u64::try_from(embedded)?, 2 * pictures, "each account has its own");
    assert_eq!(world.sandbox.requests().pictures(), 2 * pictures);
    Ok(())
}

#[test]
fn across_accounts_where_that_is_asked_for() -> Result<()> {
    let (world, mut client) = world(&[("Two", OTHER)], &[("pinterest.reuse_across_accounts", "on")])?.with_session()?;
    let other = connect_other(&world, &mut client)?;
    imported(&mut client, &format!("'One', {}", world.account()))?;
    let pictures = distinct(&mut client)?;
    let report = imported(&mut client, &format!("'Two', {other}"))?;
    assert_eq!(report.outcomes("image"), [format!("reused same_picture {PINS}")]);
    assert_eq!(world.sandbox.requests().pictures(), pictures);
    Ok(())
}

#[test]
fn across_accounts_at_the_same_time() -> Result<()> {
    let (world, mut client) = world(&[("Two", OTHER)], &[("pinterest.reuse_across_accounts", "on")])?.with_session()?;
    let other = connect_other(&world, &mut client)?;
    let boards = [format!("'One', {}", world.account()), format!("'Two', {other}")];
    let embedded = side_by_side(&world, &mut client, boards)?;
    let pictures = distinct(&mut client)?;
    assert_eq!((u64::try_from(embedded)?, world.sandbox.requests().pictures()), (pictures, pictures));
    Ok(())
}

/// Bytes that are kept are kept with each image; that is no reason to get them twice.
#[test]
fn with_their_bytes_kept() -> Result<()> {
    let (world, mut client) = world(&[], &[])?.with_session()?;
    let report = imported(&mut client, "'One', keep_images => true")?;
    let pictures = distinct(&mut client)?;
    assert!(pictures < PINS, "{pictures}");
    let embedded = u64::try_from(report.sum("image", "embedded"))?;
    assert_eq!((embedded, world.sandbox.requests().pictures()), (pictures, pictures), "{report:?}");
    let kept: i64 = client.value("SELECT count(*) FROM pinterest.pin_image WHERE sha256(image) = sha256")?;
    assert_eq!(u64::try_from(kept)?, PINS);
    Ok(())
}

/// Has every picture of a board but the first come as that one's file, from its own address; the first is
/// the newest pin's.
fn one_file(world: &World, client: &mut Client) -> Result<()> {
    let pins = pins_without_pictures(world, client, "Beach")?;
    let newest = world.sandbox.pin_ids(&world.sandbox.board_id("Beach")?)?.remove(0);
    let Some((_, path)) = pins.iter().find(|(pin, _)| *pin == newest) else { panic!("{newest} is not among {pins:?}") };
    let moved = Fault::Redirect { status: 301, location: format!("https://{}{path}", world.sandbox.host()) };
    for (_, other) in pins.iter().filter(|(_, other)| other != path) {
        world.sandbox.faults().add(Rule::on(other.clone(), moved.clone()));
    }
    Ok(())
}

/// It takes the download to tell that two addresses lead to one file.
#[test]
fn equal_bytes_are_recognised() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 8)?.with_session()?;
    one_file(&world, &mut client)?;
    let report = imported(&mut client, "'Beach', max_images => 1")?;
    assert_eq!(report.outcomes("image"), ["embedded 1"]);
    let report = imported(&mut client, "'Beach'")?;
    assert_eq!(report.outcomes("image"), ["reused kept 1", "reused same_bytes 7"]);
    assert_eq!(client.value::<i64>("SELECT count(DISTINCT sha256) FROM pinterest.pin_image")?, 1);
    Ok(())
}

#[test]
fn equal_bytes_in_work_together() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 8)?.with_session()?;
    one_file(&world, &mut client)?;
    let report = imported(&mut client, "'Beach'")?;
    assert_eq!(report.outcomes("image"), ["embedded 1", "reused same_bytes 7"]);
    Ok(())
}
