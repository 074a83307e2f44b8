//! The contents of a board's page.

use crate::{Address, Picture};

/// A board with its pictures, theme by theme.
#[derive(Clone, Debug, Default)]
pub struct Board {
    /// The title.
    pub name: String,
    /// The owner's description.
    pub description: Option<String>,
    /// The owner's user name.
    pub owner: Option<String>,
    /// The number of pins.
    pub pins: u64,
    /// The number of their pictures that have an embedding.
    pub pictures: u64,
    /// The themes, or one theme with all pictures.
    pub themes: Vec<Theme>,
}

/// Pictures that belong together.
#[derive(Clone, Debug, Default)]
pub struct Theme {
    /// The name of the theme.
    pub label: Option<String>,
    /// The theme's share of the board, from 0 to 1.
    pub weight: Option<f64>,
    /// The number of pictures.
    pub pictures: u64,
    /// The pictures that are shown, the most typical first.
    pub shown: Vec<Pin>,
}

/// One picture of a pin.
#[derive(Clone, Debug)]
pub struct Pin {
    /// The pin's page.
    pub link: Option<Address>,
    /// A description for readers who do not see the picture.
    pub description: String,
    /// The picture.
    pub picture: Option<Picture>,
}
