//! Boards and pins, as tests and the control path read and change them.

use std::sync::atomic::Ordering;

use super::State;
use crate::error::Error;
use crate::sandbox::BoardSummary;

impl State {
    /// All boards, in the order of the accounts.
    pub fn boards(&self) -> Vec<BoardSummary> {
        let world = self.world();
        let summaries = world.boards().map(|board| BoardSummary {
            id: board.id.clone(),
            name: board.spec.name.clone(),
            owner: world.accounts[board.owner].clone(),
            pins: board.len(),
        });
        summaries.collect()
    }

    /// The id of the first board with this name, of any account.
    pub fn board_id(&self, name: &str) -> Result<String, Error> {
        let world = self.world();
        let found = world.boards().find(|board| board.spec.name == name);
        found.map(|board| board.id.clone()).ok_or_else(|| Error::unknown("board", name))
    }

    /// The ids of the pins on a board in the order of the listing: newest first.
    pub fn pin_ids(&self, board_id: &str) -> Result<Vec<String>, Error> {
        let world = self.world();
        let board = world.board(board_id).ok_or_else(|| Error::unknown("board", board_id))?;
        let pins = (0..board.len()).filter_map(|place| board.at(place));
        Ok(pins.map(|pin| world.identities.pin_id(pin)).collect())
    }

    /// Saves `count` new pins to a board. Returns their ids, newest first.
    pub fn add_pins(&self, board_id: &str, count: u64) -> Result<Vec<String>, Error> {
        let mut world = self.world();
        let added = world.add_pins(board_id, count)?;
        Ok(added.into_iter().map(|pin| world.identities.pin_id(pin)).collect())
    }

    /// Deletes a pin.
    pub fn remove_pin(&self, pin_id: &str) -> Result<(), Error> {
        self.world().remove_pin(pin_id)
    }

    /// Moves a pin to the front of another board.
    pub fn move_pin(&self, pin_id: &str, board_id: &str) -> Result<(), Error> {
        self.world().move_pin(pin_id, board_id)
    }

    /// Deletes a board.
    pub fn remove_board(&self, board_id: &str) -> Result<(), Error> {
        self.world().remove_board(board_id)
    }

    /// Expires all bookmarks: a request with one is answered with 400.
    pub fn expire_bookmarks(&self) {
        self.bookmark_age.fetch_add(1, Ordering::Relaxed);
    }
}
