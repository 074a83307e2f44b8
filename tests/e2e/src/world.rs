//! A cluster with a local Pinterest, the extension, a registered app and a connected account.

mod builder;

use std::path::PathBuf;

use anyhow::Context;
use postgres::Client;
use sandbox::Sandbox;

use crate::Result;
use crate::browser::Browser;
use crate::cluster::Cluster;
use crate::server_file::ServerFile;
use crate::server_user::ServerUser;

pub use builder::{Builder, settings};

/// A cluster and its Pinterest. Fields drop in order: the server stops before the sandbox.
#[derive(Debug)]
pub struct World {
    /// The server.
    pub cluster: Cluster,
    /// The server's Pinterest.
    pub sandbox: Sandbox,
    account: Option<i64>,
    /// The sandbox's certificate authority, readable by the server.
    _authority: ServerFile,
}

impl World {
    /// Options of a world to start.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A preloaded world with this Pinterest; extension created, account connected.
    pub fn of(config: sandbox::Config) -> Result<Self> {
        Self::builder().sandbox(config).start()
    }

    /// A world with one board, `name`, of plain images; preloaded, extension created, account connected.
    pub fn with_board(name: &str, pins: u64) -> Result<Self> {
        let config = sandbox::Config::with_board(name, &[sandbox::Family::Beach, sandbox::Family::Barn], pins);
        Self::of(config)
    }

    /// The world and a superuser's session in its first database.
    pub fn with_session(self) -> Result<(Self, Client)> {
        let client = self.connect()?;
        Ok((self, client))
    }

    /// Connects as superuser to the first database.
    pub fn connect(&self) -> Result<Client> {
        self.cluster.connect()
    }

    /// The account that was connected when the world was made.
    ///
    /// # Panics
    /// If the world was built without one.
    pub fn account(&self) -> i64 {
        match self.account {
            Some(account) => account,
            None => panic!("this world was built without a connected account"),
        }
    }

    /// Registers the sandbox's app under a name for the session's role; returns its id.
    pub fn register_app(&self, client: &mut Client, name: &str) -> Result<i64> {
        let app = &self.sandbox.config().app;
        let redirect = app.redirect_uris.first().context("the sandbox's app has no redirect URI")?;
        let row = client
            .query_one(
                "SELECT pinterest_register_app($1, $2, $3, $4)",
                &[&name, &app.client_id, &app.client_secret, redirect],
            )
            .context("pinterest_register_app")?;
        Ok(row.get(0))
    }

    /// Connects an account for the session's role through the authorization page. Returns the account's id.
    pub fn connect_account(&self, client: &mut Client) -> Result<i64> {
        let url: String =
            client.query_one("SELECT pinterest_authorize_url()", &[]).context("pinterest_authorize_url")?.get(0);
        let redirect = self.browser()?.authorize(&url)?;
        let row = client
            .query_one("SELECT pinterest_connect($1, $2)", &[&redirect.code, &redirect.state])
            .context("pinterest_connect")?;
        Ok(row.get(0))
    }

    /// A browser that trusts the sandbox.
    pub fn browser(&self) -> Result<Browser> {
        Browser::trusting(self.sandbox.ca_file())
    }

    /// Writes a file that the server can read and returns its path.
    pub fn server_file(&self, name: &str, contents: &[u8]) -> Result<PathBuf> {
        let path = self.cluster.directory().join(name);
        std::fs::write(&path, contents).with_context(|| format!("cannot write {}", path.display()))?;
        ServerUser::get()?.own(&path)?;
        Ok(path)
    }
}
