//! What this process takes from itself before it touches a stranger's bytes.

use std::io;

use rustix::fs::FileType;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[cfg(target_os = "linux")]
use crate::log;

/// Descriptors: 900 connections and a few more.
const MAX_DESCRIPTORS: u64 = 1024;

/// How far this process stands back behind those that started it, in steps of niceness: where processors are short, a
/// process of the database gets three times what a thread here gets. An import can wait, and where they are not short it
/// makes no difference.
const NICENESS: i32 = 5;

/// What depends on who starts the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confinement {
    /// Bytes of address space.
    pub memory_limit: Option<u64>,
    /// End with the parent process.
    pub parent_death: bool,
    /// The parent process, if known: it may have ended before this one could ask to end with it.
    pub parent_pid: Option<u32>,
}

impl Confinement {
    /// Applies all of it. To be called before there are other threads: the parent-death signal and no-new-privileges are
    /// inherited by threads started later, not by those that run.
    ///
    /// # Errors
    ///
    /// If the system refuses one, or the parent is not the expected one.
    pub fn apply(&self) -> io::Result<()> {
        sacrifice();
        rustix::process::nice(NICENESS)?;
        // A core would hold pictures and texts.
        lower(Resource::Core, 0)?;
        lower(Resource::Nofile, MAX_DESCRIPTORS)?;
        if let Some(bytes) = self.memory_limit {
            lower(Resource::As, bytes)?;
        }
        seal(self.parent_death)?;
        let parent = std::os::unix::process::parent_id();
        match self.parent_pid {
            Some(expected) if expected != parent => {
                Err(io::Error::other(format!("the parent is process {parent}, expected {expected}")))
            }
            _ => Ok(()),
        }
    }
}

/// First to be killed where memory runs out: what is lost is one batch, not a database. First of all steps, too, since a
/// process that is not dumpable no longer owns its files in /proc.
#[cfg(target_os = "linux")]
fn sacrifice() {
    if let Err(error) = std::fs::write("/proc/self/oom_score_adj", "1000") {
        log::line(format_args!("cannot raise oom_score_adj: {error}"));
    }
}

/// Other systems have no such choice.
#[cfg(not(target_os = "linux"))]
fn sacrifice() {}

#[cfg(target_os = "linux")]
fn seal(parent_death: bool) -> io::Result<()> {
    use rustix::process::{DumpableBehavior, Signal, set_dumpable_behavior, set_parent_process_death_signal};

    rustix::thread::set_no_new_privs(true)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    if parent_death {
        set_parent_process_death_signal(Some(Signal::KILL))?;
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn seal(parent_death: bool) -> io::Result<()> {
    match parent_death {
        true => Err(io::Error::other("--parent-death: this system tells no process of its parent's end")),
        false => Ok(()),
    }
}

/// Gives up writing files, but for a log that is one: what is over the limit would end the process.
pub fn write_no_file() -> io::Result<()> {
    match rustix::fs::fstat(std::io::stderr()) {
        Ok(log) if FileType::from_raw_mode(log.st_mode) == FileType::RegularFile => Ok(()),
        _ => lower(Resource::Fsize, 0),
    }
}

/// Lowers both limits, and never raises one.
fn lower(resource: Resource, limit: u64) -> io::Result<()> {
    let hard = getrlimit(resource).maximum;
    let limit = Some(hard.map_or(limit, |hard| hard.min(limit)));
    setrlimit(resource, Rlimit { current: limit, maximum: limit })?;
    Ok(())
}
