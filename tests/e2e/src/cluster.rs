//! A throwaway server.

mod builder;
mod place;
mod template;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use postgres::{Client, NoTls};

use crate::checkout::run;
use crate::installation::Installation;
use crate::process::Process;
use crate::server_user::ServerUser;
use crate::wait::{has_timed_out, wait_for};
use crate::{Result, process};

pub use builder::Builder;
use place::Place;

/// Superuser of every throwaway cluster.
pub const SUPERUSER: &str = "postgres";
/// Database that exists from the start.
pub const DATABASE: &str = "postgres";

/// How a server is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Waits for clients to leave.
    Smart,
    /// Ends sessions, then writes a checkpoint.
    Fast,
    /// Stops without a checkpoint, as after a power cut; the next start recovers.
    Immediate,
}

impl Stop {
    fn name(self) -> &'static str {
        match self {
            Self::Smart => "smart",
            Self::Fast => "fast",
            Self::Immediate => "immediate",
        }
    }
}

/// A server process in `pg_stat_activity`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Process id.
    pub pid: i32,
    /// `backend_type`: "client backend", or the name of a background worker.
    pub backend_type: String,
    /// Database it is connected to, if any.
    pub database: Option<String>,
}

/// A running server with a data directory of its own. Dropping it stops the server and removes the directory, unless
/// the thread panics (a failed test) or `KEEP` is set: then the directory is kept and its path is printed.
#[derive(Debug)]
pub struct Cluster {
    place: Place,
    installation: Installation,
    port: u16,
}

impl Cluster {
    /// Options of a cluster to start.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A preloaded cluster without further settings.
    pub fn start() -> Result<Self> {
        Self::builder().preload(true).start()
    }

    /// Connects as superuser to the first database.
    pub fn connect(&self) -> Result<Client> {
        self.connect_to(SUPERUSER, DATABASE)
    }

    /// Connects as another role to the first database.
    pub fn connect_as(&self, role: &str) -> Result<Client> {
        self.connect_to(role, DATABASE)
    }

    /// Connects as a role to a database.
    pub fn connect_to(&self, role: &str, database: &str) -> Result<Client> {
        self.client_config(role, database)
            .connect(NoTls)
            .with_context(|| format!("cannot connect to database {database} as {role}"))
    }

    /// A client's connection options, which callers can extend.
    pub fn client_config(&self, role: &str, database: &str) -> postgres::Config {
        let mut config = postgres::Config::new();
        config
            .host_path(self.socket_directory())
            .port(self.port)
            .user(role)
            .dbname(database)
            .connect_timeout(Duration::from_secs(10));
        config
    }

    /// Creates a role that may log in.
    pub fn create_role(&self, role: &str) -> Result<()> {
        self.connect()?.batch_execute(&format!("CREATE ROLE \"{role}\" LOGIN"))?;
        Ok(())
    }

