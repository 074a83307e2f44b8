//! Each image is downloaded and embedded once, however many boards contain it.

use crate::support::oauth::USER;
use crate::support::prelude::*;

const PINS: u64 = 40;
const OTHER: &str = "example_other";

/// The board "One", and boards with the same images: `twins` gives their names and accounts.
fn world(twins: &[(&str, &str)], settings: &[(&str, &str)]) -> Result<World> {
    let board = |name: &str| beach_board(name, PINS);
    let mut accounts = vec![AccountSpec::new(USER).board(board("One")), AccountSpec::new(OTHER)];
    for (name, username) in twins {
        let owner = accounts.iter_mut().find(|account| account.username == *username);
        owner.into_iter().for_each(|owner| owner.boards.push(board(name).pictures_of("One")));
    }
    let mut config = Config { accounts, ..quick_board("One", 1) };
    // Some images also occur twice on one board.
    config.surprises.repeated_pictures = 30;
    let builder = World::builder().sandbox(config);
    settings.iter().fold(builder, |builder, (name, value)| builder.setting(name, value)).start()
}

/// The number of distinct images, by the CDN's hash.
fn distinct(client: &mut Client) -> Result<u64> {
    Ok(client.value::<i64>("SELECT count(DISTINCT content_hash) FROM pinterest.pin_image")?.try_into()?)
}

/// Imports two boards at once: both have found all their images before the first one is served. Returns how many images
/// they embedded together.
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
fn consecutive_imports_of_an_account_embed_each_image_once() -> Result<()> {
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
fn concurrent_imports_of_an_account_embed_each_image_once() -> Result<()> {
    let (world, mut client) = world(&[("Two", USER)], &[])?.with_session()?;
    let embedded = side_by_side(&world, &mut client, ["'One'".into(), "'Two'".into()])?;
    let pictures = distinct(&mut client)?;
    assert_eq!((u64::try_from(embedded)?, world.sandbox.requests().pictures()), (pictures, pictures));
    let vectors: i64 = client.value("SELECT count(DISTINCT embedding::text) FROM pinterest.pin_image")?;
    let pins: i64 = client.value("SELECT count(*) FROM pinterest.pin_image WHERE state = 'embedded'")?;
    assert!(vectors <= embedded && u64::try_from(pins)? == 2 * PINS, "{vectors} vectors on {pins} images");
    Ok(())
}

/// The workers of a database share their claims only through its tables.
#[test]
fn several_workers_embed_each_image_once() -> Result<()> {
    let twins = ["Two", "Three", "Four", "Five", "Six", "Seven", "Eight"];
    let (world, mut client) =
        world(&twins.map(|name| (name, USER)), &[("pinterest.workers_per_database", "2")])?.with_session()?;
    // Each worker claims four of the eight imports. All listings are answered at once.
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
fn accounts_do_not_share_embeddings_by_default() -> Result<()> {
    let (world, mut client) = world(&[("Two", OTHER)], &[])?.with_session()?;
    let other = connect_other(&world, &mut client)?;
    let boards = [format!("'One', {}", world.account()), format!("'Two', {other}")];
    let embedded = side_by_side(&world, &mut client, boards)?;
    let pictures = distinct(&mut client)?;
    assert_eq!(u64::try_from(embedded)?, 2 * pictures, "each account embeds its own images");
    assert_eq!(world.sandbox.requests().pictures(), 2 * pictures);
    Ok(())
}

#[test]
fn accounts_share_embeddings_if_the_setting_is_on() -> Result<()> {
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
fn concurrent_imports_share_embeddings_across_accounts() -> Result<()> {
    let (world, mut client) = world(&[("Two", OTHER)], &[("pinterest.reuse_across_accounts", "on")])?.with_session()?;
    let other = connect_other(&world, &mut client)?;
    let boards = [format!("'One', {}", world.account()), format!("'Two', {other}")];
    let embedded = side_by_side(&world, &mut client, boards)?;
    let pictures = distinct(&mut client)?;
    assert_eq!((u64::try_from(embedded)?, world.sandbox.requests().pictures()), (pictures, pictures));
    Ok(())
}

/// Kept bytes are stored with each image, but downloaded only once.
#[test]
fn kept_images_are_downloaded_once() -> Result<()> {
    let (world, mut client) = world(&[], &[])?.with_session()?;
    let report = imported(&mut client, "'One', keep_images => 'originals'")?;
    let pictures = distinct(&mut client)?;
    assert!(pictures < PINS, "{pictures}");
    let embedded = u64::try_from(report.sum("image", "embedded"))?;
    assert_eq!((embedded, world.sandbox.requests().pictures()), (pictures, pictures), "{report:?}");
    let kept: i64 = client.value("SELECT count(*) FROM pinterest.pin_image WHERE sha256(image) = sha256")?;
    assert_eq!(u64::try_from(kept)?, PINS);
    Ok(())
}

/// Redirects every image of a board to the file of its newest pin.
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

/// Only a download shows that two addresses serve the same file.
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
fn equal_bytes_in_one_import_are_embedded_once() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 8)?.with_session()?;
    one_file(&world, &mut client)?;
    let report = imported(&mut client, "'Beach'")?;
    assert_eq!(report.outcomes("image"), ["embedded 1", "reused same_bytes 7"]);
    Ok(())
}

/// Between the comparison and the copy, the other image may be deleted or become pending again.
#[test]
fn an_image_whose_original_is_gone_is_tried_again_at_once() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 8)?.with_session()?;
    one_file(&world, &mut client)?;
    imported(&mut client, "'Beach', max_images => 1")?;
    // The first copy finds nothing.
    client.batch_execute(
        "CREATE SEQUENCE copies; GRANT USAGE ON SEQUENCE copies TO PUBLIC;
         CREATE FUNCTION ignore_first() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN IF nextval('public.copies') = 1 THEN RETURN NULL; END IF; RETURN NEW; END $$;
         CREATE TRIGGER ignore_first BEFORE UPDATE ON pinterest.pin_image FOR EACH ROW
             WHEN (OLD.claimed_by IS NOT NULL AND NEW.state = 'embedded') EXECUTE FUNCTION ignore_first()",
    )?;
    let report = imported(&mut client, "'Beach'")?;
    assert_eq!(report.outcomes("image"), ["reused kept 1", "reused same_bytes 7"]);
    assert_eq!(client.value::<i64>("SELECT last_value FROM copies")?, 8);
    assert_eq!(client.value::<i32>("SELECT max(attempts) FROM pinterest.pin_image")?, 1);
    Ok(())
}
