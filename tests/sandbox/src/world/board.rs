//! Boards and their pins.

use std::collections::{HashMap, HashSet};

use super::{EPOCH, Identities, PinKey};
use crate::config::{BoardSpec, Config, Privacy};
use crate::error::Error;
use crate::random::mix;

/// The accounts, boards and pins.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) identities: Identities,
    pub(crate) accounts: Vec<String>,
    boards: Vec<Board>,
    board_of_id: HashMap<String, u32>,
    /// Moved pins, with the index of their present board.
    moved: HashMap<PinKey, u32>,
    removed: HashSet<PinKey>,
}

/// One board.
#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) index: u32,
    pub(crate) id: String,
    /// Index of the owner in [`World::accounts`].
    pub(crate) owner: usize,
    pub(crate) spec: BoardSpec,
    listing: Listing,
    next_serial: u64,
    /// Seconds from [`EPOCH`] to the last change of its pins.
    modified: u64,
    removed: bool,
}

/// The pins on a board, newest first.
#[derive(Debug)]
enum Listing {
    /// Unchanged: the numbers `0..pins`, the highest first.
    Untouched { pins: u64 },
    /// Changed.
    Explicit(Vec<PinKey>),
}

/// Maximum number of pins added at once: each one is an entry of a list.
const MAX_ADDED: u64 = 1_000_000;
/// Seconds between one pin and the next.
const PIN_INTERVAL: u64 = 600;

impl World {
    pub(crate) fn new(config: &Config) -> Self {
        let identities = Identities::new(config.seed);
        let mut boards = Vec::new();
        for (owner, account) in config.accounts.iter().enumerate() {
            for spec in &account.boards {
                let index = boards.len() as u32;
                boards.push(Board {
                    index,
                    id: identities.board_id(index),
                    owner,
                    spec: spec.clone(),
                    listing: Listing::Untouched { pins: spec.pins },
                    next_serial: spec.pins,
                    modified: spec.pins * PIN_INTERVAL,
                    removed: false,
                });
            }
        }
        Self {
            seed: config.seed,
            accounts: config.accounts.iter().map(|a| a.username.clone()).collect(),
            board_of_id: boards.iter().map(|b| (b.id.clone(), b.index)).collect(),
            identities,
            boards,
            moved: HashMap::new(),
            removed: HashSet::new(),
        }
    }

    pub(crate) fn account(&self, username: &str) -> Result<usize, Error> {
        self.accounts.iter().position(|name| name == username).ok_or_else(|| Error::unknown("account", username))
    }

    /// Boards that have not been deleted.
    pub(crate) fn boards(&self) -> impl Iterator<Item = &Board> {
        self.boards.iter().filter(|board| !board.removed)
    }

    pub(crate) fn board(&self, id: &str) -> Option<&Board> {
        let index = *self.board_of_id.get(id)?;
        Some(&self.boards[index as usize]).filter(|board| !board.removed)
    }

    /// The board a pin was first saved to, from which its data are derived; it may have been removed.
    pub(crate) fn home(&self, pin: PinKey) -> &Board {
        &self.boards[pin.board as usize]
    }

    /// The pin whose images a pin shows: itself, or the pin with the same number on the board of [`BoardSpec::pictures_of`].
    pub(crate) fn shown_by(&self, pin: PinKey) -> PinKey {
        let of = self.home(pin).spec.pictures_of.as_deref();
        let source = of.and_then(|name| self.boards.iter().find(|board| board.spec.name == name));
        let counterpart = source.map(|board| PinKey { board: board.index, ..pin });
        counterpart.filter(|pin| self.ever_was(*pin)).unwrap_or(pin)
    }

    /// The pin with this id, if it exists.
    pub(crate) fn pin(&self, id: &str) -> Option<PinKey> {
        let pin = self.identities.pin_key(id)?;
        self.board_of(pin).map(|_| pin)
    }

    /// The present board of a pin, if the pin exists.
    pub(crate) fn board_of(&self, pin: PinKey) -> Option<&Board> {
        if !self.ever_was(pin) || self.removed.contains(&pin) {
            return None;
        }
        let index = self.moved.get(&pin).copied().unwrap_or(pin.board);
        Some(&self.boards[index as usize]).filter(|board| !board.removed)
    }

    /// Whether a pin exists or was removed: its images stay on the CDN.
    pub(crate) fn ever_was(&self, pin: PinKey) -> bool {
        self.boards.get(pin.board as usize).is_some_and(|board| pin.serial < board.next_serial)
    }

