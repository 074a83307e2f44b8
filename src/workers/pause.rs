//! Databases that no worker enters until somebody calls them back: `pinterest_pause_workers()`.
//!
//! What is paused is a file in the data directory, one a database: it survives a restart of the server, can be asked for
//! from another database, follows a rename, and is not copied by CREATE DATABASE … TEMPLATE, as a row would be. The file
//! is what lasts; shared memory has the same for those who look often.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use pgrx::pg_sys;

use super::presence::{self, Instance};
use super::registry::{self, Sent, Worker};
use crate::errors::{Failure, Kind};
use crate::postgres::threads;

/// Before the oid of the database; in the data directory, every server process' working directory.
const PREFIX: &str = "pinterest.paused.";
/// How long workers may take to give back what they have in hand, then to end by a signal, then by a second one.
const PATIENCE: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(8), Duration::from_secs(15)];
/// Between looks at whether they have gone.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

fn file(database: pg_sys::Oid) -> PathBuf {
    PathBuf::from(format!("{PREFIX}{}", database.to_u32()))
}

/// The databases whose files are there.
fn on_file() -> Vec<pg_sys::Oid> {
    let entries = std::fs::read_dir(".").into_iter().flatten().flatten();
    let oid = |name: &std::ffi::OsStr| name.to_str()?.strip_prefix(PREFIX)?.parse::<u32>().ok();
    entries.filter_map(|entry| oid(&entry.file_name())).map(pg_sys::Oid::from).collect()
}

/// Notes what was paused in an earlier life of the server. Once in a server's life, before any worker runs.
pub fn take_stock() {
    for database in on_file() {
        presence::rest(None, database, i64::MAX);
    }
}

/// Forgets databases that are not among these any more.
pub fn forget_others(databases: &[pg_sys::Oid]) {
    for gone in on_file().into_iter().filter(|database| !databases.contains(database)) {
        let _ = std::fs::remove_file(file(gone));
        presence::end_rest(gone);
    }
}

/// When the workers of a database were sent away; `None` where they were not.
pub fn since(database: pg_sys::Oid) -> Option<SystemTime> {
    if presence::attach().is_err() || !presence::is_paused(database) {
        return None;
    }
    Some(std::fs::metadata(file(database)).and_then(|file| file.modified()).unwrap_or(SystemTime::UNIX_EPOCH))
}

/// Refuses where nobody works in this database: what waits for workers would wait until they are called back.
pub fn refuse() -> Result<(), Failure> {
    // Without the memory nobody can have paused anything.
    if presence::attach().is_err() || !presence::is_paused(crate::postgres::platform::current_database()) {
        return Ok(());
    }
    Err(Failure::new(Kind::NotReady, "the workers of this database are paused")
        .with_hint("SELECT pinterest_resume_workers() lets them start again."))
}

fn trouble(error: std::io::Error) -> Failure {
    Failure::new(Kind::Database, format!("cannot record that the workers are paused: {error}"))
}

fn sync_directory() -> std::io::Result<()> {
    std::fs::File::open(Path::new("."))?.sync_all()
}

/// Keeps all workers out of a database and returns when those that were there have gone; false where it was paused
/// before. Not undone by a ROLLBACK.
pub fn pause(database: pg_sys::Oid) -> Result<bool, Failure> {
    presence::attach()?;
    let before = presence::is_paused(database);
    if !before {
        std::fs::File::create(file(database)).and_then(|made| made.sync_all()).map_err(trouble)?;
        sync_directory().map_err(trouble)?;
        if !presence::rest(None, database, i64::MAX) {
            let _ = std::fs::remove_file(file(database));
            return Err(Failure::new(Kind::Busy, "too many databases are paused"));
        }
    }
    send_away(database)?;
    Ok(!before)
}

/// Lets workers in again; false where they were not kept out.
pub fn resume(database: pg_sys::Oid) -> Result<bool, Failure> {
    presence::attach()?;
    let before = presence::is_paused(database);
    match std::fs::remove_file(file(database)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(trouble(error)),
        _ => sync_directory().map_err(trouble)?,
    }
    presence::end_rest(database);
    if before && !crate::postgres::platform::in_recovery() {
        // What has been queued meanwhile is taken on at once.
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

/// A worker sees by itself that its database is paused; where its main loop does not go round, signals end it.
fn send_away(database: pg_sys::Oid) -> Result<(), Failure> {
    let began = Instant::now();
    let mut signals = 0;
    // Those that have given their slot back are connected for a moment longer.
    let mut seen: Vec<i32> = Vec::new();
    loop {
        let there = workers_of(database);
        seen.extend(there.iter().map(|instance| instance.pid));
        seen.sort_unstable();
        seen.dedup();
        // SAFETY: a look-up in the server's array of processes.
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
                    .with_hint("No other worker starts meanwhile. pg_stat_activity shows what they wait for."));
            }
            for instance in &there {
                // SAFETY: a process of ours that has just been seen to run.
                unsafe { libc::kill(instance.pid, libc::SIGTERM) };
            }
        }
        threads::wait(None, Some(LOOK_AGAIN));
    }
}
