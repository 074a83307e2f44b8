//! Images that crash the embedder, hang it or make it return invalid vectors. The embedder has the feature
//! `fault-injection`.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::ensure;
use e2e::{checkout, runtime_directory};
use postgres::error::SqlState;

use crate::support::prelude::*;
use crate::support::tracking_work::{photo, settled};

/// The prefix of a fault in place of an image.
const WORDS: &str = "PINTEREST-EMBEDDER-FAULT:";
const PINS: usize = 12;

/// A script that runs an embedder with fault injection and an image timeout of one second instead of twenty.
fn embedder() -> Result<PathBuf> {
    let directory = runtime_directory("programs")?;
    let lock = File::create(directory.join("lock"))?;
    lock.lock()?;
    // Cargo builds the embedder beside this program; `make test` enables the feature.
    let test = std::env::current_exe()?;
    let built = test.ancestors().nth(2).map(|output| output.join("pinterest-embedder"));
    let listens = |path: &PathBuf| {
        let content = fs::read(path).unwrap_or_default();
        content.windows(WORDS.len()).any(|window| window == WORDS.as_bytes())
    };
    let built = match built {
        Some(path) if listens(&path) => path,
        Some(path) => {
            let arguments = "build --quiet --workspace --bin pinterest-embedder \
                             --features pinterest-embedder/fault-injection";
            let status = Command::new(env!("CARGO")).current_dir(checkout()).args(arguments.split(' ')).status()?;
            ensure!(status.success() && listens(&path), "{} is not built with fault injection", path.display());
            path
        }
        None => anyhow::bail!("{} is not in a target directory of cargo", test.display()),
    };
    // The server's user must be able to run it. A rename does not change the file of a running program.
    let (program, script) = (directory.join("misbehaving-embedder"), directory.join("impatient-embedder"));
    for (path, content) in [
        (&program, fs::read(built)?),
        (&script, format!("#!/bin/sh\nexec '{}' \"$@\" --image-timeout 1\n", program.display()).into_bytes()),
    ] {
        let fresh = path.with_extension("new");
        fs::write(&fresh, content)?;
        fs::set_permissions(&fresh, Permissions::from_mode(0o755))?;
        fs::rename(fresh, path)?;
    }
    Ok(script)
}

/// A world with this embedder, and a board of this many pins.
fn world(pins: usize) -> Result<World> {
    World::builder()
        .sandbox(quick_board("Beach", pins as u64))
        .setting("pinterest.embedder_path", &embedder()?.display().to_string())
        .start()
}

/// Imports a board with one image that causes this fault, checks that each other image is downloaded once, and returns
/// how the faulty image ended.
fn poisoned(fault: &str) -> Result<(World, Row, String)> {
    let (world, mut client) = world(PINS)?.with_session()?;
    let pid: i32 = client.value("SELECT pg_backend_pid()")?;
    let pins = pins_without_pictures(&world, &mut client, "Beach")?;
    let (pin, path) = &pins[3];
    world.sandbox.faults().add(Rule::on(path.as_str(), Fault::Verbatim { text: format!("{WORDS}{fault}") }));
    world.sandbox.requests().reset();
    let row = import(&mut client, "Beach")?;
    assert_eq!(row.embedded, PINS as i32 - 1, "all others are embedded: {row:?}");
    let mut others: Vec<_> = world.sandbox.requests().latest().into_iter().filter(|it| it.kind.is_picture()).collect();
    others.retain(|request| request.path != *path);
    let mut paths: Vec<_> = others.iter().map(|request| &request.path).collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!((others.len(), paths.len()), (PINS - 1, PINS - 1), "each other image is downloaded once: {others:#?}");
    assert_eq!(client.value::<i32>("SELECT pg_backend_pid()")?, pid, "no connection is lost");
    assert!(!world.cluster.log()?.contains("terminating any other active server processes"));
    let ended: String = client.value_with(
        "SELECT concat_ws(' ', state, attempts, reason) FROM pinterest.pin_image WHERE pin_id = $1",
        &[pin],
    )?;
    Ok((world, row, ended))
}

#[test]
fn a_crashing_image_in_a_tracked_column_fails_alone() -> Result<()> {
    let (world, mut client) = world(1)?.with_session()?;
    client.batch_execute(
        "CREATE TABLE photos (id int PRIMARY KEY, photo bytea, embedding vector(512));
         SELECT pinterest_track('photos', image => 'photo')",
    )?;
    let (sound, deadly) = (photo(Family::Barn, 1)?, format!("{WORDS}abort").into_bytes());
    client.execute(
        "INSERT INTO photos SELECT n, CASE n WHEN 4 THEN $2::bytea ELSE $1::bytea END FROM generate_series(1, 12) AS n",
        &[&sound, &deadly],
    )?;
    settled(&mut client)?;
    let states: String = client.value(
        "SELECT string_agg(concat_ws(' ', key[1], state, attempts, reason_code), ', ' ORDER BY state, key[1]::int)
           FROM pinterest.tracked_row WHERE state <> 'embedded'",
    )?;
    let code = SqlState::CONNECTION_FAILURE.code();
    assert_eq!(states, format!("4 failed 3 {code}"));
    assert_eq!(client.value::<i64>("SELECT count(*) FROM photos WHERE embedding IS NOT NULL AND id <> 4")?, 11);
    assert!(world.cluster.log()?.matches("pinterest-embedder was ended by signal 6").count() >= 3);
    Ok(())
}

#[test]
fn a_crashing_image_fails_after_three_crashes() -> Result<()> {
    let (world, _, ended) = poisoned("abort")?;
    assert!(ended.starts_with("failed 3 the embedder crashed"), "{ended}");
    assert!(world.cluster.log()?.matches("pinterest-embedder was ended by signal 6").count() >= 3);
    Ok(())
}

#[test]
fn a_hanging_image_fails_after_three_timeouts() -> Result<()> {
    let (world, _, ended) = poisoned("hang")?;
    assert!(ended.starts_with("failed 3 the embedder crashed"), "{ended}");
    assert!(world.cluster.log()?.matches("pinterest-embedder ended with status 124").count() >= 3);
    Ok(())
}

#[test]
fn an_invalid_embedding_fails_the_image() -> Result<()> {
    let (_, row, ended) = poisoned("nan")?;
    assert_eq!(row.failed, 1, "{row:?}");
    assert!(ended.starts_with("failed "), "{ended}");
    Ok(())
}