    /// The index of a pin's section. Moved pins have no section.
    pub(crate) fn section_of(&self, pin: PinKey) -> Option<usize> {
        if self.moved.contains_key(&pin) {
            return None;
        }
        let sections = self.home(pin).spec.sections.len() as u64;
        let choice = mix(&[self.seed, 30, u64::from(pin.board), pin.serial]) % (sections + 1);
        choice.checked_sub(1).map(|section| section as usize)
    }

    pub(crate) fn add_pins(&mut self, board_id: &str, count: u64) -> Result<Vec<PinKey>, Error> {
        if count > MAX_ADDED {
            return Err(Error::configuration(format!(
                "could not add {count} pins at once, the maximum is {MAX_ADDED}"
            )));
        }
        let board = self.board_mut(board_id)?;
        let first = board.next_serial;
        board.next_serial += count;
        board.touch();
        let index = board.index;
        let added: Vec<PinKey> = (first..first + count).rev().map(|serial| PinKey { board: index, serial }).collect();
        board.list().splice(0..0, added.iter().copied());
        Ok(added)
    }

    pub(crate) fn remove_pin(&mut self, id: &str) -> Result<(), Error> {
        let pin = self.pin(id).ok_or_else(|| Error::unknown("pin", id))?;
        self.unlist(pin);
        self.removed.insert(pin);
        Ok(())
    }

    pub(crate) fn move_pin(&mut self, id: &str, board_id: &str) -> Result<(), Error> {
        let pin = self.pin(id).ok_or_else(|| Error::unknown("pin", id))?;
        let target = self.board_mut(board_id)?.index;
        self.unlist(pin);
        self.moved.insert(pin, target);
        let board = &mut self.boards[target as usize];
        board.list().insert(0, pin);
        board.touch();
        Ok(())
    }

    pub(crate) fn remove_board(&mut self, board_id: &str) -> Result<(), Error> {
        self.board_mut(board_id)?.removed = true;
        Ok(())
    }

    fn unlist(&mut self, pin: PinKey) {
        let index = self.moved.get(&pin).copied().unwrap_or(pin.board);
        let board = &mut self.boards[index as usize];
        board.list().retain(|listed| *listed != pin);
        board.touch();
    }

    fn board_mut(&mut self, id: &str) -> Result<&mut Board, Error> {
        let found = self.board_of_id.get(id).copied();
        found
            .map(|index| &mut self.boards[index as usize])
            .filter(|board| !board.removed)
            .ok_or_else(|| Error::unknown("board", id))
    }
}

impl Board {
    /// Number of pins.
    pub(crate) fn len(&self) -> u64 {
        match &self.listing {
            Listing::Untouched { pins } => *pins,
            Listing::Explicit(pins) => pins.len() as u64,
        }
    }

    /// The pin at an index of the listing, newest first.
    pub(crate) fn at(&self, place: u64) -> Option<PinKey> {
        match &self.listing {
            Listing::Untouched { pins } => {
                (place < *pins).then(|| PinKey { board: self.index, serial: pins - 1 - place })
            }
            Listing::Explicit(pins) => pins.get(usize::try_from(place).ok()?).copied(),
        }
    }

    /// The index of a pin in the listing.
    pub(crate) fn place_of(&self, pin: PinKey) -> Option<u64> {
        match &self.listing {
            Listing::Untouched { pins } => {
                (pin.board == self.index && pin.serial < *pins).then(|| pins - 1 - pin.serial)
            }
            Listing::Explicit(pins) => pins.iter().position(|listed| *listed == pin).map(|place| place as u64),
        }
    }

    /// Unix seconds of `board_pins_modified_at`.
    pub(crate) fn modified_at(&self) -> u64 {
        EPOCH + self.modified
    }

    /// Whether the account owns it or is one of its collaborators.
    pub(crate) fn is_on_it(&self, account: usize, username: &str) -> bool {
        self.owner == account || self.spec.collaborators.iter().any(|name| name == username)
    }

    pub(crate) fn is_secret(&self) -> bool {
        self.spec.privacy == Privacy::Secret
    }

    fn touch(&mut self) {
        self.modified += 1;
    }

    /// The listing as a mutable list.
    fn list(&mut self) -> &mut Vec<PinKey> {
        if let Listing::Untouched { pins } = self.listing {
            let board = self.index;
            let keys = (0..pins).rev().map(|serial| PinKey { board, serial });
            self.listing = Listing::Explicit(keys.collect());
        }
        match &mut self.listing {
            Listing::Explicit(pins) => pins,
            Listing::Untouched { .. } => unreachable!("this is a bug: the listing was just made explicit"),
        }
    }
}

/// Unix seconds at which the pin with this number was saved.
pub(crate) fn saved_at(serial: u64) -> u64 {
    EPOCH + serial * PIN_INTERVAL
}
