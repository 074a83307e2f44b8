//! What an import stores of its images: nothing, thumbnails, or originals with thumbnails.

use crate::support::prelude::*;

const PINS: i64 = 12;

/// The boards "One" and "Two" with the same images, of which some occur twice.
fn world() -> Result<World> {
    let mut config = quick_board("One", 1);
    let account = AccountSpec::new("example_user").board(beach_board("One", PINS as u64));
    config.accounts = vec![account.board(beach_board("Two", PINS as u64).pictures_of("One"))];
    config.surprises.repeated_pictures = 30;
    World::builder().sandbox(config).start()
}

/// Images with a thumbnail, and with an original.
fn kept(client: &mut Client, board: &str) -> Result<(i64, i64)> {
    let row = client.query_one(
        "SELECT count(*) FILTER (WHERE octet_length(i.thumbnail) > 0), count(i.image)
           FROM pinterest.pin_image i JOIN pinterest.pin USING (account_id, pin_id)
           JOIN pinterest.board b USING (account_id, board_id) WHERE b.name = $1 AND i.state = 'embedded'",
        &[&board],
    )?;
    Ok((row.get(0), row.get(1)))
}

fn distinct(client: &mut Client) -> Result<u64> {
    Ok(client.value::<i64>("SELECT count(DISTINCT content_hash) FROM pinterest.pin_image")?.try_into()?)
}

/// Imports a board; returns how many images were downloaded for it.
fn downloads(world: &World, client: &mut Client, arguments: &str) -> Result<u64> {
    world.sandbox.requests().reset();
    let report = imported(client, arguments)?;
    assert_eq!(report.sum("image", "failed"), 0, "{arguments}: {report:?}");
    Ok(world.sandbox.requests().pictures())
}

#[test]
fn later_imports_add_what_is_missing_and_take_nothing_away() -> Result<()> {
    let (world, mut client) = world()?.with_session()?;
    let first = downloads(&world, &mut client, "'One', keep_images => 'thumbnails'")?;
    let pictures = distinct(&mut client)?;
    assert!(first == pictures && pictures < PINS as u64, "{first} downloads of {pictures}");
    assert_eq!(kept(&mut client, "One")?, (PINS, 0));
    for less in ["none", "thumbnails"] {
        assert_eq!(downloads(&world, &mut client, &format!("'One', keep_images => '{less}'"))?, 0);
        assert_eq!(kept(&mut client, "One")?, (PINS, 0));
    }
    assert_eq!(downloads(&world, &mut client, "'One', keep_images => 'originals'")?, pictures);
    assert_eq!(kept(&mut client, "One")?, (PINS, PINS));
    assert_eq!(downloads(&world, &mut client, "'One'")?, 0);
    assert_eq!(kept(&mut client, "One")?, (PINS, PINS));

    // As after an update from version 0.0.1, which stored originals alone.
    client.batch_execute("UPDATE pinterest.pin_image SET thumbnail = NULL")?;
    assert_eq!(downloads(&world, &mut client, "'One', keep_images => 'thumbnails'")?, 0, "made from the originals");
    assert_eq!(kept(&mut client, "One")?, (PINS, PINS));
    let whole = "SELECT bool_and(sha256 = sha256(image)) FROM pinterest.pin_image";
    assert!(client.value::<bool>(whole)?, "the originals are unchanged");
    Ok(())
}

#[test]
fn boards_with_the_same_images_share_what_is_stored() -> Result<()> {
    let (world, mut client) = world()?.with_session()?;
    downloads(&world, &mut client, "'One'")?;
    let pictures = distinct(&mut client)?;
    assert_eq!(kept(&mut client, "One")?, (0, 0));
    // An embedding without a thumbnail is not enough.
    assert_eq!(downloads(&world, &mut client, "'Two', keep_images => 'thumbnails'")?, pictures);
    assert_eq!((kept(&mut client, "One")?, kept(&mut client, "Two")?), ((0, 0), (PINS, 0)));
    assert_eq!(downloads(&world, &mut client, "'One', keep_images => 'thumbnails'")?, 0, "copied");
    assert_eq!(kept(&mut client, "One")?, (PINS, 0));
    assert_eq!(downloads(&world, &mut client, "'One', keep_images => 'originals'")?, pictures);
    assert_eq!(downloads(&world, &mut client, "'Two', keep_images => 'originals'")?, 0, "copied");
    assert_eq!((kept(&mut client, "One")?, kept(&mut client, "Two")?), ((PINS, PINS), (PINS, PINS)));
    let equal = "SELECT bool_and(thumbnails = 1) FROM (
                     SELECT count(DISTINCT thumbnail) AS thumbnails FROM pinterest.pin_image GROUP BY sha256) AS image";
    assert!(client.value::<bool>(equal)?, "equal images have equal thumbnails");
    Ok(())
}

