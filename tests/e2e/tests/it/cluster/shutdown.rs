//! Each process of the extension ends soon after SIGTERM, whatever it does or waits for.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use e2e::ServerFile;
use e2e::cluster::SUPERUSER;
use e2e::process::Process;

use crate::support::oauth::{WORKER, arrived};
use crate::support::prelude::*;
use crate::support::refresh_steps::{due, wanted, world};

/// The limit after one SIGTERM, or after the start of a fast stop.
const AT_MOST: Duration = Duration::from_secs(5);
/// The limit after two.
const AT_ONCE: Duration = Duration::from_millis(1500);

fn gone(pid: i32, began: Instant, at_most: Duration) -> Result<()> {
    until("the process to end", || Ok(Process::get(pid).is_none()))?;
    assert!(began.elapsed() < at_most, "it took {:?}", began.elapsed());
    Ok(())
}

fn terminate(client: &mut Client, pid: i32) -> Result<()> {
    client.query_one("SELECT pg_terminate_backend($1)", &[&pid])?;
    Ok(())
}

/// A worker with a refresh that Pinterest never answers.
fn waiting_for_an_answer() -> Result<(World, Client, i32)> {
    let (world, mut client) = world(false)?.with_session()?;
    let before = arrived(&world);
    world.sandbox.faults().add(Rule::on(Kind::Token, Fault::Hold { gate: "never".into() }));
    due(&mut client)?;
    drop(wanted(&world)?);
    assert!(world.sandbox.requests().wait_for(Kind::Token, before + 1, SOON));
    let worker = world.cluster.wait_for_backend(WORKER, SOON)?;
    Ok((world, client, worker.pid))
}

#[test]
fn one_signal_is_enough_while_an_answer_is_outstanding() -> Result<()> {
    let (_world, mut client, worker) = waiting_for_an_answer()?;
    let began = Instant::now();
    terminate(&mut client, worker)?;
    gone(worker, began, AT_MOST)
}

#[test]
fn a_second_signal_does_not_wait_for_the_answer() -> Result<()> {
    let (_world, mut client, worker) = waiting_for_an_answer()?;
    terminate(&mut client, worker)?;
    let began = Instant::now();
    // Signals that arrive before the process handles one count as one.
    until("the process to end", || {
        client.query_one("SELECT pg_terminate_backend($1)", &[&worker])?;
        Ok(Process::get(worker).is_none())
    })?;
    gone(worker, began, AT_ONCE)
}

#[test]
fn a_worker_that_waits_for_locks_ends_too() -> Result<()> {
    let (world, mut client, worker) = waiting_for_an_answer()?;
    // Whatever the main thread does next, it waits for a lock.
    let mut blocker = world.connect()?;
    blocker.batch_execute("BEGIN; LOCK TABLE pinterest.import, pinterest.token IN ACCESS EXCLUSIVE MODE")?;
    let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'pg_pinterest worker' AND wait_event_type = 'Lock')";
    // Wakes the worker.
    client.batch_execute("SELECT pinterest_sync_board('nothing', NULL)").unwrap_err();
    world.cluster.reload()?;
    client.until(waits, true)?;
    let began = Instant::now();
    terminate(&mut client, worker)?;
    gone(worker, began, AT_MOST)
}

#[test]
fn a_database_is_dropped_by_force_while_an_answer_is_outstanding() -> Result<()> {
    let (world, client, worker) = waiting_for_an_answer()?;
    drop(client);
    let mut other = world.cluster.connect_to(SUPERUSER, "template1")?;
    let began = Instant::now();
    other.batch_execute("DROP DATABASE postgres WITH (FORCE)")?;
    assert!(began.elapsed() < AT_MOST, "{:?}", began.elapsed());
    gone(worker, began, AT_MOST)
}

#[test]
fn a_server_stops_while_an_answer_is_outstanding() -> Result<()> {
    let (world, client, _) = waiting_for_an_answer()?;
    drop(client);
    let began = Instant::now();
    world.cluster.stop(Stop::Fast)?;
    assert!(began.elapsed() < AT_MOST, "{:?}", began.elapsed());
    Ok(())
}

