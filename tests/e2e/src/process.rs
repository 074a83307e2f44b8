//! Processes in `/proc`: the embedder, and the memory of each process.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};

use crate::Result;
use crate::wait::wait_for;

/// A process in `/proc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Process id.
    pub pid: i32,
    /// Parent's process id.
    pub parent: i32,
    /// Name of the executable, cut to 15 characters by the kernel.
    pub name: String,
}

impl Process {
    /// All processes that run now.
    pub fn all() -> Vec<Self> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter_map(Self::get).collect()
    }

    /// One process; `None` if it has ended or is a zombie.
    pub fn get(pid: i32) -> Option<Self> {
        let (name, fields) = stat(pid)?;
        let parent = fields.get(1)?.parse().ok()?;
        (fields.first()? != "Z").then_some(Self { pid, parent, name })
    }

    /// All processes below `ancestor`, children of children included.
    pub fn descendants(ancestor: i32) -> Vec<Self> {
        let mut rest = Self::all();
        let mut found = Vec::<Self>::new();
        loop {
            let (below, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(|process| {
                process.parent == ancestor || found.iter().any(|known| known.pid == process.parent)
            });
            if below.is_empty() {
                return found;
            }
            found.extend(below);
            rest = others;
        }
    }

    /// The time that processors have worked for it so far.
    pub fn processor_time(&self) -> Result<Duration> {
        let (_, fields) = stat(self.pid).with_context(|| format!("{} ({}) has ended", self.name, self.pid))?;
        // In user and in kernel mode.
        let times = fields.get(11..13).context("no times in /proc")?;
        let ticks: u64 = times.iter().map(|ticks| ticks.parse::<u64>()).sum::<Result<_, _>>()?;
        Ok(Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()))
    }

    /// Its command line, the program first.
    pub fn arguments(&self) -> Result<Vec<String>> {
        let line = fs::read_to_string(format!("/proc/{}/cmdline", self.pid))
            .with_context(|| format!("{} ({}) has ended", self.name, self.pid))?;
        Ok(line.split_terminator('\0').map(str::to_owned).collect())
    }

    /// Resident anonymous memory in bytes.
    pub fn private_memory(&self) -> Result<u64> {
        self.memory("RssAnon:")
    }

    /// Resident memory in bytes, including shared pages.
    pub fn resident_memory(&self) -> Result<u64> {
        self.memory("VmRSS:")
    }

    fn memory(&self, field: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))
            .with_context(|| format!("{} ({}) has ended", self.name, self.pid))?;
        let kilobytes: u64 = status
            .lines()
            .find_map(|line| line.strip_prefix(field))
            .and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok())
            .with_context(|| format!("no {field} for {} ({})", self.name, self.pid))?;
        Ok(kilobytes * 1024)
    }
}

/// The name of a process, and the fields after it in `/proc/PID/stat`, of which the first is its state.
fn stat(pid: i32) -> Option<(String, Vec<String>)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in brackets and may contain any character, even brackets.
    let (head, tail) = stat.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    Some((name, tail.split_ascii_whitespace().map(str::to_owned).collect()))
}

/// Sends SIGTERM to a process.
pub fn terminate(pid: i32) -> Result<()> {
    let target = Pid::from_raw(pid).with_context(|| format!("{pid} is not a process id"))?;
    kill_process(target, Signal::TERM).with_context(|| format!("cannot end {pid}"))
}

/// Stops a process (SIGSTOP), or lets it continue (SIGCONT).
pub fn suspend(pid: i32, suspend: bool) -> Result<()> {
    let target = Pid::from_raw(pid).with_context(|| format!("{pid} is not a process id"))?;
    kill_process(target, if suspend { Signal::STOP } else { Signal::CONT })
        .with_context(|| format!("cannot reach {pid}"))
}

/// Kills a process with SIGKILL and waits until it is gone.
pub fn kill9(pid: i32) -> Result<()> {
    let target = Pid::from_raw(pid).with_context(|| format!("{pid} is not a process id"))?;
    kill_process(target, Signal::KILL).with_context(|| format!("cannot kill {pid}"))?;
    wait_for("a killed process to end", Duration::from_secs(10), || Ok(Process::get(pid).is_none().then_some(())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_child_is_found_and_killed() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        let found = Process::descendants(own).into_iter().find(|process| process.pid == pid).unwrap();
        assert_eq!(found.parent, own);
        assert!(found.resident_memory().unwrap() > 0);
        kill9(pid).unwrap();
        assert!(!child.wait().unwrap().success());
        assert_eq!(Process::get(pid), None);
    }
}
