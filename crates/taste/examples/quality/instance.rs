use taste::{Direction, Vectors};

/// A board and a table of venues, with what is known about them.
pub struct Instance {
    /// The board's images.
    pub board: Vectors,
    /// What each shows; strays too have their family.
    pub shown: Vec<usize>,
    /// Families of venues that the board was made from, with their shares of its venues; they add up to 1.
    pub liked: Vec<(usize, f64)>,
    /// Images of another board, which shows one of these families.
    pub disliked: Vectors,
    /// Which one it shows.
    pub disliked_family: usize,
    /// The venues' table.
    pub venues: Vectors,
    /// What each row of it shows.
    pub families: Vec<usize>,
    /// `a wedding venue`, what it is held against, and whether an image is about it by its family.
    pub topic: Option<Topic>,
}

pub struct Topic {
    pub wanted: Direction,
    pub others: Vectors,
    pub is_about: Vec<bool>,
}

impl Instance {
    /// Whether a row of the table is what the board is looking for.
    pub fn is_liked(&self, venue: usize) -> bool {
        self.liked.iter().any(|&(family, _)| family == self.families[venue])
    }

    /// The same where the other board's family is not wanted after all.
    pub fn averse(mut self) -> Self {
        self.liked.retain(|&(family, _)| family != self.disliked_family);
        self
    }
}
