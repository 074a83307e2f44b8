use std::num::NonZeroUsize;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, value_parser};

use super::Outcome;
use super::limits::LimitArguments;
use super::model::ModelArguments;
use crate::server::{self, Confinement, Listen, Options};

/// Answer requests on a Unix socket.
///
/// Only processes of the same user, and root's, are answered. The model is loaded at once, in the background; while it is
/// missing or damaged, every request is answered with that error, and repairing the directory is enough. A directory that
/// is made or replaced meanwhile is read by the next process: this one ends for it, as after its idle timeout.
///
/// Before it accepts a connection the process enters a sandbox (Landlock and seccomp, where the kernel has them): it reads
/// the model's directory and nothing else, opens no socket, starts no program and reaches no other process. Once the model
/// is loaded it opens no file at all.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,

    #[command(flatten)]
    limits: LimitArguments,

    /// Make a socket here, in a directory that nobody else can write
    #[arg(long, value_name = "PATH", conflicts_with = "listen_fd", required_unless_present = "listen_fd")]
    socket: Option<PathBuf>,

    /// Accept connections on this inherited, already listening Unix socket; 0 is standard input
    #[arg(long, value_name = "N", value_parser = value_parser!(RawFd).range(0..))]
    listen_fd: Option<RawFd>,

    /// End with status 0 after this long without a request; 0 never does
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = value_parser!(u64).range(..=31_536_000))]
    idle_timeout: u64,

    /// End with status 124 if a picture or text takes longer; a batch has this time for each of its members, a large picture
    /// once more for each 32 megapixels
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = value_parser!(u64).range(1..=86_400))]
    image_timeout: u64,

    /// Address space the process may use; a quarter of it is for decoding one large picture
    #[arg(long, value_name = "BYTES")]
    memory_limit: Option<u64>,

    /// Pictures, and as many texts, that may wait; what comes beyond is refused
    #[arg(long, value_name = "N", default_value = "256")]
    max_queue: NonZeroUsize,

    /// How long a forward pass may take: as many pictures, or texts, share one as fit, and one where none does. A text that
    /// comes during a pass waits for its end
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 60, value_parser = value_parser!(u64).range(1..=60_000))]
    max_pass_time: u64,

    /// End when the process that started this one does
    #[arg(long)]
    parent_death: bool,

    /// Do not start unless the parent is this process
    #[arg(long, value_name = "PID")]
    parent_pid: Option<u32>,
}

const EXAMPLES: &str = "\
Examples:
  pinterest-embedder serve --model model --socket run/embedder.sock
  systemd-socket-activate --listen=$PWD/run/embedder.sock \\
      pinterest-embedder serve --model model --listen-fd 3 --idle-timeout 300

Exit status: 0 when told to end (SIGTERM, SIGINT) or idle for too long, 1 if it cannot
serve, 124 if one picture or text took too long (the log names its SHA-256 or its length).";

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
    })?;
    // The other threads may be in the middle of a batch that nobody waits for any more; the process ends under them.
    Ok(ExitCode::SUCCESS)
}
