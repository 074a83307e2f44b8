//! Pauses for workers that crashed. A crash (SIGKILL, SIGSEGV) makes the server restart, which loses its shared memory and
//! every record in it that the worker should wait. So each worker keeps a file while it runs, and a file that exists when
//! the server starts is a crash.
//!
//! Processes that the server ends because another one crashed remove their files.

use std::collections::HashMap;
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pgrx::pg_sys;

use super::kind::Worker;
use super::presence;

/// Private to the server's user, and not in base backups.
const DIRECTORY: &str = "pg_stat_tmp";
/// Prefix of the file of a running worker, followed by kind, database and process id.
const AT_WORK: &str = "pinterest-at-work.";
/// One line per kind and database: kind, database, deaths, time of the last one in seconds since 1970.
const DEATHS: &str = "pg_stat_tmp/pinterest-deaths";
/// The pause after a death: doubles with each from the first to the second.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Deaths are forgotten after so long without another.
const FORGOTTEN: Duration = Duration::from_secs(900);

static OWN: OnceLock<CString> = OnceLock::new();

/// Creates this process' file. If the disk is full, the process still runs, but its death is not counted.
pub fn begin(worker: Worker) {
    let name = format!("{AT_WORK}{}.{}.{}", worker.code(), worker.database().to_u32(), std::process::id());
    let path = Path::new(DIRECTORY).join(name);
    if std::fs::write(&path, "").is_ok()
        && let Some(path) = path.to_str().and_then(|path| CString::new(path).ok())
    {
        let _ = OWN.set(path);
    }
}

/// Removes this process' file: it ends in order, or because another one crashed. Safe in a signal handler.
pub fn ended_in_order() {
    if let Some(path) = OWN.get() {
        // SAFETY: a system call on a NUL-terminated string that exists as long as the process.
        unsafe { libc::unlink(path.as_ptr()) };
    }
}

/// Delays the workers that crashed before the restart. Once per start of the server, before any worker runs.
pub fn take_stock() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let text = std::fs::read_to_string(DEATHS).unwrap_or_default();
    let mut deaths = parse(&text, now);
    let mut found = false;
    for path in left_behind() {
        if let Some(key) = key(&path) {
            let (count, at) = deaths.entry(key).or_default();
            (*count, *at) = (count.saturating_add(1), now);
        }
        found |= std::fs::remove_file(&path).is_ok();
    }
    if found {
        let unfinished = format!("{DEATHS}.new");
        let written = std::fs::write(&unfinished, print(&deaths)).and_then(|()| std::fs::rename(&unfinished, DEATHS));
        if let Err(error) = written {
            super::log::line(super::log::About::Server, format_args!("could not write file \"{DEATHS}\": {error}"));
        }
    }
    for ((kind, database), (count, at)) in deaths {
        let left = pause(count).as_secs().saturating_sub(now.saturating_sub(at));
        if left > 0 {
            let until = presence::now().saturating_add(i64::try_from(left).unwrap_or(0).saturating_mul(1_000_000));
            presence::rest(Some(kind), pg_sys::Oid::from(database), until);
        }
    }
}

/// Kind and database.
type Key = (u32, u32);

fn left_behind() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(DIRECTORY).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| key(path).is_some()).collect()
}

fn key(path: &Path) -> Option<Key> {
    let mut parts = path.file_name()?.to_str()?.strip_prefix(AT_WORK)?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn parse(text: &str, now: u64) -> HashMap<Key, (u32, u64)> {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let key = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let (count, at): (u32, u64) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        // A time in the future comes from a clock that was set back since.
        (at <= now && now - at < FORGOTTEN.as_secs()).then_some((key, (count, at)))
    };
    text.lines().filter_map(line).collect()
}

fn print(deaths: &HashMap<Key, (u32, u64)>) -> String {
    deaths.iter().map(|((kind, database), (count, at))| format!("{kind} {database} {count} {at}\n")).collect()
}

/// The pause after so many deaths.
fn pause(deaths: u32) -> Duration {
    let doubled = 1_u32.checked_shl(deaths.saturating_sub(1)).unwrap_or(u32::MAX);
    BACKOFF.0.saturating_mul(doubled).min(BACKOFF.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deaths_are_counted_and_forgotten() {
        let deaths = parse("3 5 2 1000\n3 6 1 10\nnonsense\n4 5 9 2000\n", 1100);
        assert_eq!(deaths.len(), 1, "one is long ago, one is to come: {deaths:?}");
        assert_eq!(deaths[&(3, 5)], (2, 1000));
        assert_eq!(parse(&print(&deaths), 1100), deaths);
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        let seconds: Vec<u64> = [1, 2, 3, 6, 7, 40, u32::MAX].map(|deaths| pause(deaths).as_secs()).to_vec();
        assert_eq!(seconds, [1, 2, 4, 32, 60, 60, 60]);
    }

    #[test]
    fn a_file_names_kind_and_database() {
        assert_eq!(key(Path::new("pg_stat_tmp/pinterest-at-work.3.16384.77")), Some((3, 16384)));
        assert_eq!(key(Path::new("pg_stat_tmp/pinterest-worker.77.sock")), None);
    }
}
