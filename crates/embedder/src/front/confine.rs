//! Limits and rights that this process gives up before it reads untrusted bytes.

use std::io;

use rustix::fs::FileType;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[cfg(target_os = "linux")]
use crate::log;

/// Open descriptors of a process that computes: 900 connections and a few more; and of one that spreads work: as many of each
/// kind, and those to embedders.
const MAX_DESCRIPTORS: (u64, u64) = (1024, 8192);

/// Niceness relative to the parent process. If CPUs are scarce, a process of the database gets three times the share of a
/// thread here: an import can wait. If they are not scarce, it makes no difference.
const NICENESS: i32 = 5;

/// Choices of the process that starts the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confinement {
    /// It computes and decodes, which can wait, and takes much memory.
    pub computes: bool,
    /// Largest address space, in bytes.
    pub memory_limit: Option<u64>,
    /// End with the parent process.
    pub parent_death: bool,
    /// The expected parent process. It may have ended before this process could request to end with it.
    pub parent_pid: Option<u32>,
}

impl Confinement {
    /// Applies all limits. Must be called before other threads start: threads that already run do not inherit the
    /// parent-death signal and no-new-privileges.
    ///
    /// # Errors
    ///
    /// If the system refuses a limit, or the parent is not the expected one.
    pub fn apply(&self) -> io::Result<()> {
        if self.computes {
            prefer_oom_kill();
            rustix::process::nice(NICENESS)?;
        }
        // A core file would contain images and texts.
        lower(Resource::Core, 0)?;
        lower(Resource::Nofile, if self.computes { MAX_DESCRIPTORS.0 } else { MAX_DESCRIPTORS.1 })?;
        if let Some(bytes) = self.memory_limit {
            lower(Resource::As, bytes)?;
        }
        seal(self.parent_death)?;
        let parent = std::os::unix::process::parent_id();
        match self.parent_pid {
            Some(expected) if expected != parent => {
                Err(io::Error::other(format!("parent process is {parent}, expected {expected}")))
            }
            _ => Ok(()),
        }
    }
}

/// Makes this process the first to be killed if memory runs out, which costs one batch and not a database. Called before all
/// other steps, since a process that is not dumpable does not own its files in /proc.
#[cfg(target_os = "linux")]
fn prefer_oom_kill() {
    if let Err(error) = std::fs::write("/proc/self/oom_score_adj", "1000") {
        log::line(format_args!("could not raise oom_score_adj: {error}"));
    }
}

/// Other systems have no such setting.
#[cfg(not(target_os = "linux"))]
fn prefer_oom_kill() {}

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
        true => Err(io::Error::other("--parent-death is not supported on this system")),
        false => Ok(()),
    }
}

/// Gives up writing files, unless standard error is a file: exceeding the limit would end the process.
pub fn write_no_file() -> io::Result<()> {
    match rustix::fs::fstat(std::io::stderr()) {
        Ok(log) if FileType::from_raw_mode(log.st_mode) == FileType::RegularFile => Ok(()),
        _ => lower(Resource::Fsize, 0),
    }
}

/// Lowers the soft and the hard limit; never raises one.
fn lower(resource: Resource, limit: u64) -> io::Result<()> {
    let hard = getrlimit(resource).maximum;
    let limit = Some(hard.map_or(limit, |hard| hard.min(limit)));
    setrlimit(resource, Rlimit { current: limit, maximum: limit })?;
    Ok(())
}
