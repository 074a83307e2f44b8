//! Programs that serve HTTP on a port of their own.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::prelude::*;

/// A port of 127.0.0.1 that was free a moment ago.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// A program that serves HTTP on 127.0.0.1; ended when this is dropped.
pub struct Service {
    process: Child,
    port: u16,
    log: PathBuf,
}

impl Service {
    /// Starts the command, which is to listen on this port, with its output in `log`, and waits until `path` is served.
    pub fn start(command: &mut Command, port: u16, path: &str, log: PathBuf) -> Result<Self> {
        let output = File::create(&log)?;
        let name = command.get_program().to_owned();
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let process = command.spawn().with_context(|| format!("cannot start {}", Path::new(&name).display()))?;
        let mut service = Self { process, port, log };
        wait_for("an HTTP server", SOON, || {
            if let Some(status) = service.process.try_wait()? {
                bail!("{} ended with {status}: {}", Path::new(&name).display(), service.log()?);
            }
            Ok(service.get(path).ok())
        })?;
        Ok(service)
    }

    /// The address, `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The body of a page; an error for any status but 200.
    pub fn get(&self, path: &str) -> Result<String> {
        Ok(ureq::get(format!("http://{}{path}", self.address())).call()?.body_mut().read_to_string()?)
    }

    /// The program's output so far.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(&self.log)?)
    }

    /// Ends the program.
    pub fn stop(&mut self) {
        if let Some(pid) = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
        let _ = self.process.wait();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop();
    }
}