#[test]
fn imports_at_the_same_time_keep_what_each_asked_for() -> Result<()> {
    let (world, mut client) = world()?.with_session()?;
    hold_pictures_after(&world, 0);
    let imports = [queue(&mut client, "'One'")?, queue(&mut client, "'Two', keep_images => 'thumbnails'")?];
    for import in imports {
        until_row(&mut client, import, "all images", |row| i64::from(row.total) == PINS)?;
    }
    world.sandbox.faults().release(GATE);
    for import in imports {
        Report::completed(&mut client, import)?;
    }
    assert_eq!((kept(&mut client, "One")?, kept(&mut client, "Two")?), ((0, 0), (PINS, 0)));
    Ok(())
}

#[test]
fn syncs_keep_what_their_first_import_kept() -> Result<()> {
    let (_world, mut client) = world()?.with_session()?;
    for (keep, columns) in [("thumbnails", (false, true)), ("originals", (true, true)), ("none", (false, false))] {
        imported(&mut client, &format!("'One', sync_every => '6 hours', keep_images => '{keep}'"))?;
        let row = client.query_one(
            "SELECT sync_keeps_images, sync_keeps_thumbnails FROM pinterest.board WHERE name = 'One'",
            &[],
        )?;
        assert_eq!((row.get::<_, bool>(0), row.get::<_, bool>(1)), columns, "{keep}");
    }
    Ok(())
}

#[test]
fn an_image_without_a_thumbnail_is_not_downloaded_again() -> Result<()> {
    let (world, mut client) = world()?.with_session()?;
    downloads(&world, &mut client, "'One', keep_images => 'thumbnails'")?;
    // The embedder could not make one.
    client.batch_execute("UPDATE pinterest.pin_image SET thumbnail = ''")?;
    assert_eq!(downloads(&world, &mut client, "'One', keep_images => 'thumbnails'")?, 0);
    let exported: bool = client.value(
        "SELECT bool_and(i ->> 'thumbnail_base64' IS NULL) FROM pinterest_export(1, images => true) e,
           json_array_elements(e -> 'boards') b, json_array_elements(b -> 'pins') p, json_array_elements(p -> 'images') i",
    )?;
    assert!(exported);
    Ok(())
}

#[test]
fn thumbnails_are_exported_and_purged() -> Result<()> {
    let (_world, mut client) = world()?.with_session()?;
    imported(&mut client, "'One', keep_images => 'thumbnails'")?;
    let exported: i64 = client.value(
        "SELECT count(*) FROM pinterest_export((SELECT account_id FROM pinterest.account), images => true) e,
           json_array_elements(e -> 'boards') b, json_array_elements(b -> 'pins') p, json_array_elements(p -> 'images') i
          WHERE decode(i ->> 'thumbnail_base64', 'base64') IN (SELECT thumbnail FROM pinterest.pin_image)
            AND i ->> 'image_base64' IS NULL",
    )?;
    assert_eq!(exported, PINS);
    let limits = "SELECT bool_and(octet_length(thumbnail) <= 65536 AND substr(thumbnail, 1, 3) = '\\xffd8ff')
                    FROM pinterest.pin_image";
    assert!(client.value::<bool>(limits)?);
    client.batch_execute("SELECT pinterest_purge_board('One')")?;
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.pin_image")?, 0);
    Ok(())
}

#[test]
fn other_words_are_refused() -> Result<()> {
    let (_world, mut client) = world()?.with_session()?;
    for word in ["true", "false", "", "Thumbnails", "all"] {
        let refused =
            client.refused(&format!("SELECT pinterest_import_board('One', keep_images => '{word}')"), "22023");
        assert_eq!(refused.message, "keep_images must be none, thumbnails or originals", "{word}");
        assert!(!refused.hint.is_empty(), "{word}");
    }
    client.refused("SELECT pinterest_import_board('One', keep_images => true)", "42883");
    client.refused("SELECT pinterest_import_board('One', keep_images => NULL)", "22004");
    Ok(())
}
