//! The running sandbox and what a test can do to it.

use std::path::Path;
use std::time::Duration;

use crate::config::Config;
use crate::error::Error;
use crate::faults::Faults;
use crate::oauth::Grant;
use crate::requests::Requests;
use crate::server::Server;
use crate::state::State;

use std::sync::Arc;

/// A world that is being served. It ends when this is dropped.
#[derive(Debug)]
pub struct Sandbox {
    state: Arc<State>,
    server: Server,
}

/// A board as the world has it now.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct BoardSummary {
    /// Board id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Owner's username.
    pub owner: String,
    /// Pins on it, sections included.
    pub pins: u64,
}

impl Sandbox {
    /// Starts serving on a thread of its own; returns once the port accepts connections and the authority's file is
    /// written.
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

    /// `localhost:PORT`, for the API, the authorize page and the images alike.
    pub fn host(&self) -> String {
        format!("localhost:{}", self.server.port())
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// The authority's certificate, PEM.
    pub fn ca_file(&self) -> &Path {
        self.server.ca_file()
    }

    /// What the world was made from.
    pub fn config(&self) -> &Config {
        self.state.config()
    }

    /// The fault rules.
    pub fn faults(&self) -> &Faults {
        &self.state.faults
    }

    /// What has been asked so far.
    pub fn requests(&self) -> &Requests {
        &self.state.requests
    }

    /// All boards, account by account.
    pub fn boards(&self) -> Vec<BoardSummary> {
        self.state.boards()
    }

    /// Id of the board of this name, of whichever account owns it.
    pub fn board_id(&self, name: &str) -> Result<String, Error> {
        self.state.board_id(name)
    }

    /// Ids of the pins on a board, newest first: the order of the listing.
    pub fn pin_ids(&self, board_id: &str) -> Result<Vec<String>, Error> {
        self.state.pin_ids(board_id)
    }

    /// Saves this many new pins to a board; returns their ids, newest first.
    pub fn add_pins(&self, board_id: &str, count: u64) -> Result<Vec<String>, Error> {
        self.state.add_pins(board_id, count)
    }

    /// Deletes a pin.
    pub fn remove_pin(&self, pin_id: &str) -> Result<(), Error> {
        self.state.remove_pin(pin_id)
    }

    /// Moves a pin to the front of another board.
    pub fn move_pin(&self, pin_id: &str, board_id: &str) -> Result<(), Error> {
        self.state.move_pin(pin_id, board_id)
    }

    /// Deletes a board.
    pub fn remove_board(&self, board_id: &str) -> Result<(), Error> {
        self.state.remove_board(board_id)
    }

    /// Makes every bookmark given so far stale: using one answers 400.
    pub fn expire_bookmarks(&self) {
        self.state.expire_bookmarks();
    }

    /// Chooses who is signed in at the authorize page.
    pub fn sign_in(&self, username: &str) -> Result<(), Error> {
        self.state.sign_in(username)
    }

    /// Gives out a fresh grant with all read scopes, as if the account had just connected.
    pub fn issue_grant(&self, username: &str) -> Result<Grant, Error> {
        self.state.issue_grant(username)
    }

    /// Gives out a fresh grant with just these scopes.
    pub fn issue_grant_with(&self, username: &str, scopes: &[&str]) -> Result<Grant, Error> {
        self.state.issue_grant_with(username, scopes)
    }

    /// The newest refresh token of an account that a refresh would accept now.
    pub fn valid_refresh_token(&self, username: &str) -> Option<String> {
        self.state.valid_refresh_token(username)
    }

    /// The newest access token of an account that the API would accept now.
    pub fn valid_access_token(&self, username: &str) -> Option<String> {
        self.state.valid_access_token(username)
    }

    /// Whether a refresh token would be accepted now.
    pub fn accepts_refresh_token(&self, refresh_token: &str) -> bool {
        self.state.accepts_refresh_token(refresh_token)
    }

    /// Kills every token of an account, as when its owner removes the app.
    pub fn revoke(&self, username: &str) -> Result<(), Error> {
        self.state.revoke(username)
    }

    /// Ends the access tokens of an account; its refresh tokens stay.
    pub fn expire_access_tokens(&self, username: &str) -> Result<(), Error> {
        self.state.expire_access_tokens(username)
    }

    /// Moves the sandbox's clock: what expires, expires sooner.
    pub fn advance_clock(&self, by: Duration) {
        self.state.clock.advance(by);
    }

    /// Stops serving, cutting what is under way; dropping does the same.
    pub fn stop(self) {}
}
