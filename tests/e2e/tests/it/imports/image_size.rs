//! `pinterest.image_size`: which size of an image is downloaded, what happens if it is not available, and what a change of
//! the setting does to images that are embedded already.

use crate::support::oauth::USER;
use crate::support::prelude::*;

const PINS: u64 = 10;

/// Images of board `$1` that were not downloaded in the size that the value `$2` asks for.
const WRONG: &str = "
    SELECT COALESCE(string_agg(format('%s: %s of %s', i.pin_id, i.source_size, i.candidates), ', '), 'none')
      FROM pinterest.pin_image i JOIN pinterest.pin USING (account_id, pin_id)
      JOIN pinterest.board b USING (account_id, board_id), LATERAL (
        SELECT (c ->> 'height')::int4 AS height FROM json_array_elements(i.candidates) AS c WHERE c ->> 'size' = '600x') AS s
     WHERE b.name = $1 AND i.source_size IS DISTINCT FROM
           CASE WHEN $2 = 'largest' THEN 'originals' WHEN s.height < 448 THEN '1200x' ELSE '600x' END";

/// The boards "One" and "Two", with an original of each image.
fn world() -> Result<World> {
    let account = AccountSpec::new(USER).board(beach_board("One", PINS)).board(beach_board("Two", PINS));
    let mut config = Config { accounts: vec![account], ..Config::with_board("One", &[Family::Beach], PINS) };
    config.images.name_originals = true;
    World::builder().sandbox(config).start()
}

fn wrong(client: &mut Client, board: &str, value: &str) -> Result<String> {
    Ok(client.query_one(WRONG, &[&board, &value])?.get(0))
}

#[test]
fn the_setting_decides_which_size_is_downloaded_and_keeps_what_is_embedded() -> Result<()> {
    let (world, mut client) = world()?.with_session()?;
    assert_eq!(client.value::<String>("SHOW pinterest.image_size")?, "smallest_sufficient");
    imported(&mut client, "'One'")?;
    assert_eq!(wrong(&mut client, "One", "smallest_sufficient")?, "none");
    let stored = "SELECT string_agg(concat(pin_id, embedded_at, embedding), ' ' ORDER BY pin_id)
                    FROM pinterest.pin_image JOIN pinterest.pin USING (account_id, pin_id)
                    JOIN pinterest.board b USING (account_id, board_id) WHERE b.name = 'One'";
    let before: String = client.value(stored)?;

    world.cluster.change("pinterest.image_size", "largest")?;
    world.sandbox.requests().reset();
    let report = imported(&mut client, "'Two'")?;
    assert_eq!(report.sum("image", "embedded"), i64::try_from(PINS)?, "{report:?}");
    assert_eq!(world.sandbox.requests().pictures(), PINS, "one download for each image");
    assert_eq!(wrong(&mut client, "Two", "largest")?, "none");

    // The board is listed again as a whole.
    client.batch_execute("UPDATE pinterest.board SET pins_modified_at = NULL")?;
    world.sandbox.requests().reset();
    let report = imported(&mut client, "'One'")?;
    assert_eq!(report.sum("image", "reused"), i64::try_from(PINS)?, "{report:?}");
    assert_eq!(world.sandbox.requests().pictures(), 0);
    assert_eq!(client.value::<String>(stored)?, before);

    // Only what is downloaded after the change is another size.
    client.batch_execute("SELECT pinterest_purge_board('One')")?;
    imported(&mut client, "'One'")?;
    assert_eq!(wrong(&mut client, "One", "largest")?, "none");
    Ok(())
}

#[test]
fn the_next_size_is_taken_if_the_first_is_not_available() -> Result<()> {
    // Name of a size, its fault, and the size that is used instead.
    let bomb = || Fault::ImageBomb { format: sandbox::faults::PictureFormat::Png };
    for (value, cases) in [
        ("smallest_sufficient", vec![(&["600x"][..], Fault::CdnForbidden, "1200x")]),
        (
            "largest",
            vec![
                (&["originals"][..], Fault::CdnForbidden, "1200x"),
                (&["originals", "1200x"], Fault::CdnForbidden, "600x"),
                (&["originals"], bomb(), "600x"),
            ],
        ),
    ] {
        // All images are upright.
        let account = AccountSpec::new(USER).board(beach_board("One", 6));
        let mut config = Config { accounts: vec![account], ..quick_board("One", 6) };
        config.images.name_originals = true;
        let builder = World::builder().sandbox(config).setting("pinterest.image_size", value);
        let (world, mut client) = builder.start()?.with_session()?;
        let pins = pins_without_pictures(&world, &mut client, "One")?;
        for ((_, path), (sizes, fault, _)) in pins.iter().zip(&cases) {
            for size in *sizes {
                world.sandbox.faults().add(Rule::on(path.replacen("600x", size, 1), fault.clone()));
            }
        }
        let report = imported(&mut client, "'One'")?;
        assert_eq!(report.sum("image", "failed") + report.sum("image", "skipped"), 0, "{value}: {report:?}");
        for ((pin, _), (sizes, fault, expected)) in pins.iter().zip(&cases) {
            let used: String =
                client.value_with("SELECT source_size FROM pinterest.pin_image WHERE pin_id = $1", &[pin])?;
            assert_eq!(used, *expected, "{value}: {sizes:?} {fault:?}");
        }
    }
    Ok(())
}

#[test]
fn many_refusals_do_not_replace_what_is_available_by_crops() -> Result<()> {
    let account = AccountSpec::new(USER).board(beach_board("One", 12));
    let config = Config { accounts: vec![account], ..quick_board("One", 12) };
    // One after the other, so that the refusals come before some of the images that are available.
    let builder = World::builder().sandbox(config).setting("pinterest.parallel_downloads", "1");
    let (world, mut client) = builder.start()?.with_session()?;
    let pins = pins_without_pictures(&world, &mut client, "One")?;
    let is_available = |index: usize| index.is_multiple_of(4);
    for (index, (_, path)) in pins.iter().enumerate() {
        for size in ["600x", "1200x"] {
            if !is_available(index) {
                world.sandbox.faults().add(Rule::on(path.replacen("600x", size, 1), Fault::CdnForbidden));
            }
        }
    }
    imported(&mut client, "'One'")?;
    for (index, (pin, _)) in pins.iter().enumerate() {
        let used: String =
            client.value_with("SELECT source_size FROM pinterest.pin_image WHERE pin_id = $1", &[pin])?;
        match is_available(index) {
            // The other one is as good.
            true => assert!(["600x", "1200x"].contains(&used.as_str()), "{index}: {used}"),
            false => assert_eq!(used, "400x300", "{index}"),
        }
    }
    Ok(())
}
