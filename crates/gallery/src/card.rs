//! A row of a query as a card.

use crate::{Address, Picture};

/// A row. Texts are shown as they are.
#[derive(Clone, Debug, Default)]
pub struct Card {
    /// `title`, else `name`, else `key`.
    pub title: Option<String>,
    /// `link`.
    pub link: Option<Address>,
    /// `image`: an address, or bytes.
    pub picture: Option<Picture>,
    /// `rank`.
    pub rank: Option<String>,
    /// `because`: the pins that the row resembles, the nearest first.
    pub because: Vec<Because>,
    /// Names and values: `score`, `distance`, `theme`, then other members.
    pub facts: Vec<(String, String)>,
}

/// A pin that a row resembles.
#[derive(Clone, Debug, Default)]
pub struct Because {
    /// The account through which the pin was imported.
    pub account_id: Option<i64>,
    /// Pinterest's id.
    pub pin_id: Option<String>,
    /// 0-based place of the picture within the pin.
    pub position: Option<i32>,
    /// The pin's title.
    pub title: Option<String>,
    /// The board's title.
    pub board: Option<String>,
    /// The pin's page.
    pub link: Option<Address>,
    /// Its picture.
    pub picture: Option<Picture>,
    /// The distance of the row from the pin.
    pub distance: Option<String>,
}

impl Because {
    /// The text in place of the picture.
    pub(crate) fn description(&self) -> String {
        match (&self.title, &self.board) {
            (Some(title), _) => title.clone(),
            (None, Some(board)) => format!("A pin on {board}"),
            (None, None) => "A pin".to_owned(),
        }
    }
}
