//! The report of an import, for each way in which it can end.

use sandbox::config::{ImageRules, Surprises};
use sandbox::faults::PictureFormat;

use crate::support::prelude::*;

fn retry_failed(client: &mut Client, import: i64) -> Result<i64> {
    client.value_with("SELECT pinterest_retry_failed($1)", &[&import])
}

/// The rows of one import in the tables, counted as in its report.
fn in_tables(client: &mut Client, import: i64) -> Result<Vec<String>> {
    client.column_with(
        "SELECT outcome || COALESCE(' ' || reason, '') || ' ' || count(*) FROM (
             SELECT 1 AS place, CASE WHEN no_image IS NULL THEN 'with_images' ELSE 'without_image' END AS outcome,
                    no_image AS reason FROM pinterest.pin WHERE import_id = $1
             UNION ALL SELECT 1, 'ai_disclosed', NULL FROM pinterest.pin WHERE import_id = $1 AND is_ai
             UNION ALL SELECT 2, CASE state WHEN 'embedded' THEN 'embedded or reused' ELSE state END, reason_code
               FROM pinterest.pin_image WHERE import_id = $1) AS each
          GROUP BY place, outcome, reason ORDER BY place, outcome, reason",
        &[&import],
    )
}

/// The distinct paths of a board's images in their best size, without covers of videos.
fn paths(world: &World, client: &mut Client, board: &str) -> Result<Vec<String>> {
    let closed =
        [Kind::Image, Kind::VideoCover].map(|kind| world.sandbox.faults().add(Rule::on(kind, Fault::CdnForbidden)));
    imported(client, &format!("'{board}'"))?;
    for rule in closed {
        world.sandbox.faults().remove(rule);
    }
    client.column("SELECT DISTINCT regexp_replace(candidates -> 0 ->> 'url', '^https://[^/]*', '') AS path FROM pinterest.pin_image
          WHERE kind = 'image' ORDER BY path")
}

#[test]
fn every_pin_and_image_of_a_board_is_reported() -> Result<()> {
    let media = MediaMix {
        video: 10,
        multiple_images: 10,
        multiple_videos: 10,
        multiple_mixed: 10,
        without_media: 15,
        unknown_media: 10,
    };
    let surprises = Surprises {
        unknown_fields: 50,
        unknown_creative_type: 20,
        tiles_without_id: 20,
        null_sizes: 20,
        fractional_seconds: 50,
        repeated_pictures: 40,
        ai_disclosed: 30,
        products: 30,
    };
    let board = BoardSpec::new("Mixed", &[Family::Beach, Family::Barn], 40).media(media).sections(&["One", "Two"]);
    let config = Config {
        accounts: vec![AccountSpec::new("example_user").board(board)],
        surprises,
        // A page contains about a quarter of the board, and some pins occur twice.
        faults: vec![
            Rule::on(Kind::BoardPins, Fault::ShortPage { items: 11 }),
            Rule::on(Kind::BoardPins, Fault::DuplicateItems),
        ],
        images: ImageRules { pool: Some(1), ..ImageRules::default() },
        ..Config::demo()
    };
    let (world, mut client) = World::of(config)?.with_session()?;
    let paths = paths(&world, &mut client, "Mixed")?;
    let bomb = Fault::ImageBomb { format: PictureFormat::Png };
    let alike = Fault::Redirect { status: 301, location: format!("https://{}{}", world.sandbox.host(), paths[9]) };
    for (path, fault) in paths.iter().zip([bomb, Fault::Gif, Fault::UnknownType, Fault::TruncatedBody, alike]) {
        world.sandbox.faults().add(Rule::on(path.clone(), fault));
    }
    for size in ["600x", "1200x", "400x300", "150x150"] {
        world.sandbox.faults().add(Rule::on(paths[5].replacen("600x", size, 1), Fault::CdnForbidden));
    }

    let report = imported(&mut client, "'Mixed'")?;
    assert_eq!((report.coverage.as_str(), report.sum("pin", "reported")), ("whole", 40));
    assert_eq!(report.sum("pin", "listed"), 40);
    for (item, outcome, reason) in [
        ("pin", "without_image", "no_media"),
        ("image", "reused", "same_picture"),
        ("image", "reused", "same_bytes"),
        ("image", "skipped", "too_large"),
        ("image", "skipped", "unsupported_format"),
        ("image", "failed", "malformed"),
        ("image", "failed", "not_downloadable"),
    ] {
        assert!(report.count(item, outcome, reason) > 0, "{item} {outcome} {reason}: {report:?}");
    }
    // Embedded and reused images are the same in the table; the others have their reasons there.
    let there = report.sum("image", "embedded") + report.sum("image", "reused");
    let others =
        report.outcomes("image").into_iter().filter(|line| !["embedded", "reused"].iter().any(|o| line.starts_with(o)));
    let mut expected = report.outcomes("pin");
    expected.push(format!("embedded or reused {there}"));
    expected.extend(others);
    assert_eq!(in_tables(&mut client, report.import)?, expected);
    Ok(())
}

#[test]
fn unchanged_and_grown_boards_are_reported_in_full() -> Result<()> {
    let config = quick_board("Beach", 12);
    let (world, mut client) = World::of(config)?.with_session()?;
    let report = imported(&mut client, "'Beach'")?;
    assert_eq!(report.outcomes("pin"), ["with_images 12"]);
    assert_eq!(report.outcomes("image"), ["embedded 12"]);

    let report = imported(&mut client, "'Beach'")?;
    assert_eq!(report.coverage, "unchanged");
    assert_eq!(report.outcomes("pin"), ["with_images 12"]);
    assert_eq!(report.outcomes("image"), ["reused unchanged 12"]);

    world.sandbox.faults().add(Rule::on(Kind::BoardPins, Fault::ShortPage { items: 3 }));
    world.sandbox.add_pins(&world.sandbox.board_id("Beach")?, 3)?;
    let report = imported(&mut client, "'Beach'")?;
    assert_eq!((report.coverage.as_str(), report.sum("pin", "reported")), ("until_known", 15));
    assert_eq!(report.count("image", "embedded", ""), 3, "{report:?}");
    assert_eq!(report.sum("image", "reused"), report.count("image", "reused", "kept"), "{report:?}");
    assert!(report.sum("pin", "listed") < 15, "{report:?}");
    Ok(())
}

#[test]
fn imports_of_parts_report_the_pins_left_out() -> Result<()> {
    let board = beach_board("Rooms", 24);
    let account = AccountSpec::new("example_user").board(board.sections(&["Bath", "Hall"]));
    let mut config = Config { accounts: vec![account], ..quick_board("Rooms", 1) };
    config.faults = vec![Rule::on(Kind::BoardPins, Fault::ShortPage { items: 7 })];
    let (_world, mut client) = World::of(config)?.with_session()?;

    let report = imported(&mut client, "'Rooms', sections => '{bath}'")?;
    let bath: i64 = client.value("SELECT count(*) FROM pinterest.pin")?;
    assert!(bath > 0 && bath < 24, "{bath}");
    assert_eq!(report.coverage, "sections");
    assert_eq!(
        report.outcomes("pin"),
        [format!("left_out other_section {}", 24 - bath), format!("with_images {bath}")]
    );
    assert_eq!(report.outcomes("image"), [format!("embedded {bath}")]);

    let report = imported(&mut client, "'Rooms', max_images => 10")?;
    assert_eq!(report.coverage, "sample");
    assert_eq!(report.outcomes("pin"), ["left_out beyond_max_images 4", "with_images 10"]);
    assert_eq!(report.sum("image", "found"), 10);

    let report = imported(&mut client, "'Rooms', sections => '{Bath,Hall}', max_images => 2")?;
    assert_eq!(report.coverage, "sample");
    assert_eq!((report.sum("pin", "with_images"), report.sum("image", "found")), (2, 2), "{report:?}");
    Ok(())
}

#[test]
fn a_retry_updates_the_report() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 9)?.with_session()?;
    let closed = world.sandbox.faults().add(Rule::on(Kind::Image, Fault::CdnForbidden).skip(4));
    let report = imported(&mut client, "'Beach'")?;
    let import = report.import;
    let refused = report.count("image", "failed", "not_downloadable");
    assert!(refused > 0 && refused < 9, "{report:?}");
    world.sandbox.faults().remove(closed);
    assert_eq!(retry_failed(&mut client, import)?, refused);
    let report = Report::completed(&mut client, import)?;
    assert_eq!(report.outcomes("image"), ["embedded 9"]);
    assert_eq!(retry_failed(&mut client, import)?, 0, "no failed images are left");
    assert_eq!(Report::of(&mut client, import)?, report);
    Ok(())
}