/// A new worker whose key command never ends.
fn in_the_key_command() -> Result<(World, ServerFile, Client, i32)> {
    let script = ServerFile::new(".sh", format!("echo '{}'", crate::support::key_files::key(1)).as_bytes())?;
    let (world, mut client) = World::builder()
        .sandbox(quick_board("Beach", 1))
        .setting("pinterest.key_command", &format!("sh {}", script.setting()))
        .start()?
        .with_session()?;
    let worker = world.cluster.wait_for_backend(WORKER, SOON)?;
    script.write(b"sleep 614 & exec sleep 613")?;
    terminate(&mut client, worker.pid)?;
    gone(worker.pid, Instant::now(), AT_MOST)?;
    let asking = wait_for("a worker in its key command", SOON, || {
        let Some(sleeper) = sleepers(&world)?.into_iter().next() else { return Ok(None) };
        let above = std::iter::successors(Some(sleeper), |below| Process::get(below.parent));
        Ok(above.into_iter().find(|process| process.name == "postgres").map(|process| process.pid))
    })?;
    Ok((world, script, client, asking))
}

/// Programs that the key command has left running.
fn sleepers(world: &World) -> Result<Vec<Process>> {
    let below = Process::descendants(world.cluster.postmaster()?);
    Ok(below.into_iter().filter(|process| process.name == "sleep").collect())
}

#[test]
fn a_worker_and_its_key_command_end() -> Result<()> {
    let (world, _script, mut client, worker) = in_the_key_command()?;
    let commands = sleepers(&world)?;
    assert!(!commands.is_empty());
    let began = Instant::now();
    terminate(&mut client, worker)?;
    gone(worker, began, AT_ONCE)?;
    for command in commands {
        gone(command.pid, began, AT_MOST)?;
    }
    Ok(())
}

#[test]
fn a_key_command_inherits_no_files_of_the_server() -> Result<()> {
    let (world, _script, _client, _) = in_the_key_command()?;
    for command in sleepers(&world)? {
        let mut open: Vec<i32> = std::fs::read_dir(format!("/proc/{}/fd", command.pid))?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect();
        open.sort_unstable();
        assert_eq!(open, [0, 1, 2], "{command:?}");
    }
    Ok(())
}

#[test]
fn a_server_stops_while_a_worker_is_in_its_key_command() -> Result<()> {
    let (world, _script, client, _) = in_the_key_command()?;
    drop(client);
    let began = Instant::now();
    world.cluster.stop(Stop::Fast)?;
    assert!(began.elapsed() < AT_MOST, "{:?}", began.elapsed());
    Ok(())
}

/// A program of the test. A file that is open for writing, such as a [`ServerFile`], cannot be executed.
struct Program(PathBuf);

impl Program {
    fn new(text: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("pg_pinterest-program-{}.sh", std::process::id()));
        std::fs::write(&path, text)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        Ok(Program(path))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_supervisor_ends_even_if_its_program_does_not() -> Result<()> {
    for stop in [false, true] {
        let program = Program::new("#!/bin/sh\nexec 0<&-\nexec sleep 612\n")?;
        let (world, mut client) = World::builder()
            .sandbox(quick_board("Beach", 1))
            .setting("pinterest.embedder_path", &program.0.display().to_string())
            .start()?
            .with_session()?;
        let supervisor = world.cluster.wait_for_backend("pg_pinterest supervisor", SOON)?;
        client.batch_execute("SET statement_timeout = '100ms'")?;
        client.query_one("SELECT pinterest_embed_text('a barn')::text", &[]).unwrap_err();
        client.batch_execute("RESET statement_timeout")?;
        wait_for(
            "the program to have closed its lifeline",
            SOON,
            || Ok((!sleepers(&world)?.is_empty()).then_some(())),
        )?;
        let began = Instant::now();
        if stop {
            drop(client);
            world.cluster.stop(Stop::Fast)?;
            assert!(began.elapsed() < AT_MOST, "{:?}", began.elapsed());
        } else {
            terminate(&mut client, supervisor.pid)?;
            gone(supervisor.pid, began, AT_ONCE)?;
        }
    }
    Ok(())
}

#[test]
fn a_launcher_that_waits_for_a_lock_ends() -> Result<()> {
    let cluster = Cluster::start()?;
    let (mut client, mut blocker) = (cluster.connect()?, cluster.connect()?);
    let launcher = cluster.wait_for_backend("pg_pinterest launcher", SOON)?;
    blocker.batch_execute("BEGIN; LOCK TABLE pg_database IN ACCESS EXCLUSIVE MODE")?;
    client.execute("SELECT pg_reload_conf()", &[])?;
    let waits = "SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)
                  WHERE NOT l.granted AND a.backend_type = 'pg_pinterest launcher')";
    blocker.until(waits, true)?;
    let began = Instant::now();
    terminate(&mut blocker, launcher.pid)?;
    gone(launcher.pid, began, AT_ONCE)?;
    blocker.batch_execute("ROLLBACK")?;
    cluster.wait_for_backend("pg_pinterest launcher", SOON)?;
    Ok(())
}
