//! Keeps the counters over a clean restart of a server that preloads the library: the postmaster writes them to a file when it
//! ends, and reads and removes the file when it starts. After a crash there is no file, and the counters begin at 0.
//!
//! This is what pg_stat_statements does on every major. Cumulative statistics of extensions (PostgreSQL 18, still with
//! experimental ids) would be a second implementation for one major, and cannot be written by threads.
//!
//! An immediate shutdown ends the postmaster in order, and so writes the file too.

use std::fs::{self, OpenOptions};
use std::io::{Error, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::sync::atomic::{AtomicI64, AtomicU64};

use pgrx::pg_sys;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::counter::{Counter, View};
use super::memory::{LAYOUT, Memory};
use super::named;

/// Relative to the data directory, the server's working directory. pg_stat is for statistics that outlive the server.
const DIRECTORY: &str = "pg_stat";
const FILE: &str = "pg_stat/pg_pinterest.stat";
const WRITTEN: &str = "pg_stat/pg_pinterest.stat.tmp";
/// Four times what full tables take.
const MOST_BYTES: u64 = 4 << 20;

/// The file's second part, as JSON. The first is a line with the layout and the SHA-256 of the second.
#[derive(Deserialize, Serialize)]
struct Saved {
    databases: Vec<SavedDatabase>,
    hosts: Vec<(u32, String, Vec<u64>)>,
    columns: Vec<(u32, i64, Vec<u64>)>,
    embedder: (i64, Vec<u64>),
}

#[derive(Deserialize, Serialize)]
struct SavedDatabase {
    oid: u32,
    resets: Vec<i64>,
    counters: Vec<u64>,
    other_hosts: Vec<u64>,
}

/// Reads the counters of the last run, and removes the file, so that a crash does not bring them back. In the postmaster, before
/// another process sees the memory. A file that cannot be used is ignored, and removed unless it is a directory.
pub fn read(memory: Memory) {
    let bytes = contents(FILE.as_ref());
    if matches!(&bytes, Err(error) if error.kind() == ErrorKind::NotFound) {
        return;
    }
    // Durably: a crash of the machine must not bring it back either.
    let removed = fs::remove_file(FILE).and_then(|()| sync_directory());
    match (bytes.map(|bytes| parse(&bytes)), removed) {
        (Err(error), _) => pgrx::log!("pg_pinterest: could not read file \"{FILE}\": {error}; statistics begin at 0"),
        (_, Err(error)) => pgrx::log!("pg_pinterest: could not remove file \"{FILE}\": {error}; statistics begin at 0"),
        (Ok(Some(saved)), _) => load(memory, &saved),
        (Ok(None), _) => pgrx::log!("pg_pinterest: ignoring invalid file \"{FILE}\"; statistics begin at 0"),
    }
}

/// The contents of a regular file of at most [`MOST_BYTES`]. Anything else in its place must not hold the postmaster up: a FIFO
/// would wait for a writer.
fn contents(path: &Path) -> std::io::Result<Vec<u8>> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    // A file that grows meanwhile is limited, too.
    if file.take(MOST_BYTES + 1).read_to_end(&mut bytes)? as u64 > MOST_BYTES {
        return Err(Error::other(format!("larger than {MOST_BYTES} bytes")));
    }
    Ok(bytes)
}

/// The line before the counters.
fn heading(counters: &[u8]) -> String {
    let digest: String = Sha256::digest(counters).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}, {} counters, {digest}\n", LAYOUT.to_string_lossy(), Counter::NUMBER)
}

fn parse(bytes: &[u8]) -> Option<Saved> {
    let end = bytes.iter().position(|byte| *byte == b'\n')? + 1;
    let (first, counters) = bytes.split_at(end);
    if first != heading(counters).as_bytes() {
        return None;
    }
    serde_json::from_slice(counters).ok()
}

fn load(memory: Memory, saved: &Saved) {
    // 0 is a free place.
    for database in saved.databases.iter().filter(|database| database.oid != 0) {
        let Some(index) = memory.place_of(database.oid) else { break };
        let place = &memory.databases[index];
        place.resets.iter().zip(&database.resets).for_each(|(reset, saved)| reset.store(*saved, Relaxed));
        place.counters.iter().zip(&database.counters).for_each(|(counter, saved)| counter.store(*saved, Relaxed));
        place.other_hosts.load(&database.other_hosts);
    }
    for (database, name, numbers) in &saved.hosts {
        named::load_host(memory, *database, name, numbers);
    }
    for (database, id, numbers) in &saved.columns {
        named::load_column(memory, *database, *id, numbers);
    }
    memory.header.embedder.load(saved.embedder.0, &saved.embedder.1);
}

