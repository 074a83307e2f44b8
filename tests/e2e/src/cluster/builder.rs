//! Options of a cluster.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;

use anyhow::Context;

use super::place::Place;
use super::template::{self, Template};
use super::{Cluster, quote_literal};
use crate::Result;
use crate::checkout::run;
use crate::installation::Installation;
use crate::server_user::ServerUser;

/// Options of a cluster to start. Most settings have the server's defaults; `fsync` is off.
#[derive(Debug, Default)]
pub struct Builder {
    preload: bool,
    settings: Vec<(String, String)>,
    directory: Option<PathBuf>,
    installation: Option<Installation>,
    origin: Origin,
}

/// The source of a data directory.
#[derive(Debug, Default)]
enum Origin {
    /// A copy of the template; the default.
    #[default]
    Template,
    /// A new initdb.
    Initdb,
    /// A base backup of the running server at these arguments, as a standby or as an independent copy.
    BaseBackup { address: Vec<OsString>, follow: bool },
}

impl Builder {
    /// Gives the cluster its own system identifier instead of the template's.
    #[must_use]
    pub fn own_identity(mut self) -> Self {
        self.origin = Origin::Initdb;
        self
    }

    /// Makes it a hot standby of a running cluster, with that cluster's settings.
    #[must_use]
    pub fn standby_of(mut self, primary: &Cluster) -> Self {
        self.origin = Origin::BaseBackup { address: primary.address(), follow: true };
        self
    }

    /// Makes it a physical copy of a running cluster that takes writes, as after a restore from a base backup.
    #[must_use]
    pub fn copy_of(mut self, original: &Cluster) -> Self {
        self.origin = Origin::BaseBackup { address: original.address(), follow: false };
        self
    }

    /// Whether `shared_preload_libraries` contains the extension; default false.
    #[must_use]
    pub fn preload(mut self, preload: bool) -> Self {
        self.preload = preload;
        self
    }

    /// Sets a server setting; the last value wins.
    #[must_use]
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// Sets several server settings.
    #[must_use]
    pub fn settings<N: Into<String>, V: Into<String>>(mut self, settings: impl IntoIterator<Item = (N, V)>) -> Self {
        self.settings.extend(settings.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Puts the cluster into this directory, which must not exist, instead of one with a generated name.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Runs from this installation instead of the staged one.
    #[must_use]
    pub fn installation(mut self, installation: Installation) -> Self {
        self.installation = Some(installation);
        self
    }

    /// Makes the data directory, starts the server and waits until it accepts connections.
    pub fn start(self) -> Result<Cluster> {
        let mut installation = self.installation.map_or_else(Installation::staged, Ok)?;
        if self.preload {
            installation = installation.with_extension()?;
        }
        let place = Place::make(self.directory.clone())?;
        match &self.origin {
            Origin::Template => Template::of(&installation)?.copy_to(&place.data())?,
            Origin::Initdb => template::initdb(&installation, &place.data())?,
            Origin::BaseBackup { address, follow } => {
                let mut backup = ServerUser::get()?.command(installation.program("pg_basebackup"));
                backup.args(address).args(["--checkpoint=fast", "--no-sync"]);
                if *follow {
                    backup.arg("--write-recovery-conf");
                }
                run(backup.arg("--pgdata").arg(place.data()))?;
            }
        }

        let port = free_port()?;
        let mut settings: Vec<(String, String)> = vec![
            // Other users of the machine cannot reach a socket in a private directory; they could reach a TCP port.
            ("listen_addresses".into(), String::new()),
            ("unix_socket_directories".into(), place.sockets().display().to_string()),
            ("port".into(), port.to_string()),
            ("fsync".into(), "off".into()),
            ("full_page_writes".into(), "off".into()),
            ("log_line_prefix".into(), "%m [%p] %b: ".into()),
            ("log_checkpoints".into(), "off".into()),
            // Small, because several clusters run at a time.
            ("shared_buffers".into(), "32MB".into()),
            ("max_connections".into(), "40".into()),
        ];
        if self.preload {
            settings.push(("shared_preload_libraries".into(), "pg_pinterest".into()));
        }
        settings.extend(self.settings);

        let path = place.data().join("postgresql.conf");
        let mut file =
            OpenOptions::new().append(true).open(&path).with_context(|| format!("cannot write {}", path.display()))?;
        for (name, value) in &settings {
            writeln!(file, "{name} = {}", quote_literal(value))?;
        }
        drop(file);

        let cluster = Cluster { place, installation, port };
        cluster.launch()?;
        Ok(cluster)
    }
}

/// A free port. The server only uses it in the name of its socket, so a later clash does no harm.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}
