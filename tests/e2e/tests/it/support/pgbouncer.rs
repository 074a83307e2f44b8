//! PgBouncer in transaction mode in front of a cluster.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context;
use e2e::ServerUser;
use postgres::NoTls;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::prelude::*;

/// Where the program may be: distributions install it in directories that are only in root's PATH.
const PLACES: [&str; 4] =
    ["/usr/sbin/pgbouncer", "/usr/local/sbin/pgbouncer", "/usr/local/bin/pgbouncer", "/usr/bin/pgbouncer"];

/// A running PgBouncer, with its socket beside the server's.
pub struct PgBouncer {
    process: Child,
    port: u16,
}

impl PgBouncer {
    /// Starts PgBouncer for these roles with this many server connections each, which are used in turn and not reset
    /// between clients. Prints a line and returns `None` if PgBouncer is not installed.
    pub fn start(world: &World, roles: &[&str], connections: u32) -> Result<Option<Self>> {
        let found = PLACES.iter().find(|name| {
            let asked = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
            asked.is_ok_and(|status| status.success())
        });
        let Some(program) = found else {
            // Bypasses libtest, which shows no output of tests that pass.
            writeln!(std::io::stderr(), "\nSKIPPED: PgBouncer is not installed (pgvector_setup/install --with-tests)")?;
            return Ok(None);
        };
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        drop(listener);
        let mut users = String::new();
        for role in roles {
            writeln!(users, "\"{role}\" \"\"")?;
        }
        let users = world.server_file("pgbouncer-users", users.as_bytes())?;
        let sockets = world.cluster.socket_directory().display();
        let settings = format!(
            "[databases]\n* = host={sockets} port={}\n\
             [pgbouncer]\nlisten_port = {port}\nunix_socket_dir = {sockets}\nauth_type = trust\nauth_file = {}\n\
             pool_mode = transaction\ndefault_pool_size = {connections}\nserver_round_robin = 1\nserver_reset_query =\n\
             max_client_conn = 50\nserver_idle_timeout = 0\nserver_lifetime = 3600\n",
            world.cluster.port(),
            users.display(),
        );
        let settings = world.server_file("pgbouncer.ini", settings.as_bytes())?;
        let log = std::fs::File::create(world.cluster.directory().join("pgbouncer.log"))?;
        let process = ServerUser::get()?
            .command(Path::new(program))
            .arg(settings)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let bouncer = PgBouncer { process, port };
        let role = roles.first().context("no role")?;
        wait_for("PgBouncer", Duration::from_secs(20), || Ok(bouncer.connect(world, role).ok()))?;
        Ok(Some(bouncer))
    }

    /// Connects through PgBouncer.
    pub fn connect(&self, world: &World, role: &str) -> Result<Client> {
        let mut config = postgres::Config::new();
        let database = e2e::cluster::DATABASE;
        config.host_path(world.cluster.socket_directory()).port(self.port).user(role).dbname(database);
        Ok(config.connect_timeout(Duration::from_secs(10)).connect(NoTls)?)
    }

    /// A psql command for one statement, which SIGINT cancels. psql waits until its cancel request has arrived, as
    /// PgBouncer 1.18 requires: it crashes otherwise.
    pub fn psql(&self, world: &World, role: &str, sql: &str) -> Result<Command> {
        let mut command = ServerUser::get()?.command(world.cluster.installation().program("psql"));
        command.arg("--host").arg(world.cluster.socket_directory()).args(["--port", &self.port.to_string()]);
        command.args(["--no-psqlrc", "--set=VERBOSITY=verbose", "--username", role]);
        command.args(["--dbname", e2e::cluster::DATABASE, "--command", sql]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(command)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        // An immediate stop, also with connected clients.
        if let Some(pid) = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.process.wait();
    }
}
