//! Databases without workers until they are resumed: `pinterest_pause_workers()`.
//!
//! A file in the data directory, one per paused database, records the pause: it survives a restart of the server, can be
//! checked from another database, follows a rename, and is not copied by CREATE DATABASE … TEMPLATE as a row would be.
//! Shared memory contains the same for frequent checks.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use pgrx::pg_sys;

use super::presence::{self, Instance};
use super::registry::{self, Sent, Worker};
use crate::errors::{Failure, Kind};
use crate::postgres::threads;

/// Prefix of the file, followed by the oid of the database; in the data directory, the working directory of every server
/// process.
const PREFIX: &str = "pinterest.paused.";
/// How long workers may take to release their claims, then to end by a signal, then by a second one.
const PATIENCE: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(8), Duration::from_secs(15)];
/// Between checks whether they have ended.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

fn file(database: pg_sys::Oid) -> PathBuf {
    PathBuf::from(format!("{PREFIX}{}", database.to_u32()))
}

/// The databases that have a file.
fn on_file() -> Vec<pg_sys::Oid> {
    let entries = std::fs::read_dir(".").into_iter().flatten().flatten();
    let oid = |name: &std::ffi::OsStr| name.to_str()?.strip_prefix(PREFIX)?.parse::<u32>().ok();
    entries.filter_map(|entry| oid(&entry.file_name())).map(pg_sys::Oid::from).collect()
}

/// Reads the files into shared memory. Once per start of the server, before any worker runs.
pub fn take_stock() {
    for database in on_file() {
        presence::rest(None, database, i64::MAX);
    }
}

/// Removes the files of databases other than these, which were dropped.
pub fn forget_others(databases: &[pg_sys::Oid]) {
    for gone in on_file().into_iter().filter(|database| !databases.contains(database)) {
        let _ = std::fs::remove_file(file(gone));
        presence::end_rest(gone);
    }
}

/// When the workers of a database were paused; `None` if they are not.
pub fn since(database: pg_sys::Oid) -> Option<SystemTime> {
    if registry::attach().is_err() || !presence::is_paused(database) {
        return None;
    }
    Some(std::fs::metadata(file(database)).and_then(|file| file.modified()).unwrap_or(SystemTime::UNIX_EPOCH))
}

/// Checks that the workers of this database are not paused: a call that waits for them would wait until they are resumed.
///
/// # Errors
/// [`Kind::NotReady`] if they are.
pub fn refuse() -> Result<(), Failure> {
    // Without the memory no database can be paused.
    if registry::attach().is_err() || !presence::is_paused(crate::postgres::platform::current_database()) {
        return Ok(());
    }
    Err(Failure::new(Kind::NotReady, "the workers of this database are paused")
        .with_hint("SELECT pinterest_resume_workers() lets them start again."))
}

fn trouble(error: std::io::Error) -> Failure {
    Failure::new(Kind::Database, format!("could not record that the workers are paused: {error}"))
}

fn sync_directory() -> std::io::Result<()> {
    std::fs::File::open(Path::new("."))?.sync_all()
}

/// Pauses the workers of a database and returns when those that ran have ended; false if it was paused before. A ROLLBACK
/// does not undo it.
///
/// # Errors
/// [`Kind::Busy`] if too many databases are paused or a worker does not end, [`Kind::Database`] if the file cannot be written.
pub fn pause(database: pg_sys::Oid) -> Result<bool, Failure> {
    registry::attach()?;
    let before = presence::is_paused(database);
    if !before {
        std::fs::File::create(file(database)).and_then(|made| made.sync_all()).map_err(trouble)?;
        sync_directory().map_err(trouble)?;
        if !presence::rest(None, database, i64::MAX) {
            let _ = std::fs::remove_file(file(database));
            return Err(Failure::new(Kind::Busy, "too many databases are paused"));
        }
    }
    wait_for_end(database)?;
    Ok(!before)
}

/// Lets the workers of a database start again; false if they were not paused.
///
/// # Errors
/// [`Kind::Database`] if the file cannot be removed, [`Kind::Busy`] if no slot is free for the launcher.
pub fn resume(database: pg_sys::Oid) -> Result<bool, Failure> {
    registry::attach()?;
    let before = presence::is_paused(database);
    match std::fs::remove_file(file(database)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(trouble(error)),
        _ => sync_directory().map_err(trouble)?,
    }
    presence::end_rest(database);
    if before && !crate::postgres::platform::in_recovery() {
        // Work that was queued meanwhile starts at once.
        presence::want(Worker::Database(database));
        if registry::is_running(Worker::Launcher) {
            registry::wake_launcher();
        } else {
            Worker::Launcher.start(Sent::ToWork)?;
        }
    }
    Ok(before)
}

fn workers_of(database: pg_sys::Oid) -> Vec<Instance> {
    presence::instances().filter(|instance| instance.worker.database() == database).collect()
}

/// Waits until the workers have ended. A worker checks in its main loop whether its database is paused; if the loop is stuck,
/// signals end the process.
fn wait_for_end(database: pg_sys::Oid) -> Result<(), Failure> {
    let began = Instant::now();
    let mut signals = 0;
    // A worker that has freed its slot is connected for a moment longer.
    let mut seen: Vec<i32> = Vec::new();
    loop {
        let there = workers_of(database);
        seen.extend(there.iter().map(|instance| instance.pid));
        seen.sort_unstable();
        seen.dedup();
        // SAFETY: reads the server's array of processes.
        seen.retain(|pid| unsafe { !pg_sys::BackendPidGetProc(*pid).is_null() });
        if there.is_empty() && seen.is_empty() {
            return Ok(());
        }
        there.iter().for_each(Instance::wake);
        if PATIENCE.get(signals).is_some_and(|patience| began.elapsed() >= *patience) {
            signals += 1;
            if signals == PATIENCE.len() {
                let pids: Vec<String> = seen.iter().map(ToString::to_string).collect();
                return Err(Failure::new(Kind::Busy, format!("processes {} have not ended", pids.join(", ")))
                    .with_hint("No other worker starts meanwhile. See pg_stat_activity for what they wait for."));
            }
            for instance in &there {
                // SAFETY: a worker that was just listed as running.
                unsafe { libc::kill(instance.pid, libc::SIGTERM) };
            }
        }
        threads::wait(threads::WaitEvent::Worker, None, Some(LOOK_AGAIN));
    }
}
