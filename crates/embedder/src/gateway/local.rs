//! The embedder on this machine: a process of this one, which decodes and computes in its sandbox. It has no certificate and no
//! key, and no network.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use embedder::protocol::{MAX_REPORT_BYTES, Report};
use embedder::{Dial, Dialling, Error, Stream};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::sync::Notify;

use crate::log;

/// A process that ends sooner than this has failed.
const SHORT_LIFE: Duration = Duration::from_secs(5);
/// The pause after a failure: doubles from the first to the second.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));

/// A process that has closed its standard output serves no client. It has this time to end.
const END: Duration = Duration::from_secs(5);

/// The process, and the socket that it inherits.
pub struct Local {
    listener: UnixListener,
    /// Its name after a null byte, as tokio writes names that are no files.
    path: PathBuf,
    /// Notified when the process does not answer.
    hangs: Arc<Notify>,
    arguments: Vec<OsString>,
    /// The sum of the processes that have ended, and the last report of the present one.
    reports: Mutex<(Report, Report)>,
}

impl Local {
    /// Opens the socket. `arguments` are those of `serve`, without a socket.
    ///
    /// # Errors
    ///
    /// If the system refuses a socket.
    pub fn new(arguments: Vec<OsString>) -> io::Result<Self> {
        let mut random = [0; 16];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
        let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        // A name and no file: it needs no directory, and ends with its last descriptor. The process that listens answers to
        // this user alone.
        let name = format!("pinterest-embedder-{name}");
        let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
        let path = PathBuf::from(format!("\0{name}"));
        Ok(Self { listener, path, hangs: Arc::default(), arguments, reports: Mutex::default() })
    }

    /// Notify it to kill a process that does not answer.
    pub fn hangs(&self) -> Arc<Notify> {
        Arc::clone(&self.hangs)
    }

    /// What all processes have done.
    pub fn report(&self) -> Report {
        let reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        let (ended, present) = &*reports;
        sum(ended, present)
    }

    /// Keeps the process running until this is dropped. Must run on the thread that ends last: the process dies with it.
    pub async fn run(&self) -> std::convert::Infallible {
        let mut pause = BACKOFF.0;
        loop {
            let started = Instant::now();
            let ended = self.run_once().await;
            self.count_ended();
            match ended {
                Ok(status) if status.success() => {}
                Ok(status) => {
                    log::line(format_args!("the embedder on this machine {}", embedder::describe_end(status)))
                }
                Err(error) => log::line(format_args!("could not start the embedder on this machine: {error}")),
            }
            if started.elapsed() >= SHORT_LIFE {
                pause = BACKOFF.0;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(BACKOFF.1);
        }
    }

    /// Adds the last report of a process that has ended.
    fn count_ended(&self) {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        *reports = (Report { waiting: 0, ..sum(&reports.0, &reports.1) }, Report::default());
    }

    async fn run_once(&self) -> io::Result<ExitStatus> {
        let (reports, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
        let mut child = self.start(theirs)?;
        // Each read is one message.
        let mut reports = tokio::net::UnixStream::from_std(UnixStream::from(reports))?;
        tokio::select! {
            status = child.wait() => status,
            () = self.hangs.notified() => {
                log::line(format_args!("the embedder on this machine does not answer; killed"));
                child.kill().await?;
                child.wait().await
            }
            error = self.read(&mut reports) => {
                child.kill().await?;
                Err(error)
            }
        }
    }

    fn start(&self, reports: OwnedFd) -> io::Result<Child> {
        let own = std::process::id().to_string();
        Command::new(std::env::current_exe()?)
            .arg("serve")
            .args(&self.arguments)
            .args(["--listen-fd", "0", "--report", "--parent-death", "--parent-pid", &own])
            .stdin(Stdio::from(OwnedFd::from(self.listener.try_clone()?)))
            .stdout(Stdio::from(reports))
            .kill_on_drop(true)
            .spawn()
    }

    /// Takes reports until the process closes its end, and then waits for its end; returns if that cannot be.
    async fn read(&self, reports: &mut tokio::net::UnixStream) -> io::Error {
        let mut message = [0; MAX_REPORT_BYTES + 1];
        loop {
            match reports.read(&mut message).await {
                Ok(0) => break,
                Ok(length) => {
                    if let Ok(report) = Report::decode(&message[..length]) {
                        self.reports.lock().unwrap_or_else(PoisonError::into_inner).1 = report;
                    }
                }
                Err(error) => return error,
            }
        }
        tokio::time::sleep(END).await;
        io::Error::other("it closed its standard output and did not end; killed")
    }
}

/// The work of two, and the state of the second.
fn sum(one: &Report, other: &Report) -> Report {
    Report {
        images: one.images + other.images,
        texts: one.texts + other.texts,
        batches: one.batches + other.batches,
        wait_microseconds: one.wait_microseconds + other.wait_microseconds,
        batch_microseconds: one.batch_microseconds + other.batch_microseconds,
        busy: one.busy + other.busy,
        waiting: other.waiting,
        model: other.model.clone(),
    }
}

impl Dial for Local {
    fn dial(&self) -> Dialling<'_> {
        Box::pin(async {
            match tokio::net::UnixStream::connect(&self.path).await {
                Ok(stream) => Ok(Box::new(stream) as Box<dyn Stream>),
                Err(error) => Err(Error::unavailable("on this machine", error.to_string())),
            }
        })
    }
}
