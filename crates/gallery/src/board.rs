//! A board, as its page shows it.

use crate::{Address, Picture};

/// A board with its pictures, theme by theme.
#[derive(Clone, Debug, Default)]
pub struct Board {
    /// Its title.
    pub name: String,
    /// What its owner says of it.
    pub description: Option<String>,
    /// Whose it is.
    pub owner: Option<String>,
    /// Pins on it.
    pub pins: u64,
    /// Pictures of them that have an embedding.
    pub pictures: u64,
    /// Its themes, or one that holds all.
    pub themes: Vec<Theme>,
}

/// Pictures that belong together.
#[derive(Clone, Debug, Default)]
pub struct Theme {
    /// What it shows, in a word.
    pub label: Option<String>,
    /// Its share of the board, from 0 to 1.
    pub weight: Option<f64>,
    /// All its pictures.
    pub pictures: u64,
    /// Those to be shown, the most typical first.
    pub shown: Vec<Pin>,
}

/// One picture of a pin.
#[derive(Clone, Debug)]
pub struct Pin {
    /// Its page.
    pub link: Option<Address>,
    /// What it shows, for those who do not see it.
    pub description: String,
    /// The picture.
    pub picture: Option<Picture>,
}
