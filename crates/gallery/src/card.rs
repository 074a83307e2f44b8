//! A row of a query as a card.

use crate::{Address, Picture};

/// A row. Texts are as they are to be shown.
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
    /// `because`: the pins that speak for it, the nearest first.
    pub because: Vec<Because>,
    /// `score`, `distance`, `theme`, then what else the row has, name and value.
    pub facts: Vec<(String, String)>,
}

/// A pin that speaks for a row.
#[derive(Clone, Debug, Default)]
pub struct Because {
    /// The account that the pin came through.
    pub account_id: Option<i64>,
    /// Pinterest's id.
    pub pin_id: Option<String>,
    /// 0-based place of the picture within the pin.
    pub position: Option<i32>,
    /// Its title.
    pub title: Option<String>,
    /// The board it is on.
    pub board: Option<String>,
    /// Its page.
    pub link: Option<Address>,
    /// Its picture.
    pub picture: Option<Picture>,
    /// How far the row is from it.
    pub distance: Option<String>,
}

impl Because {
    /// What stands in for the picture.
    pub(crate) fn description(&self) -> String {
        match (&self.title, &self.board) {
            (Some(title), _) => title.clone(),
            (None, Some(board)) => format!("A pin on {board}"),
            (None, None) => "A pin".to_owned(),
        }
    }
}
