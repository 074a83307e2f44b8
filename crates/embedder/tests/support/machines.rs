//! Servers that know each other by certificates, as on several machines.

#![allow(dead_code, reason = "each test program uses its part")]

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use embedder::{Client, Member, MemberState};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::support::{WAIT, model, program};

/// An authority, and the files of those to whom it gave certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
    directory: TempDir,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new([]).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = parameters.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(parameters, key), certificate, directory: tempfile::tempdir().unwrap() }
    }

    /// The options with files of the machine `file`, whose certificate is for these names and addresses.
    pub fn options(&self, file: &str, names: &[&str]) -> Vec<String> {
        self.issue(file, names);
        let path = |end: &str| self.path(&format!("{file}.{end}")).to_str().unwrap().to_owned();
        ["--tls-certificate", &path("pem"), "--tls-key", &path("key"), "--tls-ca", &path("ca")]
            .map(str::to_owned)
            .into()
    }

    /// Writes files of a machine, in place of others of this name.
    pub fn issue(&self, file: &str, names: &[&str]) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut parameters = CertificateParams::new(names).unwrap();
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap().pem();
        for (end, text) in [("pem", certificate), ("key", key.serialize_pem()), ("ca", self.certificate.clone())] {
            let (path, new) = (self.path(&format!("{file}.{end}")), self.path(&format!("{file}.{end}.new")));
            fs::write(&new, text).unwrap();
            fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
            fs::rename(&new, &path).unwrap();
        }
    }

    /// Writes files of another authority over those of a machine of this one.
    pub fn overwrite_from(&self, other: &Authority, file: &str, names: &[&str]) {
        other.issue(file, names);
        for end in ["pem", "key", "ca"] {
            let name = format!("{file}.{end}");
            fs::rename(other.path(&name), self.path(&name)).unwrap();
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// A server of a machine. Killed when dropped.
pub struct Machine {
    directory: TempDir,
    arguments: Vec<String>,
    wait: Duration,
    /// The number of the network namespace that it runs in.
    namespace: Option<u8>,
    child: Option<Child>,
    pub address: Option<SocketAddr>,
}

impl Machine {
    /// A server for other machines, with the tiny model.
    pub fn serving(options: &[String]) -> Self {
        Self::serving_model(model(), options, Duration::ZERO)
    }

    /// A server for other machines with this model, of which each image takes this time at least.
    pub fn serving_model(model: &Path, options: &[String], wait: Duration) -> Self {
        let fixed = ["serve", "--listen", "127.0.0.1:0", "--threads", "1", "--model", model.to_str().unwrap()];
        let mut machine = Self::start(fixed.iter().map(|&text| text.to_owned()).chain(options.iter().cloned()), wait);
        let address = machine.await_address();
        machine.address = Some(address);
        // Started again, it listens where it did.
        machine.arguments[2] = address.to_string();
        machine
    }

    /// A server in a network namespace of its own, at 10.77.NUMBER.2 and the usual port. Its line is the interface vNUMBER.
    pub fn in_namespace(number: u8, options: &[String], wait: Duration) -> Self {
        let address = SocketAddr::from(([10, 77, number, 2], embedder::DEFAULT_PORT));
        let listen = address.to_string();
        let fixed = ["serve", "--listen", &listen, "--threads", "1", "--model", model().to_str().unwrap()];
        let arguments = fixed.iter().map(|&text| text.to_owned()).chain(options.iter().cloned()).collect();
        let directory = tempfile::tempdir().unwrap();
        let (namespace, address) = (Some(number), Some(address));
        let mut machine = Self { directory, arguments, wait, namespace, child: None, address };
        machine.restart();
        machine.await_address();
        machine
    }

    /// A server for this machine, at [`socket`](Self::socket), that spreads the work over `embedders`.
    pub fn spreading(embedders: &str, options: &[String]) -> Self {
        let model = model().to_str().unwrap();
        let fixed = ["serve", "--socket", "?", "--threads", "1", "--model", model, "--embedders", embedders];
        Self::start(fixed.iter().map(|&text| text.to_owned()).chain(options.iter().cloned()), Duration::ZERO)
    }

    fn start(arguments: impl Iterator<Item = String>, wait: Duration) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("socket").to_str().unwrap().to_owned();
        let arguments = arguments.map(|argument| if argument == "?" { socket.clone() } else { argument }).collect();
        let mut machine = Self { directory, arguments, wait, namespace: None, child: None, address: None };
        machine.restart();
        machine
    }

    pub fn restart(&mut self) {
        assert!(self.child.is_none(), "one is running");
        let log = fs::File::options().create(true).append(true).open(self.directory.path().join("log")).unwrap();
        let mut command = program();
        if let Some(number) = self.namespace {
            let script = format!(
                "read go && ip link set lo up && ip address add 10.77.{number}.2/24 dev p{number} \
                 && ip link set p{number} up && exec \"$@\" </dev/null"
            );
            let inner = command;
            command = Command::new("unshare");
            command.args(["--net", "sh", "-c", &script, "sh"]).arg(inner.get_program());
        }
        command.args(&self.arguments).stderr(log);
        command.stdin(if self.namespace.is_some() { Stdio::piped() } else { Stdio::null() });
        command.env(WAIT, self.wait.as_millis().to_string());
        let mut child = command.spawn().unwrap();
        if let Some(number) = self.namespace {
            lay_line(number, child.id());
            child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        }
        self.child = Some(child);
    }

    fn await_address(&mut self) -> SocketAddr {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let log = self.log();
            if let Some((address, _)) = log.split_once("listens at ").and_then(|(_, rest)| rest.split_once('\n')) {
                return address.parse().unwrap();
            }
            assert!(Instant::now() < until && self.is_running(), "it does not listen: {log}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    pub fn pid(&self) -> i32 {
        self.child.as_ref().unwrap().id() as i32
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.pid()).unwrap(), signal).unwrap();
    }

    /// The process that computes for it.
    pub fn embedder(&self) -> Pid {
        let children = format!("/proc/{0}/task/{0}/children", self.pid());
        let children = fs::read_to_string(children).unwrap();
        Pid::from_raw(children.split_whitespace().next().expect("it has a process").parse().unwrap()).unwrap()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.child.take().unwrap().wait().unwrap()
    }

    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// A client of its Unix socket.
    pub async fn client(&self) -> Client {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            match Client::connect(&self.socket()).await {
                Ok(client) => return client,
                Err(error) => assert!(Instant::now() < until, "{error}: {}", self.log()),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// A client, when all of its embedders are in these states.
    pub async fn client_when(&self, states: &[MemberState]) -> Client {
        let client = self.client().await;
        await_states(&client, states).await;
        client
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Connects the network namespace of a process, once it has one of its own.
fn lay_line(number: u8, pid: u32) {
    let namespace = |of: &str| fs::read_link(format!("/proc/{of}/ns/net")).unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while namespace("self") == namespace(&pid.to_string()) {
        assert!(Instant::now() < until, "it has no namespace");
        std::thread::sleep(Duration::from_millis(2));
    }
    ip(&format!("link add v{number} type veth peer name p{number} netns {pid}"));
    ip(&format!("address add 10.77.{number}.1/24 dev v{number}"));
    ip(&format!("link set v{number} up"));
}

/// Runs `ip`.
pub fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Waits until the embedders are in these states; they are then returned.
pub async fn await_states(client: &Client, states: &[MemberState]) -> Vec<Member> {
    let until = Instant::now() + Duration::from_secs(40);
    loop {
        let members = client.embedders().await.unwrap();
        if members.iter().map(|member| member.state).eq(states.iter().copied()) {
            return members;
        }
        assert!(Instant::now() < until, "expected {states:?}, found {members:#?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What a [`Relay`] does with what passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    Passes,
    /// Passes each piece on after 30 ms.
    Slow,
    /// Takes what comes and passes nothing on.
    Mute,
    /// Changes a byte of each piece.
    Corrupts,
    /// Closes the connections, and new ones.
    Closes,
}

/// Stands between two machines.
pub struct Relay {
    pub address: SocketAddr,
    line: watch::Sender<Line>,
}

impl Relay {
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (line, seen) = watch::channel(Line::Passes);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(server).await else { continue };
                let ((near_reads, near_writes), (far_reads, far_writes)) = (near.into_split(), far.into_split());
                tokio::spawn(pass(near_reads, far_writes, seen.clone()));
                tokio::spawn(pass(far_reads, near_writes, seen.clone()));
            }
        });
        Self { address, line }
    }

    pub fn set(&self, line: Line) {
        self.line.send_replace(line);
    }
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut line: watch::Receiver<Line>,
) {
    let mut piece = vec![0; 16 * 1024];
    loop {
        let length = tokio::select! {
            read = from.read(&mut piece) => match read {
                Ok(length) if length > 0 => length,
                _ => return,
            },
            _ = line.wait_for(|line| *line == Line::Closes) => return,
        };
        let now = *line.borrow_and_update();
        match now {
            Line::Closes => return,
            Line::Mute => continue,
            Line::Corrupts => piece[length / 2] ^= 0x40,
            Line::Slow => tokio::time::sleep(Duration::from_millis(30)).await,
            Line::Passes => {}
        }
        if to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}

/// The output of `pinterest-embedder status` for the server at an address.
pub async fn status(address: &str, options: &[String]) -> std::process::Output {
    let mut command: Command = program();
    command.args(["status", "--address", address]).args(options);
    // Clients of the test go on meanwhile.
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}
