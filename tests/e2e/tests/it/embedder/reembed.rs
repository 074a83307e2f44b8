//! Boards are embedded again after a change of the model.

use e2e::{Installation, other_tiny_stand_in};

use crate::support::oauth::doctor;
use crate::support::prelude::*;

/// A world whose model can change by a reload: the library is not preloaded.
fn world(config: Config) -> Result<World> {
    World::builder().preload(false).sandbox(config).start()
}

/// Replaces the model and waits for the embedder that uses it.
fn change_model(world: &World) -> Result<()> {
    let other = other_tiny_stand_in(&Installation::staged()?.with_extension()?)?;
    let before = wait_for("the embedder", SOON, || world.cluster.embedder())?.pid;
    world.cluster.change("pinterest.model_dir", &other.display().to_string())?;
    wait_for("another embedder", SOON, || Ok(world.cluster.embedder()?.filter(|now| now.pid != before)))?;
    Ok(())
}

/// The number of images per model, oldest model first; a star marks the current one.
fn models(client: &mut Client) -> Result<Vec<String>> {
    client.column("SELECT images || CASE WHEN current THEN '*' ELSE '' END FROM pinterest.models ORDER BY model_id")
}

fn reembed(client: &mut Client) -> Result<(i64, Report)> {
    let import = client.value("SELECT pinterest_reembed_board('Beach')")?;
    Ok((import, Report::completed(client, import)?))
}

#[test]
fn reembedding_leaves_one_model() -> Result<()> {
    let (world, mut client) = world(quick_board("Beach", 6))?.with_session()?;
    imported(&mut client, "'Beach'")?;
    change_model(&world)?;
    let board = world.sandbox.board_id("Beach")?;
    world.sandbox.add_pins(&board, 2)?;
    // An import of a sample leaves the other images as they are.
    imported(&mut client, "'Beach', max_images => 2")?;
    assert_eq!(models(&mut client)?, ["6", "2*"]);
    let (status, words) = doctor(&mut client, "embeddings")?;
    assert_eq!(status, "note", "{words}");
    assert!(words.starts_with("6 of 8 ") && words.contains("pinterest_reembed_board()"), "{words}");
    client.refused("SELECT pinterest_board_embedding('Beach')::text", "22023").hints("pinterest_reembed_board()");

    world.sandbox.requests().reset();
    let (import, report) = reembed(&mut client)?;
    assert_eq!((report.coverage.as_str(), report.sum("image", "found")), ("stored", 6), "{report:?}");
    assert_eq!(report.sum("image", "embedded") + report.sum("image", "reused"), 6, "{report:?}");
    let asked = world.sandbox.requests();
    assert_eq!((asked.count(Kind::Board), asked.count(Kind::BoardPins)), (0, 0), "nothing is listed");
    assert_eq!(models(&mut client)?, ["0", "8*"]);
    assert_eq!(doctor(&mut client, "embeddings")?.0, "ok");
    client.query_one("SELECT pinterest_board_embedding('Beach')::text", &[])?;
    let current = "SELECT current FROM pinterest.imports JOIN pinterest.models USING (model_id) WHERE import_id = $1";
    assert!(client.value_with::<bool>(current, &[&import])?);

    // No image is left to embed.
    let (_, report) = reembed(&mut client)?;
    assert_eq!(report.sum("image", "found"), 0, "{report:?}");
    Ok(())
}

#[test]
fn kept_bytes_are_not_downloaded_again() -> Result<()> {
    let (world, mut client) = world(quick_board("Beach", 5))?.with_session()?;
    imported(&mut client, "'Beach', keep_images => 'originals'")?;
    change_model(&world)?;
    world.sandbox.faults().add(Rule::on(Kind::Image, Fault::CdnForbidden));
    world.sandbox.requests().reset();
    let (_, report) = reembed(&mut client)?;
    assert_eq!((report.sum("image", "found"), report.sum("image", "failed")), (5, 0), "{report:?}");
    assert_eq!(world.sandbox.requests().pictures(), 0);
    let whole = "SELECT bool_and(sha256 = sha256(image)) AND count(*) = 5 FROM pinterest.pin_image";
    assert!(client.value::<bool>(whole)?, "the bytes are kept");
    Ok(())
}

#[test]
fn an_import_embeds_kept_bytes_too() -> Result<()> {
    let (world, mut client) = world(quick_board("Beach", 5))?.with_session()?;
    imported(&mut client, "'Beach', keep_images => 'originals'")?;
    change_model(&world)?;
    world.sandbox.requests().reset();
    let report = imported(&mut client, "'Beach'")?;
    assert_eq!((report.coverage.as_str(), report.sum("image", "found")), ("whole", 5), "{report:?}");
    assert_eq!(report.count("image", "reused", "kept"), 0, "{report:?}");
    assert_eq!(world.sandbox.requests().pictures(), 0);
    assert_eq!(models(&mut client)?, ["0", "5*"]);
    Ok(())
}

#[test]
fn a_running_import_ends_with_one_model() -> Result<()> {
    let (world, mut client) = world(Config::with_board("Beach", &Family::ALL, 12))?.with_session()?;
    hold_pictures_after(&world, 4);
    let import = queue_board(&mut client, "Beach")?;
    until_row(&mut client, import, "some images", |row| row.embedded > 0)?;
    change_model(&world)?;
    world.sandbox.faults().release(GATE);
    let report = Report::completed(&mut client, import)?;
    let found = report.sum("image", "found");
    assert!(found >= 12, "{report:?}");
    assert_eq!(report.sum("image", "embedded") + report.sum("image", "reused"), found, "{report:?}");
    assert_eq!(models(&mut client)?, ["0".to_string(), format!("{found}*")]);
    client.query_one("SELECT pinterest_board_embedding('Beach')::text", &[])?;
    Ok(())
}

#[test]
fn a_board_deleted_from_pinterest_can_be_reembedded() -> Result<()> {
    let (world, mut client) = world(quick_board("Beach", 3))?.with_session()?;
    imported(&mut client, "'Beach'")?;
    change_model(&world)?;
    world.sandbox.faults().add(Rule::on(Kind::Board, Fault::NotFound));
    let (_, report) = reembed(&mut client)?;
    assert_eq!((report.sum("image", "found"), report.sum("image", "failed")), (3, 0), "{report:?}");
    Ok(())
}

#[test]
fn boards_of_other_roles_are_not_found() -> Result<()> {
    let (world, mut client) = World::of(quick_board("Beach", 1))?.with_session()?;
    imported(&mut client, "'Beach'")?;
    world.cluster.create_role("other")?;
    client.batch_execute("SELECT pinterest_grant('other')")?;
    let mut other = world.cluster.connect_as("other")?;
    other.refused("SELECT pinterest_reembed_board('Beach')", "42704");
    // A reader sees which models exist, but not how many images others have.
    assert_eq!(models(&mut other)?, ["0*"]);
    Ok(())
}
