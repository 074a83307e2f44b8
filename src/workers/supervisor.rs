//! The supervisor of the embedder. It owns the listening socket and starts the program when a client connects. The client's
//! connection waits in the backlog while the program starts: for the first time, after a crash, or because a reload has
//! changed its command line.

use std::ffi::OsString;
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use embedder::protocol::{MAX_REPORT_BYTES, Report};
use pgrx::pg_sys;

use super::kind::Worker;
use super::log::{self, About};
use super::worker_process;
use crate::postgres::threads::{self, WaitEvent};
use crate::postgres::{majors, platform, program};
use crate::settings;
use crate::statistics::embedder as counters;

/// An embedder that ends sooner than this has failed.
const SHORT_LIFE: Duration = Duration::from_secs(5);
/// The pause after a failure: doubles from the first to the second.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));

/// After so many failures in a row the waiting connections are closed.
const FAILURES: u32 = 3;

/// The most connections that are closed at once: as many as the longest usual backlog has.
const MOST_CLOSED: usize = 4096;

/// The most reports that are read at once. Whatever the program sends, signals are handled in between.
const MOST_REPORTS: usize = 64;

/// How long the program may take to say goodbye to its clients; it takes a second at most.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// Entry point of the supervisor.
#[pgrx::pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn pinterest_supervisor_main(_argument: pg_sys::Datum) {
    worker_process::begin(Worker::Supervisor);
    if Worker::Supervisor.is_superfluous() {
        return;
    }
    let listener = match listen() {
        Ok(listener) => listener,
        Err(error) => {
            log::line(About::Server, format_args!("could not listen on {}: {error}", platform::EMBEDDER_SOCKET));
            // SAFETY: status 1; the postmaster starts the supervisor again.
            unsafe { majors::exit(1) };
        }
    };
    let mut pause = BACKOFF.0;
    let mut failures = 0;
    // A replaced program was in use, so the next one starts before a client connects.
    let mut replaced = false;
    loop {
        worker_process::show_activity(None);
        while !replaced && !threads::wait(WaitEvent::Main, Some(listener.as_raw_fd()), None).readable {
            worker_process::take_reload();
        }
        worker_process::take_reload();
        worker_process::show_activity(Some(c"running pinterest-embedder"));
        let started = Instant::now();
        let command = CommandLine::current(&listener);
        let ended = Running::start(&listener, &command).and_then(|running| running.wait(&listener, &command));
        replaced = matches!(ended, Ok(End::Replaced(_)));
        let ended_well = match ended {
            Ok(End::Replaced(pid)) => {
                let line = "the settings of pinterest-embedder have changed; restarting it";
                log::line(About::Embedder(pid), line);
                true
            }
            Ok(End::ByItself(pid, status)) => {
                if !status.success() {
                    counters::died();
                    log::line(
                        About::Embedder(pid),
                        format_args!("pinterest-embedder {}", embedder::describe_end(status)),
                    );
                }
                status.success()
            }
            Err(error) => {
                counters::died();
                log::line(About::Server, format_args!("could not run {}: {error}", command.program.display()));
                false
            }
        };
        if ended_well || started.elapsed() >= SHORT_LIFE {
            (pause, failures) = (BACKOFF.0, 0);
        } else {
            failures += 1;
            if failures >= FAILURES {
                // The failure lasts: connections in the backlog get an error instead of waiting without end.
                listener.incoming().take(MOST_CLOSED).take_while(Result::is_ok).for_each(drop);
            }
            let until = Instant::now() + pause;
            while let Some(left) = until.checked_duration_since(Instant::now()) {
                if threads::wait(WaitEvent::Main, None, Some(left)).latch && worker_process::take_reload() {
                    break;
                }
            }
            pause = (pause * 2).min(BACKOFF.1);
        }
    }
}

