//! An import continues without a call after stops, crashes and terminations.

use std::fs;

use e2e::process::{Process, kill9, terminate};
use e2e::wait_until;

use crate::support::oauth::{WORKER, kill_worker};
use crate::support::prelude::*;

const PINS: u64 = 20;
const IN: u64 = 5;
/// The launcher is notified of a worker's end and does not wait for its next round.
const REPLACED: Duration = Duration::from_secs(10);

/// A world in the middle of an import: some images are embedded, the others are held.
fn halfway(preload: bool) -> Result<(World, i64)> {
    let (world, mut client) =
        World::builder().preload(preload).sandbox(quick_board("Beach", PINS)).start()?.with_session()?;
    hold_pictures_after(&world, IN);
    let import = queue_board(&mut client, "Beach")?;
    until_row(&mut client, import, "the first images", |row| row.embedded == IN as i32)?;
    Ok((world, import))
}

/// Releases the import, and waits for its end without a call that could start a worker.
fn ends_by_itself(world: &World, import: i64) -> Result<Client> {
    world.sandbox.faults().release(GATE);
    let mut client = wait_for("the server to accept connections", SOON, || Ok(world.connect().ok()))?;
    let row = until_row(&mut client, import, "the import's end", |row| row.phase == "finished")?;
    assert_eq!((row.state.as_str(), row.total, row.embedded), ("completed", PINS as i32, PINS as i32), "{row:?}");
    assert_eq!(client.value::<i64>("SELECT count(*) FROM pinterest.pin_image WHERE state = 'embedded'")?, PINS as i64);
    Ok(client)
}

#[test]
fn an_import_continues_after_a_restart() -> Result<()> {
    for mode in [Stop::Fast, Stop::Immediate] {
        let (world, import) = halfway(true)?;
        world.cluster.restart(mode)?;
        ends_by_itself(&world, import)?;
    }
    Ok(())
}

#[test]
fn without_preloading_an_import_continues_at_the_next_call() -> Result<()> {
    let (world, import) = halfway(false)?;
    world.cluster.restart(Stop::Fast)?;
    world.sandbox.faults().release(GATE);
    // Without preloading, no worker runs until a call.
    let mut client = world.connect()?;
    assert_eq!(Row::of(&mut client, import)?.state, "running");
    complete(&mut client, import)?;
    Ok(())
}

#[test]
fn an_import_continues_after_a_crash_of_the_worker() -> Result<()> {
    let (world, import) = halfway(true)?;
    kill_worker(&world)?;
    ends_by_itself(&world, import)?;
    Ok(())
}

#[test]
fn an_import_continues_after_the_workers_are_terminated() -> Result<()> {
    let (world, import) = halfway(true)?;
    let mut client = world.connect()?;
    for kind in [WORKER, "pg_pinterest launcher", "pg_pinterest supervisor"] {
        let backend = world.cluster.wait_for_backend(kind, SOON)?;
        client.query_one("SELECT pg_terminate_backend($1, 10000)", &[&backend.pid])?;
        assert!(Process::get(backend.pid).is_none(), "{kind} has not ended");
    }
    ends_by_itself(&world, import)?;
    // The session that terminated them still works.
    client.query_one("SELECT pinterest_embed_text('a barn')::text", &[])?;
    Ok(())
}

#[test]
fn a_terminated_worker_is_replaced() -> Result<()> {
    let (world, import) = halfway(true)?;
    let worker = world.cluster.wait_for_backend(WORKER, SOON)?;
    terminate(worker.pid)?;
    let terminated = Instant::now();
    ends_by_itself(&world, import)?;
    assert!(terminated.elapsed() < REPLACED, "it took {:?}", terminated.elapsed());
    Ok(())
}

#[test]
fn an_import_continues_after_the_postmaster_is_killed() -> Result<()> {
    let (world, import) = halfway(true)?;
    let postmaster = world.cluster.postmaster()?;
    let below = Process::descendants(postmaster);
    for name in ["postgres", "pinterest-embed"] {
        assert!(below.iter().any(|process| process.name == name), "no {name} among {below:?}");
    }
    kill9(postmaster)?;
    const ORPHANS: Duration = Duration::from_secs(5);
    let left = || below.iter().filter_map(|process| Process::get(process.pid)).collect::<Vec<_>>();
    assert!(wait_until(ORPHANS, || left().is_empty()), "{:?} outlive the postmaster", left());
    // In a container without an init process, the dead postmaster keeps its process id, and the next one would take it
    // for a running one.
    fs::remove_file(world.cluster.data_directory().join("postmaster.pid"))?;
    for file in fs::read_dir(world.cluster.socket_directory())? {
        fs::remove_file(file?.path())?;
    }
    world.cluster.launch()?;
    ends_by_itself(&world, import)?;
    Ok(())
}
