//! Finds the names that match a reference best.

/// How closely a board or section matches a reference; less is closer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Likeness {
    /// The address names a user, and the board's owner is not known.
    owner_unknown: bool,
    rank: Rank,
}

/// The part that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// The id.
    Id,
    /// The title, character by character.
    Title,
    /// The title, apart from blanks, invisible characters and canonical equivalence.
    Spelling,
    /// The title, apart from case and compatibility equivalence too.
    Folded,
    /// The title's form in addresses.
    Slug,
    /// The title's letters and digits.
    Letters,
    /// The title's letters without accents, and its digits.
    BareLetters,
}

impl Likeness {
    pub(super) fn of(rank: Rank) -> Self {
        Likeness { owner_unknown: false, rank }
    }

    pub(super) fn with_owner(self, known: bool) -> Self {
        Likeness { owner_unknown: !known, ..self }
    }

    /// Whether the id matches.
    pub fn is_id(self) -> bool {
        self.rank == Rank::Id
    }

    /// Whether the title matches in the same case, apart from blanks, invisible characters and the Unicode form.
    pub fn is_spelling(self) -> bool {
        matches!(self.rank, Rank::Title | Rank::Spelling)
    }

    /// Whether the title matches in any case and Unicode form, or the id or the owner's address matches.
    pub fn is_title(self) -> bool {
        self.is_certain() || self.rank == Rank::Folded
    }

    /// Whether no other board could match better: the id, the exact title or the owner's address matches.
    pub fn is_certain(self) -> bool {
        self.is_id() || self.is_spelling() || (self.rank == Rank::Slug && !self.owner_unknown)
    }
}

/// The candidates that match a reference best: none, one, or several that match equally.
#[derive(Clone, Debug)]
pub struct Closest<T> {
    likeness: Option<Likeness>,
    found: Vec<T>,
}

impl<T> Default for Closest<T> {
    fn default() -> Self {
        Closest { likeness: None, found: Vec::new() }
    }
}

impl<T> Closest<T> {
    /// Adds a candidate; one without likeness does not match.
    pub fn offer(&mut self, candidate: T, likeness: Option<Likeness>) {
        let Some(likeness) = likeness else { return };
        match self.likeness {
            Some(best) if best < likeness => {}
            Some(best) if best == likeness => self.found.push(candidate),
            _ => (self.likeness, self.found) = (Some(likeness), vec![candidate]),
        }
    }

    /// How closely the found candidates match.
    pub fn likeness(&self) -> Option<Likeness> {
        self.likeness
    }

    /// The best candidates, in the order in which they were offered.
    pub fn into_found(self) -> Vec<T> {
        self.found
    }
}
