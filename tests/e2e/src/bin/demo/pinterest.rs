//! The local Pinterest as a process of its own, which can outlive the demo.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::Context;
use e2e::process::{Process, terminate};
use e2e::{Browser, Installation, Result, ServerUser, wait_for};
use serde::Deserialize;

/// Under the demo's directory: its certificate authority, its log, its process id.
const DIRECTORY: &str = "sandbox";
const PID_FILE: &str = "pid";
/// As the kernel keeps it, 15 characters long.
const PROCESS_NAME: &str = "pinterest-sandb";

/// What `pinterest-sandbox serve` says when it is ready.
#[derive(Debug, Deserialize)]
pub struct Announcement {
    url: String,
    host: String,
    ca_file: PathBuf,
    pub client_id: String,
    pub client_secret: String,
    pub redirect_uri: String,
}

/// The state in an address that `pinterest_authorize_url()` returned; it needs no decoding.
pub fn state_of(authorize_url: &str) -> Result<&str> {
    let query = authorize_url.split_once('?').context("the address has no query")?.1;
    query.split('&').find_map(|pair| pair.strip_prefix("state=")).context("the address has no state")
}

/// A running `pinterest-sandbox`; ends when this is dropped, unless it is kept.
#[derive(Debug)]
pub struct LocalPinterest {
    announcement: Announcement,
    child: Child,
    directory: PathBuf,
    keep: bool,
}

impl LocalPinterest {
    /// Starts the demo's world as the server's user. What is to be kept gets a session of its own, so that closing the
    /// terminal does not end it; what is not ends with this process, however that ends.
    pub fn start(installation: &Installation, demo: &Path, keep: bool) -> Result<Self> {
        let user = ServerUser::get()?;
        let directory = demo.join(DIRECTORY);
        user.private_directory(&directory)?;
        let log = File::create(directory.join("log")).context("cannot make the sandbox's log")?;
        let mut command = user.command("setsid");
        command
            .arg(installation.program("pinterest-sandbox"))
            .arg("serve")
            .arg("--ca-file")
            .arg(directory.join("ca.pem"))
            .stdout(Stdio::piped())
            .stderr(log);
        if keep {
            command.stdin(Stdio::null());
        } else {
            command.arg("--stdin-lifeline").stdin(Stdio::piped());
        }
        let mut child = command.spawn().context("cannot start pinterest-sandbox")?;
        // setsid changes into the program, so this is the sandbox's own id.
        fs::write(directory.join(PID_FILE), child.id().to_string()).context("cannot note the sandbox's process id")?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line).context("cannot read what the sandbox says")?;
        }
        let announcement = serde_json::from_str(&line).with_context(|| {
            let log = fs::read_to_string(directory.join("log")).unwrap_or_default();
            format!("pinterest-sandbox does not say that it is ready: {line}{log}")
        })?;
        Ok(Self { announcement, child, directory, keep: false })
    }

    pub fn url(&self) -> String {
        self.announcement.url.clone()
    }

    /// `localhost:PORT`.
    pub fn host(&self) -> &str {
        &self.announcement.host
    }

    pub fn ca_file(&self) -> &Path {
        &self.announcement.ca_file
    }

    /// Credentials of the app it knows.
    pub fn app(&self) -> &Announcement {
        &self.announcement
    }

    pub fn browser(&self) -> Result<Browser> {
        Browser::trusting(self.ca_file())
    }

    /// Leaves it running.
    pub fn keep(mut self) {
        self.keep = true;
    }

    /// Ends one that was left running and removes its directory. Returns whether one was running.
    pub fn stop_kept(demo: &Path) -> Result<bool> {
        let directory = demo.join(DIRECTORY);
        let running = fs::read_to_string(directory.join(PID_FILE))
            .ok()
            .and_then(|pid| Process::get(pid.trim().parse().ok()?))
            .filter(|process| process.name == PROCESS_NAME);
        if let Some(process) = &running {
            terminate(process.pid)?;
            wait_for("the sandbox to end", Duration::from_secs(10), || {
                Ok(Process::get(process.pid).is_none().then_some(()))
            })?;
        }
        if directory.exists() {
            fs::remove_dir_all(&directory).with_context(|| format!("cannot remove {}", directory.display()))?;
        }
        Ok(running.is_some())
    }
}

impl Drop for LocalPinterest {
    fn drop(&mut self) {
        if !self.keep {
            // It may have ended by itself.
            let _ = self.child.kill();
            let _ = self.child.wait();
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}
