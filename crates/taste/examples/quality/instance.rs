use taste::{Direction, Vectors};

/// A board and a table of venues, with their families.
pub struct Instance {
    /// The board's images.
    pub board: Vectors,
    /// The family of each; strays have one too.
    pub shown: Vec<usize>,
    /// Families of venues that the board was made from, with their shares of its venues; they add up to 1.
    pub liked: Vec<(usize, f64)>,
    /// Images of another board, which shows one of these families.
    pub disliked: Vectors,
    /// That family.
    pub disliked_family: usize,
    /// The venues' table.
    pub venues: Vectors,
    /// The family of each row.
    pub families: Vec<usize>,
    /// `a wedding venue`, the texts it is compared with, and whether the images of a family are about it.
    pub topic: Option<Topic>,
}

pub struct Topic {
    pub wanted: Direction,
    pub others: Vectors,
    pub is_about: Vec<bool>,
}

impl Instance {
    /// Whether a row of the table is of a liked family.
    pub fn is_liked(&self, venue: usize) -> bool {
        self.liked.iter().any(|&(family, _)| family == self.families[venue])
    }

    /// The same instance, with the other board's family disliked.
    pub fn averse(mut self) -> Self {
        self.liked.retain(|&(family, _)| family != self.disliked_family);
        self
    }
}
