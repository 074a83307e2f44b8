//! The doctor tells trained from untrained weights.

use std::fs;
use std::path::Path;

use e2e::{Installation, ServerUser, tiny_stand_in};

use crate::support::oauth::doctor;
use crate::support::prelude::*;

#[allow(dead_code, reason = "the embedder's tests use the rest")]
#[path = "../../../../../crates/embedder/tests/support/checkpoint.rs"]
mod checkpoint;

/// A copy of the stand-in that bears the marks of training, owned by the server's user.
fn marked(directory: &Path) -> Result<()> {
    fs::copy(tiny_stand_in(&Installation::staged()?)?.join("config.json"), directory.join("config.json"))?;
    let mut weights = checkpoint::Checkpoint::read(&tiny_stand_in(&Installation::staged()?)?);
    weights.bear_marks();
    weights.write(directory);
    for path in [directory.to_owned(), directory.join("config.json"), directory.join("model.safetensors")] {
        ServerUser::get()?.own(&path)?;
    }
    Ok(())
}

#[test]
fn the_doctor_tells_trained_from_untrained_weights() -> Result<()> {
    let (world, mut client) = World::builder().sandbox(quick_board("Beach", 1)).start()?.with_session()?;
    client.query_one("SELECT pinterest_embed_text('a barn')::text", &[])?;
    let (status, words) = doctor(&mut client, "embedder")?;
    assert_eq!(status, "note", "{words}");
    assert!(words.contains("; untrained weights: rankings reflect colour and texture, not meaning"), "{words}");
    assert!(words.contains("pinterest-clip-weights") && words.contains("pinterest-embedder verify"), "{words}");
    assert!(!words.contains("trained weights)"), "{words}");
    let log = world.cluster.log()?;
    assert!(log.contains("]: untrained weights: "), "{log}");

    let directory = tempfile::Builder::new().prefix("pg_pinterest-marked-").tempdir()?;
    marked(directory.path())?;
    let (_world, mut client) =
        World::builder().sandbox(quick_board("Beach", 1)).model(directory.path()).start()?.with_session()?;
    client.query_one("SELECT pinterest_embed_text('a barn')::text", &[])?;
    let (status, words) = doctor(&mut client, "embedder")?;
    assert_eq!(status, "ok", "{words}");
    assert!(words.ends_with(" numbers, trained weights)"), "{words}");
    Ok(())
}
