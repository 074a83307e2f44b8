//! Embedders on other machines: work is spread over them, and the loss of one costs nothing.

use std::collections::HashMap;

use crate::support::machines::{Authority, Files, Machine};
use crate::support::oauth::doctor;
use crate::support::prelude::*;

const PINS: u64 = 60;
const A_TEXT: &str = "SELECT pinterest_embed_text('a barn')::text";

/// A world whose embedders are these.
fn world(authority: &Authority, embedders: &str, config: Config) -> Result<(World, Client, Files)> {
    let files = authority.files("db1.internal")?;
    let mut builder = World::builder().sandbox(config).setting("pinterest.embedders", embedders);
    for (name, value) in files.settings() {
        builder = builder.setting(name, &value);
    }
    let world = builder.setting("pinterest.embedder_timeout", "2s").start()?;
    let (world, mut client) = world.with_session()?;
    client.query_one(A_TEXT, &[])?;
    Ok((world, client, files))
}

/// The images that each embedder has answered, when all are in the given state.
fn images(client: &mut Client, states: &[(&str, &str)]) -> Result<HashMap<String, i64>> {
    let expected: HashMap<String, String> =
        states.iter().map(|&(name, state)| (name.to_owned(), state.to_owned())).collect();
    wait_for("the embedders' states", SOON, || {
        let rows = client.query("SELECT embedder, state, images FROM pinterest.stat_embedders", &[])?;
        let found: HashMap<String, String> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        Ok((found == expected).then(|| rows.iter().map(|row| (row.get(0), row.get(2))).collect()))
    })
}

#[test]
fn an_import_is_spread_and_survives_the_loss_of_a_machine() -> Result<()> {
    let authority = Authority::new()?;
    let mut lost = Machine::start(&authority)?;
    let kept = Machine::start(&authority)?;
    // An image per pin.
    let config = Config::with_board("Beach", &Family::ALL, PINS);
    let list = format!("local, {}, {}", lost.address, kept.address);
    let (world, mut client, _files) = world(&authority, &list, config)?;
    images(&mut client, &[("local", "ready"), (&lost.address, "ready"), (&kept.address, "ready")])?;
    let (status, words) = doctor(&mut client, "embedders")?;
    assert_eq!(status, "ok", "{words}");

    let import = queue_board(&mut client, "Beach")?;
    until_row(&mut client, import, "some images", |row| row.embedded > 5)?;
    lost.kill()?;
    let row = complete(&mut client, import)?;
    assert_eq!(row.failed, 0, "{row:?}");
    let blamed = "SELECT count(*) FROM pinterest.pin_image WHERE attempts > 1";
    assert_eq!(client.value::<i64>(blamed)?, 0, "the loss of a machine does not count as an attempt");
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.model")?, 1);
    let answered =
        images(&mut client, &[("local", "ready"), (&lost.address, "unreachable"), (&kept.address, "ready")])?;
    assert!(answered["local"] > 0 && answered[&kept.address] > 0, "{answered:?}");
    // The last report may be a moment old.
    client.until(&format!("SELECT images >= {} FROM pinterest.stat_embedder", row.embedded), true)?;
    let (status, words) = doctor(&mut client, "embedders")?;
    assert_eq!(status, "problem");
    assert!(words.contains(&format!("{}: unreachable: ", lost.address)) && words.contains("local: ready"), "{words}");

    lost.restart()?;
    images(&mut client, &[("local", "ready"), (&lost.address, "ready"), (&kept.address, "ready")])?;
    assert!(!world.cluster.log()?.contains("PRIVATE KEY"));
    Ok(())
}

#[test]
fn a_server_without_a_model_of_its_own_uses_others() -> Result<()> {
    let authority = Authority::new()?;
    let far = Machine::start(&authority)?;
    let (world, mut client, _files) = world(&authority, &far.address, quick_board("Beach", 3))?;
    world.cluster.change("pinterest.model_dir", "")?;
    let import = queue_board(&mut client, "Beach")?;
    assert_eq!(complete(&mut client, import)?.embedded, 3);
    for check in ["model directory", "embedder", "embedders", "embeddings"] {
        let (status, words) = doctor(&mut client, check)?;
        // The weights of tests are untrained.
        assert!(status == "ok" || check == "embedder" && status == "note", "{check}: {words}");
    }
    Ok(())
}

#[test]
fn servers_share_an_embedder() -> Result<()> {
    let authority = Authority::new()?;
    let far = Machine::start(&authority)?;
    let (_one, mut first, _files) = world(&authority, &far.address, quick_board("Beach", 30))?;
    let (_other, mut second, _more_files) = world(&authority, &far.address, quick_board("Beach", 30))?;
    let imports = [queue_board(&mut first, "Beach")?, queue_board(&mut second, "Beach")?];
    assert_eq!(complete(&mut first, imports[0])?.embedded, 30);
    assert_eq!(complete(&mut second, imports[1])?.embedded, 30);
    Ok(())
}

#[test]
fn a_wrong_list_is_reported() -> Result<()> {
    let (world, mut client) = quick_world("Beach", 1)?.with_session()?;
    client.query_one(A_TEXT, &[])?;
    assert_eq!(client.query("SELECT FROM pinterest.stat_embedders", &[])?.len(), 0);
    assert_eq!(doctor(&mut client, "embedders")?, ("ok".to_owned(), "local".to_owned()));

    world.cluster.change("pinterest.embedders", "local, gpu1:port")?;
    let error = until_refused(&mut client)?;
    assert!(error.contains("pinterest.embedders") && error.contains("gpu1:port"), "{error}");
    let (status, words) = doctor(&mut client, "embedders")?;
    assert!(status == "problem" && words.contains("gpu1:port"), "{words}");

    world.cluster.change("pinterest.embedders", "local, gpu1.invalid")?;
    wait_for("the session to have the new list", SOON, || {
        let words = doctor(&mut client, "embedders")?.1;
        Ok(words.starts_with("pinterest.embedder_tls_certificate is not set").then_some(()))
    })?;

    world.cluster.change("pinterest.embedders", "local")?;
    wait_for("the embedder of this machine alone", SOON, || Ok(client.query_one(A_TEXT, &[]).ok()))?;
    Ok(())
}

/// The message of the error once the session has read a wrong list.
fn until_refused(client: &mut Client) -> Result<String> {
    wait_for("an error", SOON, || {
        let error = client.query_one(A_TEXT, &[]).err();
        Ok(error.and_then(|error| error.as_db_error().map(|error| error.message().to_owned())))
    })
}