fn listen() -> std::io::Result<UnixListener> {
    // Only the server's user can write in this directory, and there is one supervisor: the file is left by a dead one.
    match std::fs::remove_file(platform::EMBEDDER_SOCKET) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(platform::EMBEDDER_SOCKET)?;
    std::fs::set_permissions(platform::EMBEDDER_SOCKET, std::fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The program's command line. If it changes, the program has to be restarted.
#[derive(PartialEq, Eq)]
struct CommandLine {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl CommandLine {
    /// For the current settings.
    fn current(listener: &UnixListener) -> Self {
        let mut arguments: Vec<OsString> = vec!["serve".into()];
        let mut add = |name: &str, value: OsString| arguments.extend([name.into(), value]);
        add("--listen-fd", listener.as_raw_fd().to_string().into());
        let embedders = settings::embedders();
        if embedders.as_ref().map_or(true, |list| list.include_local()) {
            add("--model", settings::model_dir().unwrap_or_default().into());
        }
        if !embedders.is_ok_and(|list| list.are_local()) {
            // A list that is wrong makes the program say so and end.
            add("--embedders", settings::embedder_list().into());
            add("--embedder-timeout", settings::embedder_timeout().as_secs().to_string().into());
            for (name, file) in settings::embedder_tls() {
                if let Some(file) = file {
                    add(&format!("--tls-{name}"), file.into());
                }
            }
        }
        add("--precision", settings::clip_precision().name().into());
        add("--parent-pid", std::process::id().to_string().into());
        add("--max-image-bytes", settings::max_image_bytes().to_string().into());
        add("--max-image-pixels", settings::max_image_pixels().to_string().into());
        add("--max-image-side", settings::max_image_side().to_string().into());
        if let Some(threads) = settings::embedder_threads() {
            add("--threads", threads.to_string().into());
        }
        if let Some(timeout) = settings::embedder_idle_timeout() {
            add("--idle-timeout", timeout.as_secs().to_string().into());
        }
        if let Some(limit) = settings::embedder_memory_limit() {
            add("--memory-limit", limit.to_string().into());
        }
        arguments.extend(["--parent-death".into(), "--report".into()]);
        CommandLine { program: settings::embedder_path(), arguments }
    }
}

/// How the program ended, with its process id.
enum End {
    /// Because it was idle, or with an error.
    ByItself(u32, ExitStatus),
    /// It was terminated, because the settings have changed.
    Replaced(u32),
}

/// The program, killed when dropped.
struct Running {
    child: Child,
    /// Closes when the program ends: the other end is the program's standard input and output. Each message is a report.
    lifeline: UnixStream,
    counters: counters::Run,
}

impl Running {
    fn start(listener: &UnixListener, wanted: &CommandLine) -> std::io::Result<Running> {
        let (lifeline, theirs) = messages()?;
        let mut command = Command::new(&wanted.program);
        command.args(&wanted.arguments);
        command.env_clear().stdin(Stdio::from(theirs.try_clone()?)).stdout(Stdio::from(theirs));
        let descriptor = listener.as_raw_fd();
        // SAFETY: between fork and exec only async-signal-safe calls on plain integers.
        unsafe {
            command.pre_exec(move || program::keep_only(Some(descriptor)));
        }
        Ok(Running { child: command.spawn()?, lifeline, counters: counters::Run::begin() })
    }

    /// Waits for its end, and terminates it if a reload changes the command line.
    fn wait(mut self, listener: &UnixListener, own: &CommandLine) -> std::io::Result<End> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                self.has_closed();
                return Ok(End::ByItself(self.child.id(), status));
            }
            // The lifeline closes a moment before the process can be reaped. A process that closes it and keeps running
            // serves no client.
            if threads::wait(WaitEvent::Main, Some(self.lifeline.as_raw_fd()), None).readable && self.has_closed() {
                return match program::wait_for_end(&mut self.child, Instant::now() + END_PATIENCE)? {
                    Some(status) => Ok(End::ByItself(self.child.id(), status)),
                    None => Err(std::io::Error::other("it closed its standard input and did not end; killed")),
                };
            }
            if worker_process::take_reload() && CommandLine::current(listener) != *own {
                self.end()?;
                return Ok(End::Replaced(self.child.id()));
            }
        }
    }

    /// Reads the reports that have come, at most [`MOST_REPORTS`]; whether the other end is closed. After more reports the
    /// descriptor is still readable.
    fn has_closed(&mut self) -> bool {
        let mut message = [0; MAX_REPORT_BYTES + 1];
        for _ in 0..MOST_REPORTS {
            match self.lifeline.read(&mut message) {
                Ok(0) => return true,
                // Another one than a report comes from a program of another version, and is ignored.
                Ok(length) => {
                    if let Ok(report) = Report::decode(&message[..length]) {
                        self.counters.reported(report);
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return true,
            }
        }
        false
    }

    /// Terminates it. It says goodbye, so clients send unanswered requests again, to the next one. Killed if it does not end.
    fn end(&mut self) -> std::io::Result<()> {
        let until = Instant::now() + END_PATIENCE;
        // SAFETY: a system call on plain integers; the child is not reaped yet, so the process id is still valid.
        unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) };
        if program::wait_for_end(&mut self.child, until)?.is_none() {
            log::line(About::Embedder(self.child.id()), "pinterest-embedder did not end on SIGTERM; killed");
        }
        self.has_closed();
        Ok(())
    }
}

/// A pair of connected sockets that carry messages. Neither blocks.
fn messages() -> std::io::Result<(UnixStream, OwnedFd)> {
    let mut pair = [0; 2];
    // SAFETY: writes two descriptors, which nothing else owns yet.
    let [ours, theirs] = unsafe {
        if libc::socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET, 0, pair.as_mut_ptr()) == -1 {
            return Err(std::io::Error::last_os_error());
        }
        pair.map(|descriptor| UnixStream::from_raw_fd(descriptor))
    };
    ours.set_nonblocking(true)?;
    theirs.set_nonblocking(true)?;
    Ok((ours, theirs.into()))
}

impl Drop for Running {
    fn drop(&mut self) {
        program::kill(&mut self.child, false);
    }
}
