//! Images of a camera's size are embedded, up to limits that are settings.

use crate::support::prelude::*;
use crate::support::tracking_work::{settled, state, until_state};

/// Changes a limit and waits for an embedder with the new one.
fn set_limit(world: &World, client: &mut Client, name: &str, value: &str) -> Result<()> {
    let before = world.cluster.embedder()?.map(|process| process.pid);
    world.cluster.change(name, value)?;
    wait_for("another embedder", SOON, || Ok(world.cluster.embedder()?.filter(|now| Some(now.pid) != before)))?;
    client.query_one("SELECT pinterest_embed_text('a barn')::text", &[])?;
    Ok(())
}

fn reasons(client: &mut Client) -> Result<Vec<String>> {
    client.column("SELECT reason FROM pinterest.pin_image WHERE state = 'skipped' ORDER BY reason")
}

/// Retries the image that the last import skipped.
fn retried(client: &mut Client) -> Result<Row> {
    let import: i64 = client.value("SELECT max(import_id) FROM pinterest.import")?;
    assert_eq!(client.value::<i64>(&format!("SELECT pinterest_retry_failed({import})"))?, 1);
    complete(client, import)
}

#[test]
fn an_import_embeds_large_images_and_names_the_limit_that_one_exceeds() -> Result<()> {
    let (world, mut client) = World::of(Config::with_board("Album", &[Family::Beach], 6))?.with_session()?;
    client.query_one("SELECT pinterest_embed_text('a barn')::text", &[])?;
    set_limit(&world, &mut client, "pinterest.max_image_pixels", "50000000")?;
    let sizes = [(6000, 4000), (8000, 6000), (9000, 900), (300, 30_000), (9000, 6000)];
    let pins = pins_without_pictures(&world, &mut client, "Album")?;
    for ((_, path), (width, height)) in pins.iter().zip(sizes) {
        world.sandbox.faults().add(Rule::on(path.as_str(), Fault::Enlarged { width, height }));
    }
    let row = import(&mut client, "Album")?;
    assert_eq!((row.total, row.embedded, row.skipped, row.failed), (6, 5, 1, 0), "{row:?}");
    assert_eq!(
        reasons(&mut client)?,
        ["image has 9000 x 6000 = 54000000 pixels, more than the limit of 50000000 (the setting \
          pinterest.max_image_pixels)"]
    );

    set_limit(&world, &mut client, "pinterest.max_image_pixels", "54000000")?;
    let row = retried(&mut client)?;
    assert_eq!((row.embedded, row.skipped, row.failed), (6, 0, 0), "{row:?}");
    Ok(())
}

#[test]
fn a_download_ends_at_the_byte_limit() -> Result<()> {
    let (world, mut client) = World::builder()
        .sandbox(Config::with_board("Album", &[Family::Beach], 2))
        .setting("pinterest.max_image_size", "256kB")
        .start()?
        .with_session()?;
    let pins = pins_without_pictures(&world, &mut client, "Album")?;
    let photograph = Fault::Enlarged { width: 4000, height: 3000 };
    for size in ["600x", "1200x", "400x300", "150x150"] {
        world.sandbox.faults().add(Rule::on(pins[0].1.replacen("600x", size, 1), photograph.clone()));
    }
    let row = import(&mut client, "Album")?;
    assert_eq!((row.embedded, row.skipped, row.failed), (1, 1, 0), "{row:?}");
    let reason = reasons(&mut client)?.join(" ");
    assert!(reason.contains("at most 262144 are allowed (the setting pinterest.max_image_size)"), "{reason}");

    world.cluster.change("pinterest.max_image_size", "64MB")?;
    let row = retried(&mut client)?;
    assert_eq!((row.embedded, row.skipped, row.failed), (2, 0, 0), "{row:?}");
    Ok(())
}

#[test]
fn calls_and_tracked_columns_have_the_same_limits() -> Result<()> {
    let (world, mut client) = World::builder()
        .sandbox(Config::with_board("Beach", &[Family::Beach], 1))
        .setting("pinterest.max_image_side", "256")
        .start()?
        .with_session()?;
    let photograph = {
        let mut bytes = std::io::Cursor::new(Vec::new());
        image::RgbImage::from_pixel(300, 200, image::Rgb([90, 120, 60]))
            .write_to(&mut bytes, image::ImageFormat::Png)?;
        bytes.into_inner()
    };
    let refused =
        |client: &mut Client| refusal(client.query_one("SELECT pinterest_embed_image($1)::text", &[&photograph]));
    let found = refused(&mut client);
    assert_eq!((found.code.as_str(), found.hint.as_str()), ("54000", "The limit is set by pinterest.max_image_side."));
    assert!(found.message.ends_with("more than the limit of 256 per side"), "{found:?}");

    client.batch_execute(
        "CREATE TABLE photos (n int PRIMARY KEY, photo bytea, embedding vector(512));
         SELECT pinterest_track('photos', image => 'photo')",
    )?;
    client.execute("INSERT INTO photos VALUES (1, $1)", &[&photograph])?;
    settled(&mut client)?;
    let found = state(&mut client, "1")?;
    assert_eq!((found.0.as_str(), found.2.as_str()), ("failed", "54000"), "{found:?}");
    assert!(found.1.ends_with("(the setting pinterest.max_image_side)"), "{found:?}");

    world.cluster.set("pinterest.max_image_size", "64kB")?;
    set_limit(&world, &mut client, "pinterest.max_image_side", "65500")?;
    let found =
        refusal(client.query_one("SELECT pinterest_embed_image(decode(repeat('00', 65537), 'hex'))::text", &[]));
    assert_eq!((found.code.as_str(), found.hint.as_str()), ("54000", "The limit is set by pinterest.max_image_size."));
    assert_eq!(found.message, "the image has 65537 bytes, more than the limit of 65536");

    set_limit(&world, &mut client, "pinterest.max_image_size", "64MB")?;
    client.query_one("SELECT pinterest_embed_image($1)::text", &[&photograph])?;
    client.value::<i64>("SELECT pinterest_retry_tracked('photos')")?;
    until_state(&mut client, "1", "embedded")?;
    Ok(())
}
