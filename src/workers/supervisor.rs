//! The embedder's supervisor. It owns the listening socket for good and starts the program when somebody connects, so a
//! client's connection waits in the backlog while the program starts, whether for the first time or after a crash.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use pgrx::pg_sys;

use super::process;
use super::registry::Worker;
use crate::{platform, settings, threads};

/// An embedder that lives shorter than this has failed.
const SHORT_LIFE: Duration = Duration::from_secs(5);
/// Pause after a failure: doubles from the first to the second.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));

/// Short lives in a row, after which those who wait are turned away.
const FAILURES: u32 = 3;

/// Entry point of the supervisor.
#[pgrx::pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn pinterest_supervisor_main(_argument: pg_sys::Datum) {
    process::begin(None);
    if Worker::Supervisor.is_superfluous() {
        return;
    }
    let listener = match listen() {
        Ok(listener) => listener,
        Err(error) => {
            pgrx::log!("pg_pinterest: cannot listen on {}: {error}", platform::EMBEDDER_SOCKET);
            // SAFETY: status 1 has the postmaster start the supervisor again.
            unsafe { pg_sys::proc_exit(1) };
        }
    };
    let mut pause = BACKOFF.0;
    let mut failures = 0;
    loop {
        process::show_activity(None);
        while !threads::wait(Some(listener.as_raw_fd()), None).readable {
            process::take_reload();
        }
        process::take_reload();
        process::show_activity(Some(c"running pinterest-embedder"));
        let started = Instant::now();
        let ended_well = match Running::start(&listener).and_then(Running::wait) {
            Ok(status) => {
                if !status.success() {
                    pgrx::log!("pg_pinterest: pinterest-embedder {}", describe(status));
                }
                status.success()
            }
            Err(error) => {
                pgrx::log!("pg_pinterest: cannot run {}: {error}", settings::embedder_path().display());
                false
            }
        };
        if ended_well || started.elapsed() >= SHORT_LIFE {
            (pause, failures) = (BACKOFF.0, 0);
        } else {
            failures += 1;
            if failures >= FAILURES {
                // Not a mishap any more: whoever waits in the backlog learns it, instead of waiting for ever.
                while listener.accept().is_ok() {}
            }
            let until = Instant::now() + pause;
            while let Some(left) = until.checked_duration_since(Instant::now()) {
                if threads::wait(None, Some(left)).latch && process::take_reload() {
                    break;
                }
            }
            pause = (pause * 2).min(BACKOFF.1);
        }
    }
}

fn listen() -> std::io::Result<UnixListener> {
    // Only the server's user reaches this directory, and the supervisor is alone: what lies here is a dead one's.
    match std::fs::remove_file(platform::EMBEDDER_SOCKET) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(platform::EMBEDDER_SOCKET)?;
    std::fs::set_permissions(platform::EMBEDDER_SOCKET, std::fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (_, Some(signal)) => format!("was ended by signal {signal}"),
        (Some(code), _) => format!("ended with status {code}"),
        _ => "ended".to_owned(),
    }
}

/// The program, killed when dropped.
struct Running {
    child: Child,
    /// Reaches its end when the program does: the other end is the program's standard input.
    lifeline: UnixStream,
}

impl Running {
    fn start(listener: &UnixListener) -> std::io::Result<Running> {
        let (lifeline, theirs) = UnixStream::pair()?;
        let mut command = Command::new(settings::embedder_path());
        command.arg("serve").arg("--listen-fd").arg(listener.as_raw_fd().to_string());
        command.arg("--model").arg(settings::model_dir().unwrap_or_default());
        command.arg("--parent-death").arg("--parent-pid").arg(std::process::id().to_string());
        if let Some(threads) = settings::embedder_threads() {
            command.arg("--threads").arg(threads.to_string());
        }
        if let Some(timeout) = settings::embedder_idle_timeout() {
            command.arg("--idle-timeout").arg(timeout.as_secs().to_string());
        }
        if let Some(limit) = settings::embedder_memory_limit() {
            command.arg("--memory-limit").arg(limit.to_string());
        }
        command.env_clear().stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null());
        let descriptor = listener.as_raw_fd();
        // SAFETY: between fork and exec only async-signal-safe calls on plain integers.
        unsafe {
            command.pre_exec(move || keep_only(descriptor));
        }
        Ok(Running { child: command.spawn()?, lifeline })
    }

    fn wait(mut self) -> std::io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            // The end of the lifeline comes a moment before the process can be reaped.
            let ended = threads::wait(Some(self.lifeline.as_raw_fd()), None).readable;
            process::take_reload();
            if ended {
                return self.child.wait();
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail where it has been reaped already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Leaves the child standard input, output, error and `descriptor`; all else of the server's files closes at exec.
fn keep_only(descriptor: i32) -> std::io::Result<()> {
    // SAFETY: system calls on plain integers.
    unsafe {
        #[cfg(target_os = "linux")]
        let marked = libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) == 0;
        #[cfg(not(target_os = "linux"))]
        let marked = false;
        if !marked {
            for other in 3..libc::sysconf(libc::_SC_OPEN_MAX).clamp(3, 65_536) as i32 {
                libc::fcntl(other, libc::F_SETFD, libc::FD_CLOEXEC);
            }
        }
        if libc::fcntl(descriptor, libc::F_SETFD, 0) == -1 {
            return Err(std::io::Error::last_os_error());
        }
    }
    Ok(())
}
