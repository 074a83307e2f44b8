//! Boards and their sections.

use serde::Deserialize;

use super::item::{Item, id};
use crate::Timestamp;
use crate::bounds::count;
use crate::lenient::{lenient, lenient_timestamp};

/// A board: `GET /v5/boards`, `GET /v5/boards/{board_id}`.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Board {
    /// Digits.
    #[serde(deserialize_with = "id")]
    pub id: String,
    /// The title people see.
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<String>,
    /// Free text.
    #[serde(default, deserialize_with = "lenient")]
    pub description: Option<String>,
    /// `PUBLIC`, `PROTECTED` or `SECRET`; other values are possible.
    #[serde(default, deserialize_with = "lenient")]
    pub privacy: Option<String>,
    /// The owner; a group board is listed for its collaborators too.
    #[serde(default, deserialize_with = "lenient")]
    pub owner: Option<Owner>,
    /// When the board was created.
    #[serde(default, deserialize_with = "lenient_timestamp")]
    pub created_at: Option<Timestamp>,
    /// The only change marker: if it is unchanged, a new import has nothing to do.
    #[serde(default, deserialize_with = "lenient_timestamp")]
    pub board_pins_modified_at: Option<Timestamp>,
    /// Number of pins, including pins that a trial app cannot see; see [`crate::completeness`].
    #[serde(default, deserialize_with = "count")]
    pub pin_count: Option<i64>,
    /// The JSON text the board was read from.
    #[serde(skip)]
    pub raw: String,
}

impl Item for Board {
    fn set_raw(&mut self, raw: String) {
        self.raw = raw;
    }
}

/// The owner of a board.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[non_exhaustive]
pub struct Owner {
    /// The name in the profile's URL.
    #[serde(default, deserialize_with = "lenient")]
    pub username: Option<String>,
}

/// A section of a board: `GET /v5/boards/{board_id}/sections`.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Section {
    /// Digits.
    #[serde(deserialize_with = "id")]
    pub id: String,
    /// The title people see.
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<String>,
    /// The JSON text the section was read from.
    #[serde(skip)]
    pub raw: String,
}

impl Item for Section {
    fn set_raw(&mut self, raw: String) {
        self.raw = raw;
    }
}
