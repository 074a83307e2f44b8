//! Each malformed image or pin gets a reason, and the rest of the board is imported.

use std::collections::BTreeMap;

use sandbox::config::Surprises;
use sandbox::faults::PictureFormat;

use crate::support::prelude::*;

/// The sandbox's image sizes, in the order in which they are tried.
const LADDER: [&str; 4] = ["600x", "1200x", "400x300", "150x150"];

/// The final state of an image.
#[derive(Debug)]
struct Image {
    state: String,
    reason: String,
    source_size: String,
}

#[test]
fn each_malformed_image_gets_its_reason() -> Result<()> {
    // With this seed the images are upright or square, so that 600x is tried first for each.
    let config = Config { seed: 3, ..Config::with_board("Beach", &[Family::Beach], 14) };
    let (world, mut client) = World::of(config)?.with_session()?;

    let pins = pins_without_pictures(&world, &mut client, "Beach")?;
    assert_eq!(pins.len(), 14);

    let elsewhere = || Fault::Redirect { status: 302, location: "https://127.0.0.2/picture.jpg".into() };
    let best = |fault: Fault| vec![(LADDER[0], fault)];
    let all = |fault: Fault| LADDER.map(|size| (size, fault.clone())).to_vec();
    // Name, faults by size, and the image's final state.
    type Case<'a> = (&'a str, Vec<(&'a str, Fault)>, &'a str);
    let cases: [Case<'_>; 12] = [
        ("truncated", best(Fault::TruncatedBody), "failed"),
        ("bomb.jpg", best(Fault::ImageBomb { format: PictureFormat::Jpeg }), "skipped"),
        ("bomb.png", best(Fault::ImageBomb { format: PictureFormat::Png }), "skipped"),
        ("bomb.webp", best(Fault::ImageBomb { format: PictureFormat::Webp }), "skipped"),
        ("gif", best(Fault::Gif), "embedded from 600x"),
        ("svg", best(Fault::UnknownType), "skipped"),
        ("refused", best(Fault::CdnForbidden), "embedded from 1200x"),
        ("endless", best(Fault::EndlessBody), "embedded from 1200x"),
        ("moved", best(Fault::Redirect600xTo564x), "embedded from 600x"),
        ("elsewhere", all(elsewhere()), "failed"),
        ("webp.jpg", best(Fault::OtherFormat { format: PictureFormat::Webp }), "embedded from 600x"),
        // Noise inside a JPEG still decodes, to an image of noise.
        ("noise", best(Fault::CorruptImage), "embedded from 600x"),
    ];
    for ((_, path), (_, faults, _)) in pins.iter().zip(&cases) {
        for (size, fault) in faults {
            world.sandbox.faults().add(Rule::on(path.replacen(LADDER[0], size, 1), fault.clone()));
        }
    }
    let row = import(&mut client, "Beach")?;
    assert_eq!((row.total, row.embedded, row.skipped, row.failed), (14, 8, 4, 2), "{row:?}");

    let images = images(&mut client)?;
    for ((pin, _), (case, _, expected)) in pins.iter().zip(&cases) {
        let image = &images[pin];
        let ended = match image.state.as_str() {
            "embedded" => format!("embedded from {}", image.source_size),
            state => state.to_owned(),
        };
        assert_eq!(&ended, expected, "{case}: {image:?}");
        assert_eq!(image.reason.is_empty(), image.state == "embedded", "{case}: {image:?}");
    }
    for (pin, _) in &pins[cases.len()..] {
        assert_eq!(images[pin].source_size, "600x", "{:?}", images[pin]);
    }

    // The next import embeds the images that the CDN now serves correctly.
    world.sandbox.faults().clear();
    let row = import(&mut client, "Beach")?;
    assert_eq!((row.embedded + row.reused, row.failed), (14, 0), "{row:?}");
    Ok(())
}

#[test]
fn pins_of_every_media_type_are_imported() -> Result<()> {
    let media = MediaMix {
        video: 20,
        multiple_images: 10,
        multiple_videos: 10,
        multiple_mixed: 10,
        without_media: 20,
        unknown_media: 10,
    };
    let board = BoardSpec::new("Mixed", &[Family::Garden], 20).media(media);
    let account = AccountSpec::new("example_user").board(board);
    let config = Config { accounts: vec![account], surprises: Surprises::default(), ..Config::demo() };
    let (_world, mut client) = World::of(config)?.with_session()?;
    let row = import(&mut client, "Mixed")?;
    assert_eq!(row.pins_listed, 20, "{row:?}");
    assert_eq!(row.failed, 0, "{row:?}");
    let bare: i64 = client.value("SELECT count(*) FROM pinterest.pin WHERE media_type IS NULL")?;
    assert!(bare > 0);
    assert_eq!(i64::from(row.pins_without_image), bare, "{row:?}");
    for media in ["video", "multiple_images", "multiple_videos", "multiple_mixed", "hologram", "image"] {
        let (all, embedded): (i64, i64) = client.pair(
            "SELECT count(*), count(*) FILTER (WHERE i.state = 'embedded') FROM pinterest.pin p
               JOIN pinterest.pin_image i USING (account_id, pin_id) WHERE p.media_type = $1",
            &[&media],
        )?;
        assert!(all > 0 && all == embedded, "{media}: {embedded} of {all}");
    }
    let parts: i64 = client.value(
        "SELECT count(*) FROM pinterest.pin_image WHERE position > 0
            AND NOT EXISTS (SELECT FROM pinterest.pin_image b WHERE (b.account_id, b.pin_id, b.position)
                          = (pin_image.account_id, pin_image.pin_id, pin_image.position - 1))",
    )?;
    assert_eq!(parts, 0, "the images of a carousel are numbered without gaps");
    Ok(())
}

fn images(client: &mut Client) -> Result<BTreeMap<String, Image>> {
    let rows = client.query("SELECT pin_id, state, reason, source_size FROM pinterest.pin_image", &[])?;
    let text = |row: &postgres::Row, index: usize| row.get::<_, Option<String>>(index).unwrap_or_default();
    Ok(rows
        .iter()
        .map(|row| (row.get(0), Image { state: text(row, 1), reason: text(row, 2), source_size: text(row, 3) }))
        .collect())
}
