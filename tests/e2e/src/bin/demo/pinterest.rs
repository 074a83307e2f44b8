//! The local Pinterest as a separate process, which can outlive the demo.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::Context;
use e2e::process::{Process, terminate};
use e2e::{Browser, Installation, Result, ServerUser, wait_for};
use serde::Deserialize;

/// Directory of its certificate authority, log and process id, in the demo's directory.
const DIRECTORY: &str = "sandbox";
const PID_FILE: &str = "pid";
/// Name of the process, cut to 15 characters by the kernel.
const PROCESS_NAME: &str = "pinterest-sandb";

/// The line that `pinterest-sandbox serve` prints when it is ready.
#[derive(Debug, Deserialize)]
pub struct Announcement {
    url: String,
    host: String,
    ca_file: PathBuf,
    pub client_id: String,
    pub client_secret: String,
    pub redirect_uri: String,
}

/// The state in a URL of `pinterest_authorize_url()`, which needs no decoding.
pub fn state_of(authorize_url: &str) -> Result<&str> {
    let query = authorize_url.split_once('?').context("the URL has no query")?.1;
    query.split('&').find_map(|pair| pair.strip_prefix("state=")).context("the URL has no state")
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
    /// Starts the sandbox as the server's user. If it is to be kept, closing the terminal does not end it; otherwise it
    /// ends with this process.
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
            // That of examples/venue-app.
            .args(["--redirect-uri", "http://localhost:8085/pinterest/callback"])
            .stdout(Stdio::piped())
            .stderr(log);
        if keep {
            command.stdin(Stdio::null());
        } else {
            command.arg("--stdin-lifeline").stdin(Stdio::piped());
        }
        let mut child = command.spawn().context("cannot start pinterest-sandbox")?;
        // setsid executes the program in the same process, so this is the sandbox's id.
        fs::write(directory.join(PID_FILE), child.id().to_string()).context("cannot write the sandbox's process id")?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line).context("cannot read the sandbox's output")?;
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

    /// Credentials of the sandbox's app.
    pub fn app(&self) -> &Announcement {
        &self.announcement
    }

    pub fn browser(&self) -> Result<Browser> {
        Browser::trusting(self.ca_file())
    }

    /// Leaves the sandbox running.
    pub fn keep(mut self) {
        self.keep = true;
    }

    /// Ends a sandbox that was left running and removes its directory. Returns whether one was running.
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
            // The process may already have ended.
            let _ = self.child.kill();
            let _ = self.child.wait();
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}
