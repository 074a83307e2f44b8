//! Options of a world.

use std::path::{Path, PathBuf};

use anyhow::Context;
use sandbox::Sandbox;

use super::World;
use crate::Result;
use crate::cluster::Cluster;
use crate::installation::Installation;
use crate::model::tiny_stand_in;
use crate::server_file::ServerFile;

/// Options of a world to start.
#[derive(Debug)]
pub struct Builder {
    preload: bool,
    connected: bool,
    sandbox: sandbox::Config,
    model: Option<PathBuf>,
    installation: Option<Installation>,
    settings: Vec<(String, String)>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            preload: true,
            connected: true,
            sandbox: sandbox::Config::demo(),
            model: None,
            installation: None,
            settings: Vec::new(),
        }
    }
}

impl Builder {
    /// Whether the extension is preloaded; default true.
    #[must_use]
    pub fn preload(mut self, preload: bool) -> Self {
        self.preload = preload;
        self
    }

    /// Whether the extension is created, an app registered and an account connected; default true. Otherwise the
    /// database is empty, and the server is configured for the sandbox.
    #[must_use]
    pub fn connected(mut self, connected: bool) -> Self {
        self.connected = connected;
        self
    }

    /// The sandbox's Pinterest; default the demo's.
    #[must_use]
    pub fn sandbox(mut self, config: sandbox::Config) -> Self {
        self.sandbox = config;
        self
    }

    /// Model directory; default the tiny stand-in.
    #[must_use]
    pub fn model(mut self, directory: impl Into<PathBuf>) -> Self {
        self.model = Some(directory.into());
        self
    }

    /// Runs the server from this installation instead of the staged one.
    #[must_use]
    pub fn installation(mut self, installation: Installation) -> Self {
        self.installation = Some(installation);
        self
    }

    /// Sets a setting of the server or the extension.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// Starts the sandbox and a server configured for it.
    pub fn start(self) -> Result<World> {
        let sandbox = Sandbox::start(self.sandbox).context("cannot start the sandbox")?;
        let model = match self.model {
            Some(directory) => directory,
            None => tiny_stand_in(&Installation::staged()?.with_extension()?)?,
        };
        // The server's user cannot read the sandbox's file.
        let pem = std::fs::read(sandbox.ca_file()).context("cannot read the sandbox's authority")?;
        let authority = ServerFile::new(".pem", &pem)?;
        let host = sandbox.host();
        let mut cluster = Cluster::builder()
            .preload(self.preload)
            .settings(settings(&host, authority.path(), &model))
            .settings(self.settings);
        if let Some(installation) = self.installation {
            cluster = cluster.installation(installation);
        }
        let cluster = cluster.start()?;
        let mut world = World { cluster, sandbox, account: None, _authority: authority };
        if self.connected {
            let mut client = world.connect()?;
            client.batch_execute("CREATE EXTENSION pg_pinterest CASCADE").context("CREATE EXTENSION")?;
            world.register_app(&mut client, "sandbox")?;
            world.account = Some(world.connect_account(&mut client)?);
        }
        Ok(world)
    }
}

/// Settings for a sandbox at `localhost:PORT` and a model.
pub fn settings(host: &str, ca_file: &Path, model: &Path) -> [(&'static str, String); 5] {
    [
        ("pinterest.api_host", host.to_string()),
        ("pinterest.authorize_host", host.to_string()),
        ("pinterest.image_hosts", host.to_string()),
        ("pinterest.ca_file", ca_file.display().to_string()),
        ("pinterest.model_dir", model.display().to_string()),
    ]
}