    /// Runs SQL through the real psql as superuser, stopping at the first error, and returns what it prints (unaligned,
    /// rows only).
    pub fn psql(&self, sql: &str) -> Result<String> {
        let mut command = self.program("psql")?;
        command.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]).args([
            "--dbname",
            DATABASE,
            "--command",
            sql,
        ]);
        let output = run(&mut command)?;
        String::from_utf8(output.stdout).context("psql does not print UTF-8")
    }

    /// A command for a client program of the installation, such as pg_dump, that connects as superuser.
    pub fn program(&self, name: &str) -> Result<Command> {
        let mut command = ServerUser::get()?.command(self.installation.program(name));
        command.args(self.address());
        Ok(command)
    }

    /// Connection arguments of a client program, as superuser.
    fn address(&self) -> Vec<OsString> {
        let (host, port) = (self.socket_directory().as_os_str().to_owned(), self.port.to_string().into());
        vec!["--host".into(), host, "--port".into(), port, "--username".into(), SUPERUSER.into()]
    }

    /// The data directory.
    pub fn data_directory(&self) -> PathBuf {
        self.place.data()
    }

    /// The directory of this cluster: data, log and files that tests put there for the server.
    pub fn directory(&self) -> &Path {
        self.place.root()
    }

    /// The directory of its socket.
    pub fn socket_directory(&self) -> &Path {
        self.place.sockets()
    }

    /// Port, which names the socket; the server does not listen on TCP.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The installation that the server runs from.
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// The server log so far.
    pub fn log(&self) -> Result<String> {
        let path = self.place.log();
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Process id of the postmaster.
    pub fn postmaster(&self) -> Result<i32> {
        let file = self.data_directory().join("postmaster.pid");
        let text = fs::read_to_string(&file).context("the server is not running")?;
        text.lines().next().and_then(|line| line.parse().ok()).context("postmaster.pid does not contain a process id")
    }

    /// Running server processes of one kind, such as "client backend" or the name of a background worker.
    pub fn backends(&self, backend_type: &str) -> Result<Vec<Backend>> {
        let rows = self.connect()?.query(
            "SELECT pid, backend_type, datname::text FROM pg_catalog.pg_stat_activity
              WHERE backend_type = $1 AND pid <> pg_catalog.pg_backend_pid() ORDER BY pid",
            &[&backend_type],
        )?;
        Ok(rows.iter().map(|row| Backend { pid: row.get(0), backend_type: row.get(1), database: row.get(2) }).collect())
    }

    /// Waits for a server process of one kind and returns the first.
    pub fn wait_for_backend(&self, backend_type: &str, timeout: Duration) -> Result<Backend> {
        wait_for(backend_type, timeout, || Ok(self.backends(backend_type)?.into_iter().next()))
    }

    /// The running `pinterest-embedder` of this server, if any.
    pub fn embedder(&self) -> Result<Option<Process>> {
        // The kernel keeps 15 characters of the name.
        Ok(Process::descendants(self.postmaster()?).into_iter().find(|process| process.name == "pinterest-embed"))
    }

    /// Limits the address space of a server process, in bytes.
    pub fn limit_address_space(&self, pid: i32, bytes: u64) -> Result<()> {
        // As the server's user: root in a container may lack this right.
        run(ServerUser::get()?.command("prlimit").arg(format!("--pid={pid}")).arg(format!("--as={bytes}")))?;
        Ok(())
    }

    /// Kills a process with SIGKILL and waits until it is gone.
    pub fn kill9(&self, pid: i32) -> Result<()> {
        process::kill9(pid)
    }

    /// Changes a setting with ALTER SYSTEM. It takes effect on [`reload`](Self::reload) or on a restart.
    pub fn set(&self, name: &str, value: &str) -> Result<()> {
        let sql = format!("ALTER SYSTEM SET {name} = {}", quote_literal(value));
        self.connect()?.batch_execute(&sql)?;
        Ok(())
    }

    /// Changes a setting and reloads it.
    pub fn change(&self, name: &str, value: &str) -> Result<()> {
        self.set(name, value)?;
        self.reload()
    }

    /// Reloads the server's settings and waits until a new session uses them.
    pub fn reload(&self) -> Result<()> {
        let mut client = self.connect()?;
        let loaded = "SELECT pg_catalog.pg_conf_load_time()::text";
        let before: String = client.query_one(loaded, &[])?.get(0);
        client.execute("SELECT pg_catalog.pg_reload_conf()", &[])?;
        wait_for("the settings to be reloaded", Duration::from_secs(10), || {
            let after: String = self.connect()?.query_one(loaded, &[])?.get(0);
            Ok((after != before).then_some(()))
        })
    }

    /// Stops the server, which can be started again with [`launch`](Self::launch).
    pub fn stop(&self, mode: Stop) -> Result<()> {
        self.pg_ctl(&["stop", "--mode", mode.name()])
    }

    /// Starts the server after a [`stop`](Self::stop) and waits until it accepts connections.
    pub fn launch(&self) -> Result<()> {
        if let Err(error) = self.pg_ctl(&["start"]) {
            bail!("{error}\n{}", self.log_tail());
        }
        Ok(())
    }

    /// Stops and starts the server.
    pub fn restart(&self, mode: Stop) -> Result<()> {
        self.stop(mode)?;
        self.launch()
    }

    /// Leaves the server running when this is dropped, and returns its directory.
    pub fn keep(mut self) -> PathBuf {
        self.place.leave();
        self.place.root().to_path_buf()
    }

    /// Stops the server of a cluster that was [kept](Self::keep) and removes its directory. Returns whether one was
    /// running.
    pub fn remove_kept(directory: &Path) -> Result<bool> {
        place::remove_left(directory)
    }

    fn pg_ctl(&self, arguments: &[&str]) -> Result<()> {
        let mut command = ServerUser::get()?.command(self.installation.program("pg_ctl"));
        command.args(arguments).args(["--wait", "--timeout", "60", "--silent", "--pgdata"]).arg(self.data_directory());
        if arguments.first() == Some(&"start") {
            command.arg("--log").arg(self.place.log());
        }
        run(&mut command).map(drop)
    }

    fn log_tail(&self) -> String {
        const LINES: usize = 40;
        let log = self.log().unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        format!(
            "--- end of {} ---\n{}",
            self.place.log().display(),
            lines[lines.len().saturating_sub(LINES)..].join("\n")
        )
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.place.left() {
            return;
        }
        let failed = std::thread::panicking() || has_timed_out();
        if failed {
            eprintln!("{}", self.log_tail());
        }
        // It may already be stopped. After a failure the next run removes the rest.
        let _ = self.stop(Stop::Immediate);
        if failed || std::env::var_os("KEEP").is_some_and(|value| !value.is_empty()) {
            self.place.leave_data();
            eprintln!("the cluster's directory is kept: {}", self.place.root().display());
        }
    }
}

/// Quotes a string as an SQL literal.
pub(crate) fn quote_literal(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}
