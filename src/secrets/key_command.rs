//! `pinterest.key_command`: a program that prints the key ring, for keys that lie in a vault.

use std::io::{ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use pgrx::check_for_interrupts;
use pinterest::Secret;
use pinterest::seal::KeyRing;

use crate::errors::{Failure, Kind};
use crate::postgres::{program, threads};

/// A vault that has not answered by now will not do so soon.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// As a key file's: hundreds of keys with comments.
const LENGTH_LIMIT: usize = 64 * 1024;
/// Between looks at a program that has closed its output and not ended yet.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The program and whatever it has started, ended when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        program::kill(&mut self.0, true);
    }
}

impl Running {
    /// Waits for the latch, `descriptor` becoming readable, or `timeout`, and handles interrupts. The end of this process
    /// drops nothing: before it, the program is ended here.
    fn wait(&mut self, descriptor: Option<i32>, timeout: Duration) {
        threads::wait_only(descriptor, Some(timeout));
        if threads::is_to_end() {
            program::kill(&mut self.0, true);
        }
        check_for_interrupts!();
    }
}

/// Runs the command with the shell and reads the keys that it prints. What it prints on standard error goes to the
/// server's log. An interrupt ends it.
pub fn run(command: &str) -> Result<KeyRing, Failure> {
    let trouble = |what: String| {
        Failure::new(Kind::Config, format!("pinterest.key_command {what}"))
            .with_hint("Run it by hand as the server's user: it has to print one key a line and end with status 0.")
    };
    let mut child = Command::new("/bin/sh");
    child.args(["-c", command]).stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
    // SAFETY: between fork and exec only async-signal-safe calls on plain integers.
    unsafe {
        child.pre_exec(|| program::keep_only(None));
    }
    let mut running = Running(child.spawn().map_err(|error| trouble(format!("cannot be started: {error}")))?);
    let Some(output) = running.0.stdout.take() else {
        return Err(Failure::new(Kind::Internal, "a program was started without its output"));
    };
    let until = Instant::now() + TIME_LIMIT;
    let too_slow = || trouble(format!("has not ended within {} seconds", TIME_LIMIT.as_secs()));
    let text = read(&mut running, output, until).map_err(|error| match error.kind() {
        ErrorKind::TimedOut => too_slow(),
        ErrorKind::FileTooLarge => trouble(format!("prints more than {LENGTH_LIMIT} bytes")),
        ErrorKind::InvalidData => trouble("prints what is no text".to_owned()),
        _ => trouble(format!("cannot be read: {error}")),
    })?;
    let status = loop {
        match running.0.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() >= until => return Err(too_slow()),
            Ok(None) => running.wait(None, LOOK_AGAIN),
            Err(error) => return Err(trouble(format!("cannot be waited for: {error}"))),
        };
    };
    if !status.success() {
        return Err(trouble(format!("failed: {status}")));
    }
    // Names lines, never quotes them.
    KeyRing::parse(text.expose()).map_err(|error| trouble(format!("prints no keys: {error}")))
}

fn read(running: &mut Running, mut output: ChildStdout, until: Instant) -> std::io::Result<Secret> {
    nonblocking(&output)?;
    // Room for all of it at once: growing would leave copies behind.
    let mut text = Vec::with_capacity(LENGTH_LIMIT + 1);
    loop {
        let mut chunk = [0; 4096];
        match output.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) if text.len() + length > LENGTH_LIMIT => return Err(ErrorKind::FileTooLarge.into()),
            Ok(length) => text.extend_from_slice(&chunk[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let left = until.checked_duration_since(Instant::now()).ok_or(ErrorKind::TimedOut)?;
                running.wait(Some(output.as_raw_fd()), left);
            }
            Err(error) => return Err(error),
        }
    }
    String::from_utf8(text).map(Secret::new).map_err(|_| ErrorKind::InvalidData.into())
}

fn nonblocking(output: &ChildStdout) -> std::io::Result<()> {
    // SAFETY: flags of a descriptor that is open for as long as it is borrowed.
    unsafe {
        let flags = libc::fcntl(output.as_raw_fd(), libc::F_GETFL);
        if flags == -1 || libc::fcntl(output.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) == -1 {
            return Err(std::io::Error::last_os_error());
        }
    }
    Ok(())
}
