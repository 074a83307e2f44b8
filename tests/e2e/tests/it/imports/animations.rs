//! Images with several frames are skipped or embedded by their first frame, as `pinterest.animated_images` is set.

use crate::support::prelude::*;
use crate::support::tracking_work::{settled, state};

/// Two frames of one pixel: white, then black.
const ANIMATION: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0\
    ,\0\0\0\0\x01\0\x01\0\0\x02\x02L\x01\0;";
/// The first frame of `ANIMATION` alone.
const STILL: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

const EMBED: &str = "SELECT pinterest_embed_image($1)::text";

/// The lines about animations in the last import's report.
const REPORTED: &str =
    "SELECT COALESCE(string_agg(outcome || ' ' || reason || ' ' || count, ', '), 'none') FROM pinterest.import_report
    WHERE item = 'image' AND reason IN ('animated', 'first_frame')
    AND import_id = (SELECT max(import_id) FROM pinterest.import_report)";

/// A board with two animations.
fn world(setting: &str) -> Result<(World, Client)> {
    let config = Config::with_board("Beach", &[Family::Beach], 6);
    let (world, mut client) =
        World::builder().sandbox(config).setting("pinterest.animated_images", setting).start()?.with_session()?;
    for (_, path) in pins_without_pictures(&world, &mut client, "Beach")?.iter().take(2) {
        world.sandbox.faults().add(Rule::on(path.clone(), Fault::AnimatedGif));
    }
    Ok((world, client))
}

#[test]
fn the_setting_decides_whether_animations_are_skipped() -> Result<()> {
    let (world, mut client) = world("skip")?;
    let row = import(&mut client, "Beach")?;
    assert_eq!((row.total, row.skipped, row.failed), (6, 2, 0), "{row:?}");
    assert_eq!(client.value::<String>(REPORTED)?, "skipped animated 2");

    let refused = expect_refusal(client.query_one(EMBED, &[&ANIMATION]), "0A000");
    assert_eq!(refused.message, "GIF is animated");
    assert!(refused.hint.contains("pinterest.animated_images"), "{refused:?}");
    let still: String = client.value_with(EMBED, &[&STILL])?;

    client.batch_execute(
        "CREATE TABLE photos (n int PRIMARY KEY, photo bytea, embedding vector(512));
         SELECT pinterest_track('photos', image => 'photo')",
    )?;
    client.execute("INSERT INTO photos VALUES (1, $1), (2, $2)", &[&ANIMATION, &STILL])?;
    settled(&mut client)?;
    let failed = state(&mut client, "1")?;
    assert_eq!((failed.0.as_str(), failed.2.as_str()), ("failed", "0A000"), "{failed:?}");
    assert_eq!(state(&mut client, "2")?.0, "embedded");

    world.cluster.change("pinterest.animated_images", "first_frame")?;
    client.until("SHOW pinterest.animated_images", "first_frame".to_owned())?;
    assert_eq!(client.value_with::<String>(EMBED, &[&ANIMATION])?, still);
    let together = "SELECT (pinterest_embed_images(ARRAY[$1::bytea, $2]))[1]::text";
    assert_eq!(client.value_with::<String>(together, &[&ANIMATION, &STILL])?, still);

    // The board has not changed; a retry processes the skipped images.
    let import = client.value("SELECT max(import_id) FROM pinterest.imports")?;
    assert_eq!(client.value_with::<i64>("SELECT pinterest_retry_failed($1)", &[&import])?, 2);
    let row = complete(&mut client, import)?;
    assert_eq!((row.total, row.embedded + row.reused, row.skipped, row.failed), (6, 6, 0, 0), "{row:?}");
    let (animated, others): (i64, i64) = client.pair(
        "SELECT count(*) FILTER (WHERE animated), count(*) FILTER (WHERE NOT animated) FROM pinterest.pin_image",
        &[],
    )?;
    assert_eq!((animated, others), (2, 4));
    // Both have the same bytes, so the second one reuses the first one's embedding.
    assert_eq!(client.value::<String>(REPORTED)?, "embedded first_frame 1");

    client.batch_execute("SELECT pinterest_retry_tracked('photos')")?;
    settled(&mut client)?;
    assert!(client.value::<bool>(
        "SELECT bool_and(embedding::text = (SELECT embedding::text FROM photos WHERE n = 2)) FROM photos"
    )?);
    Ok(())
}

#[test]
fn the_first_frame_is_embedded_by_default() -> Result<()> {
    let (_world, mut client) = world("first_frame")?;
    let row = import(&mut client, "Beach")?;
    assert_eq!((row.embedded + row.reused, row.skipped, row.failed), (6, 0, 0), "{row:?}");
    assert_eq!(client.value::<String>(REPORTED)?, "embedded first_frame 1");
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.pin_image WHERE animated")?, 2);
    assert_eq!(
        client.value::<String>("SELECT reset_val FROM pg_settings WHERE name = 'pinterest.animated_images'")?,
        "first_frame"
    );
    Ok(())
}
