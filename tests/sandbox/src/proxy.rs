//! A real HTTP proxy on loopback, Debian's `tinyproxy`, for tests.

use std::fs::File;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Time limit for its start.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running proxy, stopped when this is dropped.
#[derive(Debug)]
pub struct Tinyproxy {
    child: Child,
    port: u16,
    log: PathBuf,
    _directory: TempDir,
}

impl Tinyproxy {
    /// The path of the program, if it is installed (Debian's package `tinyproxy-bin`).
    pub fn program() -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let known = std::env::split_paths(&path).chain(["/usr/bin".into(), "/usr/sbin".into()]);
        known.map(|directory| directory.join("tinyproxy")).find(|program| program.is_file())
    }

    /// Starts one on a free port of 127.0.0.1 that opens connections to these ports (by default to any), for this user
    /// and password (by default for all). `None`, with a message on standard error, if the program is not installed.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(ports: &[u16], credentials: Option<(&str, &str)>) -> io::Result<Option<Self>> {
        let Some(program) = Self::program() else {
            eprintln!("skipped: tinyproxy is not installed (Debian's package tinyproxy-bin)");
            return Ok(None);
        };
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        Self::start_on(&program, port, ports, credentials).map(Some)
    }

    /// Starts one on a given port that opens connections to any port.
    ///
    /// # Errors
    /// If it does not start, or is not installed.
    pub fn start_at(port: u16) -> io::Result<Self> {
        let program = Self::program().ok_or_else(|| io::Error::other("tinyproxy is not installed"))?;
        Self::start_on(&program, port, &[], None)
    }

    fn start_on(program: &Path, port: u16, ports: &[u16], credentials: Option<(&str, &str)>) -> io::Result<Self> {
        let directory = TempDir::new()?;
        let mut text = format!(
            "Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 50\nAllow 127.0.0.1\nLogLevel Connect\nDisableViaHeader Yes\n"
        );
        for port in ports {
            text.push_str(&format!("ConnectPort {port}\n"));
        }
        if let Some((user, password)) = credentials {
            text.push_str(&format!("BasicAuth {user} {password}\n"));
        }
        let (config, log) = (directory.path().join("tinyproxy.conf"), directory.path().join("log"));
        std::fs::write(&config, text)?;
        let output = File::create(&log)?;
        let mut command = Command::new(program);
        command.args(["-d", "-c"]).arg("/dev/stdin").stdin(File::open(&config)?);
        command.stdout(output.try_clone()?).stderr(output);
        if std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0) {
            // As the user `nobody`.
            command.uid(65_534).gid(65_534);
        }
        let child = command.spawn()?;
        let mut proxy = Self { child, port, log, _directory: directory };
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if proxy.child.try_wait()?.is_some() || Instant::now() > until {
                return Err(io::Error::other(format!("could not start tinyproxy: {}", proxy.log())));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(proxy)
    }

    /// Its URL, `http://127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its log, with a line `Request (file descriptor …): CONNECT host:port HTTP/1.1` for each connection.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Number of requests for a connection to this host and port.
    pub fn connects(&self, target: &str) -> usize {
        self.log().matches(&format!("CONNECT {target} ")).count()
    }
}

impl Drop for Tinyproxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