/// Failed images of one import may belong to a later import when they are retried: those are not retried.
#[test]
fn a_retry_leaves_images_of_a_later_import() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 9)?.with_session()?;
    let closed = world.sandbox.faults().add(Rule::on(Kind::Image, Fault::CdnForbidden));
    let report = imported(&mut client, "'Beach'")?;
    let first = report.import;
    assert_eq!(report.outcomes("image"), ["failed not_downloadable 9"]);
    world.sandbox.faults().remove(closed);
    let report = imported(&mut client, "'Beach', max_images => 4")?;
    assert_eq!(report.outcomes("image"), ["embedded 4"]);

    assert_eq!(retry_failed(&mut client, first)?, 5, "four images belong to the other import");
    let report = Report::completed(&mut client, first)?;
    assert_eq!(report.outcomes("image"), ["embedded 5", "failed not_downloadable 4"]);
    Ok(())
}

#[test]
fn a_cancelled_import_keeps_its_report() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 30)?.with_session()?;
    hold_pictures_after(&world, 6);
    let import = queue(&mut client, "'Beach'")?;
    until_row(&mut client, import, "six embedded images", |row| row.embedded == 6)?;
    let report = Report::of(&mut client, import)?;
    assert_eq!((report.state.as_str(), report.sum("image", "pending")), ("running", 24));
    client.execute("SELECT pinterest_cancel_import($1)", &[&import])?;
    assert_eq!(wait(&mut client, import)?, "cancelled");
    let report = Report::of(&mut client, import)?;
    assert_eq!(report.outcomes("image"), ["embedded 6"]);
    assert_eq!((report.sum("image", "found"), report.sum("image", "pending")), (30, 24));
    world.sandbox.faults().release(GATE);
    let report = imported(&mut client, "'Beach'")?;
    assert_eq!(report.outcomes("image"), ["embedded 24", "reused kept 6"]);
    Ok(())
}
