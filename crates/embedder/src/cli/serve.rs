use std::num::NonZeroUsize;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, value_parser};

use super::Outcome;
use super::limits::LimitArguments;
use super::model::ModelArguments;
use crate::front::confine::Confinement;
use crate::front::listener::Listen;
use crate::server::{self, Options};

/// Answer requests on a Unix socket.
///
/// Only processes of the same user and of root are answered. The model is loaded in the background at once. While it is
/// missing or damaged, every request is answered with that error, and repairing the directory is enough. If the directory
/// itself is created or replaced, this process ends as after its idle timeout, so that the next one can read it.
///
/// Before it accepts a connection, the process enters a sandbox (Landlock and seccomp, if the kernel has them): it can read
/// only the model's directory, and cannot open sockets, start programs or reach other processes. Once the model is loaded,
/// it cannot open files at all.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,

    #[command(flatten)]
    limits: LimitArguments,

    /// Create a socket at this path, in a directory that only its owner can write
    #[arg(long, value_name = "PATH", conflicts_with = "listen_fd", required_unless_present = "listen_fd")]
    socket: Option<PathBuf>,

    /// Accept connections on this inherited Unix socket, which already listens; 0 is standard input
    #[arg(long, value_name = "N", value_parser = value_parser!(RawFd).range(0..))]
    listen_fd: Option<RawFd>,

    /// End with status 0 after this time without a request; 0 means never
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = value_parser!(u64).range(..=31_536_000))]
    idle_timeout: u64,

    /// End with status 124 if an image or text takes longer; a batch has this time per member, a large image once more per
    /// 32 megapixels
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = value_parser!(u64).range(1..=86_400))]
    image_timeout: u64,

    /// Largest address space of the process; one fourth of it is for decoding one large image
    #[arg(long, value_name = "BYTES")]
    memory_limit: Option<u64>,

    /// Largest number of images, and of texts, that may wait; further ones are refused
    #[arg(long, value_name = "N", default_value = "256")]
    max_queue: NonZeroUsize,

    /// Longest forward pass; as many images or texts share a pass as fit, at least one. A text that arrives during a pass
    /// waits for its end
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 60, value_parser = value_parser!(u64).range(1..=60_000))]
    max_pass_time: u64,

    /// End when the parent process ends
    #[arg(long)]
    parent_death: bool,

    /// Send reports of the work to the parent process: standard output is a socket of the type SOCK_SEQPACKET
    #[arg(long)]
    report: bool,

    /// Refuse to start unless the parent has this process ID
    #[arg(long, value_name = "PID")]
    parent_pid: Option<u32>,
}

const EXAMPLES: &str = "\
Examples:
  pinterest-embedder serve --model model --socket run/embedder.sock
  systemd-socket-activate --listen=$PWD/run/embedder.sock \\
      pinterest-embedder serve --model model --listen-fd 3 --idle-timeout 300

Exit status: 0 after SIGTERM, SIGINT or the idle timeout, 1 if it cannot serve, 124 if
an image or text took too long (the log contains its SHA-256 or its length).";

pub fn run(arguments: Arguments) -> Outcome {
    let confinement = Confinement {
        memory_limit: arguments.memory_limit,
        parent_death: arguments.parent_death,
        parent_pid: arguments.parent_pid,
    };
    confinement.apply()?;
    let listen = match (arguments.socket, arguments.listen_fd) {
        (Some(path), _) => Listen::Path(path),
        (None, Some(descriptor)) => Listen::Descriptor(descriptor),
        (None, None) => unreachable!("the command line requires one of the two: this is a bug"),
    };
    let graphics = arguments.model.uses_graphics();
    let seconds = Some(arguments.idle_timeout).filter(|&seconds| seconds > 0);
    server::run(Options {
        limits: arguments.limits.limits(arguments.memory_limit),
        options: arguments.model.options(),
        model: arguments.model.directory,
        listen,
        idle_timeout: seconds.map(Duration::from_secs),
        image_timeout: Duration::from_secs(arguments.image_timeout),
        max_queue: arguments.max_queue.get(),
        max_pass_time: Duration::from_millis(arguments.max_pass_time),
        graphics,
        report: arguments.report,
    })?;
    // Other threads may still compute a batch that no client waits for; exiting ends them.
    Ok(ExitCode::SUCCESS)
}
