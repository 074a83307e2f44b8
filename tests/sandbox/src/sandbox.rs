//! The running sandbox.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use crate::config::Config;
use crate::error::Error;
use crate::server::Server;
use crate::state::State;

/// A world and the server that serves it, until this is dropped. The methods of [`State`] read and change the world.
#[derive(Debug)]
pub struct Sandbox {
    state: Arc<State>,
    server: Server,
}

/// A board in its present state.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct BoardSummary {
    /// Board id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Owner's username.
    pub owner: String,
    /// Number of pins, those in sections included.
    pub pins: u64,
}

impl Sandbox {
    /// Starts a thread that serves the world. Returns when the port accepts connections and the file of the certificate
    /// authority is written.
    ///
    /// # Errors
    /// If `config` is invalid, or the port or the file cannot be used.
    pub fn start(config: Config) -> Result<Self, Error> {
        config.check()?;
        let (port, ca_file) = (config.port, config.ca_file.clone());
        let certificate = config.certificate;
        let state = Arc::new(State::new(config));
        let server = Server::start(port, ca_file, certificate, Arc::clone(&state))?;
        Ok(Self { state, server })
    }

    /// `https://localhost:PORT`.
    pub fn url(&self) -> String {
        format!("https://{}", self.host())
    }

    /// `localhost:PORT`, the host of the API, of the authorize page and of the images.
    pub fn host(&self) -> String {
        format!("localhost:{}", self.server.port())
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// The file with the certificate of the authority, PEM.
    pub fn ca_file(&self) -> &Path {
        self.server.ca_file()
    }

    /// Stops serving and resets open connections, as dropping does.
    pub fn stop(self) {}
}

impl Deref for Sandbox {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}
