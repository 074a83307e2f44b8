use std::error::Error;
use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{ArgGroup, Args, value_parser};
use embedder::{Place, Places};

use super::Outcome;
use super::limits::LimitArguments;
use super::model::ComputeArguments;
use crate::front::confine::Confinement;
use crate::front::listener::Listen;
use crate::gateway;
use crate::server::{self, Options};
use crate::tls::{Files, Tls};

/// Answer requests on a Unix socket, or of other machines.
///
/// On a Unix socket only processes of the same user and of root are answered. The model is loaded in the background at once. While it is
/// missing or damaged, every request is answered with that error, and repairing the directory is enough. If the directory
/// itself is created or replaced, this process ends as after its idle timeout, so that the next one can read it.
///
/// Before it accepts a connection, the process enters a sandbox (Landlock and seccomp, if the kernel has them): it can read
/// only the model's directory, and cannot open sockets, start programs or reach other processes. Once the model is loaded,
/// it cannot open files at all.
///
/// With --listen or --embedders this process computes nothing itself. It starts such a sandboxed process, for `local`, and
/// spreads the requests over it and the embedders of other machines that have the same model. Machines know each other by
/// certificates (mutual TLS); files that are replaced are read without a restart.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[command(group(ArgGroup::new("front").args(["socket", "listen_fd", "listen"]).multiple(true).required(true)))]
pub struct Arguments {
    /// Directory that contains config.json and model.safetensors; not needed if --embedders lists only other machines
    // Made absolute here: in the sandbox a process cannot get its working directory.
    #[arg(long, value_name = "DIR", value_parser = PathBufValueParser::new().try_map(std::path::absolute))]
    model: Option<PathBuf>,

    #[command(flatten)]
    compute: ComputeArguments,

    #[command(flatten)]
    limits: LimitArguments,

    /// Create a socket at this path, in a directory that only its owner can write
    #[arg(long, value_name = "PATH", conflicts_with = "listen_fd")]
    socket: Option<PathBuf>,

    /// Accept connections on this inherited Unix socket, which already listens; 0 is standard input
    #[arg(long, value_name = "N", value_parser = value_parser!(RawFd).range(0..))]
    listen_fd: Option<RawFd>,

    /// Serve other machines at this address, such as 0.0.0.0:7433, with the embedder of this one
    #[arg(long, value_name = "ADDRESS:PORT", requires_all = ["certificate", "key", "authorities"], conflicts_with = "embedders")]
    listen: Option<SocketAddr>,

    /// Spread the work over these embedders, such as `local, gpu1.internal:7433`; the port is 7433 if left out, and a name
    /// with several addresses is several embedders
    #[arg(long, value_name = "LIST", default_value = "local", value_parser = str::parse::<Places>)]
    embedders: Places,

    #[command(flatten)]
    tls: Option<Files>,

    /// Use an embedder no longer if it does not say within this time that it is well
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = value_parser!(u64).range(1..=3600))]
    embedder_timeout: u64,

    /// Most requests in flight of one client on another machine, a client being a certificate
    #[arg(long, value_name = "N", default_value = "256")]
    max_per_client: NonZeroUsize,

    /// At SIGTERM, answer what other machines have sent for at most this time
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = value_parser!(u64).range(..=3600))]
    drain_timeout: u64,

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

    /// Longest forward pass; as many images or texts share a pass as fit, at least one. Up to eight images may take four
    /// times as long, since texts are computed in between; with candle, where texts wait for eight images, eight may take
    /// any time while no texts come
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
  pinterest-embedder serve --model model --listen 0.0.0.0:7433 --tls-certificate gpu1.pem \\
      --tls-key gpu1.key --tls-ca ca.pem
  systemd-socket-activate --listen=$PWD/run/embedder.sock \\
      pinterest-embedder serve --model model --listen-fd 3 --idle-timeout 300

Exit status: 0 after SIGTERM, SIGINT or the idle timeout, 1 if it cannot serve, 124 if
an image or text took too long (the log contains its SHA-256 or its length).";

pub fn run(arguments: Arguments) -> Outcome {
    let is_gateway = arguments.listen.is_some() || !arguments.embedders.are_local();
    let confinement = Confinement {
        computes: !is_gateway,
        // What decodes is the process behind.
        memory_limit: arguments.memory_limit.filter(|_| !is_gateway),
        parent_death: arguments.parent_death,
        parent_pid: arguments.parent_pid,
    };
    confinement.apply()?;
    let unix = match (&arguments.socket, arguments.listen_fd) {
        (Some(path), _) => Some(Listen::Path(path.clone())),
        (None, Some(descriptor)) => Some(Listen::Descriptor(descriptor)),
        (None, None) => None,
    };
    let model = match &arguments.model {
        Some(model) => model.clone(),
        None if !arguments.embedders.include_local() => PathBuf::new(),
        None => return Err("--model is required for the embedder on this machine".into()),
    };
    match unix {
        Some(listen) if !is_gateway => {
            run_here(arguments, model, listen)?;
        }
        unix => run_gateway(arguments, &model, unix)?,
    }
    // Other threads may still compute a batch that no client waits for; exiting ends them.
    Ok(ExitCode::SUCCESS)
}

fn idle_timeout(arguments: &Arguments) -> Option<Duration> {
    Some(arguments.idle_timeout).filter(|&seconds| seconds > 0).map(Duration::from_secs)
}

fn run_here(arguments: Arguments, model: PathBuf, listen: Listen) -> io::Result<()> {
    let graphics = arguments.compute.uses_graphics();
    server::run(Options {
        limits: arguments.limits.limits(arguments.memory_limit),
        options: arguments.compute.options(),
        model,
        listen,
        idle_timeout: idle_timeout(&arguments),
        image_timeout: Duration::from_secs(arguments.image_timeout),
        max_queue: arguments.max_queue.get(),
        max_pass_time: Duration::from_millis(arguments.max_pass_time),
        graphics,
        report: arguments.report,
    })
}

fn run_gateway(arguments: Arguments, model: &Path, unix: Option<Listen>) -> Result<(), Box<dyn Error>> {
    let elsewhere = arguments.embedders.iter().any(|place| *place != Place::Local);
    let tls = match &arguments.tls {
        Some(files) => Some(Tls::load(files.clone())?),
        None if elsewhere => {
            return Err("embedders on other machines need --tls-certificate, --tls-key and --tls-ca".into());
        }
        None => None,
    };
    let mut local: Vec<OsString> = vec!["--model".into(), model.into()];
    local.extend(arguments.compute.passed_on());
    local.extend(arguments.limits.passed_on());
    let mut add = |name: &str, value: String| local.extend([name.into(), value.into()]);
    add("--image-timeout", arguments.image_timeout.to_string());
    add("--max-queue", arguments.max_queue.to_string());
    add("--max-pass-time", arguments.max_pass_time.to_string());
    if let Some(limit) = arguments.memory_limit {
        add("--memory-limit", limit.to_string());
    }
    gateway::run(gateway::Options {
        unix,
        tcp: arguments.listen,
        tls,
        local,
        idle_timeout: idle_timeout(&arguments),
        patience: Duration::from_secs(arguments.embedder_timeout),
        max_image_bytes: arguments.limits.limits(None).max_bytes,
        max_per_client: arguments.max_per_client.get(),
        drain: Duration::from_secs(if arguments.listen.is_some() { arguments.drain_timeout } else { 0 }),
        report: arguments.report,
        places: arguments.embedders,
    })?;
    Ok(())
}