fn numbers(counters: &[AtomicU64]) -> Vec<u64> {
    counters.iter().map(|counter| counter.load(Relaxed)).collect()
}

fn moments(resets: &[AtomicI64; View::OF_DATABASE]) -> Vec<i64> {
    resets.iter().map(|reset| reset.load(Relaxed)).collect()
}

fn save(memory: Memory) -> Saved {
    let taken = memory.databases.iter().filter(|database| database.oid.load(Acquire) != 0);
    Saved {
        databases: taken
            .map(|database| SavedDatabase {
                oid: database.oid.load(Relaxed),
                resets: moments(&database.resets),
                counters: numbers(&database.counters),
                other_hosts: database.other_hosts.dump(),
            })
            .collect(),
        hosts: named::dump_hosts(memory).collect(),
        columns: named::dump_columns(memory).collect(),
        embedder: memory.header.embedder.dump(),
    }
}

/// Makes the postmaster write the file when it ends. In the postmaster; its children do not inherit this.
pub fn write_at_exit() {
    // SAFETY: a callback of this library, registered each time that shared memory was created: the end of the last one's use has
    // called and removed the one before.
    unsafe { pg_sys::on_shmem_exit(Some(at_exit), pg_sys::Datum::from(0usize)) };
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn at_exit(code: i32, _argument: pg_sys::Datum) {
    // Otherwise the server begins again after a crash, or has failed.
    if code == 0
        && let Some(memory) = super::memory::memory()
        && let Err(error) = write(memory)
    {
        pgrx::log!("pg_pinterest: could not write file \"{WRITTEN}\": {error}; statistics are lost");
    }
}

fn write(memory: Memory) -> std::io::Result<()> {
    let counters = serde_json::to_vec(&save(memory))?;
    // What is left of a write that was interrupted, or anything else that would hold the postmaster up.
    match fs::remove_file(WRITTEN) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // As the server's other files: its umask takes the group's right away, unless the data directory gives the group access.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o640).open(WRITTEN)?;
    file.write_all(heading(&counters).as_bytes())?;
    file.write_all(&counters)?;
    file.sync_all()?;
    fs::rename(WRITTEN, FILE)?;
    sync_directory()
}

/// Makes the names of the files durable.
fn sync_directory() -> std::io::Result<()> {
    fs::File::open(DIRECTORY)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Vec<u8> {
        let counters = br#"{"databases":[],"hosts":[],"columns":[],"embedder":[7,[1,2]]}"#;
        [heading(counters).as_bytes(), counters].concat()
    }

    #[test]
    fn what_is_written_can_be_read() {
        assert_eq!(parse(&file()).map(|saved| saved.embedder), Some((7, vec![1, 2])));
    }

    #[test]
    fn full_tables_fit_into_the_file() {
        let most = u64::MAX;
        let counters = vec![most; Counter::NUMBER];
        let database = || SavedDatabase {
            oid: u32::MAX,
            resets: vec![i64::MIN; View::OF_DATABASE],
            counters: counters.clone(),
            other_hosts: vec![most; 24],
        };
        let [databases, hosts, columns] = super::super::memory::PRELOADED;
        let saved = Saved {
            databases: (0..databases).map(|_| database()).collect(),
            // A byte takes six at most.
            hosts: vec![(u32::MAX, "\u{1}".repeat(64), vec![most; 24]); hosts],
            columns: vec![(u32::MAX, i64::MIN, vec![most; 4]); columns],
            embedder: (i64::MIN, vec![most; 8]),
        };
        let length = serde_json::to_vec(&saved).unwrap().len() as u64;
        assert!(length < MOST_BYTES / 2, "{length}");
    }

    #[test]
    fn a_file_with_any_byte_changed_or_missing_is_ignored() {
        let file = file();
        for index in 0..file.len() {
            let mut changed = file.clone();
            changed[index] ^= 1;
            assert!(parse(&changed).is_none(), "{index}");
            assert!(parse(&file[..index]).is_none(), "{index}");
        }
    }
}
