//! The model directory: missing, or removed while in use; images of two models.

use std::fs;

use e2e::{ServerUser, tiny_stand_in};

use crate::support::prelude::*;

#[test]
fn a_missing_model_is_reported_at_once() -> Result<()> {
    let (world, mut client) =
        World::builder().sandbox(quick_board("Beach", 2)).model("/nonexistent/model").start()?.with_session()?;
    let asked = world.sandbox.requests().total();
    for statement in ["SELECT pinterest_import_board('Beach')", "SELECT pinterest_embed_text('a barn')::text"] {
        client.refused(statement, "58P01").hints("pinterest.model_dir");
    }
    assert_eq!(world.sandbox.requests().total(), asked, "no request to Pinterest");
    Ok(())
}

#[test]
fn a_loaded_model_outlives_its_directory() -> Result<()> {
    let installation = e2e::Installation::staged()?.with_extension()?;
    let directory = tempfile::Builder::new().prefix("pg_pinterest-model-").tempdir()?;
    for file in fs::read_dir(tiny_stand_in(&installation)?)? {
        let file = file?;
        fs::copy(file.path(), directory.path().join(file.file_name()))?;
        ServerUser::get()?.own(&directory.path().join(file.file_name()))?;
    }
    ServerUser::get()?.own(directory.path())?;
    let (world, mut client) =
        World::builder().sandbox(quick_board("Beach", 3)).model(directory.path()).start()?.with_session()?;
    import(&mut client, "Beach")?;
    fs::remove_dir_all(directory.path())?;

    // The model is in memory: queries still work.
    client.query_one("SELECT pinterest_embed_text('a barn')::text", &[])?;
    client.refused("SELECT pinterest_import_board('Beach')", "58P01");
    let embedder = world.cluster.embedder()?.expect("the embedder has just answered");
    world.cluster.kill9(embedder.pid)?;
    client.refused("SELECT pinterest_embed_text('another barn')::text", "58P01");
    Ok(())
}

#[test]
fn images_of_two_models_are_not_averaged() -> Result<()> {
    let (_world, mut client) = quick_world("Beach", 3)?.with_session()?;
    import(&mut client, "Beach")?;
    client.batch_execute(
        "INSERT INTO pinterest.model (fingerprint, name, weights_sha256, precision, preprocessing, dimension)
             VALUES ('\\x00', 'another', 'x', 'f32', 'x', 512);
         UPDATE pinterest.pin_image SET model_id = (SELECT model_id FROM pinterest.model WHERE name = 'another')
          WHERE ctid = (SELECT min(ctid) FROM pinterest.pin_image)",
    )?;
    client.refused("SELECT pinterest_board_embedding('Beach')::text", "22023");
    // An import embeds the image of the other model again.
    let row = import(&mut client, "Beach")?;
    assert_eq!((row.embedded, row.reused), (1, 2), "{row:?}");
    client.query_one("SELECT pinterest_board_embedding('Beach')::text", &[])?;
    Ok(())
}
