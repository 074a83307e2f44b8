//! The directories of a cluster, and the removal of those that a killed run left behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::Result;
use crate::checkout::runtime_directory;
use crate::process::Process;
use crate::server_user::ServerUser;
use crate::wait::wait_for;

/// Variable of the environment with another directory for clusters; `tools/test` makes one in memory.
const CLUSTERS: &str = "PG_PINTEREST_CLUSTERS";

/// A short path that exists on every system.
const SOCKET_PARENT: &str = "/tmp";

/// The directories of a cluster: `data/` and `log` under its root, and one with a short path for the socket (the kernel
/// allows 107 bytes).
#[derive(Debug)]
pub(super) struct Place {
    root: PathBuf,
    sockets: Option<TempDir>,
    socket_path: PathBuf,
    leave: bool,
}

impl Place {
    /// Creates the directories at `root`, or under `target/clusters`, or what [`CLUSTERS`] names, with this process's id in the
    /// name.
    pub(super) fn make(root: Option<PathBuf>) -> Result<Self> {
        let root = match root {
            Some(root) => root,
            None => {
                static NUMBER: AtomicU32 = AtomicU32::new(1);
                let clusters =
                    std::env::var_os(CLUSTERS).map_or_else(|| runtime_directory("clusters"), |path| Ok(path.into()))?;
                static SWEPT: Once = Once::new();
                SWEPT.call_once(|| sweep(&clusters));
                let number = NUMBER.fetch_add(1, Ordering::Relaxed);
                clusters.join(format!("{}-{number}", std::process::id()))
            }
        };
        let user = ServerUser::get()?;
        user.private_directory(&root)?;
        let sockets = tempfile::Builder::new()
            .prefix("pg_pinterest-")
            .tempdir_in(SOCKET_PARENT)
            .with_context(|| format!("cannot make a directory for the socket in {SOCKET_PARENT}"))?;
        user.own(sockets.path())?;
        Ok(Self { root, socket_path: sockets.path().to_path_buf(), sockets: Some(sockets), leave: false })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    pub(super) fn sockets(&self) -> &Path {
        &self.socket_path
    }

    /// Keeps everything when this is dropped, for a server that continues to run.
    pub(super) fn leave(&mut self) {
        self.leave_data();
        if let Some(sockets) = self.sockets.take() {
            let _ = sockets.keep();
        }
    }

    /// Keeps data and log of a server that has stopped.
    pub(super) fn leave_data(&mut self) {
        self.leave = true;
    }

    pub(super) fn left(&self) -> bool {
        self.leave
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.leave {
            // The next run removes the rest.
            let _ = fs::remove_dir_all(&self.root);
        }
    }
}

/// Stops and removes the clusters of processes that ended without doing so.
fn sweep(clusters: &Path) {
    let Ok(entries) = fs::read_dir(clusters) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.split_once('-')?.0.parse().ok());
        // The next run tries again.
        if owner.is_some_and(|owner| Process::get(owner).is_none()) {
            let _ = remove_left(&entry.path());
        }
    }
}

/// Stops the server of a cluster's directory if it is running and removes its files. Returns whether it was running.
pub(super) fn remove_left(root: &Path) -> Result<bool> {
    // Lines as in the server's miscadmin.h: process id, data directory, start time, port, socket directory.
    let pid_file = fs::read_to_string(root.join("data/postmaster.pid")).unwrap_or_default();
    let mut lines = pid_file.lines();
    let postmaster = lines.next().and_then(|line| Process::get(line.parse().ok()?));
    let postmaster = postmaster.filter(|process| process.name == "postgres");
    if let Some(pid) = postmaster.as_ref().and_then(|process| Pid::from_raw(process.pid)) {
        // SIGQUIT to the postmaster is an immediate shutdown, without a checkpoint.
        kill_process(pid, Signal::QUIT).context("cannot stop the server that was left running")?;
        wait_for("the server to stop", Duration::from_secs(30), || {
            Ok(Process::get(pid.as_raw_nonzero().get()).is_none().then_some(()))
        })?;
    }
    if let Some(sockets) = lines.nth(3).map(Path::new).filter(|path| path.starts_with(SOCKET_PARENT)) {
        let _ = fs::remove_dir_all(sockets);
    }
    if root.exists() {
        fs::remove_dir_all(root).with_context(|| format!("cannot remove {}", root.display()))?;
    }
    Ok(postmaster.is_some())
}
