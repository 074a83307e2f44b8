//! `pinterest.key_command`: a program that prints the key ring, for keys in a vault.

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

/// A vault that has not responded by then is taken as unavailable.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// The same as for a key file: hundreds of keys with comments.
const LENGTH_LIMIT: usize = 64 * 1024;
/// Between checks of a program that has closed its output and not ended yet.
const CHECK_AGAIN: Duration = Duration::from_millis(20);

/// The program and all processes that it has started; they are killed when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        program::kill(&mut self.0, true);
    }
}

impl Running {
    /// Waits for the latch, `descriptor` becoming readable, or `timeout`, and handles interrupts. The end of this process
    /// drops nothing, so the program is killed here before it.
    fn wait(&mut self, descriptor: Option<i32>, timeout: Duration) {
        threads::wait_only(threads::WaitEvent::Program, descriptor, Some(timeout));
        if threads::is_to_end() {
            program::kill(&mut self.0, true);
        }
        check_for_interrupts!();
    }
}

/// Runs the command with the shell and reads the keys that it prints. Its standard error goes to the server's log. An
/// interrupt kills it.
///
/// # Errors
/// [`Kind::Config`]: the command fails, takes too long, or its output is not a key ring.
pub fn run(command: &str) -> Result<KeyRing, Failure> {
    let failed = |what: String| {
        Failure::new(Kind::Config, format!("pinterest.key_command {what}"))
            .with_hint("Run it by hand as the server's user: it must print one key per line and exit with status 0.")
    };
    let mut child = Command::new("/bin/sh");
    child.args(["-c", command]).stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
    // SAFETY: between fork and exec only async-signal-safe calls on plain integers.
    unsafe {
        child.pre_exec(|| program::keep_only(None));
    }
    let mut running = Running(child.spawn().map_err(|error| failed(format!("could not be started: {error}")))?);
    let Some(output) = running.0.stdout.take() else {
        return Err(Failure::new(Kind::Internal, "a program was started without its output"));
    };
    let until = Instant::now() + TIME_LIMIT;
    let too_slow = || failed(format!("did not end within {} seconds", TIME_LIMIT.as_secs()));
    let text = read(&mut running, output, until).map_err(|error| match error.kind() {
        ErrorKind::TimedOut => too_slow(),
        ErrorKind::FileTooLarge => failed(format!("printed more than {LENGTH_LIMIT} bytes")),
        ErrorKind::InvalidData => failed("printed output that is not valid UTF-8".to_owned()),
        _ => failed(format!("could not be read: {error}")),
    })?;
    let status = loop {
        match running.0.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() >= until => return Err(too_slow()),
            Ok(None) => running.wait(None, CHECK_AGAIN),
            Err(error) => return Err(failed(format!("could not be waited for: {error}"))),
        };
    };
    if !status.success() {
        return Err(failed(format!("failed: {status}")));
    }
    // The error contains line numbers, never the lines.
    KeyRing::parse(text.expose()).map_err(|error| failed(format!("did not print a key ring: {error}")))
}

fn read(running: &mut Running, mut output: ChildStdout, until: Instant) -> std::io::Result<Secret> {
    nonblocking(&output)?;
    // Allocated at once: growing would leave copies of keys in freed memory.
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
    // SAFETY: flags of a descriptor that stays open while it is borrowed.
    unsafe {
        let flags = libc::fcntl(output.as_raw_fd(), libc::F_GETFL);
        if flags == -1 || libc::fcntl(output.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) == -1 {
            return Err(std::io::Error::last_os_error());
        }
    }
    Ok(())
}
